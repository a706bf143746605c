"""Checkpoints on their way to the store while the training goes on.

In: the path of a state that will be written over. Out: the object in the store. One upload at a time: the training
waits for the former one, so that a slow store slows it instead of being left behind by it.
"""

import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from chestgan_core.store import Store


class Uploads:
    """`with Uploads(store, key) as uploads:`; leaving it waits for the last one. Errors of an upload are raised by the
    next call, or when it is left.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key = store, key
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="upload")
        self._running: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._wait()
        finally:
            self._thread.shutdown(wait=True)

    def send(self, path: Path) -> None:
        """Upload what is at `path` now; it may be replaced afterwards."""
        self._wait()
        frozen = path.with_name(f".{path.name}.sent")
        frozen.unlink(missing_ok=True)
        try:
            os.link(path, frozen)  # the state is replaced, never changed: its bytes stay under this name
        except OSError:
            shutil.copyfile(path, frozen)
        self._running = self._thread.submit(self._put, frozen)

    def _put(self, frozen: Path) -> None:
        try:
            self._store.put_file(frozen, self._key)
        finally:
            frozen.unlink(missing_ok=True)

    def _wait(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.result()
