"""What was validated once is not validated again; only the same bytes, by the same code, count as the same."""

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from chestgan_core.config import experiment as experiments_room
from chestgan_core.config import validated_files
from chestgan_core.config.experiment import Experiment, load_experiment
from chestgan_core.config.names import SHIPPED_DATASETS, SHIPPED_EXPERIMENTS
from chestgan_core.config.validated_files import MAX_BYTES, ValidatedFiles
from chestgan_core.errors import BadExperiment

FINE = "dataset: mine\ntraining: {images: 10}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, and a folder with one dataset and one experiment of one's own."""
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CHESTGAN_DATASETS", str(tmp_path))
    (tmp_path / "mine.yaml").write_text((SHIPPED_DATASETS / "phantom.yaml").read_text())
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "fine.yaml").write_text(FINE)
    return tmp_path


@pytest.fixture
def validated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Loads all experiments of the folder as a new process does; returns those that were validated."""
    names: list[str] = []

    def counting(path: Path) -> Experiment:
        names.append(path.stem)
        return load_experiment(path)

    monkeypatch.setattr(experiments_room, "load_experiment", counting)

    def load() -> list[str]:
        names.clear()
        known = ValidatedFiles.read()
        for path in sorted((folder / "experiments").glob("*.yaml")):
            assert known.experiment(path).dataset == "mine"
        known.write()
        return list(names)

    return load


def kept(folder: Path) -> Path:
    return folder / "home" / "validated-files.json"


def test_a_file_is_validated_once(validated: Callable[[], list[str]], folder: Path) -> None:
    assert validated() == ["fine"]
    assert validated() == []
    (folder / "experiments" / "more.yaml").write_text(FINE)
    assert validated() == ["more"]
    (folder / "experiments" / "fine.yaml").unlink()
    assert validated() == []
    assert list(json.loads(kept(folder).read_text())["experiments"]) == ["more"]


def test_other_bytes_of_it_or_of_its_dataset_are_validated(
    validated: Callable[[], list[str]], folder: Path
) -> None:
    validated()
    (folder / "experiments" / "fine.yaml").write_text(FINE + "seed: 1\n")
    assert validated() == ["fine"]
    dataset = folder / "mine.yaml"
    dataset.write_text(dataset.read_text().replace("slice_size: 64", "slice_size: 128"))
    assert validated() == ["fine"]
    assert validated() == []


def test_a_dataset_that_became_too_small_for_it_is_its_fault_now(folder: Path) -> None:
    path = folder / "experiments" / "fine.yaml"
    known = ValidatedFiles()
    known.experiment(path)
    known.write()
    dataset = folder / "mine.yaml"
    dataset.write_text(dataset.read_text().replace("slice_size: 64", "slice_size: 32"))
    with pytest.raises(BadExperiment, match="is more than the 32 pixels"):
        ValidatedFiles.read().experiment(path)
    dataset.unlink()
    with pytest.raises(BadExperiment, match="'mine' is not known"):
        ValidatedFiles.read().experiment(path)


def test_what_is_wrong_is_said_each_time(folder: Path) -> None:
    path = folder / "experiments" / "fine.yaml"
    path.write_text("dataset: mine\ntraning: {images: 10}\n")
    for _ in range(2):
        known = ValidatedFiles.read()
        with pytest.raises(BadExperiment, match="traning"):
            known.experiment(path)
        known.write()


def damaged(change: Callable[[dict[str, object]], object]) -> Callable[[Path], object]:
    def write(path: Path) -> object:
        found = json.loads(path.read_text())
        change(found)
        return path.write_text(json.dumps(found))

    return write


def experiment_of(found: dict[str, object]) -> dict[str, object]:
    return found["experiments"]["fine"]  # type: ignore[index, no-any-return]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-20]), id="cut off"),
        pytest.param(lambda path: path.write_bytes(b"\xff\xfe"), id="no text"),
        pytest.param(lambda path: path.write_text("[]"), id="no object"),
        pytest.param(lambda path: path.write_text("[" * 10_000), id="nested deeply"),
        pytest.param(lambda path: path.write_bytes(b" " * MAX_BYTES + path.read_bytes()), id="too large"),
        pytest.param(lambda path: (path.rename(path.with_suffix(".away")), path.mkdir()), id="a folder"),
        pytest.param(
            lambda path: (
                path.rename(path.with_suffix(".away")), path.symlink_to(path.with_suffix(".away"))
            ), id="a link",
        ),
        pytest.param(damaged(lambda found: found.update({"format": 2})), id="of another version"),
        pytest.param(damaged(lambda found: found.update({"checked by": "0" * 64})), id="of other code"),
        pytest.param(damaged(lambda found: found.update({"modules": []})), id="of no code"),
        pytest.param(damaged(lambda found: found.update({"modules": ["../../etc/passwd"]})), id="foreign code"),
        pytest.param(damaged(lambda found: found.update({"modules": 3})), id="modules are a number"),
        pytest.param(damaged(lambda found: found.update({"experiments": ["fine"]})), id="a list"),
        pytest.param(damaged(lambda found: experiment_of(found).update({"digest": 1})), id="a number"),
        pytest.param(damaged(lambda found: experiment_of(found).update({"dataset": None})), id="no dataset"),
        pytest.param(damaged(lambda found: experiment_of(found).update({"more": 1})), id="a field too many"),
        pytest.param(damaged(lambda found: experiment_of(found).pop("dataset_digest")), id="a field missing"),
    ],
)  # fmt: skip
def test_what_is_damaged_counts_as_nothing(
    damage: Callable[[Path], object], validated: Callable[[], list[str]], folder: Path
) -> None:
    validated()
    damage(kept(folder))
    assert validated() == ["fine"]


def test_a_change_of_the_code_that_validates_counts(
    validated: Callable[[], list[str]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validated()
    monkeypatch.setattr(validated_files.pydantic, "VERSION", "0")
    assert validated() == ["fine"]
    assert "config/experiment.py" in json.loads(kept(folder).read_text())["modules"]


def test_a_home_that_cannot_be_written_costs_only_time(
    validated: Callable[[], list[str]], folder: Path
) -> None:
    (folder / "home").write_text("a file")
    assert validated() == ["fine"]
    assert validated() == ["fine"]


def _load_shipped(_: int) -> int:
    known = ValidatedFiles.read()
    names = [known.experiment(path).dataset for path in SHIPPED_EXPERIMENTS.glob("*.yaml")]
    known.write()
    return len(names)


def test_processes_that_load_at_once_leave_one_whole_file(folder: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        counts = set(pool.map(_load_shipped, range(12)))
    known = json.loads(kept(folder).read_text())
    assert counts == {len(known["experiments"])}
    assert [path.name for path in kept(folder).parent.iterdir()] == [kept(folder).name]
