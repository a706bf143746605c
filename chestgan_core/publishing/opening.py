"""Open a synthetic set, wherever it is.

In: the folder of a fetched set, or its s3:// address, which is fetched into a cache first. Out: a torch Dataset.
"""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from chestgan_core.errors import BadInput
from chestgan_core.local.home import home
from chestgan_core.publishing.reader.set_folder import SetFolder, read_set_folder
from chestgan_core.store import keys

if TYPE_CHECKING:
    from torch import Tensor

    from chestgan_core.publishing.on_demand import GeneratedSet
    from chestgan_core.publishing.reader.torch_dataset import SyntheticSet

_VERSION = re.compile("[0-9a-f]{16}")


@overload
def open_set(
    where: str | Path,
    cache: str | Path | None = None,
    transform: "Callable[[Tensor], Any] | None" = None,
    target_transform: Callable[[Any], Any] | None = None,
    anonymous: bool = False,
) -> "SyntheticSet": ...
@overload
def open_set(
    where: str | Path,
    cache: str | Path | None = None,
    transform: "Callable[[Tensor], Any] | None" = None,
    target_transform: Callable[[Any], Any] | None = None,
    anonymous: bool = False,
    *,
    seeds: Sequence[int],
    device: str = "auto",
) -> "GeneratedSet": ...
def open_set(
    where: str | Path,
    cache: str | Path | None = None,
    transform: "Callable[[Tensor], Any] | None" = None,
    target_transform: Callable[[Any], Any] | None = None,
    anonymous: bool = False,
    seeds: Sequence[int] | None = None,
    device: str = "auto",
) -> "SyntheticSet | GeneratedSet":
    """Open a set as a torch Dataset.

    Args:
        where: The folder of a fetched set, or `s3://bucket/prefix/synthetic/NAME[/VERSION]` (without a version, the one
            that was published last), as publishing printed it. A set in the store is downloaded and verified first; a
            second call downloads nothing. The store is that of the environment; where CHESTGAN_STORE is not set, an
            address in the bucket of the embedded store is found there, as `chestgan sets` finds it.
        cache: Where to put what is downloaded; by default `chestgan/sets` in the user's cache folder.
        transform: Of each image, as in torchvision's datasets: gets (1, H, W) float32 in [-1, 1].
        target_transform: Of each label: gets `index`, `seed`, `class`, `boxes`, `position`, `sha256` and
            `file`.
        anonymous: Use no key, for a bucket that everybody may read.
        seeds: Make the images of these seeds, 0 to 2^32 - 1, from the generator of the set, in place of its published
            images: `range(10**6)`. The set must hold its generator.
        device: That makes them: auto, cpu, cuda, mps or xpu.

    Returns:
        The set. Item k is an image, (1, H, W) float32 in [-1, 1], and its label; `hounsfield(k)` is in HU. With seeds a
        GeneratedSet, whose `equality` says how published images come out on this machine.

    Raises:
        BadInput: Neither a folder with a complete set nor the address of one.
        NotInStore: There is no such set or version; the message names the nearest.
        SetWithdrawn: The version in the store was withdrawn; says why, and what to use instead.
        DamagedObject: A file is not what the manifest says.
        StoreError: The store refused, or did not answer.

    Examples:
        >>> from chestgan_core.publishing import open_set
        >>> images = open_set("demo-set")
        >>> len(images), images.facts.resolution  # images, pixels
        (20, 64)
        >>> image, label = images[0]
        >>> image.shape, bool((-1 <= image).all() and (image <= 1).all())
        (torch.Size([1, 64, 64]), True)
        >>> low, high = images.facts.window.ends  # HU
        >>> hounsfield = images.hounsfield(0)  # (64, 64) int16, HU
        >>> bool((low <= hounsfield).all() and (hounsfield <= high).all())
        True
    """
    # Here, so that everything else in this file can be used where there is no torch.
    from chestgan_core.publishing.reader.torch_dataset import SyntheticSet

    folder = _local_folder(where, cache, anonymous)
    if seeds is None:
        return SyntheticSet(folder, transform, target_transform)
    from chestgan_core.publishing.on_demand import GeneratedSet

    return GeneratedSet(folder, seeds, device, transform, target_transform)


def _local_folder(where: str | Path, cache: str | Path | None, anonymous: bool) -> SetFolder:
    if str(where).startswith("s3://"):
        # Here, so that a folder opens without waiting for boto3.
        from chestgan_core.publishing.transfer.cache import fetch_into_cache
        from chestgan_core.store.embedded import open_store_at

        root, name, version = parse_address(str(where))
        with open_store_at(root, home(), anonymous=anonymous) as store:
            return fetch_into_cache(store, name, version, cache)
    folder = Path(where)
    if not folder.is_dir():
        cause = "is neither a folder nor an s3:// address"
        raise BadInput(where, cause, "fetch the set: chestgan sets fetch NAME")
    return read_set_folder(folder)


def parse_address(uri: str) -> tuple[str, str, str | None]:
    """Root of the store, name and version in the address of a set."""
    # A prefix may have a part `synthetic`, and a set that name: what fits $CHESTGAN_STORE, then what ends in a version.
    parts = uri.removeprefix("s3://").rstrip("/").split("/")
    found = [
        ("s3://" + "/".join(parts[:at]), parts[at + 1 :])
        for at in (len(parts) - 2, len(parts) - 3)
        if at >= 1 and parts[at] == "synthetic"
    ]
    ours = os.environ.get("CHESTGAN_STORE", "").rstrip("/")
    found.sort(key=lambda one: (one[0] != ours, not (len(one[1]) == 2 and _VERSION.fullmatch(one[1][1]))))
    if found:
        root, names = found[0]
        name, *version = map(keys.checked_name, names)
        return root, name, version[0] if version else None
    raise BadInput(
        uri, "is not the address of a set", "use s3://bucket/prefix/synthetic/NAME or .../NAME/VERSION"
    )
