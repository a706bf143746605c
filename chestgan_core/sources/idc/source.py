"""The Imaging Data Commons as a source: an index of series, and objects of a public S3 bucket."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from chestgan_core.config.source_config import SourceConfig
from chestgan_core.sources.source import SeriesFiles, Source

if TYPE_CHECKING:
    from chestgan_core.config.dataset import Dataset
    from chestgan_core.sources.download.download_progress import DownloadProgress
    from chestgan_core.sources.series_rows import Catalog, SeriesRow


class IdcConfig(SourceConfig):
    """A collection of the Imaging Data Commons, fetched over S3 without an account.

    index: the series of the Commons as Parquet or CSV; by default that of the installed package idc-index-data.
    """

    kind: Literal["idc"]
    collection: str
    index: Path | None = None
    endpoint: str = "https://s3.amazonaws.com"

    @property
    def access(self) -> str:
        """The collection, which anybody may download."""
        return f"Imaging Data Commons, collection {self.collection}, over S3 without an account"


class IdcSource(Source):
    """Series of one collection of the Imaging Data Commons."""

    remote = True

    def __init__(self, config: IdcConfig, dataset: "Dataset", home: Path) -> None:
        self._config, self._dataset, self._home = config, dataset, home

    def list_series(self) -> "Catalog":
        """Raises BadInput (no such index or collection), NotAvailable (the index is not installed)."""
        from chestgan_core.dicom.pseudonyms import pseudonyms_of
        from chestgan_core.sources.idc.index import idc_series
        from chestgan_core.sources.series_rows import Catalog

        pseudonyms = pseudonyms_of(self._dataset, self._home)
        return Catalog(tuple(idc_series(self._config.collection, pseudonyms, self._config.index)))

    def series_files(self, row: "SeriesRow", spool: Path, progress: "DownloadProgress") -> SeriesFiles:
        """One file per object, in the order of their keys; files after it are fetched meanwhile."""
        from chestgan_core.sources.idc.download import incoming_files

        for number, path in enumerate(incoming_files(row, spool, self._config.endpoint, progress)):
            with path.open("rb") as stream:
                yield f"{number:05d}.dcm", stream


CONFIG, SOURCE = IdcConfig, IdcSource
