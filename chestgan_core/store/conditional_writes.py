"""Writes that fail if somebody else was first, and the proof that a server has them.

In: an S3 client, a bucket, a key, the ETag that is expected. Out: the new ETag, or PointerMoved. Pointers and manifests
are safe for several writers only on this. A server that ignores `If-None-Match` and `If-Match` answers as if it obeyed,
so it is tried out once per process and store before the first such write. Where it cannot do it, a folder with a lock
that all writers share takes its place ($CHESTGAN_STORE_LOCK).
"""

import hashlib
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chestgan_core.errors import NotInStore, PointerMoved, StoreError
from chestgan_core.local.environment import path_from_environment
from chestgan_core.local.files import file_lock
from chestgan_core.store.errors import file_errors, from_answer, store_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LOCK = "CHESTGAN_STORE_LOCK"
_NO_SUCH_ETAG = f'"{"0" * 32}"'
_PROBE = b"Written once, to see whether this store obeys If-None-Match and If-Match.\n"
_WITHOUT = (
    f"use a server that has them (AWS, SeaweedFS, MinIO, Ceph), or set {LOCK} to a folder that all who write to this "
    "store share"
)
_UNKNOWN_OPERATION = {"NotImplemented", "501", "MethodNotAllowed", "UnsupportedOperation"}


_proven: set[tuple[str, str, str]] = set()  # the stores of this process that obeyed
_proving = threading.Lock()


def require_conditional_writes(
    client: "S3Client", bucket: str, key: str, arguments: Mapping[str, Any]
) -> None:
    """Prove that the server refuses a conditional write whose condition does not hold; once per process and store.

    key: of one small object that stays in the store, so that the proof is two refused requests from the second time on.
    arguments: more of every request that writes. Raises StoreError: it does not, or the object cannot be written.
    """
    store = (client.meta.endpoint_url, bucket, key)
    with _proving:
        if store in _proven or lock_folder() is not None:
            return
        where = f"s3://{bucket}/{key}"
        with store_errors(where, client.meta.endpoint_url):
            # The first time of all there is no such object, and the condition holds.
            if not any(_is_refused(client, bucket, key, arguments, {"IfNoneMatch": "*"}) for _ in range(2)):
                raise StoreError(where, "the store ignores If-None-Match of a write", _WITHOUT)
            if not _is_refused(client, bucket, key, arguments, {"IfMatch": _NO_SUCH_ETAG}):
                raise StoreError(where, "the store ignores If-Match of a write", _WITHOUT)
        _proven.add(store)


def _is_refused(
    client: "S3Client", bucket: str, key: str, arguments: Mapping[str, Any], condition: Mapping[str, Any]
) -> bool:
    from botocore.exceptions import ClientError

    try:
        _put(client, bucket, key, _PROBE, {**arguments, **condition})
    except ClientError as error:
        if isinstance(from_answer(error, key), PointerMoved):
            return True
        raise
    return False


def _put(client: "S3Client", bucket: str, key: str, data: bytes, arguments: Mapping[str, Any]) -> str:
    """The ETag. Raises StoreError where the server has no conditional writes, and ClientError for other answers."""
    from botocore.exceptions import ClientError

    try:
        return client.put_object(Bucket=bucket, Key=key, Body=data, **arguments)["ETag"]
    except ClientError as error:
        status = error.response["ResponseMetadata"].get("HTTPStatusCode")
        if status == 501 or error.response["Error"].get("Code") in _UNKNOWN_OPERATION:
            where = f"s3://{bucket}/{key}"
            raise StoreError(where, "the store has no conditional writes", _WITHOUT) from error
        raise


def conditional_put(
    client: "S3Client", bucket: str, key: str, data: bytes, expected: str | None, arguments: Mapping[str, Any]
) -> str:
    """Write an object if its ETag is the expected one (None: if there is no object); returns the new ETag.

    Raises PointerMoved, and botocore's ClientError for any other answer.
    """
    from botocore.exceptions import ClientError

    where = f"s3://{bucket}/{key}"
    folder = lock_folder()
    if folder is not None:
        with _locked(folder, key):
            if _etag(client, bucket, key) != expected:
                raise PointerMoved(where, "another writer was first", "read it again and repeat the change")
            return _put(client, bucket, key, data, arguments)
    condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
    try:
        return _put(client, bucket, key, data, {**arguments, **condition})
    except ClientError as error:
        # If-Match of an object that is gone.
        if expected is not None and isinstance(from_answer(error, where), NotInStore):
            cause = "it was deleted meanwhile"
            raise PointerMoved(where, cause, "read it again and repeat the change") from error
        raise


def lock_folder() -> Path | None:
    """$CHESTGAN_STORE_LOCK. Raises BadInput: it is set, and there is no such folder."""
    return path_from_environment(LOCK, "a folder that all who write share") if os.environ.get(LOCK) else None


@contextmanager
def _locked(folder: Path, key: str) -> Iterator[None]:
    with file_errors(folder), file_lock(folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.lock"):
        yield


def _etag(client: "S3Client", bucket: str, key: str) -> str | None:
    from botocore.exceptions import ClientError

    try:
        return client.head_object(Bucket=bucket, Key=key)["ETag"]
    except ClientError as error:
        if isinstance(from_answer(error, key), NotInStore):
            return None
        raise
