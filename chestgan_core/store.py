"""The object store: S3 and nothing else, on a laptop too.

In: files, bytes and JSON with keys relative to the prefix of CHESTGAN_STORE (s3://bucket/prefix). Out: verified
files and bytes, committed artefacts, moved pointers. Every failure is a StoreError (bucket, key, cause, remedy).

Two rules keep readers safe. An artefact exists when its manifest does, and the manifest is written last. A pointer
is only changed by whoever has seen its present value (conditional put).
"""

import os
import random
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from chestgan_core.artefacts import (
    Artefact,
    StoredObject,
    canonical_json,
    folder_of,
    parse_json,
    parse_manifest,
    sha256_of,
)
from chestgan_core.errors import BadInput, DamagedObject, NotInStore, PointerMoved, StoreError
from chestgan_core.progress import Progress
from chestgan_core.store_errors import explained, explained_file

if TYPE_CHECKING:
    from boto3.s3.transfer import S3Transfer
    from mypy_boto3_s3 import S3Client

PART_BYTES = 8 * 2**20
_PARALLEL = 8
_ATTEMPTS = 3
_PATIENCE = 40  # tries of a contended pointer


@dataclass(frozen=True)
class Store:
    """One bucket and prefix. client: an S3 client, shared by all threads; use Store.open."""

    client: "S3Client"
    bucket: str
    prefix: str = ""

    @classmethod
    def open(cls, uri: str | None = None) -> Self:
        """The store at s3://bucket/prefix, by default that of $CHESTGAN_STORE. Sends no request yet.

        Credentials, region and endpoint come from where AWS tools look for them (environment, profile, role).
        Raises BadInput (no address, not S3) and StoreError (a profile that does not exist).
        """
        import boto3
        from botocore.config import Config

        uri = os.environ.get("CHESTGAN_STORE", "") if uri is None else uri
        bucket, prefix = _parse_uri(uri)
        own_endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        config = Config(
            # A store that is down is reported after about 10 s, all attempts together.
            connect_timeout=2.5,
            read_timeout=10,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            max_pool_connections=2 * _PARALLEL,
            # Servers other than AWS seldom have a DNS name for each bucket.
            s3={"addressing_style": "path" if own_endpoint else "auto"},
            # A broken CHESTGAN_STORE must not end in a request to a proxy or to another region's bucket.
            user_agent_extra="chestgan",
        )
        with explained(f"s3://{bucket}/{prefix}", own_endpoint or ""):
            client = boto3.session.Session().client("s3", config=config)
        return cls(client, bucket, prefix)

    def uri(self, key: str = "") -> str:
        """s3://bucket/prefix/key: what people and lineage see."""
        return f"s3://{self.bucket}/{self._full(key)}".rstrip("/")

    def check(self) -> None:
        """One small request. Raises StoreError when the store is down, refuses the key or has no such bucket."""
        with self._explained(""):
            self.client.list_objects_v2(Bucket=self.bucket, Prefix=self._full(""), MaxKeys=1)

    # Objects

    def put_file(self, path: Path, key: str) -> StoredObject:
        """Writes a file, in parallel parts when it is large. The object appears whole or not at all."""
        with self._transfer() as transfer:
            return self._upload(transfer, path, key)

    def put_bytes(self, data: bytes, key: str, content_type: str | None = None) -> StoredObject:
        """Writes bytes as one object. content_type: MIME type, for browsers."""
        item = StoredObject(key, len(data), sha256_of(data))
        kind = {"ContentType": content_type} if content_type else {}
        with self._explained(key):
            self.client.put_object(
                Bucket=self.bucket, Key=self._full(key), Body=data, Metadata={"sha256": item.sha256}, **kind
            )
        return item

    def get_file(self, key: str, path: Path, sha256: str | None = None) -> StoredObject:
        """Reads an object into a file that appears only when its sha256 is right.

        sha256: what a manifest says; by default what the writer left in the object's metadata.
        Raises NotInStore, DamagedObject, StoreError, BadInput (the file cannot be written).
        """
        item = self.head(key)
        if item is None:
            raise NotInStore(self.uri(key), "is not in the store", "materialize what writes it, or check the name")
        with self._transfer() as transfer:
            return self._download(transfer, key, path, item.sha256 if sha256 is None else sha256)

    def get_bytes(self, key: str, sha256: str | None = None) -> bytes:
        """A small object, verified as get_file does it."""
        return self._read(key, sha256)[0]

    def head(self, key: str) -> StoredObject | None:
        """What the store says about an object, None when there is none."""
        found = self._head(key)
        if found is None:
            self.check()  # A HEAD does not tell a missing bucket from a missing object.
        return found

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Objects whose key begins with prefix, by key, without sha256."""
        pages = self.client.get_paginator("list_objects_v2")
        with self._explained(prefix):
            for page in pages.paginate(Bucket=self.bucket, Prefix=self._full(prefix)):
                for told in page.get("Contents", []):
                    yield StoredObject(told["Key"].removeprefix(self._full("")), told["Size"])

    def delete(self, key: str) -> None:
        """Removes an object; one that is not there is no error."""
        with self._explained(key):
            self.client.delete_object(Bucket=self.bucket, Key=self._full(key))

    # Artefacts

    def commit(
        self,
        manifest_key: str,
        files: Mapping[str, Path | bytes],
        manifest: Mapping[str, Any],
        prefix: str | None = None,
        progress: Progress | None = None,
    ) -> Artefact:
        """Writes objects in parallel, then the manifest that makes them an artefact.

        files: name -> content; the key is prefix/name, by default in the folder of manifest_key. manifest: "kind"
        and whatever a reader should know, without times (the same content must give the same bytes).
        Objects that an interrupted commit left, and a manifest that is there already, are kept: committing again
        sends only what is missing. progress: one step an object.
        Raises StoreError when manifest_key holds a different artefact (artefacts never change).
        """
        folder = folder_of(manifest_key) if prefix is None else prefix.rstrip("/") + "/"
        with ThreadPoolExecutor(_PARALLEL) as pool:
            items = _gather(pool, {n: (lambda n=n, c=c: _describe(folder + n, c)) for n, c in files.items()})
        objects = [vars(item) for item in sorted(items.values(), key=lambda item: item.key)]
        data = canonical_json({**manifest, "objects": objects})
        artefact = parse_manifest(manifest_key, data, self.uri(manifest_key))
        present = self._present(manifest_key)
        if present is not None and present != data:
            raise self._occupied(manifest_key)
        with self._transfer() as transfer, ThreadPoolExecutor(_PARALLEL) as pool:
            jobs = {name: (lambda n=name, c=c: self._ensure(transfer, items[n], c)) for name, c in files.items()}
            _gather(pool, jobs, progress)
        if present is None:
            try:
                self._conditional_put(manifest_key, data, None)
            except PointerMoved:
                if self._present(manifest_key) != data:
                    raise self._occupied(manifest_key) from None
        return artefact

    def read_manifest(self, manifest_key: str) -> Artefact:
        """A committed artefact. Raises NotInStore (never committed) and DamagedObject."""
        return parse_manifest(manifest_key, self.get_bytes(manifest_key), self.uri(manifest_key))

    def fetch(
        self,
        artefact: Artefact | str,
        folder: Path,
        only: Collection[str] | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Path]:
        """Objects of an artefact (or of its manifest key) as files: name -> path, each verified by its sha256.

        only: file names, by default all. Files that are there already and right are kept, so a broken fetch goes on.
        progress: one step an object. Raises NotInStore, DamagedObject, StoreError, BadInput (no such name).
        """
        if isinstance(artefact, str):
            artefact = self.read_manifest(artefact)
        chosen = artefact.objects if only is None else [artefact.find(name) for name in only]
        paths = {artefact.name(item): folder / artefact.name(item) for item in chosen}
        with self._transfer() as transfer, ThreadPoolExecutor(_PARALLEL) as pool:
            jobs = {
                artefact.name(item): (lambda i=item, p=paths[artefact.name(item)]: self._bring(transfer, i, p))
                for item in chosen
            }
            _gather(pool, jobs, progress)
        return paths

    # Pointers

    def get_pointer(self, key: str) -> tuple[dict[str, Any], str]:
        """A pointer's value and its ETag. Raises NotInStore, DamagedObject."""
        data, etag = self._read(key, None)
        return parse_json(data, self.uri(key)), etag

    def put_pointer(self, key: str, value: Mapping[str, Any], expected: str | None) -> str:
        """Writes a pointer if its ETag is still the expected one (None: if there is no pointer). Returns the ETag.

        Raises PointerMoved when another writer was first.
        """
        return self._conditional_put(key, canonical_json(value), expected)

    def update_pointer(self, key: str, value: Mapping[str, Any]) -> None:
        """Makes the pointer say value, whatever it said before."""
        self.change_pointer(key, lambda _: value)

    def change_pointer(
        self, key: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        """Reads, changes and writes a pointer until no other writer came in between; returns what it says now.

        change: gets the present value ({} when there is none) and may be called more than once; what it returns is
        written unless it is the same. Raises PointerMoved when other writers win without end.
        """
        moved: PointerMoved | None = None
        for attempt in range(_PATIENCE):
            try:
                present, etag = self.get_pointer(key)
            except NotInStore:
                present, etag = {}, None
            value = change(dict(present))
            if etag is not None and canonical_json(value) == canonical_json(present):
                return value
            try:
                self.put_pointer(key, value, etag)
            except PointerMoved as error:
                moved = error
                # Writers that failed together must not try again together.
                time.sleep(random.uniform(0, 0.01 * min(attempt + 1, 20)))
            else:
                return value
        raise moved or PointerMoved(self.uri(key), "was never free", "run again")

    # What the above is made of

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _explained(self, key: str) -> Any:
        return explained(self.uri(key), self.client.meta.endpoint_url)

    def _transfer(self) -> "S3Transfer":
        from boto3.s3.transfer import S3Transfer, TransferConfig

        config = TransferConfig(
            multipart_threshold=2 * PART_BYTES,
            multipart_chunksize=PART_BYTES,
            max_concurrency=_PARALLEL,
            num_download_attempts=_ATTEMPTS,
        )
        return S3Transfer(client=self.client, config=config)

    def _upload(self, transfer: "S3Transfer", path: Path, key: str, sha256: str = "") -> StoredObject:
        with explained_file(path), self._explained(key):
            item = StoredObject(key, path.stat().st_size, sha256 or sha256_of(path))
            extra = {"Metadata": {"sha256": item.sha256}}
            transfer.upload_file(str(path), self.bucket, self._full(key), extra_args=extra)
        return item

    def _download(self, transfer: "S3Transfer", key: str, path: Path, sha256: str) -> StoredObject:
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
        with explained_file(path), self._explained(key):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                transfer.download_file(self.bucket, self._full(key), str(part))
                found = sha256_of(part)
                self._verify(key, found, sha256)
                item = StoredObject(key, part.stat().st_size, found)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        return item

    def _bring(self, transfer: "S3Transfer", item: StoredObject, path: Path) -> StoredObject:
        with explained_file(path):
            if path.is_file() and path.stat().st_size == item.bytes and sha256_of(path) == item.sha256:
                return item
        try:
            return self._download(transfer, item.key, path, item.sha256)
        except NotInStore as error:
            raise DamagedObject(self.uri(item.key), "is in a manifest but not in the store", _AGAIN) from error

    def _ensure(self, transfer: "S3Transfer", item: StoredObject, content: Path | bytes) -> StoredObject:
        if self._head(item.key) == item:
            return item
        if isinstance(content, bytes):
            return self.put_bytes(content, item.key)
        return self._upload(transfer, content, item.key, item.sha256)

    def _read(self, key: str, sha256: str | None) -> tuple[bytes, str]:
        """Bytes and ETag. botocore repeats a request, but not the reading of an answer that breaks off."""
        from botocore.exceptions import HTTPClientError, IncompleteReadError
        from urllib3.exceptions import HTTPError

        with self._explained(key):
            for attempt in range(1, _ATTEMPTS + 1):
                answer = self.client.get_object(Bucket=self.bucket, Key=self._full(key))
                try:
                    data = answer["Body"].read()
                    break
                except (HTTPClientError, IncompleteReadError, HTTPError, ConnectionError):
                    if attempt == _ATTEMPTS:
                        raise
        self._verify(key, sha256_of(data), answer["Metadata"].get("sha256", "") if sha256 is None else sha256)
        return data, answer["ETag"]

    def _head(self, key: str) -> StoredObject | None:
        try:
            with self._explained(key):
                told = self.client.head_object(Bucket=self.bucket, Key=self._full(key))
        except NotInStore:
            return None
        return StoredObject(key, told["ContentLength"], told["Metadata"].get("sha256", ""))

    def _present(self, key: str) -> bytes | None:
        try:
            return self.get_bytes(key)
        except NotInStore:
            return None

    def _conditional_put(self, key: str, data: bytes, expected: str | None) -> str:
        from botocore.exceptions import ClientError

        condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        with self._explained(key):
            try:
                return self.client.put_object(
                    Bucket=self.bucket,
                    Key=self._full(key),
                    Body=data,
                    ContentType="application/json",
                    Metadata={"sha256": sha256_of(data)},
                    **condition,  # type: ignore[arg-type]
                )["ETag"]
            except ClientError as error:
                # The first try may have been written though its answer was lost; then the second one is refused.
                if not error.response["ResponseMetadata"].get("RetryAttempts"):
                    raise
                present, etag = self._read(key, None)
                if present != data:
                    raise
                return etag

    def _verify(self, key: str, found: str, expected: str) -> None:
        if expected and found != expected:
            cause = f"sha256 is {found[:12]}..., should be {expected[:12]}...: the object is damaged"
            raise DamagedObject(self.uri(key), cause, _AGAIN)

    def _occupied(self, key: str) -> StoreError:
        return StoreError(self.uri(key), "holds a different artefact already", "commit under a new version")


_AGAIN = "delete it and materialize its artefact again"


def _parse_uri(uri: str) -> tuple[str, str]:
    remedy = "set CHESTGAN_STORE to s3://bucket or s3://bucket/prefix"
    if not uri:
        raise BadInput("CHESTGAN_STORE", "is not set", remedy)
    # An address with a user and password in it must not be repeated, hence no `uri` here.
    if not (parts := re.fullmatch(r"s3://([A-Za-z0-9][A-Za-z0-9._-]+)(/.*)?", uri)):
        raise BadInput("CHESTGAN_STORE", "is not the address of an S3 bucket", remedy)
    return parts[1], (parts[2] or "").strip("/")


def _describe(key: str, content: Path | bytes) -> StoredObject:
    if isinstance(content, bytes):
        return StoredObject(key, len(content), sha256_of(content))
    with explained_file(content):
        return StoredObject(key, content.stat().st_size, sha256_of(content))


def _gather(
    pool: ThreadPoolExecutor,
    jobs: Mapping[str, Callable[[], StoredObject]],
    progress: Progress | None = None,
) -> dict[str, StoredObject]:
    """Runs all jobs; the first failure ends the rest and is raised."""
    running: dict[str, Future[StoredObject]] = {name: pool.submit(job) for name, job in jobs.items()}
    waiting: set[Future[StoredObject]] = set(running.values())
    try:
        while waiting:
            done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            if progress is not None and done:
                progress.step(len(done))
    finally:
        for future in waiting:
            future.cancel()
    return {name: future.result() for name, future in running.items()}
