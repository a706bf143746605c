"""What an error says to a person: here, the known names nearest to an unknown one."""

import pytest

from chestgan_core.errors import nearest

EXPERIMENTS = ("demo", "demo-folder", "lung-r3gan", "thesis-dcgan-initial", "thesis-dcgan-final")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lung-r3gen", "did you mean lung-r3gan?"),
        ("LUNG_R3GAN", "did you mean lung-r3gan?"),
        ("thesis-dcgan-finel", "did you mean thesis-dcgan-final, thesis-dcgan-initial?"),
        ("r3gan", "did you mean lung-r3gan?"),
        ("folder", "did you mean demo-folder?"),
        ("xyz", "choose one of demo, demo-folder, lung-r3gan, thesis-dcgan-final, thesis-dcgan-initial"),
        ("", "choose one of demo, demo-folder, lung-r3gan, thesis-dcgan-final, thesis-dcgan-initial"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_known_ones_or_with_all(name: str, said: str) -> None:
    assert nearest(name, EXPERIMENTS) == said


def test_a_long_list_is_cut_and_counted() -> None:
    said = nearest("xyz", [f"patient-{number:05}" for number in range(40_000)])
    assert said.endswith("patient-00011, ... (40000 in all)")
    assert "\n" not in said


def test_nothing_known_is_said_as_such() -> None:
    assert nearest("demo", ()) == "there is none yet"
