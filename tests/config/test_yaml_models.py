"""YAML files that describe a dataset or an experiment: a fault is named with its line, and with the nearest names."""

from pathlib import Path

import pytest

from chestgan_core.config.dataset import load_dataset
from chestgan_core.errors import BadInput

LINES = [
    "title: ours",
    "image_kind: real",
    "licence: for this hospital",
    "source:",
    "  kind: folder",
    "  path_variable: CHESTGAN_FOLDER",
    "private: true",
    "slice_size: 128",
    "annotations:",
    "  - kind: voc",
    "    path_variable: BOXES",
]


def refused(folder: Path, lines: list[str]) -> str:
    path = folder / "ours.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(BadInput) as error:
        load_dataset(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return error.value.cause


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        (2, "image_kind: imagined", "line 2: image_kind: "),
        (5, "  kind: tape", "line 4: source: "),
        (6, "  varable: CHESTGAN_FOLDER", "line 6: source.folder.varable: "),
        (8, "slice_size: large", "line 8: slice_size: "),
        (11, "    variable: [BOXES]", "line 11: annotations.0.voc.variable: "),
        (8, "title: theirs", "line 8: title is a duplicate of line 1"),
        (2, "image_kind: phantoms", "image_kind: 'phantoms' is not a valid value, did you mean phantom?"),
        (5, "  kind: foldr", "source: 'foldr' is not a valid value, did you mean folder?"),
        (
            6,
            "  path_varable: X",
            "source.folder.path_varable: is not a field here, did you mean path_variable?",
        ),
        (
            11,
            "    path_variables: BOXES",
            "annotations.0.voc.path_variables: is not a field here, did you mean path_variable?",
        ),
        (3, "license: ours", "line 3: license: is not a field here, did you mean licence"),
        (8, "size: 64", "size: is not a field here, did you mean slice_size?"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(line: int, instead: str, said: str, tmp_path: Path) -> None:
    assert said in refused(tmp_path, [*LINES[: line - 1], instead, *LINES[line:]])


def test_a_field_that_is_missing_is_named(tmp_path: Path) -> None:
    assert "licence: Field required" in refused(tmp_path, LINES[:2] + LINES[3:])


def test_a_default_that_is_merged_may_be_overridden(tmp_path: Path) -> None:
    path = tmp_path / "ours.yaml"
    path.write_text(
        "\n".join([*LINES, "training_set: {<<: {held_out_fraction: 0.3, slices: all}, slices: lung}"])
    )
    rules = load_dataset(path).training_set
    assert (rules.held_out_fraction, rules.slices) == (0.3, "lung")
