"""A source of images: the one protocol that the Imaging Data Commons, NBIA, folders, image files and phantoms share.

In: a dataset. Out: its Source, which lists series and hands out the files of one. Code that catalogs, archives and
checks knows no provider. docs/extend.md shows how to add one.
"""

from collections.abc import Generator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from chestgan_core.config.source_config import provider

if TYPE_CHECKING:
    from chestgan_core.config.dataset import Dataset
    from chestgan_core.sources.download.download_progress import DownloadProgress
    from chestgan_core.sources.series_rows import Catalog, SeriesRow

SeriesFiles: TypeAlias = Generator[tuple[str, IO[bytes]], None, None]
"""Names in the archive, and open streams. A stream is read before the next one is requested."""


class UnreadableFile(Exception):
    """A file of a source cannot be read, or not to its end. The code that packs the series adds which."""


@runtime_checkable
class Source(Protocol):
    """Where the series of one dataset come from.

    Its provider makes it: `SOURCE(config, dataset, home)`. config: the section `source` of the dataset. home: the
    local folder (phantoms, the key of pseudonyms, downloads). Making it neither reads a file nor opens a connection.
    """

    remote: bool
    """Whether files are downloaded. Then they are spooled to the disk first, which needs room for them."""

    def list_series(self) -> "Catalog":
        """Every series as the source lists it now, before any selection rule of the dataset is applied.

        Raises BadInput (a folder or index that is missing or cannot be used, no series), NotAvailable (an index that
        is not installed), SourceUnreachable, SourceRefused.
        """
        ...

    def series_files(self, row: "SeriesRow", spool: Path, progress: "DownloadProgress") -> SeriesFiles:
        """The files of one series of `list_series`.

        `00000.dcm`, `00001.dcm`, ... for its images, in an order that is the same each time; other names for files
        that come with them. spool: a folder for this series alone, from which an interrupted download resumes; unused
        by sources that are not remote. progress: `received(bytes)` per block, `finished()` per image. Raises
        SourceUnreachable, SourceRefused (both name the series), UnreadableFile, OSError.
        """
        ...


def open_source(dataset: "Dataset", home: Path) -> Source:
    """The source of a dataset. home: the local folder."""
    source: Source = provider(dataset.source.kind).SOURCE(dataset.source, dataset, home)
    return source
