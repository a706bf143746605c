"""From a published set to a reader study of it, its result, and the report and the card that show it."""

from pathlib import Path

import dagster as dg
import pytest

from chestgan_assets.assets.reading import reader_study_result
from chestgan_assets.resources import StoreResource
from chestgan_core.evaluation import stored_report
from chestgan_core.evaluation.reader_study import REALISM
from chestgan_core.evaluation.stored_report import StoredReport, report_experiment
from chestgan_core.publishing.release import release_experiment
from chestgan_core.publishing.transfer.fetching import fetch_set
from chestgan_core.reading.design import StudyDesign
from chestgan_core.reading.images.frozen_study import freeze_study, read_key
from chestgan_core.reading.images.real_images import collect_real_images
from chestgan_core.reading.stored_answers import commit_answers
from chestgan_core.reading.stored_result import read_result, report_study
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from tests.pipeline.stages import edited, tiny
from tests.reading.published import design_of, publish, write_small_set
from tests.reading.simulated_answers import simulated_answers


def test_the_report_and_the_card_show_what_readers_found_and_nothing_is_scored_again(
    store: Store, reported: StoredReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reported.payload.reader_study is None
    released = release_experiment(store, tiny(), "cpu", tmp_path / "release")
    collect_real_images(store, "tiny", folder=tmp_path)
    design = StudyDesign(
        name="first",
        title="Real | or not?",
        set_name="tiny",
        set_version=released.version,
        images_per_side=4,
        warm_up=2,
    )
    study = freeze_study(store, design)
    commit_answers(store, "tiny", simulated_answers(study, read_key(store, study)))
    read = report_study(store, "tiny")

    with monkeypatch.context() as patch:
        patch.setattr(stored_report, "score_run", None)
        report = report_experiment(store, tiny(), "cpu", tmp_path / "report")
    assert report.version != reported.version
    assert report.payload.rows == reported.payload.rows
    assert report.payload.reader_study == read.summary
    assert "<h2>Reader study</h2>" in report.html
    assert REALISM in report.html
    assert read.summary.area_in_words in report.html
    assert "reader study: AUC" in report.payload.as_text()
    assert report_experiment(store, tiny(), "cpu", tmp_path / "same").version == report.version

    again = release_experiment(store, tiny(), "cpu", tmp_path / "again")
    card = (fetch_set(store, "tiny", again.version, tmp_path / "fetched").path / "README.md").read_text()
    assert "## Reader study" in card
    assert "Real \\| or not?" in card
    assert read.summary.area_in_words in card
    # The study was of the set before; its images are those of the same generator.
    assert again.version != released.version
    assert report_study(store, "tiny").version == read.version
    # Another generator was not read.
    other = edited(seed=1)
    assert stored_report.newest_reader_study(store, other.name, "0" * 64) is None


@pytest.fixture
def elsewhere(store: Store, embedded: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment in which assets find the store of this test."""
    for name, value in embedded.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CHESTGAN_STORE", store.uri())
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))


def materialized() -> dg.ExecuteInProcessResult:
    resources = {"store": StoreResource()}
    return dg.materialize(
        [reader_study_result], partition_key="demo", resources=resources, raise_on_error=False
    )


@pytest.mark.usefixtures("elsewhere")
def test_the_asset_says_that_no_study_has_closed_and_then_shows_area_and_charts_of_the_newest(
    store: Store, tmp_path: Path
) -> None:
    (failure,) = [event for event in materialized().all_events if event.is_step_failure]
    assert failure.step_failure_data.error is not None
    said = failure.step_failure_data.error.to_string()
    assert "set demo: no reader study about it has closed, so there is nothing to analyse" in said
    assert not failure.step_failure_data.error.stack

    ready = write_small_set(tmp_path, "demo")
    publish(store, ready)
    study = freeze_study(store, design_of(ready))
    commit_answers(store, "demo", simulated_answers(study, read_key(store, study)))
    result = materialized()
    assert result.success
    (event,) = result.asset_materializations_for_node("reader_study_result")
    shown, stored = event.metadata, read_result(store, "demo")
    assert shown["dagster/uri"].value == stored.uri
    assert shown["AUC"].value == round(stored.summary.area or 0, 3)
    assert shown["AUC, low"].value < shown["AUC"].value < shown["AUC, high"].value
    assert shown["readers"].value == 4
    assert shown["finding"].value == stored.result.finding.title
    for chart in ("confusion", "readers", "roc", "ratings", "drift"):
        assert str(shown[f"chart: {chart}"].value).startswith(f"![{chart}](data:image/")
    table = shown["verdicts by reader"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data["answered"] for record in table.records] == [40] * 4
    assert "Nowhere" not in str(event)
