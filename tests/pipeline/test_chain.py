"""The steps between store and store, as the assets call them: privacy, repetition, revision, loss and recovery."""

import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import save

from chestgan_core.errors import BadCheckpoint, BadInput, ChestganError, DamagedObject, NotInStore
from chestgan_core.evaluation import stored_report
from chestgan_core.evaluation.scoring.feature_cache import CachedFeatures
from chestgan_core.evaluation.scoring.metric_rows import NOT_FINITE
from chestgan_core.evaluation.stored_report import StoredReport, latest_report, report_experiment
from chestgan_core.evaluation.thesis.block import ThesisRow
from chestgan_core.evaluation.thesis.score import SHIPPED
from chestgan_core.metrics.feature_extractors import open_extractor
from chestgan_core.publishing import open_set
from chestgan_core.publishing.release import release_experiment
from chestgan_core.publishing.split.table import read_split
from chestgan_core.publishing.transfer.fetching import fetch_set
from chestgan_core.publishing.versions.index_rebuild import rebuild_index
from chestgan_core.publishing.versions.listing import list_sets
from chestgan_core.publishing.writing.documents import DOCUMENTS
from chestgan_core.publishing.writing.provenance import read_provenance
from chestgan_core.slices.patient_slices import normalize_patient
from chestgan_core.slices.training_set import build_training_set, open_training_set
from chestgan_core.sources.archive.raw_archive import archive_patient
from chestgan_core.sources.catalog.stored_catalog import catalog_series, read_catalog
from chestgan_core.store import keys
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_core.training.checkpoint import TrainingState, data_fingerprint
from chestgan_core.training.data import load_slices
from chestgan_core.training.loop import TrainingDiverged
from chestgan_core.training.run import TrainedRun, newest_run, run_name, train_experiment
from chestgan_core.training.sampling import IndexSampler
from tests.pipeline.conftest import files_of
from tests.pipeline.stages import TRAINING, edited, tiny


def thesis_rows(report: StoredReport) -> dict[str, ThesisRow]:
    assert report.payload.thesis is not None
    return {row.measure: row for row in report.payload.thesis.rows}


def test_the_chain_ends_with_a_set_that_can_be_fetched(
    store: Store, home: Path, slices: tuple[str, ...], tmp_path: Path
) -> None:
    build_training_set(store, "folder")
    run = train_experiment(store, tiny(), "cpu", tmp_path / "train")
    report = report_experiment(store, tiny(), "cpu", tmp_path / "report")
    released = release_experiment(store, tiny(), "cpu", tmp_path / "release")
    assert run.images_seen == 64
    assert run.spread > 0
    assert {row.measure for row in report.payload.rows} >= {"KID", "FID", "density", "coverage"}
    fetched = fetch_set(store, "tiny", None, tmp_path / "fetched")
    assert fetched.version == released.version
    assert fetched.images == 6
    assert [entry.name for entry in list_sets(store)] == ["tiny"]

    again = train_experiment(store, tiny(), "cpu", tmp_path / "train-again")
    assert again.reused
    assert again.sha256 == run.sha256
    assert report_experiment(store, tiny(), "cpu", tmp_path / "report-again").version == report.version
    assert release_experiment(store, tiny(), "cpu", tmp_path / "release-again").version == released.version


def test_a_run_with_classes_keeps_its_best_validation_and_its_set_labels_each_image(
    store: Store, home: Path, small_phantoms: None, tmp_path: Path
) -> None:
    catalog, _ = catalog_series(store, "phantom", home)
    for patient in catalog.patients:
        archive_patient(store, "phantom", patient, home)
        normalize_patient(store, "phantom", patient, home)
    build_training_set(store, "phantom")
    plan = {
        "images": 96,
        "validation": {"every_images": 32, "images": 16},
        "snapshots": 2,
        "sampling": {"balance": "classes"},
    }
    experiment = edited(
        dataset="phantom", classes=["A", "G"], min_patients_per_class=1, training={**TRAINING, **plan}
    )
    run = train_experiment(store, experiment, "cpu", tmp_path / "train")
    artefact = store.read_manifest(keys.run_manifest("tiny", run.name))
    validations = pq.read_table(io.BytesIO(store.read(artefact, "validation.parquet"))).to_pylist()
    best = min(validations, key=lambda row: row["kid"])
    assert [row["images_seen"] for row in validations] == [32, 64, 96]
    assert (run.best_kid, run.best_at) == (best["kid"], best["images_seen"])
    assert len([item for item in artefact.objects if "snapshot-" in item.key]) == 2

    # All held-out slices of both classes, and of no other: 2 of the 6 patients.
    report = report_experiment(store, experiment, "cpu", tmp_path / "report")
    assert {row.split for row in report.payload.rows if row.measure == "KID"} == {"held-out patients: 2 of 5"}
    # The discriminator of the last step gets the classes of both sides.
    accuracy = thesis_rows(report)["generator accuracy"]
    assert accuracy.value is not None
    assert "last weights (96 images seen)" in accuracy.note
    assert ("best validation" in accuracy.note) == (run.best_at != 96)
    release_experiment(store, experiment, "cpu", tmp_path / "release")
    images = open_set(fetch_set(store, "tiny", None, tmp_path / "fetched").path)
    assert [images[k][1]["class"] for k in range(len(images))] == ["A", "G", "A", "G", "A", "G"]


def test_nothing_that_names_a_private_patient_leaves_the_raw_archive(
    store: Store, slices: tuple[str, ...], reported: StoredReport, tmp_path: Path
) -> None:
    release_experiment(store, tiny(), "cpu", tmp_path / "release")
    looked_at = 0
    for item in store.list():
        assert "PH-" not in item.key
        if not item.key.endswith(".zip") and not item.key.startswith("catalog/"):
            # Five bytes at least: three come up by chance in a compressed picture.
            assert not re.search(rb"PH-[ABEG]\d{4}", store.get_bytes(item.key)), item.key
            looked_at += 1
    assert looked_at > 20
    assert all(patient.startswith("P") and len(patient) == 13 for patient in slices)


def test_the_same_delivery_changes_nothing_and_a_revised_series_gets_a_new_version(
    store: Store, home: Path, delivery: Path
) -> None:
    catalog, first = catalog_series(store, "folder", home)
    patient = catalog.patients[0]
    archive = archive_patient(store, "folder", patient, home)
    slices = normalize_patient(store, "folder", patient, home)
    assert not archive.reused

    assert catalog_series(store, "folder", home)[1] == first
    assert archive_patient(store, "folder", patient, home).reused
    assert normalize_patient(store, "folder", patient, home).sha256 == slices.sha256

    files = files_of(store, delivery, home, patient)
    files[len(files) // 2].unlink()
    # The old catalog still names what is in the store; of a patient who is not, the file is missed.
    assert archive_patient(store, "folder", patient, home).reused
    hidden = files_of(store, delivery, home, catalog.patients[1])[0]
    hidden.rename(delivery.parent / "hidden")
    with pytest.raises(BadInput, match="materialize series_catalog again"):
        archive_patient(store, "folder", catalog.patients[1], home)
    (delivery.parent / "hidden").rename(hidden)
    catalog_series(store, "folder", home)
    revised = archive_patient(store, "folder", patient, home)
    assert revised.version != archive.version
    assert revised.files == archive.files - 1
    assert normalize_patient(store, "folder", patient, home).sha256 != slices.sha256


def test_one_patient_does_not_make_a_training_set(store: Store, home: Path, delivery: Path) -> None:
    catalog, _ = catalog_series(store, "folder", home)
    archive_patient(store, "folder", catalog.patients[0], home)
    normalize_patient(store, "folder", catalog.patients[0], home)
    with pytest.raises(BadInput, match="1 of 3 patients have slices"):
        build_training_set(store, "folder")


def test_patients_without_slices_are_counted(store: Store, home: Path, slices: tuple[str, ...]) -> None:
    store.delete(keys.slices_latest("folder", slices[0]))
    built = build_training_set(store, "folder")
    assert built.missing == (slices[0],)
    assert {shard.name for shard in built.shards} == set(slices[1:])
    assert open_training_set(store, "folder").shards == built.shards


EARLY: dict[str, Callable[[Store, Path, Path], object]] = {
    "training": lambda store, home, scratch: train_experiment(store, tiny(), "cpu", scratch),
    "report": lambda store, home, scratch: report_experiment(store, tiny(), "cpu", scratch),
    "release": lambda store, home, scratch: release_experiment(store, tiny(), "cpu", scratch),
    "slices": lambda store, home, scratch: normalize_patient(
        store, "folder", read_catalog(store, "folder").patients[0], home
    ),
}


@pytest.mark.parametrize("step", EARLY)
def test_a_step_before_its_turn_names_what_to_materialize(
    step: str, store: Store, home: Path, delivery: Path, tmp_path: Path
) -> None:
    catalog_series(store, "folder", home)
    with pytest.raises(NotInStore, match="materialize"):
        EARLY[step](store, home, tmp_path)


def test_the_report_of_a_run_has_the_thesis_measures_of_its_own_discriminator(
    store: Store, home: Path, slices: tuple[str, ...], tmp_path: Path
) -> None:
    build_training_set(store, "folder")
    experiment = tiny(loss={"kind": "cross-entropy"}, validation={"every_images": 32, "images": 10})
    train_experiment(store, experiment, "cpu", tmp_path / "train")
    report = report_experiment(store, experiment, "cpu", tmp_path / "report")
    rows = thesis_rows(report)
    _, run = newest_run(store, experiment)
    kept = run.find("discriminator.safetensors")
    for measure in ("discriminator accuracy", "generator accuracy", "SSIM", "PSNR"):
        assert rows[measure].value is not None
        assert rows[measure].real is not None
    assert rows["discriminator accuracy"].instrument == f"discriminator:{kept.sha256[:12]}"
    assert rows["SSIM"].pairs == 10
    assert "<h2>Scores of the thesis system" in report.html
    assert "score " in report.payload.as_text()
    assert report.payload.thesis is not None
    assert 1 <= (report.payload.thesis.score.value or 0) <= 10


def test_other_weights_of_the_thesis_score_make_another_report(
    store: Store, reported: StoredReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.yaml"
    heavier = SHIPPED.read_text().replace("ssim: {weight: 0.2,", "ssim: {weight: 0.35,")
    own.write_text(heavier)
    monkeypatch.setenv("CHESTGAN_THESIS_WEIGHTS", str(own))
    with pytest.raises(BadInput, match=r"the weights add up to 1\.15, not 1"):
        report_experiment(store, tiny(), "cpu", tmp_path / "report-2")
    own.write_text(heavier.replace("generator_accuracy: {weight: 0.15,", "generator_accuracy: {weight: 0,"))
    second = report_experiment(store, tiny(), "cpu", tmp_path / "report-3")
    assert second.version != reported.version
    assert second.payload.thesis is not None
    assert {part.measure: part.weight for part in second.payload.thesis.score.parts}["SSIM"] == 0.35


def test_a_run_of_a_version_that_kept_no_discriminator_is_still_scored(
    store: Store, trained: TrainedRun, tmp_path: Path
) -> None:
    key = keys.run_manifest("tiny", trained.name)
    without = json.loads(store.get_bytes(key))
    without["objects"] = [item for item in without["objects"] if "discriminator" not in item["key"]]
    store.delete(key)
    store.put_bytes(json.dumps(without).encode(), key)
    report = report_experiment(store, tiny(), "cpu", tmp_path / "report")
    rows = thesis_rows(report)
    assert rows["generator accuracy"].value is None
    assert rows["generator accuracy"].note.endswith("the run has no discriminator in the store")
    assert rows["SSIM"].value is not None


def test_an_unavailable_extractor_is_named_in_the_row(
    store: Store, home: Path, slices: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-weights"))
    build_training_set(store, "folder")
    experiment = tiny("inception-v3")
    train_experiment(store, experiment, "cpu", tmp_path / "train")
    report = report_experiment(store, experiment, "cpu", tmp_path / "report")
    of_features = [row for row in report.payload.rows if row.extractor == "inception-v3"]
    assert {row.measure for row in of_features} >= {"KID", "FID", "coverage", "memorized fraction"}
    assert all(row.value is None for row in of_features)
    assert all("weights" in row.note for row in of_features)


def test_features_of_real_slices_are_kept_and_used_again_unless_they_are_wrong(
    store: Store, home: Path, slices: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    training_set = build_training_set(store, "folder")
    extractor = open_extractor()
    source = CachedFeatures(store, training_set)
    images = torch.rand(10, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    computed = source(extractor, "real", images, "features")
    manifest = next(item.key for item in store.list("features/") if item.key.endswith("manifest.json"))
    assert manifest.startswith(f"features/folder/{training_set.version}/held-out/")
    assert np.array_equal(source(extractor, "real", images, "features"), computed)

    # A well-formed artefact with the features of other images, under the key of these.
    kept = store.read_manifest(manifest)
    fields = {name: value for name, value in kept.manifest.items() if name != "objects"}
    for item in list(store.list("features/")):
        store.delete(item.key)
    store.commit(manifest, {"features.safetensors": save({"features": computed[::-1].copy()})}, fields)
    assert np.allclose(source(extractor, "real", images, "features"), computed, atol=1e-4)
    assert "not what the extractor computes here" in caplog.text

    store.put_bytes(b"damaged", store.read_manifest(manifest).find("features.safetensors").key)
    with pytest.raises(DamagedObject):
        source(extractor, "real", images, "features")


def test_a_damaged_generator_is_named(store: Store, trained: TrainedRun, tmp_path: Path) -> None:
    _, run = newest_run(store, tiny())
    key = run.find("generator.safetensors").key
    store.put_bytes(b"not what the manifest says", key)
    with pytest.raises(DamagedObject, match=r"generator\.safetensors"):
        report_experiment(store, tiny(), "cpu", tmp_path / "report")


def test_a_run_without_its_own_report_is_not_published(
    store: Store, reported: StoredReport, tmp_path: Path
) -> None:
    changed = edited(seed=1)
    train_experiment(store, changed, "cpu", tmp_path / "train-again")
    with pytest.raises(NotInStore, match="newest run has no report; materialize metric_report"):
        release_experiment(store, changed, "cpu", tmp_path / "release")
    assert list_sets(store) == []


@pytest.mark.parametrize(
    ("fault", "cause"),
    [("not finite", "numbers that are not finite: 1"), ("all the same", "are all the same")],
)
def test_what_did_not_pass_its_report_is_not_published(
    fault: str, cause: str, store: Store, trained: TrainedRun, reported: StoredReport, tmp_path: Path
) -> None:
    run, report = trained, reported
    fields = report.payload.as_json()
    if fault == "not finite":
        fields["rows"][0]["note"] = f"{NOT_FINITE}; a note"
    store.commit(
        keys.report_manifest("tiny", run.name, "v2"),
        {
            "report.json": json.dumps(fields).encode(),
            "report.html": report.html.encode(),
            "report.pdf": report.pdf,
            "figures/real-beside-synthetic.png": report.contact_sheet_png,
        },
        {
            "kind": "metric-report",
            "experiment": "tiny",
            "run": run.name,
            "training_set": run.training_set,
            "scoring": "another",
            "spread": 0.0 if fault == "all the same" else 0.1,
        },
    )
    store.update_pointer(keys.report_latest("tiny"), {"run": run.name, "version": "v2"})
    with pytest.raises(BadInput, match=cause):
        release_experiment(store, tiny(), "cpu", tmp_path / "release")
    assert list_sets(store) == []


def test_the_gate_refuses_what_its_rules_do_not_allow_and_the_report_says_so(
    store: Store, reported: StoredReport, tmp_path: Path
) -> None:
    loose = reported
    assert loose.payload.gate.passed
    assert release_experiment(store, tiny(), "cpu", tmp_path / "release").images == 6
    rules = edited(release={"min_coverage_of_floor": 0.9})
    with pytest.raises(
        BadInput,
        match=r"not pass the release gate: .*coverage divided by its floor is .*, at least 0\.9 is required",
    ):
        release_experiment(store, rules, "cpu", tmp_path / "again")
    strict = report_experiment(store, rules, "cpu", tmp_path / "strict")
    assert strict.version != loose.version
    assert not strict.payload.gate.passed
    assert "Refused by the release gate" in strict.html
    assert "release gate: " in strict.payload.as_text()


def test_other_release_rules_score_nothing_again_and_leave_the_earlier_report_as_it_was(
    store: Store, reported: StoredReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = edited(release={**tiny().release.model_dump(), "min_coverage_of_floor": 0.9})
    with monkeypatch.context() as patch:
        patch.setattr(stored_report, "score_run", None)
        refused = report_experiment(store, strict, "cpu", tmp_path / "strict")
        assert refused.payload.rows == reported.payload.rows
        assert (reported.payload.gate.passed, refused.payload.gate.passed) == (True, False)
        assert refused.contact_sheet_png == reported.contact_sheet_png
        assert report_experiment(store, tiny(), "cpu", tmp_path / "loose").html == reported.html
    # What scores images does so again, whatever the rules are.
    rescored = report_experiment(
        store, edited(evaluation={"images": 9, "others": []}), "cpu", tmp_path / "fewer"
    )
    assert {row.n_fake for row in rescored.payload.rows if row.value is not None} == {9}


def test_a_set_is_not_released_on_a_report_that_was_made_with_other_rules(
    store: Store, reported: StoredReport, tmp_path: Path
) -> None:
    strict = edited(release={**tiny().release.model_dump(), "grey_levels": 0.0})
    report_experiment(store, strict, "cpu", tmp_path / "strict")
    with pytest.raises(NotInStore, match="made with other release rules; materialize metric_report"):
        release_experiment(store, tiny(), "cpu", tmp_path / "early")
    report_experiment(store, tiny(), "cpu", tmp_path / "report")
    assert release_experiment(store, tiny(), "cpu", tmp_path / "release").images == 6


def test_a_report_of_another_version_is_scored_again(
    store: Store, reported: StoredReport, tmp_path: Path
) -> None:
    run, _ = newest_run(store, tiny())
    store.commit(keys.report_manifest("tiny", run, "old"), {"report.json": b"{}"}, {"kind": "metric-report"})
    store.update_pointer(keys.report_latest("tiny"), {"run": run, "version": "old"})
    with pytest.raises(
        DamagedObject, match=r"report\.json: is not the report of a run \(.*materialize metric_report"
    ):
        latest_report(store, "tiny")
    strict = edited(release={**tiny().release.model_dump(), "grey_levels": 0.5})
    assert report_experiment(store, strict, "cpu", tmp_path / "report").payload.gate.rules[-1].limit == 0.5


@pytest.mark.parametrize("change", [{"window": "wide"}, {"resolution": 128}, {"network": {"latent_dim": 9}}])
def test_a_run_of_other_settings_is_neither_scored_nor_published(
    change: dict[str, object], store: Store, reported: StoredReport, tmp_path: Path
) -> None:
    for step in (report_experiment, release_experiment):
        with pytest.raises(NotInStore, match="other settings; materialize generator_checkpoint"):
            step(store, edited(**change), "cpu", tmp_path / "early")
    words = edited(description="other words", publication={"images": 3})
    assert release_experiment(store, words, "cpu", tmp_path / "release").images == 3


def test_a_release_counts_its_images_and_names_no_patient_and_no_address_of_the_store(
    store: Store, home: Path, slices: tuple[str, ...], reported: StoredReport, tmp_path: Path
) -> None:
    released = release_experiment(store, tiny(), "cpu", tmp_path / "release")
    assert released.images == 6
    fetched = fetch_set(store, "tiny", None, tmp_path / "fetched")
    for name in DOCUMENTS:
        text = (fetched.path / name).read_text(encoding="utf-8")
        assert reported.version in text or name == "croissant.json"
        for hidden in (store.prefix, str(home), str(tmp_path), os.environ["CHESTGAN_FOLDER"], *slices):
            assert hidden not in text
        assert not re.search(r"PH-[ABEG]\d{4}", text)


def test_the_card_of_a_release_has_what_store_and_split_say_and_the_counts_add_up(
    store: Store, reported: StoredReport, tmp_path: Path
) -> None:
    release_experiment(store, tiny(), "cpu", tmp_path / "release")
    fetched = fetch_set(store, "tiny", None, tmp_path / "fetched")
    card = read_provenance((fetched.path / "provenance.json").read_bytes(), "provenance.json")
    said, training_set = card.provenance, open_training_set(store, "folder")
    assert (said.run, said.report) == (reported.payload.run.run, reported.version)
    assert said.training_set == training_set.version
    assert said.generator_sha256 == card.set.model_sha256
    assert said.metrics is not None
    assert said.training is not None
    assert said.split is not None
    assert said.source_facts is not None
    assert said.source_facts.private
    assert [(row.measure, row.value, row.floor) for row in said.metrics.rows] == [
        (row.measure, row.value, row.floor) for row in reported.payload.rows
    ]
    assert said.metrics.gate == reported.payload.gate
    sides = said.split.sides
    assert {side: count.slices for side, count in sides.items()} == said.training.slices
    assert {side: count.patients for side, count in sides.items()} == said.training.patients
    used = sum(said.training.slices.values())
    assert used + sum(said.training.left_out.values()) == said.training.in_shards
    rows = read_split(fetched.path / "split.csv")
    assert sum(row.slices for row in rows) == used


def test_a_training_state_that_cannot_be_used_is_named_where_a_person_can_delete_it(
    store: Store, home: Path, slices: tuple[str, ...], tmp_path: Path
) -> None:
    training_set = build_training_set(store, "folder")
    key = keys.run_checkpoint("tiny", run_name(tiny(), training_set))
    store.put_bytes(b"no training state", key)
    with pytest.raises(BadCheckpoint) as refused:
        train_experiment(store, tiny(), "cpu", tmp_path / "train")
    assert refused.value.what == store.uri(key)
    assert "delete this object to train from the start" in refused.value.remedy
    assert str(tmp_path) not in str(refused.value)
    store.delete(key)
    assert train_experiment(store, tiny(), "cpu", tmp_path / "again").resumed_at == 0


def test_a_training_that_diverges_names_the_state_in_the_store(
    store: Store, home: Path, slices: tuple[str, ...], tmp_path: Path
) -> None:
    training_set = build_training_set(store, "folder")
    loaded = load_slices(training_set.fetch(store, "train", tmp_path / "slices"), tiny())
    state = TrainingState(tiny(), torch.device("cpu"), IndexSampler(len(loaded), None, torch.device("cpu")))
    with torch.no_grad():
        next(state.generator.parameters()).fill_(torch.nan)
    state.save(tmp_path / "state.pt", data_fingerprint(loaded.images, *loaded.conditions.tensors))
    key = keys.run_checkpoint("tiny", run_name(tiny(), training_set))
    store.put_file(tmp_path / "state.pt", key)
    with pytest.raises(TrainingDiverged, match="is NaN or infinite") as diverged:
        train_experiment(store, tiny(), "cpu", tmp_path / "train")
    assert f"{store.uri(key)}: delete this object to train from the start" in diverged.value.remedy
    assert str(tmp_path) not in str(diverged.value)


@pytest.mark.timeout(900)
def test_a_killed_training_resumes_from_its_checkpoint_in_the_store(
    store: Store, home: Path, slices: tuple[str, ...], tmp_path: Path, embedded: EmbeddedStore
) -> None:
    build_training_set(store, "folder")
    experiment = tiny(images=800, checkpoint_every_images=80, sample_every_images=400)
    config = tmp_path / "experiment.json"
    config.write_text(experiment.model_dump_json())
    code = (
        "import json, sys, pathlib\n"
        "from chestgan_core.config.experiment import parse_experiment\n"
        "from chestgan_core.store.store import Store\n"
        "from chestgan_core.training.run import train_experiment\n"
        "fields = json.loads(pathlib.Path(sys.argv[1]).read_text())\n"
        "experiment = parse_experiment(fields, fields['name'], 'test')\n"
        "train_experiment(Store.open(), experiment, 'cpu', pathlib.Path(sys.argv[2]))\n"
    )
    environment = {**os.environ, **embedded.environment, "CHESTGAN_STORE": store.uri()}
    training = subprocess.Popen(
        [sys.executable, "-c", code, str(config), str(tmp_path / "killed")], env=environment
    )
    deadline = time.monotonic() + 90
    while not any(item.key.endswith("checkpoint.pt") for item in store.list("experiments/")):
        assert training.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    training.send_signal(signal.SIGKILL)
    training.wait()
    with pytest.raises(NotInStore):
        newest_run(store, experiment)
    assert not any(item.key.endswith("manifest.json") for item in store.list("experiments/"))

    run = train_experiment(store, experiment, "cpu", tmp_path / "resumed")
    assert run.resumed_at >= 80
    assert run.images_seen == 800
    assert not any(item.key.endswith("checkpoint.pt") for item in store.list("experiments/"))


def test_a_lost_index_is_made_again_from_the_manifests(
    store: Store, reported: StoredReport, tmp_path: Path
) -> None:
    release_experiment(store, tiny(), "cpu", tmp_path / "release")
    before = list_sets(store)
    store.delete(keys.set_index())
    assert list_sets(store) == []
    rebuild_index(store)
    assert list_sets(store) == before
    store.delete(before[0].manifest)
    assert rebuild_index(store).entries == ()


def test_a_report_is_found_again_with_its_page_and_picture(
    store: Store, reported: StoredReport, tmp_path: Path
) -> None:
    found = latest_report(store, "tiny")
    assert found == replace(reported, uri=found.uri)
    assert found.uri.startswith(store.uri("reports/tiny/"))
    assert found.contact_sheet_png.startswith(b"\x89PNG")
    assert "KID" in found.html
    assert found.payload.row("KID") is not None


def test_a_store_that_is_down_is_one_line(
    home: Path, delivery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-that-must-not-be-shown")
    with pytest.raises(ChestganError, match=r"s3://somewhere.*does not answer") as refused:
        catalog_series(Store.open("s3://somewhere"), "folder", home)
    assert "\n" not in str(refused.value)
    assert "secret-that" not in str(refused.value)
