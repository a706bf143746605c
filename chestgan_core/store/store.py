"""The object store: S3 and nothing else, on a laptop too.

In: files, bytes and JSON with keys relative to the prefix of CHESTGAN_STORE (s3://bucket/prefix). Out: committed
artefacts, verified files, pointers. Every failure is a StoreError (bucket, key, cause, remedy).

Two rules keep readers safe. An artefact exists when its manifest does, and the manifest is written last. A pointer is
changed only by a writer that has read its present value (conditional put).
"""

import os
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from chestgan_core.errors import BadInput, DamagedObject, NotInStore, PointerMoved, StoreError
from chestgan_core.local.json_text import parse_json
from chestgan_core.local.progress import Progress
from chestgan_core.store.artefacts import (
    AGAIN,
    Artefact,
    StoredObject,
    canonical_json,
    content_key,
    folder_of,
    parse_manifest,
    parse_typed,
    sha256_of,
)
from chestgan_core.store.client import ATTEMPTS, PARALLEL, s3_client
from chestgan_core.store.errors import file_errors, store_errors
from chestgan_core.store.keys import MANIFEST, checked_name
from chestgan_core.store.objects import COMMITTED, ObjectStore

if TYPE_CHECKING:
    from boto3.s3.transfer import S3Transfer

T = TypeVar("T")
_POINTER_TRIES = 100  # of one writer, while others change the same pointer


class Store(ObjectStore):
    """One bucket and prefix: objects, artefacts made of them, and pointers to artefacts. For any number of threads.

    Keys are relative to the prefix; `chestgan_core.store.keys` has a function for each kind.

    Examples:
        >>> from pathlib import Path
        >>> from chestgan_core.store import keys
        >>> from chestgan_core.store.store import Store
        >>> store = Store.open()  # that of $CHESTGAN_STORE
        >>> key = keys.comparison_manifest("example", "v1")
        >>> artefact = store.commit(key, {"notes.txt": b"two reports"}, {"kind": "comparison"})
        >>> artefact.bytes  # of all its objects
        11
        >>> store.update_pointer(keys.comparison_latest("example"), {"version": "v1"})
        >>> store.read_pointer(keys.comparison_latest("example"), "version")
        ('v1',)
        >>> files = store.fetch(key, Path("example"))  # name -> path, each file verified
        >>> files["notes.txt"].read_text()
        'two reports'
    """

    @classmethod
    def open(cls, uri: str | None = None, *, fail_fast: bool = False, anonymous: bool = False) -> Self:
        """Open the store at s3://bucket/prefix. No request is sent yet.

        Args:
            uri: Address of the bucket and prefix; by default that of $CHESTGAN_STORE.
            fail_fast: One attempt per request and an answer within two seconds, for callers that can go on without.
            anonymous: Without credentials: for a bucket that everybody may read.

        Returns:
            The store. Credentials, region and endpoint are those of AWS tools (environment, profile, role).

        Raises:
            BadInput: No address, or not that of an S3 bucket.
            StoreError: The AWS profile does not exist.
        """
        bucket, prefix = _parse_uri(os.environ.get("CHESTGAN_STORE", "") if uri is None else uri)
        with store_errors(f"s3://{bucket}/{prefix}", ""):
            attempts, patience = (1, 2.0) if fail_fast else (ATTEMPTS, 10.0)
            client = s3_client(attempts=attempts, answer_within=patience, anonymous=anonymous)
            return cls(client, bucket, prefix)

    def commit(
        self,
        manifest_key: str,
        files: Mapping[str, Path | bytes],
        manifest: Mapping[str, Any],
        progress: Progress | None = None,
        existing: Sequence[StoredObject] = (),
        plain_keys: bool = False,
    ) -> Artefact:
        """Write objects in parallel, then the manifest that makes them an artefact.

        The key of an object has the start of its sha256 in it, so two writers of one manifest with different content
        never write to the same key: one of them wins the manifest, and all that it lists stays as it was.

        Committing again sends only what is missing: objects of an interrupted commit, and a manifest that is there
        already, are kept. An artefact that lost objects gets back those that are the same here.

        Args:
            manifest_key: Key of the manifest; the objects lie in its folder.
            files: File name -> content, as a path or as bytes.
            manifest: `kind` and what a reader should know, without times: the same content must give the same bytes.
                When it was committed is in the metadata of the manifest (`written_at`).
            progress: Gets one step per object.
            existing: Objects below the same folder that another manifest lists already; this one lists them too.
            plain_keys: Leave the sha256 out of the keys, for an artefact whose version is a hash of all its files: no
                other content can have the same key then.

        Returns:
            The artefact, as read_manifest would read it.

        Raises:
            StoreError: manifest_key holds a different artefact; artefacts never change.
            DamagedObject: An existing object is not in the store.
            BadInput: A file cannot be read.
        """
        folder = folder_of(manifest_key)
        with ThreadPoolExecutor(PARALLEL) as pool:
            items = _run_all(
                pool, {name: partial(_describe, folder, name, files[name], plain_keys) for name in files}
            )
            _run_all(pool, {item.key: partial(self._require, item) for item in existing})
        objects = [vars(item) for item in sorted([*items.values(), *existing], key=lambda item: item.key)]
        data = canonical_json({**manifest, "objects": objects})
        artefact = parse_manifest(manifest_key, data, self.uri(manifest_key))
        present = self._read_if_there(manifest_key)
        if present is not None and present != data:
            return self._repaired(manifest_key, present, items, files)
        with self._transfer() as transfer, ThreadPoolExecutor(PARALLEL) as pool:
            jobs = {
                name: partial(self._upload_if_missing, transfer, items[name], files[name]) for name in files
            }
            _run_all(pool, jobs, progress)
        if present is None:
            try:
                self._conditional_put(
                    manifest_key, data, None, {COMMITTED: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
                )
            except PointerMoved:
                if self._read_if_there(manifest_key) != data:
                    raise self._occupied(manifest_key) from None
        return artefact

    def is_complete(self, manifest_key: str) -> bool:
        """Whether an artefact was committed and all its objects are in the store."""
        try:
            artefact = self.read_manifest(manifest_key)
        except NotInStore:
            return False
        with ThreadPoolExecutor(PARALLEL) as pool:
            return all(pool.map(lambda item: self._head(item.key) == item, artefact.objects))

    def read_manifest(self, manifest_key: str) -> Artefact:
        """A committed artefact. Raises NotInStore (never committed) and DamagedObject."""
        return parse_manifest(manifest_key, self.get_bytes(manifest_key), self.uri(manifest_key))

    def read_typed(
        self, manifest_key: str, kind: type[T], remedy: str = AGAIN, what: str = "as expected"
    ) -> tuple[Artefact, T]:
        """A committed artefact and its manifest as a dataclass or pydantic model, as parse_typed checks it.

        Raises NotInStore (never committed) and DamagedObject (a field is missing or out of bounds).
        """
        artefact = self.read_manifest(manifest_key)
        return artefact, parse_typed(kind, artefact.manifest, self.uri(manifest_key), remedy, what)

    def fetch(
        self,
        artefact: Artefact | str,
        folder: Path,
        progress: Progress | None = None,
    ) -> dict[str, Path]:
        """Download the objects of an artefact, each verified by its sha256. Correct files in the folder are kept.

        Args:
            artefact: The artefact, or the key of its manifest.
            folder: Where the files are written; it may not exist yet.
            progress: Gets one step per object.

        Returns:
            File name -> path.

        Raises:
            NotInStore: The artefact was never committed.
            DamagedObject: An object is missing, or its sha256 is not that of the manifest.
            BadInput: The folder cannot be written.
            DiskFull: No space is left on the disk of the folder.
        """
        if isinstance(artefact, str):
            artefact = self.read_manifest(artefact)
        chosen = {artefact.name(item): item for item in artefact.objects}
        with self._transfer() as transfer, ThreadPoolExecutor(PARALLEL) as pool:
            jobs = {
                name: partial(self._fetch_object, transfer, chosen[name], folder / name) for name in chosen
            }
            _run_all(pool, jobs, progress)
        return {name: folder / name for name in chosen}

    def read(self, artefact: Artefact, name: str) -> bytes:
        """A small object of an artefact by its file name, verified. Raises BadInput (unknown name), DamagedObject."""
        item = artefact.find(name)
        return self.get_bytes(item.key, item.sha256)

    def get_pointer(self, key: str) -> tuple[dict[str, Any], str]:
        """A pointer's value and its ETag. Raises NotInStore, DamagedObject."""
        data, etag = self._read(key, None)
        return parse_json(data, self.uri(key), AGAIN), etag

    def read_pointer(self, key: str, *names: str) -> tuple[str, ...]:
        """What a pointer says of some names, `version` or `run`: each value can be one part of a key.

        Raises NotInStore, and DamagedObject where the pointer lacks one of them or has something else there.
        """
        fields, _ = self.get_pointer(key)
        try:
            return tuple(checked_name(fields[name]) for name in names)
        except (KeyError, TypeError, BadInput) as error:
            cause = f"is not a pointer with {' and '.join(names)}"
            raise DamagedObject(self.uri(key), cause, "materialize what it points to again") from error

    def put_pointer(self, key: str, value: Mapping[str, Any], expected: str | None) -> str:
        """Write a pointer if its ETag is still the expected one (None: if there is no pointer yet).

        Returns the new ETag. Raises PointerMoved: another writer was first.
        """
        return self._conditional_put(key, canonical_json(value), expected)

    def update_pointer(self, key: str, value: Mapping[str, Any]) -> None:
        """Set a pointer, whatever its value was."""
        self.change_pointer(key, lambda _: value)

    def change_pointer(
        self, key: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        """Read, change and write a pointer, again and again until no other writer interferes; returns its new value.

        change: gets the present value ({} where there is none) and may be called more than once; what it returns is
        written unless it is the same. Raises PointerMoved: other writers were faster every time.
        """
        for attempt in range(_POINTER_TRIES):
            try:
                present, etag = self.get_pointer(key)
            except NotInStore:
                present, etag = {}, None
            before = canonical_json(present)
            value = change(present)
            if etag is not None and canonical_json(value) == before:
                return value
            try:
                self.put_pointer(key, value, etag)
            except PointerMoved:
                # Writers that failed together must not retry together.
                time.sleep(random.uniform(0, 0.02 * min(attempt + 1, 10)))  # noqa: S311 (no secret)
            else:
                return value
        raise PointerMoved(self.uri(key), f"others changed it {_POINTER_TRIES} times meanwhile", "run again")

    def _fetch_object(self, transfer: "S3Transfer", item: StoredObject, path: Path) -> StoredObject:
        with file_errors(path):
            if path.is_file() and path.stat().st_size == item.bytes and sha256_of(path) == item.sha256:
                return item
        try:
            return self._download(transfer, item.key, path, item.sha256)
        except NotInStore as error:
            cause = "is listed in a manifest but not in the store"
            raise DamagedObject(self.uri(item.key), cause, "materialize its artefact again") from error

    def _upload_if_missing(
        self, transfer: "S3Transfer", item: StoredObject, content: Path | bytes
    ) -> StoredObject:
        if self._head(item.key) == item:
            return item
        if isinstance(content, bytes):
            return self.put_bytes(content, item.key)
        return self._upload(transfer, content, item.key, item.sha256)

    def _require(self, item: StoredObject) -> StoredObject:
        if self._head(item.key) != item:
            cause = "is not in the store as its manifest says"
            raise DamagedObject(self.uri(item.key), cause, "materialize its artefact again")
        return item

    def _repaired(
        self,
        manifest_key: str,
        manifest: bytes,
        items: Mapping[str, StoredObject],
        files: Mapping[str, Path | bytes],
    ) -> Artefact:
        """The committed artefact, after its lost objects were written again. Raises StoreError: it had lost none."""
        artefact = parse_manifest(manifest_key, manifest, self.uri(manifest_key))
        lost = [item for item in artefact.objects if self._head(item.key) != item]
        here = {item: files[name] for name, item in items.items()}
        if not lost or not here.keys() >= set(lost):
            raise self._occupied(manifest_key)
        with self._transfer() as transfer:
            for item in lost:
                self._upload_if_missing(transfer, item, here[item])
        return artefact

    def _read_if_there(self, key: str) -> bytes | None:
        try:
            return self.get_bytes(key)
        except NotInStore:
            return None

    def _occupied(self, key: str) -> StoreError:
        return StoreError(self.uri(key), "holds a different artefact already", "commit under a new version")


def _parse_uri(uri: str) -> tuple[str, str]:
    """Bucket and prefix. Raises BadInput, which does not repeat the address: it may hold a password."""
    remedy = "set CHESTGAN_STORE to s3://bucket or s3://bucket/prefix"
    if not uri:
        raise BadInput("CHESTGAN_STORE", "is not set", remedy)
    if not (parts := re.fullmatch(r"s3://([A-Za-z0-9][A-Za-z0-9._-]+)(/.*)?", uri)):
        raise BadInput("CHESTGAN_STORE", "is not the address of an S3 bucket", remedy)
    return parts[1], (parts[2] or "").strip("/")


def _describe(folder: str, name: str, content: Path | bytes, plain: bool) -> StoredObject:
    if isinstance(content, bytes):
        size, sha256 = len(content), sha256_of(content)
    else:
        with file_errors(content):
            size, sha256 = content.stat().st_size, sha256_of(content)
    return StoredObject(folder + name if plain else content_key(folder, name, sha256), size, sha256)


def _run_all(
    pool: ThreadPoolExecutor,
    jobs: Mapping[str, Callable[[], StoredObject]],
    progress: Progress | None = None,
) -> dict[str, StoredObject]:
    """Run all jobs. The first failure cancels those that have not started, and is raised."""
    running: dict[str, Future[StoredObject]] = {name: pool.submit(job) for name, job in jobs.items()}
    waiting = set(running.values())
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


@dataclass(frozen=True)
class Commit:
    """When an artefact was committed. at: UTC, from the metadata of its manifest.

    It is not in the manifest's bytes: the same content gives the same manifest whenever it is made, and committing it
    again does not change the time. Copies of a bucket keep it.
    """

    manifest_key: str
    at: datetime

    @property
    def month(self) -> str:
        """YYYY-MM."""
        return f"{self.at:%Y-%m}"


def commits(store: Store, prefix: str) -> list[Commit]:
    """Every artefact below a prefix, the oldest first. One small request each, several at once."""
    keys = [item.key for item in store.list(prefix) if item.key.endswith(f"/{MANIFEST}")]
    with ThreadPoolExecutor(PARALLEL) as pool:
        found = [Commit(key, at) for key, at in zip(keys, pool.map(store.written_at, keys), strict=True)]
    return sorted(found, key=lambda commit: (commit.at, commit.manifest_key))
