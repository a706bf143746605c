"""Writers and readers of the store that are killed, cut off, or have their server killed.

In: a real S3 server (the embedded one), seconds, a seed. Out: a Tally per kind of fault. What must hold: an artefact is
whole or not there; what was confirmed is there, with the right bytes; the same work done again completes it.
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from chaos.killed import Confirm, duration, run_and_kill
from chaos.tally import Tally
from chestgan_core.errors import ChestganError, NotInStore, StoreError
from chestgan_core.store.client import s3_client
from chestgan_core.store.embedded import BUCKET, EmbeddedStore
from chestgan_core.store.objects import PART_BYTES
from chestgan_core.store.store import Store
from tests.store.proxy import Proxy

_PROMISE = "whole or not there; done again it is whole"
_SIZES = (10, 3_000, 200_000)


def killed_writers(server: EmbeddedStore, until: float, seed: int, folder: Path) -> Tally:
    """A commit is killed; some have an object in several parts."""
    tally, chance = Tally("writer killed", _PROMISE, seed), random.Random(seed)

    def write(confirm: Confirm, key: str, files: dict[str, Path | bytes]) -> None:
        server.store().commit(key, files, {"kind": "chaos"})
        confirm("committed")

    usual: dict[str, Path | bytes] = {f"{number}.bin": bytes(size) for number, size in enumerate(_SIZES)}
    longest = 1.5 * duration(partial(write, key="killed/first/manifest.json", files=usual))
    store = server.store()
    while time.monotonic() < until:
        files, key = _files(chance, folder), f"killed/{tally.tried}/manifest.json"
        (done,) = run_and_kill([partial(write, key=key, files=files)], chance, longest)
        tally.faults += not done
        tally.confirmed += len(done)
        _require_whole(tally, store, key, files, bool(done))
        store.commit(key, files, {"kind": "chaos"})
        _require_whole(tally, store, key, files, True)
        tally.tried += 1
    return tally


def killed_publishers(server: EmbeddedStore, until: float, seed: int, _: Path) -> Tally:
    """Four writers add to one pointer, as publishers do to the index, and are killed."""
    tally, chance = (
        Tally("writers of one pointer killed", "no confirmed entry is lost", seed),
        random.Random(seed),
    )
    pointer, known = "pointers/index.json", set[str]()

    def add(confirm: Confirm, name: str) -> None:
        store = server.store()
        for number in range(1000):
            entry = f"{name}-{number}"
            store.change_pointer(pointer, partial(_with_entry, entry))
            confirm(entry)

    while time.monotonic() < until:
        names = [f"{tally.tried}-{writer}" for writer in range(4)]
        done = run_and_kill([partial(add, name=name) for name in names], chance, 1.0)
        known.update(entry for entries in done for entry in entries)
        tally.faults, tally.confirmed = tally.faults + 4, len(known)
        with suppress(NotInStore):
            entries = server.store().get_pointer(pointer)[0]["entries"]
            tally.require(known <= set(entries), f"{len(known - set(entries))} confirmed entries are lost")
            tally.require(len(entries) == len(set(entries)), "an entry is listed twice")
        tally.tried += 1
        if tally.tried % 20 == 0:  # the pointer grows, and with it the time of each change
            server.store().delete(pointer)
            known.clear()
    return tally


def killed_readers(server: EmbeddedStore, until: float, seed: int, folder: Path) -> Tally:
    """A fetch is killed."""
    tally, chance = (
        Tally("reader killed", "a file with its name has the right bytes", seed),
        random.Random(seed),
    )
    files = {f"{number}.bin": chance.randbytes(size) for number, size in enumerate([*_SIZES, 3 * PART_BYTES])}
    key, out = "fetched/manifest.json", folder / "out"
    server.store().commit(key, files, {"kind": "chaos"})

    def fetch(confirm: Confirm) -> None:
        server.store().fetch(key, out)
        confirm("fetched")

    longest = 1.2 * duration(fetch)
    while time.monotonic() < until:
        shutil.rmtree(out, ignore_errors=True)
        (done,) = run_and_kill([fetch], chance, longest)
        tally.faults += not done
        tally.confirmed += len(done)
        for path in _visible(out):
            tally.require(path.read_bytes() == files[path.name], f"{path.name} is not what the store has")
        got = server.store().fetch(key, out)
        tally.require(
            all(got[name].read_bytes() == files[name] for name in files), "done again it is not whole"
        )
        tally.tried += 1
    return tally


def cut_connections(server: EmbeddedStore, until: float, seed: int, folder: Path) -> Tally:
    """The connection to the store is cut after some bytes, up or down, once or always."""
    tally, chance = Tally("connection cut", f"one line of error; {_PROMISE}", seed), random.Random(seed)
    if server.access is None:
        raise RuntimeError("the embedded server has not been started")
    port, access = int(server.access.endpoint.rpartition(":")[2]), server.access
    while time.monotonic() < until:
        limit, up = chance.choice([0, 300, 5_000, 150_000, 3_000_000]), chance.random() < 0.5
        cuts = chance.choice([1, 2, None])
        with Proxy(port, cut_up=limit if up else None, cut_down=None if up else limit, cuts=cuts) as proxy:
            client = s3_client(replace(access, endpoint=proxy.url), answer_within=2)
            _use_cut(tally, Store(client, BUCKET), server.store(), _files(chance, folder), folder)
            tally.faults += proxy.cut
        tally.tried += 1
    return tally


def _use_cut(tally: Tally, cut: Store, direct: Store, files: dict[str, Path | bytes], folder: Path) -> None:
    """Write, move a pointer and read over connections that are cut; judge it over others."""
    key, pointer = f"cut/{tally.tried}/manifest.json", f"cut/{tally.tried}/latest.json"
    committed = _outcome(tally, lambda: cut.commit(key, files, {"kind": "chaos"}))
    moved = _outcome(tally, lambda: cut.change_pointer(pointer, _one_more))
    _require_whole(tally, direct, key, files, committed)
    count = 0
    with suppress(NotInStore):
        count = direct.get_pointer(pointer)[0]["n"]
    tally.require(count == 1 if moved else count in (0, 1), f"one change moved a pointer {count} times")
    direct.commit(key, files, {"kind": "chaos"})
    out = folder / f"cut-{tally.tried}"
    _outcome(tally, lambda: cut.fetch(key, out))
    for path in _visible(out):
        tally.require(path.read_bytes() == _bytes(files[path.name]), f"{path.name} has wrong bytes")
    shutil.rmtree(out, ignore_errors=True)


def killed_servers(_: EmbeddedStore, until: float, seed: int, folder: Path) -> Tally:
    """The embedded server is killed while it is written to, and started again."""
    tally, chance = Tally("server killed", "no confirmed object is lost", seed), random.Random(seed)
    confirmed: dict[str, bytes] = {}
    while time.monotonic() < until:
        with EmbeddedStore(folder / "home") as server:
            for key, data in confirmed.items():
                tally.require(server.store().get_bytes(key) == data, f"{key} is lost or damaged")
            end = time.monotonic() + chance.uniform(0.05, 1.0)
            pid = os.fork()
            if not pid:
                time.sleep(max(0.0, end - time.monotonic()))
                os.kill(server.pid, signal.SIGKILL)
                os._exit(0)
            store = server.store()
            for number in range(100_000):
                key, data = f"{tally.tried}/{number}", chance.randbytes(chance.choice(_SIZES))
                try:
                    store.put_bytes(data, key)
                except StoreError as error:
                    tally.refused[error.cause] += 1
                    break
                confirmed[key] = data
            os.waitpid(pid, 0)
        tally.tried, tally.faults, tally.confirmed = tally.tried + 1, tally.faults + 1, len(confirmed)
    return tally


def _with_entry(entry: str, value: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"entries": [*value.get("entries", []), entry]}


def _one_more(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"n": value.get("n", 0) + 1}


def _files(chance: random.Random, folder: Path) -> dict[str, Path | bytes]:
    files: dict[str, Path | bytes] = {
        f"{number}.bin": chance.randbytes(chance.choice(_SIZES)) for number in range(chance.randint(1, 6))
    }
    if chance.random() < 0.1:
        large = folder / "large.bin"
        large.write_bytes(chance.randbytes(3 * PART_BYTES))
        files["large.bin"] = large
    return files


def _bytes(content: Path | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


def _require_whole(
    tally: Tally, store: Store, key: str, files: dict[str, Path | bytes], confirmed: bool
) -> None:
    try:
        artefact = store.read_manifest(key)
    except NotInStore:
        tally.require(not confirmed, f"{key} was confirmed and is not there")
        return
    for name, content in files.items():
        try:
            right = store.read(artefact, name) == _bytes(content)
        except ChestganError as error:
            right = False
            tally.require(right, f"{name} of a committed artefact: {error.cause}")
        tally.require(right, f"{name} of a committed artefact has other bytes")


def _outcome(tally: Tally, action: Callable[[], object]) -> bool:
    """Whether it worked. An error that is none of ours breaks the promise."""
    try:
        action()
    except ChestganError as error:
        tally.refused[error.cause] += 1
        tally.require("\n" not in str(error), "an error of several lines")
        return False
    except Exception as error:
        tally.require(False, f"{type(error).__name__} reached the caller")
        return False
    tally.confirmed += 1
    return True


def _visible(folder: Path) -> Iterator[Path]:
    if folder.exists():
        yield from (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
