"""Generated patients as a source: a folder of DICOM files that is written once under the local folder."""

import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from chestgan_core.config.source_config import SourceConfig
from chestgan_core.local.progress import Progress
from chestgan_core.sources.folder.source import FolderSource

if TYPE_CHECKING:
    from chestgan_core.config.dataset import Dataset


class PhantomConfig(SourceConfig):
    """Generated patients, each a chest series with a tumour."""

    generated: ClassVar[bool] = True
    kind: Literal["phantom"]
    patients: Annotated[int, Field(ge=1, le=9999)] = 6
    slices: Annotated[int, Field(ge=8, le=1000)] = 40


class PhantomSource(FolderSource):
    """Implements Source."""

    def __init__(self, dataset: "Dataset", home: Path) -> None:
        super().__init__(dataset, home)
        assert isinstance(dataset.source, PhantomConfig)  # noqa: S101 (for the type checker: its own kind)
        self._config = dataset.source

    @cached_property
    def folder(self) -> Path:
        """The folder of the patients, generated now if it is not there. Half a set is never read: it is renamed."""
        from chestgan_core.sources.phantom.patients import write_phantoms
        from chestgan_core.sources.phantom.version import VERSION

        patients, slices = self._config.patients, self._config.slices
        folder = self._home / "sources" / f"phantom-{VERSION}-{patients}x{slices}"
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            # Removed with everything in it when another process was faster with the same files, or when this one fails.
            with tempfile.TemporaryDirectory(prefix=".phantom-", dir=folder.parent) as scratch:
                partial = Path(scratch) / "complete"
                with Progress("phantoms", patients * slices, "slices") as progress:
                    write_phantoms(partial, patients=patients, slices=slices, progress=progress)
                try:
                    partial.rename(folder)
                except OSError:
                    if not folder.is_dir():
                        raise
        return folder


CONFIG, SOURCE = PhantomConfig, PhantomSource
