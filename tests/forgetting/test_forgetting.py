"""A patient withdraws: everything is found and deleted, nothing comes back, and what is said of it is true."""

import multiprocessing
import os
import signal
import uuid
from pathlib import Path

import pytest

from chestgan_core.config.dataset import dataset_named
from chestgan_core.errors import DamagedObject, Forgotten, NotInStore, PatientForgotten, StoreError
from chestgan_core.forgetting import forget as forget_module
from chestgan_core.forgetting.forget import Forgetting, forget_patient
from chestgan_core.forgetting.record import keys_sha256, read_records
from chestgan_core.forgetting.traces import Kind
from chestgan_core.forgetting.walk import find_traces
from chestgan_core.publishing.transfer.fetching import fetch_set
from chestgan_core.publishing.versions.status import SetWithdrawn, withdrawal_of
from chestgan_core.reading.images.frozen_study import open_study
from chestgan_core.slices.patient_slices import normalize_patient
from chestgan_core.slices.training_set import build_training_set, open_training_set
from chestgan_core.sources.annotations.stored import read_annotations
from chestgan_core.sources.archive.raw_archive import archive_patient
from chestgan_core.sources.catalog.stored_catalog import catalog_series, read_catalog
from chestgan_core.store import keys
from chestgan_core.store.client import s3_client
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.forgotten import storing_of, write_tombstone
from chestgan_core.store.store import Store
from chestgan_core.training.loop import TrainingCallbacks
from chestgan_core.training.run import newest_run, train_experiment
from tests.forgetting.chain import Chain, found_in, make_chain
from tests.pipeline.stages import Stages, edited, tiny

OF_THE_TRAINED = {
    Kind.MONTH: 1, Kind.LEADERBOARD: 1, Kind.COMPARISON: 1, Kind.PACK: 1, Kind.STUDY: 1, Kind.REAL_IMAGES: 1,
    Kind.SET: 1, Kind.REPORT: 1, Kind.UNFINISHED_RUN: 1, Kind.RUN: 1, Kind.FEATURES: 1, Kind.TRAINING_SET: 2,
    Kind.BOXES: 1, Kind.SLICES: 1, Kind.RAW: 1, Kind.CATALOG: 1,
}  # fmt: skip


def forget(store: Store, patient: str, home: Path) -> Forgetting:
    return forget_patient(store, dataset_named("folder"), patient, home, "a test", "A. Operator")


def record_keys(patient: str, records: int) -> set[str]:
    numbered = {keys.forgetting_record("folder", patient, number + 1) for number in range(records)}
    return {keys.forgotten_patient("folder", patient), *numbered}


def require_whole(store: Store) -> None:
    """Whoever may read something reads all of it: no manifest without one of its objects, unless nobody is given it."""
    for item in list(store.list()):
        if not item.key.endswith(".json") or "/status" in item.key:
            continue
        try:
            artefact = store.read_manifest(item.key)
        except (DamagedObject, NotInStore):
            continue  # a pointer, a tombstone, a table of rows
        parts = item.key.split("/")
        if parts[0] == "synthetic" and withdrawal_of(store, parts[1], parts[2]):
            continue
        assert store.is_complete(item.key), artefact.manifest_key


def test_everything_that_came_of_a_patient_is_listed_and_nothing_is_changed(
    store: Store, home: Path, chain: Chain
) -> None:
    before = [item.key for item in store.list()]
    found = find_traces(store, "folder", chain.trained, home)
    counts = {trace.kind: 0 for trace in found.traces}
    for trace in found.traces:
        counts[trace.kind] += 1
    assert counts == OF_THE_TRAINED
    assert found_in(store, chain.names[chain.trained]) <= set(found.keys) | {
        key for key in before if key.endswith(keys.POINTER)
    }
    assert [item.key for item in store.list()] == before


@pytest.mark.parametrize("side", ["trained", "held_out"])
def test_a_forgotten_patient_is_named_by_the_tombstone_and_the_records_alone(
    side: str, store: Store, home: Path, chain: Chain
) -> None:
    patient = getattr(chain, side)
    others = set(chain.names) - {patient}
    done = forget(store, patient, home)
    assert done.complete
    assert found_in(store, chain.names[patient]) == record_keys(patient, 2)
    assert not find_traces(store, "folder", patient, home).traces
    for other in others:  # as before, up to what was made of all of them together
        assert len(found_in(store, chain.names[other])) >= 8
    require_whole(store)

    withdrawn = withdrawal_of(store, "tiny", chain.set_version)
    assert withdrawn is not None
    seen = "trained" if side == "trained" else "was judged by"
    assert withdrawn.reason.replace("the model ", "").startswith(f"a patient whose images {seen}")
    with pytest.raises(SetWithdrawn, match="has withdrawn"):
        fetch_set(store, "tiny", chain.set_version, home / "set")
    files = {item.key.rpartition("/")[2] for item in store.list(f"synthetic/tiny/{chain.set_version}/")}
    assert "split.csv" not in files
    assert ("images-0000.tar" in files) == (side == "held_out")
    # Weights that have not seen the slices stay, all others go.
    if side == "held_out":
        assert newest_run(store, tiny())[0] == chain.run
    else:
        with pytest.raises(Forgotten, match="a patient whom it came of has withdrawn; materialize"):
            newest_run(store, tiny())
    with pytest.raises(Forgotten):
        open_training_set(store, "folder")
    with pytest.raises(Forgotten):
        open_study(store, "study", chain.study)
    annotations = read_annotations(store, "folder")
    assert annotations is not None
    assert {box.patient for box in annotations.boxes} == others
    assert {annotations.patient_of[series] for series in annotations.annotated_series} == others
    assert annotations.defects == {"forgotten": 1}


def test_a_forgotten_patient_does_not_come_back(store: Store, home: Path, chain: Chain) -> None:
    before = read_catalog(store, "folder")
    forget(store, chain.trained, home)
    for catalog in (read_catalog(store, "folder"), catalog_series(store, "folder", home)[0]):
        assert chain.trained not in {row.patient for row in catalog.rows}
        summary = catalog.summary()
        assert summary.left_out_series["forgotten"] == 1
        assert len(catalog.selected) + sum(summary.left_out_series.values()) == len(before.rows)
    with pytest.raises(PatientForgotten, match=r"has withdrawn \(chestgan forget, 2\d{3}-"):
        archive_patient(store, "folder", chain.trained, home)
    with pytest.raises(PatientForgotten):
        normalize_patient(store, "folder", chain.trained, home)
    built = build_training_set(store, "folder")
    assert {shard.name for shard in built.shards} == set(chain.names) - {chain.trained}
    assert built.missing == ()
    assert found_in(store, chain.names[chain.trained]) == record_keys(chain.trained, 2)


def _forget_until_killed(
    access: EmbeddedStore, bucket: str, prefix: str, patient: str, home: Path, steps: int
) -> None:
    store, delete_one, left = (
        Store(s3_client(access.access), bucket, prefix),
        forget_module._delete_one,
        [steps],
    )

    def dying(*arguments: object) -> None:
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        delete_one(*arguments)  # type: ignore[arg-type]

    forget_module._delete_one = dying  # type: ignore[assignment]
    forget(store, patient, home)


def test_a_deletion_that_is_killed_again_and_again_is_completed_by_the_same_call(
    store: Store, home: Path, chain: Chain, embedded: EmbeddedStore
) -> None:
    for steps in (0, 5, 4, 3):
        arguments = (embedded, store.bucket, store.prefix, chain.trained, home, steps)
        process = multiprocessing.get_context("fork").Process(target=_forget_until_killed, args=arguments)
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        require_whole(store)
        with pytest.raises(PatientForgotten):
            archive_patient(store, "folder", chain.trained, home)
    done = forget(store, chain.trained, home)
    assert done.complete
    assert found_in(store, chain.names[chain.trained]) == record_keys(chain.trained, 6)
    states = [record.state for record in read_records(store, "folder", chain.trained)]
    assert states == ["begun"] * 5 + ["complete"]


def test_records_follow_each_other_and_a_changed_or_missing_one_is_noticed(
    store: Store, home: Path, chain: Chain
) -> None:
    done = forget(store, chain.trained, home)
    begun, complete = read_records(store, "folder", chain.trained)
    assert (begun, complete) == done.records
    assert (complete.state, complete.by, complete.command) == ("complete", "A. Operator", "a test")
    assert complete.keys == len(done.found.keys)
    assert complete.keys_sha256 == keys_sha256(done.found.keys)
    assert complete.withdrawn == [f"tiny/{chain.set_version}"]
    assert any("training_set of folder" in one for one in complete.requested)
    assert forget(store, chain.trained, home).complete
    assert len(read_records(store, "folder", chain.trained)) == 4

    text = store.get_bytes(complete.key)
    store.put_bytes(text.replace(b"A. Operator", b"N. Obody"), complete.key)
    with pytest.raises(DamagedObject, match="was changed"):
        read_records(store, "folder", chain.trained)
    store.delete(complete.key)
    with pytest.raises(DamagedObject, match="one is missing"):
        read_records(store, "folder", chain.trained)


def test_what_is_stored_while_a_patient_withdraws_is_taken_back(store: Store) -> None:
    def stores() -> None:
        with storing_of(store, "folder", "P1", "raw/folder/P1/"):
            store.put_bytes(b"pixels", "raw/folder/P1/series/1.zip")
            write_tombstone(store, "folder", "P1")

    with pytest.raises(PatientForgotten, match="folder:P1: has withdrawn"):
        stores()
    assert not list(store.list("raw/"))


@pytest.mark.slow
def test_a_training_that_is_running_stops_at_its_next_checkpoint_and_leaves_nothing(
    store: Store, home: Path, chain: Chain, tmp_path: Path
) -> None:
    callbacks = TrainingCallbacks(on_checkpoint=lambda path: forget(store, chain.trained, home))
    with pytest.raises(Forgotten, match="was deleted meanwhile"):
        train_experiment(store, edited(seed=3), "cpu", tmp_path / "train", callbacks)
    left = [item.key for item in store.list("experiments/") if not item.key.endswith(keys.POINTER)]
    assert left == [keys.run_manifest("tiny", chain.run)]  # the tombstone of the other run


def test_older_versions_and_unfinished_uploads_are_deleted_too(
    s3: object, made: tuple[Store, Chain], home: Path, delivery: Path
) -> None:
    original, chain = made
    client, bucket = original.client, f"kept-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    store = Store(client, bucket)
    for item in original.list():
        store.put_bytes(original.get_bytes(item.key), item.key)
    earlier = keys.raw_prefix("folder", chain.trained) + "earlier.zip"
    store.put_bytes(b"pixels", earlier)
    store.delete(earlier)
    client.create_multipart_upload(Bucket=bucket, Key=earlier.replace("earlier", "unfinished"))

    assert forget(store, chain.trained, home).complete
    kept = client.list_object_versions(Bucket=bucket)
    of_manifests = 0
    for one in kept.get("Versions", []):
        assert chain.trained not in one["Key"] or one["Key"].startswith("forgotten/")
        if one["Key"].startswith(("training-sets/", "catalog/", "annotations/")):
            data = client.get_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])["Body"].read()
            assert chain.trained.encode() not in data
            of_manifests += one["Key"].endswith(".json")
    assert of_manifests >= 6
    assert not [one for one in kept.get("DeleteMarkers", []) if chain.trained in one["Key"]]
    assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_of_other_patients_nothing_is_read(store: Store, home: Path, chain: Chain) -> None:
    asked: list[str] = []

    def note(params: dict[str, str], **_: object) -> None:
        asked.append(params["Key"])

    store.client.meta.events.register("provide-client-params.s3.GetObject", note)
    find_traces(store, "folder", chain.trained, home)
    store.client.meta.events.unregister("provide-client-params.s3.GetObject", note)
    others = set(chain.names) - {chain.trained}
    assert asked
    assert not [key for key in asked if any(f"/{patient}/" in key for patient in others)]


def test_a_manifest_that_cannot_be_read_stops_before_anything_is_deleted(
    store: Store, home: Path, chain: Chain
) -> None:
    key = keys.training_set_manifest("folder", chain.training_set)
    store.put_bytes(b"no manifest", key)
    before = {item.key for item in store.list()}
    with pytest.raises(DamagedObject, match="training-sets"):
        forget(store, chain.trained, home)
    # The patient stays out from now on.
    assert {item.key for item in store.list()} - before == {keys.forgotten_patient("folder", chain.trained)}


@pytest.mark.slow
def test_after_the_real_steps_nothing_names_the_patient_either(
    store: Store, people: Stages, home: Path, delivery: Path, tmp_path: Path
) -> None:
    people.bring("slices", store)
    chain = make_chain(store, tmp_path, real=True)
    assert forget(store, chain.trained, home).complete
    assert found_in(store, chain.names[chain.trained]) == record_keys(chain.trained, 2)
    require_whole(store)
    build_training_set(store, "folder")
    again = train_experiment(store, tiny(), "cpu", tmp_path / "again")
    assert not again.reused
    with pytest.raises(StoreError):
        store.read_manifest(keys.run_manifest("tiny", chain.run))
