"""Many patients one after the other: the raw archive of the next one is made while the present one is normalized.

In: patients in an order, and what is wanted of them: raw archives, slices, or both. Out: the archive and the slices of
each, or its error, when it is asked for; nothing of one patient depends on another. Two patients are on the disk at a
time: the one in hand and the one that comes next. An archive that is in the store already is not downloaded again, one
that was just uploaded is not fetched back, and each catalog is read once.
"""

import itertools
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from chestgan_core.config.dataset import dataset_named
from chestgan_core.config.names import parse_patient_partition
from chestgan_core.local.cancellation import cancelled_by, require_wanted
from chestgan_core.local.scratch import scratch_folder
from chestgan_core.slices.normalizing_workers import normalizing_workers
from chestgan_core.slices.patient_slices import PatientSlices, normalize_patient
from chestgan_core.sources.archive.raw_archive import (
    FetchedArchive,
    RawArchive,
    archive_patient,
    fetch_archive,
)
from chestgan_core.sources.catalog.stored_catalog import read_catalog
from chestgan_core.sources.series_rows import Catalog
from chestgan_core.sources.source import Source, open_source
from chestgan_core.store.objects import Traffic
from chestgan_core.store.store import Store


@dataclass(frozen=True)
class Archived:
    """The raw archive of one patient, and what it took. cpu_seconds: of the thread that made it; traffic: to and from
    the store.
    """

    archive: RawArchive
    cpu_seconds: float
    traffic: Traffic


@dataclass(frozen=True)
class NormalizedPatient:
    """The slices of one patient. traffic: to and from the store."""

    slices: PatientSlices
    traffic: Traffic


@dataclass
class _Prepared:
    """What the thread made of one patient. store: counts what its slices move. error: why there is no archive, or why
    it could not be fetched.
    """

    folder: Path
    store: Store
    archived: Archived | None = None
    raw: FetchedArchive | None = None
    error: Exception | None = None


class PatientBatch:
    """Patients in an order. In a `with` block; its end calls off what is still being downloaded.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from chestgan_core.slices.patient_batch import PatientBatch
        >>> from chestgan_core.sources.catalog.stored_catalog import catalog_series
        >>> from chestgan_core.store.store import Store
        >>> store = Store.open()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     catalog, _ = catalog_series(store, "phantom", Path(folder))
        ...     patients = [f"phantom:{name}" for name in catalog.patients[:2]]
        ...     with PatientBatch(store, patients, Path(folder)) as batch:
        ...         archives = [batch.archive(patient).archive for patient in patients]
        >>> [one.series for one in archives]
        [1, 1]
    """

    def __init__(
        self,
        store: Store,
        patients: Sequence[str],
        home: Path,
        *,
        archiving: bool = True,
        normalizing: bool = True,
        downloading: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
    ) -> None:
        """patients: as `dataset:patient`, in the order in which they will be asked for; one that comes twice counts
        once. archiving, normalizing: what is wanted of each. downloading: entered with a patient while its series are
        fetched from a server.
        """
        self.patients = tuple(dict.fromkeys(patients))
        self._store, self._home = store, home
        self._archiving, self._normalizing, self._downloading = archiving, normalizing, downloading
        self._places = {patient: at for at, patient in enumerate(self.patients)}
        self._next = dict(itertools.pairwise(self.patients))
        self._ahead: dict[str, Future[_Prepared]] = {}
        self._sources: dict[str, tuple[Catalog, Source]] = {}
        self._called_off = threading.Event()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = stack.enter_context(scratch_folder(self._home))
            self._workers = stack.enter_context(normalizing_workers()) if self._normalizing else None
            self._thread = stack.enter_context(ThreadPoolExecutor(1, "next-patient"))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._called_off.set()
        for future in self._ahead.values():
            future.cancel()
        self._stack.close()

    def archive(self, patient: str) -> Archived:
        """The raw archive of a patient, once it is in the store. Raises what `archive_patient` raises."""
        prepared = self._prepare(patient)
        if prepared.archived is None:
            raise prepared.error or ValueError(f"{patient}: this batch makes no archives")
        return prepared.archived

    def slices(self, patient: str) -> NormalizedPatient:
        """The slices of a patient, once they are in the store. Raises what `normalize_patient` raises."""
        prepared = self._prepare(patient)
        if prepared.raw is None:
            raise prepared.error or ValueError(f"{patient}: this batch makes no slices")
        dataset, name = parse_patient_partition(patient)
        slices = normalize_patient(prepared.store, dataset, name, self._home, self._workers, prepared.raw)
        return NormalizedPatient(slices, prepared.store.traffic)

    def release(self, patient: str) -> None:
        """Remove the files of a patient from the disk, when nothing more is asked of this patient."""
        shutil.rmtree(self._prepare(patient).folder, ignore_errors=True)
        del self._ahead[patient]

    def _prepare(self, patient: str) -> _Prepared:
        """What the thread made of this patient; it begins with the next one then."""
        self._start(patient)
        prepared = self._ahead[patient].result()
        if following := self._next.get(patient):
            self._start(following)
        return prepared

    def _start(self, patient: str) -> None:
        if patient not in self._ahead:
            self._ahead[patient] = self._thread.submit(self._make, patient)

    def _make(self, patient: str) -> _Prepared:
        """In the thread. Everything that goes wrong waits for the moment at which the patient is asked for."""
        prepared = _Prepared(self._folder / f"{self._places[patient]}", self._counted())
        store, started = self._counted(), time.thread_time()
        try:
            with cancelled_by(self._called_off):
                require_wanted()
                dataset, name = parse_patient_partition(patient)
                if self._archiving:
                    catalog, source = self._opened(dataset)
                    archive = archive_patient(
                        store,
                        dataset,
                        name,
                        self._home,
                        catalog=catalog,
                        source=source,
                        keep=prepared.folder if self._normalizing else None,
                        downloading=lambda: self._downloading(patient),
                    )
                    prepared.archived = Archived(archive, time.thread_time() - started, store.traffic)
                require_wanted()
                if self._normalizing:
                    prepared.raw = fetch_archive(prepared.store, dataset, name, prepared.folder)
        except Exception as error:
            prepared.error = error
        return prepared

    def _counted(self) -> Store:
        """The store, with a count of its own of the bytes that are moved."""
        return replace(self._store, traffic=Traffic())

    def _opened(self, dataset: str) -> tuple[Catalog, Source]:
        if dataset not in self._sources:
            split = [parse_patient_partition(patient) for patient in self.patients]
            names = {name for of, name in split if of == dataset}
            catalog = read_catalog(self._store, dataset, patients=names)
            self._sources[dataset] = catalog, open_source(dataset_named(dataset), self._home)
        return self._sources[dataset]
