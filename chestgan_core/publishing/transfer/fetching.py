"""Fetch a published set.

In: a store and the name of a set. Out: a folder in which every file has the sha256 that the manifest names.
"""

from pathlib import Path

from chestgan_core.errors import DamagedObject
from chestgan_core.local.files import is_regular, replacing, require_space
from chestgan_core.local.output import output_folder, require_output_folder
from chestgan_core.local.progress import ByteProgress
from chestgan_core.publishing.reader.set_folder import MANIFEST, SetFolder, parse_set
from chestgan_core.publishing.versions.finding import find_set
from chestgan_core.publishing.versions.status import require_usable
from chestgan_core.store.parts import Wanted, fetch_in_parts
from chestgan_core.store.store import Store

KIND = "the set"


def fetch_set(store: Store, name: str, version: str | None, folder: Path) -> SetFolder:
    """Download a set into a folder and verify it. Files that are there and intact are not downloaded again.

    The manifest is written last, so a folder whose download was interrupted is not a set; the same call resumes, at the
    part of a file where it was. Of a deprecated version a warning is logged.

    Args:
        store: The store.
        name: The set, for instance `demo`.
        version: 16 hex digits; None for the version that was published last.
        folder: Is made where it is missing.

    Returns:
        The complete set on disk.

    Raises:
        NotInStore: There is no such set or version; the message names the nearest.
        SetWithdrawn: The version was withdrawn; says why, and what to use instead.
        BadInput: The folder holds another set or version, or files that are not of one.
        DiskFull: Its disk has no room for the set.
        DamagedObject: A file in the store is not what the manifest says.
        StoreError: The store refused, or did not answer.

    Examples:
        >>> from pathlib import Path
        >>> from chestgan_core.publishing.transfer.fetching import fetch_set
        >>> from chestgan_core.store.store import Store
        >>> fetched = fetch_set(Store.open(), "demo", None, Path("demo-set"))
        >>> fetched.images, fetched.facts.window.ends  # HU of level 0 and of the highest
        (20, (-1350.0, 150.0))
    """
    artefact, version = find_set(store, name, version)
    require_usable(store, name, version)
    require_output_folder(folder, KIND, f"{name} {version}")
    manifest, where = (
        store.get_bytes(artefact.manifest_key, sha256=artefact.sha256),
        store.uri(artefact.manifest_key),
    )
    fetched = parse_set(manifest, folder, where)
    if (fetched.facts.name, fetched.version) != (name, version):
        raise DamagedObject(where, "is the manifest of another set or version", "ask whoever published it")
    wanted = [Wanted(item, fetched.file(item)) for item in fetched.objects]
    missing = sum(one.item.bytes for one in wanted if not is_regular(one.path))
    require_space([(folder, missing, "give a folder on another disk")])
    # Another process that downloads the same into the same folder (open_set does, in the cache) is waited for.
    with (
        output_folder(folder, KIND, f"{name} {version}", wait=True),
        ByteProgress(f"fetch  {name} {version}", fetched.bytes) as progress,
    ):
        fetch_in_parts(store, wanted, progress)
        with replacing(folder / MANIFEST) as path:
            path.write_bytes(manifest)
    return fetched
