"""A folder of DICOM files and zips as a source. What is in it is found by reading it."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from chestgan_core.config.source_config import SourceConfig
from chestgan_core.errors import BadInput
from chestgan_core.local.environment import path_from_environment

if TYPE_CHECKING:
    from chestgan_core.config.dataset import Dataset
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.sources.download.download_progress import DownloadProgress
    from chestgan_core.sources.folder.folder_series import FolderFiles
    from chestgan_core.sources.series_rows import Catalog, SeriesRow


class FolderConfig(SourceConfig):
    """DICOM files and zips under the folder that an environment variable names."""

    kind: Literal["folder"]
    path_variable: str

    @property
    def variables(self) -> tuple[str, ...]:
        """The one that names the folder."""
        return (self.path_variable,)

    def folder(self) -> Path:
        """Raises BadInput: the variable is not set, or names no folder."""
        folder = path_from_environment(self.path_variable, "the folder that holds the DICOM files or zips")
        if not folder.is_dir():
            raise BadInput(folder, "is not a folder", f"set {self.path_variable} to a folder")
        return folder


class FolderSource:
    """Implements Source. folder: read instead of the one that the dataset names."""

    remote = False

    def __init__(self, dataset: "Dataset", home: Path, folder: Path | None = None) -> None:
        self._dataset, self._home, self._named = dataset, home, folder

    def list_series(self) -> "Catalog":
        """Reads every file. Raises BadInput: an empty folder, or one without a usable series (with reasons)."""
        from chestgan_core.sources.folder.folder_series import folder_series

        dataset = self._dataset
        return folder_series(
            self.folder,
            self._pseudonyms,
            f"series_catalog {dataset.name}",
            dataset.licence,
            dataset.doi,
            dataset.source.generated,
        )

    def series_files(
        self, row: "SeriesRow", spool: Path, progress: "DownloadProgress"
    ) -> Iterator[tuple[str, IO[bytes]]]:
        """Smallest position first, as the catalog lists them."""
        from chestgan_core.dicom.file_walk import READ_ERRORS, Archives
        from chestgan_core.sources.source import UnreadableFile

        with Archives() as archives:
            for number, file in enumerate(row.files):
                try:
                    stream = archives.open(self._files.located(file))
                except READ_ERRORS as error:
                    raise UnreadableFile from error
                with stream:
                    yield f"{number:05d}.dcm", stream
                progress.finished()

    @cached_property
    def folder(self) -> Path:
        """The folder that is read. Raises BadInput."""
        if self._named is not None:
            return self._named
        assert isinstance(self._dataset.source, FolderConfig)  # noqa: S101 (for the type checker: its own kind)
        return self._dataset.source.folder()

    @cached_property
    def _files(self) -> "FolderFiles":
        from chestgan_core.sources.folder.folder_series import FolderFiles

        return FolderFiles(self.folder, self._pseudonyms)

    @cached_property
    def _pseudonyms(self) -> "Pseudonyms":
        from chestgan_core.dicom.pseudonyms import pseudonyms_of

        return pseudonyms_of(self._dataset, self._home)


CONFIG, SOURCE = FolderConfig, FolderSource
