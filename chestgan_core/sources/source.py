"""What a source of images is: the one protocol that the Imaging Data Commons, NBIA, folders, pictures and phantoms
share.

In: a dataset. Out: its Source, which lists series and hands out the files of one. Who archives, catalogs and checks
knows no provider. docs/extend.md shows how to add one.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from chestgan_core.config.dataset import Dataset
from chestgan_core.config.source_config import provider

if TYPE_CHECKING:
    from chestgan_core.sources.download.download_progress import DownloadProgress
    from chestgan_core.sources.series_rows import Catalog, SeriesRow


class UnreadableFile(Exception):
    """A file of a source cannot be read, or not to its end. Whoever packs the series names it."""


class Source(Protocol):
    """Where the series of one dataset come from. Made by its provider's `SOURCE(dataset, home)`; home: the local
    folder.
    """

    remote: bool
    """Whether files are downloaded: then they lie in a spool on their way, which needs room on the disk."""

    def list_series(self) -> "Catalog":
        """Every series as the source lists it now, before any rule of the dataset is applied.

        Raises BadInput (a folder or index that is not there or cannot be used, no series), NotAvailable (an index that
        is not installed), SourceUnreachable, SourceRefused.
        """
        ...

    def series_files(
        self, row: "SeriesRow", spool: Path, progress: "DownloadProgress"
    ) -> Iterator[tuple[str, IO[bytes]]]:
        """The files of one series, each as a name for the archive and an open stream that is read at once.

        `00000.dcm`, `00001.dcm`, ... for its images, in an order that is the same each time; other names for what comes
        with them. spool: a folder for this series alone, where a download that breaks off goes on; unused by sources
        that are not remote. Raises SourceUnreachable, SourceRefused (both name the series), UnreadableFile, OSError.
        """
        ...


def open_source(dataset: Dataset, home: Path) -> Source:
    """The source of a dataset. home: the local folder (phantoms, the key of private names, downloads)."""
    source: Source = provider(dataset.source.kind).SOURCE(dataset, home)
    return source
