"""The object store: S3 and nothing else, on a laptop too.

In: files, bytes and JSON with keys relative to the prefix of CHESTGAN_STORE (s3://bucket/prefix). Out:
committed artefacts, verified files, moved pointers. Every failure is a StoreError (bucket, key, cause,
remedy).

Two rules keep readers safe. An artefact exists when its manifest does, and the manifest is written last. A
pointer is only changed by whoever has seen its present value (conditional put).
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
from chestgan_core.local.progress import Progress
from chestgan_core.store.artefacts import (
    AGAIN,
    Artefact,
    StoredObject,
    canonical_json,
    folder_of,
    parse_json,
    parse_manifest,
    parse_typed,
    sha256_of,
)
from chestgan_core.store.errors import explained, explained_file
from chestgan_core.store.keys import MANIFEST, checked_name
from chestgan_core.store.objects import PARALLEL, WRITTEN, ObjectStore, s3_client

if TYPE_CHECKING:
    from boto3.s3.transfer import S3Transfer

T = TypeVar("T")
_PATIENCE = 100  # tries of a pointer that many want to change


class Store(ObjectStore):
    """One bucket and prefix: objects, artefacts made of them, pointers to artefacts."""

    @classmethod
    def open(cls, uri: str | None = None, *, hasty: bool = False) -> Self:
        """The store at s3://bucket/prefix, by default that of $CHESTGAN_STORE. Sends no request yet.

        hasty: for who can do without: one attempt, an answer within two seconds.
        Credentials, region and endpoint come from where AWS tools look for them (environment, profile, role).
        Raises BadInput (no address, not S3) and StoreError (a profile that does not exist).
        """
        bucket, prefix = _parse_uri(os.environ.get("CHESTGAN_STORE", "") if uri is None else uri)
        with explained(f"s3://{bucket}/{prefix}", ""):
            return cls(s3_client(attempts=1, answer_within=2) if hasty else s3_client(), bucket, prefix)

    def commit(
        self,
        manifest_key: str,
        files: Mapping[str, Path | bytes],
        manifest: Mapping[str, Any],
        progress: Progress | None = None,
        existing: Sequence[StoredObject] = (),
    ) -> Artefact:
        """Writes objects in parallel, then the manifest that makes them an artefact.

        files: name -> content; the objects lie in the folder of manifest_key under these names. manifest:
        "kind" and whatever a reader should know, without times (the same content must give the same bytes; when it
        was committed is noted beside the manifest, see commits.py).
        Objects that an interrupted commit left, and a manifest that is there already, are kept: committing
        again sends only what is missing. progress: one step an object. existing: objects that another manifest
        brought into the store, below the same folder; the new manifest lists them too.
        An artefact that lost objects gets those back that are the same here, whatever else its manifest says.
        Raises StoreError when manifest_key holds a different artefact (artefacts never change), DamagedObject when
        an existing object is not there.
        """
        folder = folder_of(manifest_key)
        with ThreadPoolExecutor(PARALLEL) as pool:
            items = _gather(pool, {name: partial(_describe, folder + name, files[name]) for name in files})
            _gather(pool, {item.key: partial(self._required, item) for item in existing})
        objects = [vars(item) for item in sorted([*items.values(), *existing], key=lambda item: item.key)]
        data = canonical_json({**manifest, "objects": objects})
        artefact = parse_manifest(manifest_key, data, self.uri(manifest_key))
        present = self._present(manifest_key)
        if present is not None and present != data:
            return self._healed(manifest_key, present, items, files)
        with self._transfer() as transfer, ThreadPoolExecutor(PARALLEL) as pool:
            jobs = {name: partial(self._ensure, transfer, items[name], files[name]) for name in files}
            _gather(pool, jobs, progress)
        if present is None:
            try:
                self._conditional_put(
                    manifest_key, data, None, {WRITTEN: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
                )
            except PointerMoved:
                if self._present(manifest_key) != data:
                    raise self._occupied(manifest_key) from None
        return artefact

    def is_complete(self, manifest_key: str) -> bool:
        """Whether an artefact was committed and all its objects are there."""
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
        """Objects of an artefact (or of its manifest key) as files: name -> path, each verified by its
        sha256.

        Files that are there already and right are kept, so a broken fetch goes on. progress: one step an object.
        Raises NotInStore, DamagedObject, StoreError, BadInput (the folder cannot be written).
        """
        if isinstance(artefact, str):
            artefact = self.read_manifest(artefact)
        chosen = {artefact.name(item): item for item in artefact.objects}
        with self._transfer() as transfer, ThreadPoolExecutor(PARALLEL) as pool:
            jobs = {name: partial(self._bring, transfer, chosen[name], folder / name) for name in chosen}
            _gather(pool, jobs, progress)
        return {name: folder / name for name in chosen}

    def read(self, artefact: Artefact, name: str) -> bytes:
        """A small object of an artefact by its file name, verified. Raises BadInput (no such name), DamagedObject."""
        item = artefact.find(name)
        return self.get_bytes(item.key, item.sha256)

    def get_pointer(self, key: str) -> tuple[dict[str, Any], str]:
        """A pointer's value and its ETag. Raises NotInStore, DamagedObject."""
        data, etag = self._read(key, None)
        return parse_json(data, self.uri(key)), etag

    def read_pointer(self, key: str, *names: str) -> tuple[str, ...]:
        """What a pointer says of some names, `version` or `run`: each value can be one step of a key.

        Raises NotInStore, and DamagedObject where the pointer lacks one of them or has something else there.
        """
        fields, _ = self.get_pointer(key)
        try:
            return tuple(checked_name(fields[name]) for name in names)
        except (KeyError, TypeError, BadInput) as error:
            cause = f"is not a pointer with {' and '.join(names)}"
            raise DamagedObject(self.uri(key), cause, "materialize what it points to again") from error

    def put_pointer(self, key: str, value: Mapping[str, Any], expected: str | None) -> str:
        """Writes a pointer if its ETag is still the expected one (None: if there is no pointer).

        Returns the new ETag. Raises PointerMoved when another writer was first.
        """
        return self._conditional_put(key, canonical_json(value), expected)

    def update_pointer(self, key: str, value: Mapping[str, Any]) -> None:
        """Makes the pointer say value, whatever it said before."""
        self.change_pointer(key, lambda _: value)

    def change_pointer(
        self, key: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        """Reads, changes and writes a pointer until no other writer came in between; returns what it says
        then.

        change: gets the present value ({} when there is none) and may be called more than once; what it
        returns is written unless it is the same. Raises PointerMoved when others win without end.
        """
        for attempt in range(_PATIENCE):
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
                # Those who failed together must not try again together.
                time.sleep(random.uniform(0, 0.02 * min(attempt + 1, 10)))  # noqa: S311 (no secret)
            else:
                return value
        raise PointerMoved(self.uri(key), f"others changed it {_PATIENCE} times in between", "run again")

    def _bring(self, transfer: "S3Transfer", item: StoredObject, path: Path) -> StoredObject:
        with explained_file(path):
            if path.is_file() and path.stat().st_size == item.bytes and sha256_of(path) == item.sha256:
                return item
        try:
            return self._download(transfer, item.key, path, item.sha256)
        except NotInStore as error:
            cause = "is listed in a manifest but not in the store"
            raise DamagedObject(self.uri(item.key), cause, "materialize its artefact again") from error

    def _ensure(self, transfer: "S3Transfer", item: StoredObject, content: Path | bytes) -> StoredObject:
        if self._head(item.key) == item:
            return item
        if isinstance(content, bytes):
            return self.put_bytes(content, item.key)
        return self._upload(transfer, content, item.key, item.sha256)

    def _required(self, item: StoredObject) -> StoredObject:
        if self._head(item.key) != item:
            cause = "is not in the store as its manifest says"
            raise DamagedObject(self.uri(item.key), cause, "materialize its artefact again")
        return item

    def _healed(
        self,
        manifest_key: str,
        manifest: bytes,
        items: Mapping[str, StoredObject],
        files: Mapping[str, Path | bytes],
    ) -> Artefact:
        """The artefact that is there, with what it had lost. Raises StoreError when it had lost nothing."""
        artefact = parse_manifest(manifest_key, manifest, self.uri(manifest_key))
        lost = [item for item in artefact.objects if self._head(item.key) != item]
        here = {item: files[name] for name, item in items.items()}
        if not lost or not here.keys() >= set(lost):
            raise self._occupied(manifest_key)
        with self._transfer() as transfer:
            for item in lost:
                self._ensure(transfer, item, here[item])
        return artefact

    def _present(self, key: str) -> bytes | None:
        try:
            return self.get_bytes(key)
        except NotInStore:
            return None

    def _occupied(self, key: str) -> StoreError:
        return StoreError(self.uri(key), "holds a different artefact already", "commit under a new version")


def _parse_uri(uri: str) -> tuple[str, str]:
    """Bucket and prefix. Raises BadInput, which does not repeat the address: a password may be in it."""
    remedy = "set CHESTGAN_STORE to s3://bucket or s3://bucket/prefix"
    if not uri:
        raise BadInput("CHESTGAN_STORE", "is not set", remedy)
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
    """Runs all jobs; the first failure ends those that have not begun, and is raised."""
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
    """manifest_key: of the artefact. at: UTC, noted beside the manifest when it was first written.

    Not in its bytes: the same content has the same manifest whenever it is made, and committing it again does not
    change the time. Copies of a bucket keep the note.
    """

    manifest_key: str
    at: datetime

    @property
    def month(self) -> str:
        """YYYY-MM."""
        return f"{self.at:%Y-%m}"


def commits(store: Store, prefix: str) -> list[Commit]:
    """Every artefact below a prefix, the oldest first: one small request each, several at once."""
    keys = [item.key for item in store.list(prefix) if item.key.endswith(f"/{MANIFEST}")]
    with ThreadPoolExecutor(PARALLEL) as pool:
        found = [Commit(key, at) for key, at in zip(keys, pool.map(store.written_at, keys), strict=True)]
    return sorted(found, key=lambda commit: (commit.at, commit.manifest_key))
