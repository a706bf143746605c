"""Generated patients as a source: a folder of DICOM files that is written once, below the local folder."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from chestgan_core.config.source_config import SourceConfig
from chestgan_core.local.progress import Progress
from chestgan_core.sources.folder.source import FolderSource

if TYPE_CHECKING:
    from chestgan_core.config.dataset import Dataset


class PhantomConfig(SourceConfig):
    """Generated patients, each with one chest series that shows a tumour. slices: per patient."""

    generated: ClassVar[bool] = True
    kind: Literal["phantom"]
    patients: Annotated[int, Field(ge=1, le=9999)] = 6
    slices: Annotated[int, Field(ge=8, le=1000)] = 40


def generated_folder(config: PhantomConfig, home: Path) -> Path:
    """The folder of the patients, generated now if it is missing. It is renamed when complete: never read in part."""
    from chestgan_core.sources.phantom.patients import write_phantoms
    from chestgan_core.sources.phantom.version import VERSION

    patients, slices = config.patients, config.slices
    folder = home / "sources" / f"phantom-{VERSION}-{patients}x{slices}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Removed with all its content if another process has finished the same files first, or if this one fails.
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


def _source(config: PhantomConfig, dataset: "Dataset", home: Path) -> FolderSource:
    return FolderSource(lambda: generated_folder(config, home), dataset, home)


CONFIG, SOURCE = PhantomConfig, _source
