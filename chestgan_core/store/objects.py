"""Single objects of an S3 bucket: written whole, verified when they are read.

In: files and bytes with keys relative to a prefix. Out: StoredObject, files and bytes whose sha256 was checked. Every
failure is a StoreError (bucket, key, cause, remedy). store.py builds artefacts and pointers on this.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chestgan_core.errors import BadInput, DamagedObject, NotInStore, StoreError
from chestgan_core.local.environment import choice_from_environment
from chestgan_core.local.files import replacing
from chestgan_core.store import keys
from chestgan_core.store.artefacts import AGAIN, StoredObject, sha256_of
from chestgan_core.store.client import ATTEMPTS, PARALLEL, is_anonymous
from chestgan_core.store.conditional_writes import conditional_put, require_conditional_writes
from chestgan_core.store.errors import VAGUE, file_errors, store_errors

if TYPE_CHECKING:
    from boto3.s3.transfer import S3Transfer
    from botocore.exceptions import ClientError
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef, HeadObjectOutputTypeDef

PART_BYTES = 8 * 2**20
_CHUNK_BYTES = 2**20  # what is written and hashed before it leaves the caches of a processor
COMMITTED = "committed"  # metadata of a manifest: when it was first written, ISO 8601, UTC
# Encryption at the server: AES256 or aws:kms, and the id or ARN of a key (by default the one that AWS keeps for the
# account).
ENCRYPTION, KMS_KEY = "CHESTGAN_S3_ENCRYPTION", "CHESTGAN_S3_KMS_KEY"
_KMS = "aws:kms"


def encryption_arguments() -> dict[str, str]:
    """The arguments for encryption of every request that writes an object; reading needs none.

    Empty where neither variable is set: the bucket's own default applies. Raises BadInput.
    """
    kind, key = choice_from_environment(ENCRYPTION, ("AES256", _KMS)), os.environ.get(KMS_KEY, "")
    if key and kind != _KMS:
        raise BadInput(
            KMS_KEY, f"is set, and {ENCRYPTION} is {kind or 'not'}", f"set {ENCRYPTION}={_KMS}, or no key"
        )
    arguments = {"ServerSideEncryption": kind, "SSEKMSKeyId": key}
    return {name: value for name, value in arguments.items() if value}


class Traffic:
    """Bytes of objects that were transferred, without requests and listings. For any number of threads."""

    def __init__(self) -> None:
        self.bytes_read = self.bytes_written = 0
        self._lock = threading.Lock()

    def read(self, count: int) -> None:
        """Count bytes that were read from the store."""
        with self._lock:
            self.bytes_read += count

    def wrote(self, count: int) -> None:
        """Count bytes that were written to it."""
        with self._lock:
            self.bytes_written += count


@dataclass(frozen=True)
class ObjectStore:
    """The objects below one prefix of one bucket.

    client: shared by all threads. encryption: arguments of every request that writes, as boto3 names them. traffic:
    bytes that this object has transferred.
    """

    client: "S3Client"
    bucket: str
    prefix: str = ""
    encryption: Mapping[str, str] = field(default_factory=encryption_arguments)
    traffic: Traffic = field(default_factory=Traffic, compare=False)

    def uri(self, key: str = "") -> str:
        """The address s3://bucket/prefix/key, for people and for lineage."""
        return f"s3://{self.bucket}/{self._full(key)}".rstrip("/")

    def check(self, prefix: str = "") -> None:
        """Send one small request. Raises StoreError: down, credentials refused, no such bucket.

        prefix: of keys that these credentials may list, where they may not list all.
        """
        try:
            with self._errors_of(prefix):
                self.client.list_objects_v2(Bucket=self.bucket, Prefix=self._full(prefix), MaxKeys=1)
        except NotInStore as error:  # 404 to a listing, without a word of the bucket
            remedy = "correct CHESTGAN_STORE, or AWS_ENDPOINT_URL if this is not the address of the S3 API"
            raise StoreError(self.uri(), "the store has no such bucket", remedy) from error

    def put_file(self, path: Path, key: str, sha256: str = "") -> StoredObject:
        """Write a file, in parallel parts when it is large. The object appears whole or not at all.

        sha256: of the file, where it is known already.
        """
        with self._transfer() as transfer:
            return self._upload(transfer, path, key, sha256)

    def put_bytes(self, data: bytes, key: str) -> StoredObject:
        """Write bytes as one object."""
        item = StoredObject(key, len(data), sha256_of(data))
        with self._errors_of(key):
            self.client.put_object(
                Bucket=self.bucket,
                Key=self._full(key),
                Body=data,
                Metadata={"sha256": item.sha256},
                **self._encrypted(),
            )
        self.traffic.wrote(item.bytes)
        return item

    def get_file(self, key: str, path: Path, sha256: str | None = None) -> StoredObject:
        """Read an object into a file that appears only when its sha256 is right.

        sha256: from a manifest; by default from the object's metadata, where its writer left it.
        Raises NotInStore, DamagedObject, StoreError, BadInput (the file cannot be written).
        """
        if sha256 is None:
            item = self.head(key)
            if item is None:
                raise NotInStore(self.uri(key), "is not in the store", "materialize what writes it")
            sha256 = item.sha256
        with self._transfer() as transfer:
            return self._download(transfer, key, path, sha256)

    def get_bytes(self, key: str, sha256: str | None = None) -> bytes:
        """A small object, verified as get_file does it."""
        return self._read(key, sha256)[0]

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Bytes `start` to `start + length - 1` of an object; length from 1.

        They are not verified: the caller knows the sha256 of the whole, or of what lies there. Raises NotInStore,
        StoreError, DamagedObject (the object ends before).
        """
        data = self._body(key, Range=f"bytes={start}-{start + length - 1}")[0]
        if len(data) != length:
            cause = f"has {len(data)} bytes from {start} on, not {length}: the object is damaged"
            raise DamagedObject(self.uri(key), cause, AGAIN)
        return data

    def range_in_chunks(self, key: str, start: int, length: int) -> Iterator[bytes]:
        """As get_range, a megabyte at a time while it arrives; after a lost connection it goes on where it was."""
        from botocore.exceptions import HTTPClientError, IncompleteReadError
        from urllib3.exceptions import HTTPError

        place, end, left = start, start + length, ATTEMPTS
        with self._errors_of(key):
            while place < end:
                left -= 1
                wanted = f"bytes={place}-{end - 1}"
                answer = self.client.get_object(Bucket=self.bucket, Key=self._full(key), Range=wanted)
                try:
                    while data := answer["Body"].read(min(_CHUNK_BYTES, end - place)):
                        place += len(data)
                        self.traffic.read(len(data))
                        yield data
                except (HTTPClientError, IncompleteReadError, HTTPError, ConnectionError):
                    if not left:
                        raise
                    continue
                if place < end:
                    cause = f"has {place - start} bytes from {start} on, not {length}: the object is damaged"
                    raise DamagedObject(self.uri(key), cause, AGAIN)

    def head(self, key: str) -> StoredObject | None:
        """Size and sha256 of an object; None where there is none."""
        found = self._head(key)
        if found is None:
            self.check(key)  # the answer to HEAD is the same for a missing bucket and a missing object
        return found

    def written_at(self, key: str) -> datetime:
        """When an object was written (UTC). Raises NotInStore.

        This is what its writer noted in the object's metadata, else the server's time of its last change, which copying
        a bucket resets.
        """
        with self._errors_of(key):
            head = self._head_object(key)
        noted = head["Metadata"].get(COMMITTED, "")
        try:
            return datetime.fromisoformat(noted).astimezone(UTC)
        except ValueError:
            return head["LastModified"].astimezone(UTC)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Objects whose key begins with prefix, in the order of their keys, without sha256."""
        for item, _ in self.list_tagged(prefix):
            yield item

    def list_tagged(self, prefix: str = "") -> Iterator[tuple[StoredObject, str]]:
        """As list, with the ETag of each object: another one as soon as other content is written."""
        pages = self.client.get_paginator("list_objects_v2")
        with self._errors_of(prefix):
            for page in pages.paginate(Bucket=self.bucket, Prefix=self._full(prefix)):
                for item in page.get("Contents", []):
                    yield StoredObject(item["Key"].removeprefix(self._full("")), item["Size"]), item["ETag"]

    def delete(self, key: str) -> None:
        """Remove an object; it is not an error if there is none."""
        with self._errors_of(key):
            self.client.delete_object(Bucket=self.bucket, Key=self._full(key))

    def copy(self, source: str, target: str) -> StoredObject:
        """Copy an object of at most 5 GB inside the store, with its metadata; its bytes do not come here.

        The copy appears whole or not at all. Raises NotInStore: there is no source; DamagedObject: the copy is not it.
        """
        item = self._head(source)
        if item is None:
            raise NotInStore(self.uri(source), "is not in the store", "materialize what writes it")
        with self._errors_of(source):
            self.client.copy_object(
                Bucket=self.bucket,
                Key=self._full(target),
                CopySource={"Bucket": self.bucket, "Key": self._full(source)},
                MetadataDirective="COPY",
                **self._encrypted(),
            )
        copied, expected = self._head(target), StoredObject(target, item.bytes, item.sha256)
        if copied != expected:
            raise DamagedObject(self.uri(target), f"is no copy of {self.uri(source)}", AGAIN)
        return expected

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _encrypted(self) -> dict[str, Any]:
        return dict(self.encryption)

    def _errors_of(self, key: str) -> AbstractContextManager[None]:
        return store_errors(self.uri(key), self.client.meta.endpoint_url, is_anonymous(self.client))

    def _transfer(self) -> "S3Transfer":
        """Moves files, several parts at a time, for any number of threads."""
        from boto3.s3.transfer import S3Transfer, TransferConfig

        config = TransferConfig(
            multipart_threshold=2 * PART_BYTES,
            multipart_chunksize=PART_BYTES,
            max_concurrency=PARALLEL,
            num_download_attempts=ATTEMPTS,
        )
        return S3Transfer(client=self.client, config=config)  # type: ignore[arg-type]  # its stub means botocore's

    def _upload(self, transfer: "S3Transfer", path: Path, key: str, sha256: str = "") -> StoredObject:
        with self._errors_of(key), file_errors(path):
            item = StoredObject(key, path.stat().st_size, sha256 or sha256_of(path))
            extra = {"Metadata": {"sha256": item.sha256}, **self._encrypted()}
            transfer.upload_file(str(path), self.bucket, self._full(key), extra_args=extra)
        self.traffic.wrote(item.bytes)
        return item

    def _download(self, transfer: "S3Transfer", key: str, path: Path, sha256: str) -> StoredObject:
        from botocore.exceptions import ClientError

        with self._errors_of(key), file_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not forced to the disk: what lies there is verified before it is used again.
            with replacing(path, durable=False) as part:
                try:
                    transfer.download_file(self.bucket, self._full(key), str(part))
                except ClientError as error:
                    if _is_vague(error):  # it asks with HEAD first
                        self._head_object(key)
                    raise
                item = StoredObject(key, part.stat().st_size, sha256_of(part))
                self._verify(key, item.sha256, sha256)
        self.traffic.read(item.bytes)
        return item

    def _read(self, key: str, sha256: str | None) -> tuple[bytes, str]:
        """Bytes and ETag."""
        data, answer = self._body(key)
        written = answer["Metadata"].get("sha256", "")
        self._verify(key, sha256_of(data), written if sha256 is None else sha256)
        return data, answer["ETag"]

    def _body(self, key: str, **more: Any) -> tuple[bytes, "GetObjectOutputTypeDef"]:
        """Bytes and answer. botocore repeats a request, but not the reading of an answer that breaks off."""
        from botocore.exceptions import HTTPClientError, IncompleteReadError
        from urllib3.exceptions import HTTPError

        with self._errors_of(key):
            for left in reversed(range(ATTEMPTS)):
                answer = self.client.get_object(Bucket=self.bucket, Key=self._full(key), **more)
                try:
                    data = answer["Body"].read()
                    break
                except (HTTPClientError, IncompleteReadError, HTTPError, ConnectionError):
                    if not left:
                        raise
        self.traffic.read(len(data))
        return data, answer

    def _head(self, key: str) -> StoredObject | None:
        try:
            with self._errors_of(key):
                head = self._head_object(key)
        except NotInStore:
            return None
        return StoredObject(key, head["ContentLength"], head["Metadata"].get("sha256", ""))

    def _head_object(self, key: str) -> "HeadObjectOutputTypeDef":
        """Head of an object. The answer to a refused HEAD has no body, so a GET finds out the cause."""
        from botocore.exceptions import ClientError

        try:
            return self.client.head_object(Bucket=self.bucket, Key=self._full(key))
        except ClientError as error:
            if not _is_vague(error):
                raise
            self.client.get_object(Bucket=self.bucket, Key=self._full(key))["Body"].close()
            raise  # the same request goes through with GET: HEAD alone is refused

    def _conditional_put(
        self, key: str, data: bytes, expected: str | None, noted: Mapping[str, str] | None = None
    ) -> str:
        """Write if the object's ETag is the expected one (None: if there is no object). Raises PointerMoved.

        noted: more metadata of the object, which is not in its bytes.
        """
        from botocore.exceptions import ClientError

        require_conditional_writes(
            self.client, self.bucket, self._full(keys.CONDITIONAL_WRITES), self._encrypted()
        )
        arguments = {
            "ContentType": "application/json",
            "Metadata": {"sha256": sha256_of(data), **(noted or {})},
            **self._encrypted(),
        }
        with self._errors_of(key):
            try:
                etag = conditional_put(self.client, self.bucket, self._full(key), data, expected, arguments)
            except ClientError as error:
                # A first attempt whose answer was lost may have been written; the second one is then refused.
                if not error.response["ResponseMetadata"].get("RetryAttempts"):
                    raise
                present, etag = self._read(key, None)
                if present != data:
                    raise
        self.traffic.wrote(len(data))
        return etag

    def _verify(self, key: str, found: str, expected: str) -> None:
        if expected and found != expected:
            cause = f"sha256 is {found[:12]}..., should be {expected[:12]}...: the object is damaged"
            raise DamagedObject(self.uri(key), cause, AGAIN)


def _is_vague(error: "ClientError") -> bool:
    """Whether an answer without a body says only that something is wrong."""
    code = error.response.get("Error", {}).get("Code", "")
    return code != "404" and VAGUE.fullmatch(code) is not None
