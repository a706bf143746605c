"""Delete objects for good: their older versions too, and uploads that were never finished.

In: keys, prefixes. Out: nothing is left that a listing of versions would show. A delete in a bucket with versioning
only hides: every object keeps all it ever was. A lock or retention rule of the bucket makes this fail, by its design;
copies by replication or backup are out of reach.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from chestgan_core.errors import StoreError
from chestgan_core.store.client import PARALLEL
from chestgan_core.store.errors import store_errors
from chestgan_core.store.store import Store

Versioning = Literal["none", "kept", "unknown"]
_REFUSES = "grant s3:ListBucketVersions and s3:DeleteObjectVersion, end the object's retention, and run again"


@dataclass(frozen=True)
class _Version:
    key: str
    version: str


def versioning_of(store: Store) -> Versioning:
    """Whether the bucket keeps what is deleted. unknown: the server does not say, or these keys may not ask."""
    from botocore.exceptions import ClientError

    with store_errors(store.uri(), store.client.meta.endpoint_url):
        try:
            answer = store.client.get_bucket_versioning(Bucket=store.bucket)
        except ClientError:
            return "unknown"
    # A bucket whose versioning was suspended still has the versions of before.
    return "kept" if answer.get("Status") in ("Enabled", "Suspended") else "none"


def erase(store: Store, keys: Iterable[str], versioning: Versioning) -> None:
    """Delete objects with all their versions. Not an error if there is none. Raises StoreError."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        for _ in pool.map(lambda key: _erase(store, key, versioning), keys):
            pass


def erase_older(store: Store, keys: Iterable[str], versioning: Versioning) -> None:
    """Delete what objects were before: all versions but the present one. Raises StoreError."""
    if versioning == "kept":
        for key in keys:
            _delete(store, [one for one, latest in _versions(store, key) if one.key == key and not latest])


def erase_below(store: Store, prefix: str, versioning: Versioning) -> None:
    """Delete everything whose key begins with a prefix, with its versions, and end unfinished uploads to it."""
    erase(store, [item.key for item in store.list(prefix)], "none")
    if versioning == "kept":
        _delete(store, [one for one, _ in _versions(store, prefix)])
    for key, upload in unfinished_uploads(store, prefix):
        with store_errors(store.uri(key), store.client.meta.endpoint_url):
            store.client.abort_multipart_upload(Bucket=store.bucket, Key=_full(store, key), UploadId=upload)


def hidden_below(store: Store, prefix: str, versioning: Versioning) -> list[str]:
    """Keys below a prefix of which versions are kept, though they were deleted; and of unfinished uploads."""
    found = {key for key, _ in unfinished_uploads(store, prefix)}
    if versioning == "kept":
        present = {item.key for item in store.list(prefix)}
        found |= {one.key for one, _ in _versions(store, prefix)} - present
    return sorted(found)


def unfinished_uploads(store: Store, prefix: str) -> list[tuple[str, str]]:
    """Key and id of each upload in parts that was begun below a prefix and not finished: its parts are kept."""
    from botocore.exceptions import ClientError

    with store_errors(store.uri(prefix), store.client.meta.endpoint_url):
        pages = store.client.get_paginator("list_multipart_uploads")
        try:
            return [
                (_relative(store, one["Key"]), one["UploadId"])
                for page in pages.paginate(Bucket=store.bucket, Prefix=_full(store, prefix))
                for one in page.get("Uploads", [])
            ]
        except ClientError as error:
            if error.response["ResponseMetadata"].get("HTTPStatusCode") in (403, 404, 405, 501):
                return []  # the server has no such list, or these keys may not see it
            raise


def _erase(store: Store, key: str, versioning: Versioning) -> None:
    if versioning == "kept":
        _delete(store, [one for one, _ in _versions(store, key) if one.key == key])
    else:
        store.delete(key)


def _versions(store: Store, prefix: str) -> Iterator[tuple[_Version, bool]]:
    """Every version and delete marker below a prefix, and whether it is what readers see."""
    pages = store.client.get_paginator("list_object_versions")
    with store_errors(store.uri(prefix), store.client.meta.endpoint_url):
        for page in pages.paginate(Bucket=store.bucket, Prefix=_full(store, prefix)):
            listed: list[Any] = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            for one in listed:
                yield _Version(_relative(store, one["Key"]), one["VersionId"]), bool(one.get("IsLatest"))


def _delete(store: Store, versions: Iterable[_Version]) -> None:
    for one in list(versions):
        with store_errors(store.uri(one.key), store.client.meta.endpoint_url):
            store.client.delete_object(Bucket=store.bucket, Key=_full(store, one.key), VersionId=one.version)


def require_erasable(store: Store, versioning: Versioning, prefix: str) -> None:
    """Where versions are kept, try the list of them before anything is deleted. Raises StoreError."""
    if versioning != "kept":
        return
    try:
        next(_versions(store, prefix), None)
    except StoreError as error:
        cause = f"keeps all versions of its objects, and their list is refused ({error.cause})"
        raise StoreError(store.uri(), cause, _REFUSES) from error


def _full(store: Store, key: str) -> str:
    return f"{store.prefix}/{key}" if store.prefix else key


def _relative(store: Store, key: str) -> str:
    return key.removeprefix(f"{store.prefix}/") if store.prefix else key
