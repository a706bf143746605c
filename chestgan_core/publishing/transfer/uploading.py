"""Upload a synthetic set into a store, where others find it.

In: the folder of a set. Out: `synthetic/<set>/<version>/`, its line in the index, and the pointer to the newest
version.
"""

from dataclasses import dataclass

from chestgan_core.errors import DamagedObject
from chestgan_core.local.files import is_regular
from chestgan_core.local.progress import Progress
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.versions.index import add_to_index, read_entry
from chestgan_core.publishing.versions.status import begin_status
from chestgan_core.store import keys
from chestgan_core.store.artefacts import folder_of, sha256_of
from chestgan_core.store.store import Store


@dataclass(frozen=True)
class PublishedSet:
    """uri: address that open_set takes. bytes: size of all files."""

    name: str
    version: str
    uri: str
    images: int
    bytes: int


def publish_set(store: Store, ready: SetFolder) -> PublishedSet:
    """Upload a set, list it in the index, and make it the newest version of its name.

    The manifest is uploaded last: until then nobody can fetch the set. Publishing it again changes nothing; an older
    version that is published again becomes the newest.

    Args:
        store: Where to publish. Its keys need the right to write below `synthetic/`.
        ready: A complete set on disk, from `write_set` or `fetch_set`.

    Returns:
        The name, version (16 hex digits), `s3://` address, number of images and size in bytes.

    Raises:
        DamagedObject: A file is not what the manifest of the folder says. Nothing has been uploaded.
        SetWithdrawn: This version was withdrawn. Nothing has been uploaded.
        StoreError: The store refused, or did not answer. The same call resumes the upload.

    Examples:
        >>> from pathlib import Path
        >>> from chestgan_core.publishing.reader.set_folder import read_set_folder
        >>> from chestgan_core.publishing.transfer.uploading import publish_set
        >>> from chestgan_core.store.store import Store
        >>> published = publish_set(Store.open(), read_set_folder(Path("demo-set")))
        >>> published.name, published.images
        ('demo', 20)
    """
    for item in ready.objects:
        if not is_regular(ready.file(item)) or sha256_of(ready.file(item)) != item.sha256:
            raise DamagedObject(ready.file(item), "is not what the manifest says", "write the set again")
    begin_status(store, ready.facts.name, ready.version)
    files = {ready.name(item): ready.file(item) for item in ready.objects}
    fields = {name: value for name, value in ready.manifest.items() if name != "objects"}
    with Progress(f"publish  {ready.facts.name}", total=len(files), unit="files") as progress:
        store.commit(ready.manifest_key, files, fields, progress=progress, plain_keys=True)
    return announce(store, ready)


def announce(store: Store, ready: SetFolder) -> PublishedSet:
    """List a committed set in the index, and make it the newest version of its name."""
    add_to_index(store, read_entry(store, ready.manifest_key))
    store.update_pointer(keys.set_latest(ready.facts.name), {"version": ready.version})
    uri = store.uri(folder_of(ready.manifest_key)).rstrip("/")
    return PublishedSet(ready.facts.name, ready.version, uri, ready.images, ready.bytes)
