"""Work on all cores: the same results in the same order, whatever happens to the processes."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice

import psutil
import pytest

from chestgan_core.local.workers import AHEAD, Workers
from tests.local.worker_tasks import fail, large, prepare, squared, squared_or_killed


@pytest.fixture
def workers() -> Iterator[Workers]:
    """This process and two others, started at once."""
    with Workers(prepare, cores=3, start_after=0) as pool:
        yield pool
    assert not pool.processes


def squares(pool: Workers, count: int, there: Callable[[int], tuple[int, int]] = squared) -> set[int]:
    """Which processes worked; the results are checked."""
    done = list(pool.in_order(range(count), squared, there))
    assert [square for square, _ in done] == [number * number for number in range(count)]
    return {process for _, process in done}


def gone(process: int) -> bool:
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    assert condition()


def ready(pool: Workers, count: int) -> set[int]:
    """Works until so many processes do, and says which."""
    worked: set[int] = set()
    until = time.monotonic() + 120
    while len(worked) < count and time.monotonic() < until:
        worked |= squares(pool, 100)
    assert len(worked) == count
    return worked


def test_results_come_in_order_from_all_processes_and_these_are_used_again(workers):
    worked = ready(workers, 3)
    assert os.getpid() in worked
    assert worked == {os.getpid(), *workers.processes}
    assert ready(workers, 3) == worked


def test_few_items_are_taken_ahead_of_the_result_that_is_next(workers):
    ready(workers, 3)
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while taken < 1000:
            taken += 1
            yield taken

    for given, _ in enumerate(workers.in_order(items(), squared, squared), 1):
        assert taken - given <= 3 * AHEAD


def test_with_one_core_and_for_short_work_no_process_is_started():
    with Workers(prepare, cores=1, start_after=0) as alone, Workers(prepare, cores=4) as patient:
        assert squares(alone, 50) == squares(patient, 50) == {os.getpid()}
        assert not alone.processes + patient.processes


def test_a_process_that_is_killed_costs_no_result_and_is_told_once(workers, caplog):
    ready(workers, 3)
    caplog.set_level(logging.WARNING)
    squares(workers, 60, squared_or_killed)
    assert len(workers.processes) >= 1
    for record in caplog.records:
        assert "was ended by SIGKILL, and this one does its part; where memory is short" in record.message
    for process in list(workers.processes):
        psutil.Process(process).kill()
    assert squares(workers, 50) == {os.getpid()}
    assert not workers.processes
    assert len(caplog.records) == 2
    assert "set CHESTGAN_CORES=1" in caplog.text


def test_what_fails_in_another_process_is_done_in_this_one(workers):
    ready(workers, 3)
    assert squares(workers, 50, fail) == {os.getpid()}
    assert len(workers.processes) == 2


def test_a_process_that_cannot_be_prepared_does_nothing(caplog):
    with Workers(fail, cores=2, start_after=0) as pool:
        until = time.monotonic() + 120
        while "could not be prepared" not in caplog.text and time.monotonic() < until:
            assert squares(pool, 50) == {os.getpid()}
        assert not pool.processes
    assert caplog.text.count("could not be prepared") == 1


def test_an_error_of_this_process_is_raised_and_the_next_work_is_not_disturbed(workers):
    ready(workers, 3)

    def here(number: int) -> tuple[int, int]:
        if number > 20:
            raise KeyError(number)
        return squared(number)

    with pytest.raises(KeyError):
        list(workers.in_order(range(1000), here, squared))
    squares(workers, 100)
    abandoned = workers.in_order(range(1000), squared, squared)
    assert [square for square, _ in islice(abandoned, 3)] == [0, 1, 4]
    squares(workers, 100)


def test_results_larger_than_a_connection_holds_do_not_block(workers):
    ready(workers, 3)
    assert list(workers.in_order(range(60), large, large)) == [large(number) for number in range(60)]


def test_everywhere_is_called_after_what_was_asked_before(workers):
    ready(workers, 3)
    abandoned = workers.in_order(range(1000), squared, squared)
    next(abandoned)
    workers.everywhere(prepare)
    assert not any(worker.asked for worker in workers._workers or [])


# A shell lets what it starts in the background ignore SIGINT, and tests too may be started so. Where Dagster is loaded,
# SIGTERM is treated as SIGINT is.
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
from chestgan_core.local.workers import Workers
from tests.local.worker_tasks import prepare, squared
with Workers(prepare, cores=3, start_after=0) as pool:
    list(pool.in_order(range(50), squared, squared))
    print(*pool.processes, flush=True)
    for _ in pool.in_order(iter(int, 1), squared, squared):
        pass
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_one_that_it_works_for(number):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        processes = [int(one) for one in parent.stdout.readline().split()]
        assert len(processes) == 2
        assert not any(map(gone, processes))
        parent.send_signal(number)
        try:
            parent.wait(60)
        finally:
            parent.kill()
    wait_for(lambda: all(map(gone, processes)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_works_alone_and_leaves_the_processes_to_its_parent(workers):
    ready(workers, 3)
    child = os.fork()
    if not child:
        alone = {process for _, process in workers.in_order(range(20), squared, squared)} == {os.getpid()}
        os._exit(0 if alone else 1)
    assert os.waitpid(child, 0)[1] == 0
    ready(workers, 3)
