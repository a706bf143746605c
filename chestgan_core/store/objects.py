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
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.local.environment import choice_from_environment
from chestgan_core.local.files import replacing
from chestgan_core.store.artefacts import AGAIN, StoredObject, sha256_of
from chestgan_core.store.errors import file_errors, store_errors

if TYPE_CHECKING:
    import botocore.loaders
    from boto3.s3.transfer import S3Transfer
    from mypy_boto3_s3 import S3Client

PART_BYTES = 8 * 2**20
PARALLEL = 8
COMMITTED = "committed"  # metadata of a manifest: when it was first written, ISO 8601, UTC
_ATTEMPTS = 3
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


@dataclass(frozen=True)
class Access:
    """An S3 server (URL) and the credentials for it."""

    endpoint: str
    key: str
    secret: str = field(repr=False)
    region: str = "us-east-1"


def s3_client(
    access: Access | None = None, attempts: int = _ATTEMPTS, answer_within: float = 10
) -> "S3Client":
    """A boto3 client that reports a store that is down within about 10 s, all attempts together.

    answer_within: seconds of one attempt, after at most 2.5 for the connection. access: by default what AWS tools use
    (environment, profile, role).
    """
    import botocore.session
    from botocore.config import Config

    from_environment = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    endpoint = access.endpoint if access else from_environment or ""
    config = Config(
        connect_timeout=2.5,
        read_timeout=answer_within,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=2 * PARALLEL,
        # Servers other than AWS seldom have a DNS name for each bucket.
        s3={"addressing_style": "path" if endpoint else "auto"},
        # A company's proxy cannot reach this machine.
        proxies={} if urlsplit(endpoint).hostname in ("127.0.0.1", "localhost", "::1") else None,
    )
    # Credentials and profile are read anew each time, what S3 can do only once.
    session = botocore.session.get_session()
    session.register_component("data_loader", _service_descriptions())
    if access is None:
        return cast("S3Client", session.create_client("s3", config=config))
    client = session.create_client(
        "s3",
        endpoint_url=access.endpoint,
        aws_access_key_id=access.key,
        aws_secret_access_key=access.secret,
        region_name=access.region,
        config=config,
    )
    return cast("S3Client", client)


@cache
def _service_descriptions() -> "botocore.loaders.Loader":
    """What botocore knows of services. To read that of S3 takes 80 ms, and a daemon opens the store at each tick."""
    import botocore.loaders

    return botocore.loaders.create_loader()


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

    def check(self) -> None:
        """Send one small request. Raises StoreError: down, credentials refused, no such bucket."""
        with self._errors_of(""):
            self.client.list_objects_v2(Bucket=self.bucket, Prefix=self._full(""), MaxKeys=1)

    def put_file(self, path: Path, key: str) -> StoredObject:
        """Write a file, in parallel parts when it is large. The object appears whole or not at all."""
        with self._transfer() as transfer:
            return self._upload(transfer, path, key)

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

    def head(self, key: str) -> StoredObject | None:
        """Size and sha256 of an object; None where there is none."""
        found = self._head(key)
        if found is None:
            self.check()  # the answer to HEAD is the same for a missing bucket and a missing object
        return found

    def written_at(self, key: str) -> datetime:
        """When an object was written (UTC). Raises NotInStore.

        This is what its writer noted in the object's metadata, else the server's time of its last change, which copying
        a bucket resets.
        """
        with self._errors_of(key):
            head = self.client.head_object(Bucket=self.bucket, Key=self._full(key))
        noted = head["Metadata"].get(COMMITTED, "")
        try:
            return datetime.fromisoformat(noted).astimezone(UTC)
        except ValueError:
            return head["LastModified"].astimezone(UTC)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Objects whose key begins with prefix, in the order of their keys, without sha256."""
        pages = self.client.get_paginator("list_objects_v2")
        with self._errors_of(prefix):
            for page in pages.paginate(Bucket=self.bucket, Prefix=self._full(prefix)):
                for item in page.get("Contents", []):
                    yield StoredObject(item["Key"].removeprefix(self._full("")), item["Size"])

    def delete(self, key: str) -> None:
        """Remove an object; it is not an error if there is none."""
        with self._errors_of(key):
            self.client.delete_object(Bucket=self.bucket, Key=self._full(key))

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _encrypted(self) -> dict[str, Any]:
        return dict(self.encryption)

    def _errors_of(self, key: str) -> AbstractContextManager[None]:
        return store_errors(self.uri(key), self.client.meta.endpoint_url)

    def _transfer(self) -> "S3Transfer":
        """Moves files, several parts at a time, for any number of threads."""
        from boto3.s3.transfer import S3Transfer, TransferConfig

        config = TransferConfig(
            multipart_threshold=2 * PART_BYTES,
            multipart_chunksize=PART_BYTES,
            max_concurrency=PARALLEL,
            num_download_attempts=_ATTEMPTS,
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
        with self._errors_of(key), file_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not forced to the disk: what lies there is verified before it is used again.
            with replacing(path, durable=False) as part:
                transfer.download_file(self.bucket, self._full(key), str(part))
                item = StoredObject(key, part.stat().st_size, sha256_of(part))
                self._verify(key, item.sha256, sha256)
        self.traffic.read(item.bytes)
        return item

    def _read(self, key: str, sha256: str | None) -> tuple[bytes, str]:
        """Bytes and ETag. botocore repeats a request, but not the reading of an answer that breaks off."""
        from botocore.exceptions import HTTPClientError, IncompleteReadError
        from urllib3.exceptions import HTTPError

        with self._errors_of(key):
            for left in reversed(range(_ATTEMPTS)):
                answer = self.client.get_object(Bucket=self.bucket, Key=self._full(key))
                try:
                    data = answer["Body"].read()
                    break
                except (HTTPClientError, IncompleteReadError, HTTPError, ConnectionError):
                    if not left:
                        raise
        self.traffic.read(len(data))
        written = answer["Metadata"].get("sha256", "")
        self._verify(key, sha256_of(data), written if sha256 is None else sha256)
        return data, answer["ETag"]

    def _head(self, key: str) -> StoredObject | None:
        try:
            with self._errors_of(key):
                head = self.client.head_object(Bucket=self.bucket, Key=self._full(key))
        except NotInStore:
            return None
        return StoredObject(key, head["ContentLength"], head["Metadata"].get("sha256", ""))

    def _conditional_put(
        self, key: str, data: bytes, expected: str | None, noted: Mapping[str, str] | None = None
    ) -> str:
        """Write if the object's ETag is the expected one (None: if there is no object). Raises PointerMoved.

        noted: more metadata of the object, which is not in its bytes.
        """
        from botocore.exceptions import ClientError

        condition: dict[str, Any] = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        with self._errors_of(key):
            try:
                etag = self.client.put_object(
                    Bucket=self.bucket,
                    Key=self._full(key),
                    Body=data,
                    ContentType="application/json",
                    Metadata={"sha256": sha256_of(data), **(noted or {})},
                    **self._encrypted(),
                    **condition,
                )["ETag"]
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
