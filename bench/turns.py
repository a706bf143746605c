"""Runs that take turns on one thread, so that a busy machine slows all of them alike.

In: functions that each run some steps. Out: the median of the seconds of each: of the processor on a CPU, of the clock
on a GPU.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from bench.training_step import DEVICE


@contextmanager
def one_thread() -> Iterator[None]:
    """So that the time of the processor is that of the step."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def seconds_in_turns(runs: Sequence[Callable[[], None]], rounds: int) -> list[float]:
    """The median seconds of each run, over so many rounds."""
    seconds: list[list[float]] = [[] for _ in runs]
    for run in runs:  # kernels are chosen and memory is taken in the first steps
        run()
    for _ in range(rounds):
        for run, found in zip(runs, seconds, strict=True):
            started = _now()
            run()
            found.append(_now() - started)
    return [statistics.median(found) for found in seconds]


def _now() -> float:
    if DEVICE.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()
