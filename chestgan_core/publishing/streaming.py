"""Stream a set from its store, or from a folder, without fetching it.

In: an s3:// address, or a folder. Out: a torch IterableDataset that reads ranges of the tars while it is used.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.local.files import file_error, open_regular
from chestgan_core.local.home import home
from chestgan_core.publishing.opening import parse_address
from chestgan_core.publishing.reader.set_folder import parse_set, read_set_folder
from chestgan_core.publishing.versions.finding import newest_version
from chestgan_core.publishing.versions.status import require_usable
from chestgan_core.store import keys
from chestgan_core.store.embedded import open_store_at

if TYPE_CHECKING:
    from torch import Tensor

    from chestgan_core.publishing.reader.stream import ReadRange
    from chestgan_core.publishing.reader.torch_stream import OpenSource, StreamedSet


def stream_set(
    where: str | Path,
    shuffle_buffer: int = 0,
    seed: int = 0,
    transform: "Callable[[Tensor], Any] | None" = None,
    target_transform: Callable[[Any], Any] | None = None,
    rank: tuple[int, int] | None = None,
) -> "StreamedSet":
    """Open a set as a torch IterableDataset that reads while it is used, with the memory of some megabytes.

    Args:
        where: As of open_set: an s3:// address, or the folder of a fetched set.
        shuffle_buffer: Images held from which the next one is drawn; 0 keeps the order of the set.
        seed: Of the order; `set_epoch` of what is returned changes it from epoch to epoch.
        transform: Of each image: gets (1, H, W) float32 in [-1, 1].
        target_transform: Of each label: gets `index`, `seed`, `class`, `boxes`, `position`, `sha256` and
            `file`.
        rank: Number of this process and count of all that divide the images; by default that of torch.distributed.

    Returns:
        The set: an iterable of images and labels. Workers of a DataLoader divide the images among them.

    Raises:
        BadInput: Neither a folder with a complete set nor the address of one.
        NotInStore: There is no such set or version.
        SetWithdrawn: The version was withdrawn.
        DamagedObject: The manifest is not that of a set; while it is read: an image or a tar is not as published.
        StoreError: The store refused, or did not answer; a request is repeated before.

    Examples:
        >>> from chestgan_core.publishing import stream_set
        >>> from torch.utils.data import DataLoader
        >>> images = stream_set("demo-set", shuffle_buffer=100)
        >>> batch, labels = next(iter(DataLoader(images, batch_size=16)))
        >>> batch.shape
        torch.Size([16, 1, 64, 64])
    """
    from chestgan_core.publishing.reader.torch_stream import StreamedSet

    if str(where).startswith("s3://"):
        root, name, version = parse_address(str(where))
        with open_store_at(root, home()) as store:
            version = version or newest_version(store, name)
            require_usable(store, name, version)
            key = keys.set_manifest(name, version)
            manifest = parse_set(store.get_bytes(key), Path(), store.uri(key))
            if manifest.manifest_key != key:
                cause = "is the manifest of another set or version"
                raise DamagedObject(store.uri(key), cause, "ask whoever published it")
        source: OpenSource = partial(_ranges_of_store, root, key.removesuffix(keys.MANIFEST))
    elif (folder := Path(where)).is_dir():
        manifest = read_set_folder(folder)
        source = partial(_ranges_of_folder, folder)
    else:
        cause = "is neither a folder nor an s3:// address"
        raise BadInput(where, cause, "give s3://bucket/prefix/synthetic/NAME, or a fetched set")
    return StreamedSet(manifest, source, shuffle_buffer, seed, transform, target_transform, rank)


@contextmanager
def _ranges_of_store(root: str, place: str) -> Iterator["ReadRange"]:
    """Of a store that is opened here: a client of S3 neither pickles nor survives a fork."""
    with open_store_at(root, home()) as store:
        yield lambda name, start, count: store.get_range(place + name, start, count)


@contextmanager
def _ranges_of_folder(folder: Path) -> Iterator["ReadRange"]:
    yield partial(_read_range, folder)


def _read_range(folder: Path, name: str, start: int, count: int) -> bytes:
    path = folder / name
    try:
        with open_regular(path) as file:
            file.seek(start)
            data = file.read(count)
    except OSError as error:
        raise file_error(path, error) from error
    if len(data) != count:
        raise DamagedObject(path, "is shorter than the manifest says", "fetch the set again")
    return data
