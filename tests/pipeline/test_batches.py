"""Many patients in one run: each with its own materialization, checks, version and failure."""

import re
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.event_api import PartitionKeyFilter

from chestgan_assets.assets.patient_results import CHECKS, PATIENT_ASSETS, RAW, SLICES
from chestgan_assets.assets.patients import patient_slices
from chestgan_assets.execution import batch_progress, failures
from chestgan_assets.execution.dagster_internals import held_slot
from chestgan_assets.execution.partition_events import PartitionEvents
from chestgan_assets.execution.partition_runs import failed_partitions
from chestgan_assets.metadata import MADE_BY, URI
from chestgan_assets.partitions import PATIENT_PARTITIONS, patients
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import RANGE_END_TAG, RANGE_START_TAG, RETRY_TAG
from chestgan_core.config.dataset import dataset_named
from chestgan_core.config.names import patient_partition
from chestgan_core.errors import SourceUnreachable, StoreUnreachable
from chestgan_core.forgetting.forget import forget_patient
from chestgan_core.local.cancellation import Cancelled
from chestgan_core.slices import patient_batch
from chestgan_core.slices.patient_slices import normalize_patient
from chestgan_core.sources.catalog.stored_catalog import catalog_series
from chestgan_core.sources.phantom.patients import write_phantoms
from chestgan_core.store import keys
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from tests.pipeline.conftest import files_of

PATIENTS = 5


@dataclass
class Cohort:
    """A private folder of small phantoms that has a catalog, and an instance in which they are partitions."""

    instance: dg.DagsterInstance
    store: Store
    home: Path
    folder: Path
    partitions: list[str]

    def run(
        self,
        first: int = 0,
        last: int = PATIENTS - 1,
        assets: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """One run for a range of the partitions."""
        ends = {RANGE_START_TAG: self.partitions[first], RANGE_END_TAG: self.partitions[last]}
        return dg.materialize(
            [patient_slices],
            instance=self.instance,
            resources={"store": StoreResource(uri=self.store.uri()), "machine": MachineResource()},
            selection=list(assets) or None,
            tags={**ends, **(tags or {})},
            raise_on_error=False,
        )

    def lose(self, at: int) -> str:
        """The files of a patient are gone from the folder, which the catalog does not know; returns the partition."""
        for path in files_of(self.store, self.folder, self.home, self.partitions[at].partition(":")[2]):
            path.unlink()
        return self.partitions[at]

    def die_at(self, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run ends when it is at this patient, as when its process is ended."""
        normalize = patient_batch.__dict__["normalize_patient"]

        def die(store: Store, dataset: str, patient: str, *args: object, **options: object) -> object:
            if patient_partition(dataset, patient) == self.partitions[at]:
                raise KeyboardInterrupt
            return normalize(store, dataset, patient, *args, **options)

        monkeypatch.setattr(patient_batch, "normalize_patient", die)

    def retry_of(self, result: dg.ExecuteInProcessResult) -> dict[str, str]:
        """The tags of the run that the daemon launches for a dead one."""
        run = self.instance.get_run_by_id(result.run_id)
        assert run is not None
        before = {
            "dagster/parent_run_id": run.run_id,
            "dagster/root_run_id": run.get_root_run_id() or run.run_id,
        }
        return {**before, RETRY_TAG: str(int(run.tags.get(RETRY_TAG, 0)) + 1)}

    def states(self, asset: str) -> dict[str, set[str]]:
        """What the UI counts: materialized and failed partitions."""
        status = self.instance.get_status_by_partition(dg.AssetKey(asset), self.partitions, patients)
        found: dict[str, set[str]] = {}
        for partition, state in (status or {}).items():
            found.setdefault(state.value if state else "MISSING", set()).add(partition)
        return found

    def lines(self, result: dg.ExecuteInProcessResult) -> list[str]:
        """What the steps of a run wrote into its log."""
        logs = self.instance.all_logs(result.run_id)
        return [entry.user_message for entry in logs if not entry.is_dagster_event]

    def checks(self, partition: str) -> dict[str, bool]:
        found = {}
        for spec in CHECKS:
            (record,) = self.instance.event_log_storage.get_asset_check_execution_history(
                spec.key, limit=1, partition_filter=PartitionKeyFilter(key=partition)
            )
            found[spec.name] = record.status.value == "SUCCEEDED"
        return found

    def number(self, made: dg.AssetMaterialization, label: str) -> float:
        return float(made.metadata[label].value)  # type: ignore[arg-type]

    def observations(self, asset: str, partition: str) -> list[dg.AssetObservation]:
        found = dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[partition])
        records = self.instance.fetch_observations(found, limit=20).records
        return [record.asset_observation for record in records if record.asset_observation]

    def events(self, asset: str, partition: str) -> list[dg.AssetMaterialization]:
        found = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[partition]), limit=20
        )
        return [record.asset_materialization for record in found.records if record.asset_materialization]


@pytest.fixture
def cohort(
    tmp_path: Path, store: Store, embedded: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cohort]:
    home, folder = tmp_path / "home", tmp_path / "folder"
    write_phantoms(folder, patients=PATIENTS, size=48, slices=10)
    variables = {**embedded.environment, "CHESTGAN_HOME": str(home), "CHESTGAN_FOLDER": str(folder)}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    catalog, _ = catalog_series(store, "folder", home)
    partitions = [patient_partition("folder", patient) for patient in catalog.patients]
    (tmp_path / "dagster").mkdir()
    with dg.instance_for_test(temp_dir=str(tmp_path / "dagster")) as instance:
        instance.add_dynamic_partitions(PATIENT_PARTITIONS, partitions)
        yield Cohort(instance, store, home, folder, partitions)


def test_every_patient_of_a_run_has_events_of_its_own(cohort: Cohort) -> None:
    assert cohort.run().success
    for asset in (RAW, SLICES):
        assert cohort.states(asset) == {"MATERIALIZED": set(cohort.partitions)}
    versions, addresses = set(), set()
    for partition in cohort.partitions:
        (slices,), (raw,) = (cohort.events(asset, partition) for asset in (SLICES, RAW))
        assert slices.tags
        assert raw.tags
        versions.add(slices.tags["dagster/data_version"])
        addresses.add(slices.metadata[URI].value)
        # What it was made from, so that a new archive of this patient alone marks it as out of date.
        assert slices.tags["dagster/input_data_version/raw_dicom"] == raw.tags["dagster/data_version"]
        assert cohort.number(slices, "CPU hours") > 0 < cohort.number(raw, "bytes written")
        assert cohort.checks(partition) == {spec.name: True for spec in CHECKS}
    assert len(versions) == len(addresses) == PATIENTS


def test_the_usage_of_all_patients_is_that_of_the_step(cohort: Cohort) -> None:
    before = time.process_time()
    assert cohort.run().success
    spent = time.process_time() - before
    given = sum(
        cohort.number(made, "CPU hours") * 3600
        for asset in (RAW, SLICES)
        for partition in cohort.partitions
        for made in cohort.events(asset, partition)
    )
    assert 0 < given <= spent + 0.1  # 0.01 s of rounding each


def test_one_patient_that_fails_neither_stops_nor_hides_the_others(cohort: Cohort) -> None:
    lost = cohort.lose(1)
    result = cohort.run()
    assert not result.success
    others = set(cohort.partitions) - {lost}
    for asset in (RAW, SLICES):
        assert cohort.states(asset) == {"MATERIALIZED": others, "FAILED": {lost}}
    assert failed_partitions(cohort.instance, PATIENT_PARTITIONS, PATIENT_ASSETS) == {lost: PATIENT_ASSETS[0]}
    said = failure(result)
    assert said.startswith(f"1 of 5 patients failed: {lost}: ")
    assert "can no longer be read; materialize series_catalog again" in said
    # The same sentence on the page of the partition.
    (observed,) = cohort.observations(RAW, lost)
    assert observed.description
    assert observed.description in said
    assert not any(event.is_step_up_for_retry for event in result.all_events)


def test_a_retry_of_the_daemon_takes_the_failed_ones_alone(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        cohort.die_at(2, patch)
        tried = listen(patch)
        died = cohort.run()
    assert not died.success
    assert tried == cohort.partitions[:3]
    worked = listen(monkeypatch)
    again = cohort.run(tags=cohort.retry_of(died))
    assert again.success
    # It was at the third when it died: that one comes last.
    assert worked == [cohort.partitions[3], cohort.partitions[4], cohort.partitions[2]]
    for asset in (RAW, SLICES):
        assert cohort.states(asset) == {"MATERIALIZED": set(cohort.partitions)}
    # What was made before stands in the history of the retry too, and says who made it.
    newest, first = cohort.events(SLICES, cohort.partitions[0])
    assert newest.metadata[MADE_BY].value == died.run_id
    assert newest.tags == first.tags
    assert "CPU hours" in first.metadata
    assert "CPU hours" not in newest.metadata


def test_patients_that_kill_their_process_do_not_keep_the_others_from_being_made(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[dg.ExecuteInProcessResult] = []
    for _ in range(4):  # the first attempt, and three retries
        with monkeypatch.context() as patch:
            cohort.die_at(0, patch)
            cohort.die_at(3, patch)
            runs.append(cohort.run(tags=cohort.retry_of(runs[-1]) if runs else None))
    assert not any(run.success for run in runs)
    killers = {cohort.partitions[0], cohort.partitions[3]}
    assert cohort.states(SLICES) == {"MATERIALIZED": set(cohort.partitions) - killers, "FAILED": killers}


def test_a_retry_does_not_try_again_what_cannot_succeed(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = cohort.lose(0)
    with monkeypatch.context() as patch:
        cohort.die_at(3, patch)
        died = cohort.run()
    worked = listen(monkeypatch)
    again = cohort.run(tags=cohort.retry_of(died))
    assert not again.success
    assert worked == [cohort.partitions[4], cohort.partitions[3]]
    assert f"1 of 5 patients failed: {lost}: " in failure(again)
    assert re.fullmatch(r"patient 5 of 5, \d+ slices/s, 2 made before, 1 failed", cohort.lines(again)[-1])


def test_a_pod_that_is_ended_while_it_reports_is_tried_again(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal arrives at any moment, most often not while slices are being normalized."""
    monkeypatch.setattr(failures, "on_kubernetes", lambda: True)
    made, calls = PartitionEvents.made, list[str]()

    def interrupted(self: PartitionEvents, asset: str, partition: str, *args: Any) -> Any:
        for event in made(self, asset, partition, *args):
            yield event
            calls.append(partition)
            if len(calls) == 7:
                signal.raise_signal(signal.SIGINT)  # what Dagster makes of SIGTERM

    monkeypatch.setattr(PartitionEvents, "made", interrupted)
    result = cohort.run()
    assert result.success
    assert sum(event.is_step_up_for_retry for event in result.all_events) == 1
    assert cohort.states(SLICES) == {"MATERIALIZED": set(cohort.partitions)}
    twice = [partition for partition in cohort.partitions if len(cohort.events(RAW, partition)) > 1]
    assert twice == [calls[6]]  # the one in hand


def test_a_person_who_runs_it_again_gets_all_of_it_again(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cohort.run()
    worked = listen(monkeypatch)
    assert cohort.run(
        tags={"dagster/parent_run_id": first.run_id, "dagster/root_run_id": first.run_id}
    ).success
    assert worked == cohort.partitions


def test_a_silent_store_ends_the_attempt_and_the_next_one_goes_on(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = iter([False, True, *[False] * 20])
    normalize = normalize_patient

    def sometimes(store: Store, *args: object, **options: object) -> object:
        if next(silent):
            raise StoreUnreachable("s3://bucket", "does not answer", "start it")
        return normalize(store, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(patient_batch, "normalize_patient", sometimes)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # before a retry
    result = cohort.run()
    assert result.success
    assert "3 more were not tried" in str(
        [event.step_retry_data for event in result.all_events if event.is_step_up_for_retry]
    )
    for partition in cohort.partitions:
        assert len(cohort.events(SLICES, partition)) == 1  # nothing twice in one run


def test_a_source_that_is_down_keeps_nobody_waiting_for_hours(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def silent(store: Store, dataset: str, patient: str, *args: object, **options: object) -> object:
        tried.append(patient)
        raise SourceUnreachable(
            f"series of {patient}", "does not answer", "run again when the server is back"
        )

    monkeypatch.setattr(patient_batch, "archive_patient", silent)
    result = cohort.run()
    assert "2 of 5 patients failed: " in failure(result)
    assert "; 3 more were not tried" in failure(result)
    assert len(tried) <= 3  # the third was begun before the second had failed


def test_a_patient_who_has_withdrawn_is_left_out_and_nobody_else(cohort: Cohort) -> None:
    gone = cohort.partitions[2]
    forget_patient(cohort.store, dataset_named("folder"), gone.partition(":")[2], cohort.home, "test", "test")
    assert cohort.run().success
    assert cohort.states(SLICES) == {"MATERIALIZED": set(cohort.partitions) - {gone}, "MISSING": {gone}}
    assert not list(cohort.store.list(keys.raw_prefix(*gone.split(":"))))


def test_the_second_of_two_backfills_finds_done_what_the_first_has_made(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first is at its third patient, the second makes the others from the other end."""
    worked = listen(monkeypatch)
    inner: list[dg.ExecuteInProcessResult] = []
    normalize = patient_batch.__dict__["normalize_patient"]

    def meanwhile(store: Store, dataset: str, patient: str, *args: object, **options: object) -> object:
        if patient_partition(dataset, patient) == cohort.partitions[2] and not inner:
            inner.append(None)  # type: ignore[arg-type]
            inner[0] = cohort.run(1, 4)
        return normalize(store, dataset, patient, *args, **options)

    monkeypatch.setattr(patient_batch, "normalize_patient", meanwhile)
    outer = cohort.run()
    assert outer.success
    assert inner[0].success
    a, b, c, d, e = cohort.partitions
    # It was requested after b was made, so it makes b again, as it was asked to. Both are at c at the same time; the
    # first finds d and e done.
    assert worked == [a, b, e, d, c, b, c]


@pytest.mark.parametrize("asset", [RAW, SLICES])
def test_one_of_the_two_assets_alone(cohort: Cohort, asset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if asset == SLICES:
        assert cohort.run(assets=(RAW,)).success
        monkeypatch.setattr(patient_batch, "archive_patient", None)
    assert cohort.run(1, 2, assets=(asset,)).success
    made = set(cohort.partitions[1:3])
    assert {partition for partition in cohort.partitions if cohort.events(SLICES, partition)} == (
        made if asset == SLICES else set()
    )


def test_slices_without_an_archive_are_refused_by_name(cohort: Cohort) -> None:
    result = cohort.run(0, 1, assets=(SLICES,))
    assert "2 of 2 patients failed: " in failure(result)
    assert "materialize raw_dicom for this patient first" in failure(result)


def test_a_single_patient_fails_with_its_own_sentence_alone(cohort: Cohort) -> None:
    cohort.lose(1)
    said = failure(cohort.run(1, 1))
    assert said.endswith("materialize series_catalog again")
    assert "patients failed" not in said


def test_no_more_than_two_patients_are_on_the_disk(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    normalize = normalize_patient

    def counted(*args: object, **options: object) -> object:
        counts.append(len({path.parts[-3] for path in (cohort.home / "scratch").rglob("*.zip")}))
        return normalize(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(patient_batch, "normalize_patient", counted)
    assert cohort.run().success
    assert max(counts) <= 2
    assert len(counts) == PATIENTS
    assert not list((cohort.home / "scratch").iterdir())


def test_the_log_tells_how_far_a_run_is(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_progress, "EVERY_SECONDS", 0.0)
    result = cohort.run()
    lines = cohort.lines(result)
    assert [line.partition(",")[0] for line in lines] == [f"patient {number} of 5" for number in range(1, 6)]
    assert "slices/s" in lines[0]
    assert "left" in lines[0]
    assert "left" not in lines[-1]


def test_a_download_waits_for_a_slot_of_its_pool(cohort: Cohort) -> None:
    storage, run = cohort.instance.event_log_storage, dg.DagsterRun("patient_slices_job")
    storage.set_concurrency_slots("download", 1)
    assert storage.claim_concurrency_slot("download", "another-run", "step").is_claimed
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            storage.free_concurrency_slots_for_run("another-run")

    with held_slot(cohort.instance, run, "download", "step[0]", wait):
        taken = storage.get_concurrency_info("download")
        assert (taken.active_slot_count, taken.active_run_ids) == (1, {run.run_id})
    assert len(waits) >= 3
    assert storage.get_concurrency_info("download").active_slot_count == 0


def test_a_wait_for_a_slot_that_is_called_off_leaves_nothing_behind(cohort: Cohort) -> None:
    storage, run = cohort.instance.event_log_storage, dg.DagsterRun("patient_slices_job")
    storage.set_concurrency_slots("download", 1)
    assert storage.claim_concurrency_slot("download", "another-run", "step").is_claimed

    def called_off(seconds: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled), held_slot(cohort.instance, run, "download", "step[0]", called_off):
        pass
    assert storage.get_concurrency_info("download").pending_step_count == 0


def failure(result: dg.ExecuteInProcessResult) -> str:
    (data,) = (event.step_failure_data for event in result.all_events if event.is_step_failure)
    assert data.user_failure_data
    return str(data.user_failure_data.description)


def listen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The patients that are normalized from now on, in order."""
    normalize, worked = patient_batch.__dict__["normalize_patient"], list[str]()

    def heard(store: Store, dataset: str, patient: str, *args: object, **options: object) -> object:
        worked.append(patient_partition(dataset, patient))
        return normalize(store, dataset, patient, *args, **options)

    monkeypatch.setattr(patient_batch, "normalize_patient", heard)
    return worked
