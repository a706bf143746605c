"""NBIA, the server of TCIA, as a source: lists of series, and series as zips."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from chestgan_core.config.source_config import SourceConfig
from chestgan_core.sources.source import SeriesFiles, Source

if TYPE_CHECKING:
    from chestgan_core.config.dataset import Dataset
    from chestgan_core.sources.download.download_progress import DownloadProgress
    from chestgan_core.sources.series_rows import Catalog, SeriesRow


class NbiaConfig(SourceConfig):
    """A collection of TCIA, fetched from NBIA (API v4) without an account.

    manifest: a metadata.csv of the NBIA Data Retriever, read instead of the server's list of series.
    """

    kind: Literal["nbia"]
    collection: str
    manifest: Path | None = None
    endpoint: str = "https://nbia.cancerimagingarchive.net/nbia-api/services/v4"

    @property
    def access(self) -> str:
        """The collection, which anybody may download."""
        return f"The Cancer Imaging Archive, collection {self.collection}, over NBIA without an account"


class NbiaSource(Source):
    """Series of one collection of TCIA."""

    remote = True

    def __init__(self, config: NbiaConfig, dataset: "Dataset", home: Path) -> None:
        self._config, self._dataset, self._home = config, dataset, home

    def list_series(self) -> "Catalog":
        """From the manifest where the dataset names one, else from the server.

        Raises BadInput (a manifest that cannot be used), SourceUnreachable, SourceRefused (no such collection).
        """
        from chestgan_core.dicom.pseudonyms import pseudonyms_of
        from chestgan_core.sources.nbia.client import NbiaClient
        from chestgan_core.sources.nbia.metadata_csv import nbia_csv_series
        from chestgan_core.sources.nbia.series_list import nbia_series
        from chestgan_core.sources.series_rows import Catalog

        dataset, config = self._dataset, self._config
        pseudonyms = pseudonyms_of(dataset, self._home)
        if config.manifest is not None:
            manifest = config.manifest.expanduser()
            rows = nbia_csv_series(manifest, config.collection, pseudonyms, dataset.doi, dataset.licence)
        else:
            listed = NbiaClient(config.endpoint).series(config.collection)
            rows = nbia_series(config.collection, listed, pseudonyms, dataset.doi)
        return Catalog(tuple(rows))

    def series_files(self, row: "SeriesRow", spool: Path, progress: "DownloadProgress") -> SeriesFiles:
        """The images in the order of their names, then the licence file that the server delivers with them."""
        from chestgan_core.sources.nbia.client import LICENCE, NbiaClient, dicom_names

        # It gets this name only when it is complete and verified: a zip of this name needs no second download.
        delivery = spool / "delivery.zip"
        if delivery.exists() and not _is_whole(delivery, row.images):
            delivery.unlink()  # a power cut came before its bytes were on the disk
        if not delivery.exists():
            for part in spool.iterdir():
                part.unlink()
            NbiaClient(self._config.endpoint).fetch(row.location, delivery, row.images, progress.received)
        with zipfile.ZipFile(delivery) as archive:
            for number, name in enumerate(dicom_names(archive)):
                with archive.open(name) as stream:
                    yield f"{number:05d}.dcm", stream
                progress.finished()
            if LICENCE in archive.namelist():
                with archive.open(LICENCE) as stream:
                    yield LICENCE, stream


def _is_whole(delivery: Path, images: int) -> bool:
    from chestgan_core.sources.download.retry import DamagedDownload
    from chestgan_core.sources.nbia.client import verify

    try:
        verify(delivery, images)
    except DamagedDownload:
        return False
    return True


CONFIG, SOURCE = NbiaConfig, NbiaSource
