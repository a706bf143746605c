"""Images that lie on this machine: phantoms, and the folders that environment variables name.

In: a dataset. Out: the folder or zip that holds its files.
"""

import os
import tempfile
from pathlib import Path

from chestgan_core.config.dataset import Dataset, PhantomSource
from chestgan_core.errors import BadInput
from chestgan_core.local.progress import Progress


def dicom_folder(dataset: Dataset, home: Path) -> Path:
    """The folder that holds the DICOM files of a dataset of phantoms (generated under home once) or of a folder.

    Raises BadInput: the variable is unset or names no folder, or the dataset has another source.
    """
    match dataset.source.kind:
        case "phantom":
            return _phantoms(dataset.source, home / "sources")
        case "folder":
            folder = named_path(dataset.source.path_variable, "the folder that holds the DICOM files or zips")
            if not folder.is_dir():
                raise BadInput(folder, "is not a folder", f"set {dataset.source.path_variable} to a folder")
            return folder
    raise BadInput(dataset.name, "does not come from a folder", "choose a dataset whose source is a folder")


def named_path(variable: str, what: str) -> Path:
    """The file or folder that an environment variable names. Raises BadInput: unset, or nothing there."""
    told = os.environ.get(variable)
    if not told:
        raise BadInput(variable, "is not set", f"set it to {what}")
    path = Path(told).expanduser().resolve()
    if not path.exists():
        raise BadInput(path, "there is no such file or folder", f"set {variable} to {what}")
    return path


def _phantoms(source: PhantomSource, sources: Path) -> Path:
    """Generated patients. They are renamed into place when complete, so that half a set is never read."""
    from chestgan_core.sources.phantom.patients import VERSION, write_phantoms

    folder = sources / f"phantom-{VERSION}-{source.patients}x{source.slices}"
    if not folder.is_dir():
        sources.mkdir(parents=True, exist_ok=True)
        # Removed with everything in it when another process was faster with the same files, or when this one fails.
        with tempfile.TemporaryDirectory(prefix=".phantom-", dir=sources) as scratch:
            partial = Path(scratch) / "complete"
            with Progress("phantoms", source.patients * source.slices, "slices") as progress:
                write_phantoms(partial, patients=source.patients, slices=source.slices, progress=progress)
            try:
                partial.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
    return folder
