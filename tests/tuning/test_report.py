"""What a study leaves: a report that opens offline, trials as a table, and an experiment that says where it is from."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pypdf
import pytest
import yaml
from PIL import Image

from chestgan_core.config.experiment import load_experiment
from chestgan_core.config.names import experiment_files
from chestgan_core.errors import BadInput
from chestgan_core.store import keys
from chestgan_core.store.store import Store
from chestgan_core.tuning.plan import StudyData, StudyPlan
from chestgan_core.tuning.report_files import report_files
from chestgan_core.tuning.study import KidFloor
from chestgan_core.tuning.summary import summary
from chestgan_core.tuning.table import StudyTable, TrialRow
from chestgan_core.tuning.tuned import (
    as_yaml,
    fetch_tuned,
    publish_tuned,
    tuned_experiment,
    tuned_name,
    write_tuned,
)
from tests.tuning.conftest import small, space, study_settings

DATA = StudyData(
    version="v1", title="phantoms <generated>", image_kind="phantom", patients=3, slices=30, held_out_patients=2,
    held_out_slices=20,
)  # fmt: skip


def row(number: int, kid: float | None, rate: float, **more: object) -> TrialRow:
    drawn = {
        "training.optimizer.lr": rate, "training.batch_size": "8", "network.generator_width": 2 + number % 4,
        "training.augmentation": "weak" if number % 2 else "none",
    }  # fmt: skip
    trial = TrialRow(number, kid, (0.9, kid or 0.8), (1, 2), dict(drawn), "", False, 1, 64, 1.0)
    return replace(trial, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def table() -> StudyTable:
    """Nine trials of which seven are complete; the third is the best."""
    rows = [row(number, 0.5 - 0.01 * number, 1e-3 * (number + 1), error=0.03) for number in range(7)]
    rows[0] = replace(rows[0], initial=True, error=0.04)
    rows[2] = replace(rows[2], kid=0.3, validations=(0.9, 0.3), attempts=2)
    rows += [
        row(
            7,
            None,
            5e-3,
            reason="worse than other trials at validation 1 of 2",
            validations=(0.9,),
            steps=(1,),
        )
    ]
    rows += [row(8, None, 9e-3, reason="a loss or a weight is NaN or infinite", validations=(), steps=())]
    plan = StudyPlan.of(small(), space(), DATA, study_settings())
    shares = {"training.optimizer.lr": 0.7, "training.batch_size": 0.3}
    return StudyTable(plan, KidFloor("efficientnet-lite0:abc", 8, 0.02), tuple(rows), shares, failed=1)


@pytest.fixture(scope="module")
def files(table: StudyTable) -> dict[str, bytes]:
    return report_files(table)


def test_the_report_is_one_file_without_addresses_and_every_figure_can_be_opened(
    files: dict[str, bytes],
) -> None:
    page = files["report.html"].decode()
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "phantoms &lt;generated&gt;" in page
    figures = [name for name in files if name.startswith("figures/")]
    assert len(figures) == 4 == page.count("data:image/png;base64,")
    for name in figures:
        picture = Image.open(io.BytesIO(files[name]))
        assert picture.width > 700
        # Dagster's history keeps at most so much, and would make a larger one grey.
        assert len(files[name]) < 120_000
    paper = pypdf.PdfReader(io.BytesIO(files["report.pdf"]))
    assert "Trial 2 is the best of 9" in paper.pages[0].extract_text()
    assert "worse than other trials at validation 1 of 2" in " ".join(
        " ".join(one.extract_text() for one in paper.pages).split()
    )


def test_the_report_puts_the_outcome_and_its_limits_into_words(
    table: StudyTable, files: dict[str, bytes]
) -> None:
    text = " ".join(summary(table))
    assert "Trial 2 is the best of 9: KID 300.0 x 1000" in text
    assert "The unchanged experiment scored 500.0 x 1000: the best trial is 40% lower." in text
    assert "Phantom slices of other patients score 20.0 x 1000" in text
    assert "2 trial(s) were pruned." in text
    assert "1 attempt(s) were lost" in text
    page = files["report.html"].decode()
    assert "Each configuration was trained once" in page
    assert "a loss or a weight is NaN or infinite" in page
    assert "2 attempts" in page


def test_the_table_of_trials_has_a_column_for_each_parameter(files: dict[str, bytes]) -> None:
    read = pq.read_table(io.BytesIO(files["trials.parquet"])).to_pylist()
    assert [one["number"] for one in read] == list(range(9))
    assert [one["state"] for one in read].count("pruned") == 2
    assert read[2]["kid"] == 0.3
    assert read[2]["validations"] == [0.9, 0.3]
    assert read[3]["training.augmentation"] == "weak"
    assert read[8]["reason"] == "a loss or a weight is NaN or infinite"


def test_the_same_trials_give_the_same_bytes_and_another_one_another_version(
    table: StudyTable, files: dict[str, bytes]
) -> None:
    assert report_files(table) == files
    fewer = replace(table, rows=table.rows[:-1])
    assert fewer.version != table.version
    slower = replace(table, rows=tuple(replace(one, seconds=9.0) for one in table.rows))
    assert slower.version == table.version


def test_a_study_in_which_nothing_ran_to_its_end_still_has_a_report_and_no_experiment(
    table: StudyTable,
) -> None:
    nothing = replace(table, rows=table.rows[7:], importances={})
    files = report_files(nothing)
    assert "best.yaml" not in files
    assert "None of 2 trials was completed" in files["report.html"].decode()
    with pytest.raises(BadInput, match="none of its 2 trials"):
        tuned_experiment(nothing)


def test_the_tuned_experiment_is_that_of_the_best_trial_and_says_where_it_is_from(
    table: StudyTable, files: dict[str, bytes], tmp_path: Path
) -> None:
    path = write_tuned(tmp_path, tuned_name("small"), files["best.yaml"].decode())
    read = load_experiment(path)
    assert read == tuned_experiment(table)
    assert read.name == "small-tuned"
    assert read.training.optimizer.lr == pytest.approx(3e-3)
    assert read.training.images == small().training.images
    assert read.provenance is not None
    assert read.provenance.model_dump() == {
        "experiment": "small", "study": table.plan.study, "trial": 2, "trials": 9, "kid": 0.3, "initial": 0.5,
        "error": pytest.approx(0.05), "floor": 0.02,
        "extractor": "efficientnet-lite0:abc", "images": 8, "training_set": "v1", "budget": "64 images",
    }  # fmt: skip


def test_a_provenance_decides_nothing(table: StudyTable) -> None:
    tuned = tuned_experiment(table)
    assert tuned.fingerprint() == tuned.model_copy(update={"provenance": None}).fingerprint()


@pytest.mark.parametrize("name", sorted(experiment_files()))
def test_an_experiment_written_and_read_is_the_same(name: str, tmp_path: Path) -> None:
    experiment = load_experiment(name)
    (tmp_path / f"{name}.yaml").write_text(as_yaml(experiment))
    assert load_experiment(tmp_path / f"{name}.yaml") == experiment


def test_a_tuned_experiment_keeps_its_name_when_it_is_tuned_again() -> None:
    assert tuned_name("demo") == tuned_name(tuned_name("demo")) == "demo-tuned"
    assert len(tuned_name("x" * 63)) == 63


def test_tuned_experiments_of_the_store_stand_beside_the_shipped_ones(
    table: StudyTable, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))
    assert fetch_tuned(store) == {}
    publish_tuned(store, tuned_experiment(table))
    publish_tuned(store, tuned_experiment(table).model_copy(update={"name": "other-tuned"}))
    assert list(fetch_tuned(store)) == ["other-tuned", "small-tuned"]
    assert load_experiment("small-tuned") == tuned_experiment(table)
    assert {"demo", "small-tuned", "other-tuned"} <= set(experiment_files())

    own = tmp_path / "own"
    own.mkdir()
    (own / "small-tuned.yaml").write_text("dataset: phantom\ntraining: {images: 7}\n")
    monkeypatch.setenv("CHESTGAN_EXPERIMENTS", str(own))
    assert load_experiment("small-tuned").training.images == 7

    store.update_pointer(keys.tuned_experiments(), {"other-tuned": yaml.safe_dump({"dataset": "phantom"})})
    assert list(fetch_tuned(store)) == ["other-tuned"]
    assert [path.stem for path in (tmp_path / "home" / "tuned-experiments").iterdir()] == ["other-tuned"]


def test_a_name_in_the_store_that_leaves_the_folder_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))
    store.update_pointer(keys.tuned_experiments(), {"../../escape": "dataset: phantom\n"})
    with pytest.raises(BadInput, match="cannot be part of a key"):
        fetch_tuned(store)
    assert not list(tmp_path.rglob("escape*"))
