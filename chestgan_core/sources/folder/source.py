"""A folder of DICOM files and zips as a source. Its series are found by reading every file."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from chestgan_core.config.source_config import SourceConfig
from chestgan_core.errors import BadInput
from chestgan_core.local.environment import path_from_environment
from chestgan_core.sources.source import SeriesFiles, Source, UnreadableFile

if TYPE_CHECKING:
    from chestgan_core.config.dataset import Dataset
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.sources.download.download_progress import DownloadProgress
    from chestgan_core.sources.folder.folder_series import FolderFiles
    from chestgan_core.sources.series_rows import Catalog, SeriesRow


class FolderConfig(SourceConfig):
    """DICOM files and zips below the folder that an environment variable names."""

    kind: Literal["folder"]
    path_variable: str

    @property
    def access(self) -> str:
        """Nobody but the owner has the files."""
        return "files of their owner; whoever wants them asks the owner"

    @property
    def variables(self) -> tuple[str, ...]:
        """The one that names the folder."""
        return (self.path_variable,)

    def folder(self) -> Path:
        """Raises BadInput: the variable is not set, or does not name a folder."""
        folder = path_from_environment(self.path_variable, "the folder that holds the DICOM files or zips")
        if not folder.is_dir():
            raise BadInput(folder, "is not a folder", f"set {self.path_variable} to a folder")
        return folder


class FolderSource(Source):
    """The series below a folder. find_folder: called once, when the folder is first needed; raises BadInput."""

    remote = False

    def __init__(self, find_folder: Callable[[], Path], dataset: "Dataset", home: Path) -> None:
        self._find_folder, self._dataset, self._home = find_folder, dataset, home

    def list_series(self) -> "Catalog":
        """Reads every file. Raises BadInput: an empty folder, or one without a usable series (with reasons)."""
        from chestgan_core.sources.folder.folder_series import folder_series

        dataset = self._dataset
        return folder_series(
            self._folder,
            self._pseudonyms,
            f"series_catalog {dataset.name}",
            dataset.licence,
            dataset.doi,
            dataset.source.generated,
            dataset.synthetic,
        )

    def series_files(self, row: "SeriesRow", spool: Path, progress: "DownloadProgress") -> SeriesFiles:
        """From feet to head, as the catalog lists them."""
        from chestgan_core.dicom.file_walk import READ_ERRORS, Archives

        with Archives() as archives:
            for number, file in enumerate(row.files):
                try:
                    stream = archives.open(self._files.location_of(file))
                except READ_ERRORS as error:
                    raise UnreadableFile from error
                with stream:
                    yield f"{number:05d}.dcm", stream
                progress.finished()

    @cached_property
    def _folder(self) -> Path:
        return self._find_folder()

    @cached_property
    def _files(self) -> "FolderFiles":
        from chestgan_core.sources.folder.folder_series import FolderFiles

        return FolderFiles(self._folder, self._pseudonyms)

    @cached_property
    def _pseudonyms(self) -> "Pseudonyms":
        from chestgan_core.dicom.pseudonyms import pseudonyms_of

        return pseudonyms_of(self._dataset, self._home)


def _source(config: FolderConfig, dataset: "Dataset", home: Path) -> FolderSource:
    return FolderSource(config.folder, dataset, home)


CONFIG, SOURCE = FolderConfig, _source
