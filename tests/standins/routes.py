"""The two remote sources of a stand-in collection behind one interface, for tests that hold for both."""

import zipfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from chestgan_core.sources.archive.raw_archive import fetch_archive
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from tests.standins.collection import StandInCollection, StandInSeries
from tests.standins.faults import Faults
from tests.standins.idc import idc_stand_in, publish
from tests.standins.nbia import nbia_stand_in
from tests.standins.server import StandInServer

ROUTES = ("idc", "nbia")


class Route:
    """One of the two sources of a collection. dataset: its name."""

    def __init__(self, kind: str, embedded: EmbeddedStore, datasets: Path) -> None:
        self.kind, self._embedded, self._datasets = kind, embedded, datasets
        self.dataset = f"stand_in_{kind}"

    def serve(
        self, collection: StandInCollection, faults: Faults | None = None
    ) -> AbstractContextManager[StandInServer]:
        if self.kind == "idc":
            return idc_stand_in(collection, self._embedded, faults)
        return nbia_stand_in(collection, faults)

    def write(self, collection: StandInCollection, server: StandInServer, **changes: Any) -> None:
        if self.kind == "idc":
            publish(collection, self._embedded)
            collection.write_idc_dataset(self._datasets, self.dataset, server.url, **changes)
        else:
            collection.write_nbia_dataset(self._datasets, self.dataset, server.url, **changes)

    def gone(self, store: Store, home: Path) -> bool:
        """Whether the catalog is all that store and spool have of the dataset."""
        left = [path for path in (home / "spool").rglob("*") if path.is_file()]
        return not list(store.list(f"raw/{self.dataset}/")) and not left


def archived(store: Store, dataset: str, patient: str, folder: Path) -> list[bytes]:
    """The DICOM files of the newest archive, sorted."""
    found = []
    for path in fetch_archive(store, dataset, patient, folder).zips:
        with zipfile.ZipFile(path) as archive:
            found += [archive.read(name) for name in archive.namelist() if name.endswith(".dcm")]
    return sorted(found)


def files_of(*series: StandInSeries) -> list[bytes]:
    return sorted(path.read_bytes() for one in series for path in one.files)
