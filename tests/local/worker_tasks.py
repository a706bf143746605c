"""What the processes of test_workers.py do."""

import os
import signal
import time


def prepare(_: None) -> None:
    """Nothing to do."""


def fail(_: object) -> None:
    raise ValueError("in the other process")


def squared(number: int) -> tuple[int, int]:
    """The square, and the process that found it."""
    time.sleep(0.002)
    return number * number, os.getpid()


def squared_or_killed(number: int) -> tuple[int, int]:
    """Ends its process at 30, as the system does where memory is short."""
    if number == 30:
        os.kill(os.getpid(), signal.SIGKILL)
    return squared(number)


def large(number: int) -> bytes:
    """More than a connection holds."""
    return bytes([number]) * 2_000_000
