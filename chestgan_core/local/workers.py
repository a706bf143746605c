"""Work done by all cores: in this process, and in others that share no interpreter lock with it.

In: items of work, in order, a function that does one in this process, and a function that does one in another. Out: the
results, in the same order and the same as with one core. A pool is made once and used for many pieces of work.

This process works too. So with one core there is no other process, work that is over soon starts none, and a process
that is killed costs time only: its items are done here. An item that fails there is done here again, and fails here,
where its error can be handled.
"""

import itertools
import logging
import os
import signal
import sys
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Pipe, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from chestgan_core.local.child_processes import disown, end_child, exit_code, start_child
from chestgan_core.local.cores import VARIABLE, usable_cores

# Starting a process costs this much CPU time. It begins when as much has been spent here: then all of the work costs
# at most twice what it would have with the best decision, known only afterwards.
START_AFTER = 0.5  # s
QUEUED = 3  # items in a process: one in work, and those for until this one has done its own and looks again
AHEAD = 4  # finished or begun items, for each process, that may wait for an earlier one
_PATIENCE = 5  # s, for an answer to `everywhere`

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")
_DONE: Any = object()


class Workers:
    """The processes that work for this one. A context manager: they end with it. To be used by one thread.

    cores: how many processes work, with this one; None: `usable_cores`. prepare: called in each process first, with
    None; importing its module is what takes long. start_after: seconds of work in this process before others start.
    """

    def __init__(
        self,
        prepare: Callable[[None], object],
        cores: int | None = None,
        start_after: float = START_AFTER,
    ) -> None:
        self.cores = usable_cores() if cores is None else cores
        self._prepare, self._start_after = prepare, start_after
        self._worked = 0.0
        self._numbers = itertools.count()
        self._workers: list[_Worker] | None = None  # None: not started yet
        _pools.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """End the processes, whatever they do."""
        workers, self._workers = self._workers or [], []
        for worker in workers:
            worker.end()

    @property
    def processes(self) -> list[int]:
        """Ids of the processes that work for this one now."""
        return [worker.process.pid for worker in self._workers or []]

    @property
    def ready(self) -> bool:
        """Whether all cores work: processes were started, and have begun to answer."""
        return len(self.processes) == self.cores - 1 and all(one.ready for one in self._workers or [])

    def in_order(self, work: Iterable[T], here: Callable[[T], R], there: Callable[[T], R]) -> Iterator[R]:
        """The result of each item, in order. Few items are taken ahead of the one whose result is next.

        here: does an item in this process. there: the same in another one; a function of a module, whose argument and
        result can be pickled. Raises what `here` raises.
        """
        items = iter(work)
        order: deque[int] = deque()  # of what is begun and not given back
        begun: dict[int, T] = {}
        done: dict[int, R] = {}
        more = True

        def begin() -> int | None:
            nonlocal more
            item = next(items, _DONE)
            if item is _DONE:
                more = False
                return None
            number = next(self._numbers)
            order.append(number)
            begun[number] = item
            return number

        while more or order:
            self._start_if_worth_it()
            room = AHEAD * (len(self._workers or []) + 1)
            for worker in self._workers or []:
                while worker.ready and more and len(worker.asked) < QUEUED and len(order) < room:
                    number = begin()
                    if number is not None:
                        worker.ask(number, there, begun[number])
            again = self._collect(begun, done, wait_for_one=False)
            if again:
                number = again[0]
            elif more and len(order) < room:
                number = begin()
            elif order and order[0] in begun:
                again = self._collect(begun, done, wait_for_one=True)
                number = again[0] if again else None
            else:
                number = None
            if number is not None:
                started = time.monotonic()
                done[number] = here(begun[number])
                del begun[number]
                self._worked += time.monotonic() - started
            while order and order[0] in done:
                yield done.pop(order.popleft())

    def everywhere(self, function: Callable[[None], object]) -> None:
        """Calls a function of a module with None in each of the other processes, after what they were asked before."""
        number = next(self._numbers)
        called = [worker for worker in self._workers or [] if worker.ready]
        for worker in called:
            worker.ask(number, function, None)
        until = time.monotonic() + _PATIENCE
        while any(number in worker.asked for worker in called) and time.monotonic() < until:
            self._collect({}, {}, wait_for_one=True, seconds=_PATIENCE)

    def _start_if_worth_it(self) -> None:
        if self._workers is not None or self.cores < 2 or self._worked < self._start_after:
            return
        self._workers = []
        for _ in range(self.cores - 1):
            try:
                worker = _Worker()
            except OSError as error:
                log.warning(
                    f"a process for another core: did not start ({error.strerror}), and this one does its part; see "
                    f"that processes and memory are left, or set {VARIABLE}=1"
                )
                return
            self._workers.append(worker)
            worker.ask(next(self._numbers), self._prepare, None)

    def _collect(
        self, begun: dict[int, T], done: dict[int, R], wait_for_one: bool, seconds: float | None = None
    ) -> list[int]:
        """Moves what the processes have done from `begun` to `done`. Returns what they will not do."""
        workers = {worker.connection: worker for worker in self._workers or []}
        answered = wait(workers, (seconds if wait_for_one else 0)) if workers else []
        for connection in answered:
            worker = workers[connection]  # type: ignore[index]
            try:
                number, succeeded, result = worker.connection.recv()
            except (OSError, EOFError):
                self._lost(worker, worker.death())
                continue
            worker.asked.discard(number)
            if not (succeeded or worker.ready):
                worker.end()
                self._lost(worker, "could not be prepared")
                continue
            worker.ready = True
            if number in begun and succeeded:
                done[number] = result
                del begun[number]
        asked = set().union(*(worker.asked for worker in self._workers or []))
        return [number for number in begun if number not in asked]

    def _lost(self, worker: "_Worker", how: str) -> None:
        """A process that ended by itself is not replaced: where memory is short, the next one would be killed too."""
        self._workers = [one for one in self._workers or [] if one is not worker]
        worker.asked.clear()
        log.warning(
            f"a process for another core: {how}, and this one does its part; where memory is short, give it more, or "
            f"set {VARIABLE}=1"
        )

    def after_fork(self) -> None:
        """The child of a fork has no processes that work for it: they are the parent's, whose death they must see."""
        for worker in self._workers or []:
            worker.forget()
        self._workers = []


class _Worker:
    """One process, and the connection to it. asked: numbers of what it has not answered."""

    def __init__(self) -> None:
        self.connection, theirs = Pipe()
        path = os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path)
        try:
            self.process = start_child(
                ["-m", "chestgan_core.local.worker_process"], theirs.fileno(), {"PYTHONPATH": path}
            )
        except BaseException:
            self.connection.close()
            raise
        finally:
            theirs.close()
        self.asked: set[int] = set()
        self.ready = False

    def ask(self, number: int, function: Callable[[Any], object], argument: object) -> None:
        """Without waiting for the answer. That it ended is seen when an answer is looked for."""
        self.asked.add(number)
        try:
            self.connection.send((number, function, argument))
        except OSError:
            self.ready = False

    def death(self) -> str:
        """How it ended by itself."""
        self.connection.close()
        code = exit_code(self.process)
        if code is None:
            self.end()
            return "closed its connection"
        if code >= 0:
            return f"ended with status {code}"
        names = {number.value: number.name for number in signal.Signals}
        return f"was ended by {names.get(-code, -code)}"

    def forget(self) -> None:
        """In a forked child."""
        self.connection.close()
        disown(self.process)

    def end(self) -> None:
        """At once."""
        self.connection.close()
        end_child(self.process)


_pools: "weakref.WeakSet[Workers]" = weakref.WeakSet()


def _after_fork() -> None:
    for pool in list(_pools):
        pool.after_fork()


os.register_at_fork(after_in_child=_after_fork)
