"""A synthetic set on disk, read with NumPy and Pillow; where there is torch, as a torch Dataset too.

This package and what it imports are also the distribution `chestgan-reader`. So it needs no other library, and
of the project only errors, files and windows.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from chestgan_core.publishing.reader.set_reader import SetReader
    from chestgan_core.publishing.reader.torch_dataset import SyntheticSet


def read_set(folder: str | Path) -> "SetReader":
    """The images of a fetched set by number, as NumPy arrays. Raises BadInput (no set), DamagedObject."""
    from chestgan_core.publishing.reader.set_folder import read_set_folder
    from chestgan_core.publishing.reader.set_reader import SetReader

    return SetReader(read_set_folder(Path(folder)))


def open_set(
    folder: str | Path,
    transform: "Callable[[Tensor], Any] | None" = None,
    target_transform: Callable[[Any], Any] | None = None,
) -> "SyntheticSet":
    """A fetched set as a torch Dataset, see SyntheticSet. Raises BadInput (no set), DamagedObject, NotAvailable."""
    from chestgan_core.errors import NotAvailable
    from chestgan_core.publishing.reader.set_folder import read_set_folder

    try:
        from chestgan_core.publishing.reader.torch_dataset import SyntheticSet
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise NotAvailable(
            "torch", "is not installed", "pip install 'chestgan-reader[torch]', or use read_set"
        ) from None

    return SyntheticSet(read_set_folder(Path(folder)), transform, target_transform)
