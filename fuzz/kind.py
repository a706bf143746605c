"""What a kind of input is: `make` writes one input of a seed, `read` gives it to the entries of the project.

A module in fuzz/kinds has both functions. `make` runs in the process of `make fuzz`, `read` in a worker that may die.
"""

import json
import os
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from chestgan_core.errors import ChestganError

ACCEPTED, LEFT_OUT, REFUSED = "accepted", "left out", "refused"


@dataclass
class Outcome:
    """What became of one input.

    result: ACCEPTED: all of it was used; LEFT_OUT: parts were, the rest was counted; REFUSED: an error in one line.
    problem: what must not happen; empty where all is well.
    """

    result: str = ACCEPTED
    problem: str = ""

    def worse(self, result: str, problem: str = "") -> None:
        """Take the worse of two results, and the first problem."""
        order = (ACCEPTED, LEFT_OUT, REFUSED)
        self.result = max(self.result, result, key=order.index)
        self.problem = self.problem or problem


class Kind(Protocol):
    """A module of fuzz/kinds."""

    def make(self, rng: random.Random, seeds: Path, folder: Path) -> dict[str, Any]:
        """Write one input into `folder`; returns what `read` must know of it, as plain data."""

    def read(self, folder: Path, facts: Mapping[str, Any]) -> Outcome:
        """Give the input to everything that reads it."""


def command(outcome: Outcome, *arguments: str, allowed: tuple[int, ...] = (0, 1, 2)) -> dict[str, Any] | None:
    """Run a command of chestgan in this process; the JSON of its answer, None where it refused.

    The worker has redirected standard output to a file.
    """
    from chestgan_core.cli.main import main

    sys.stdout.flush()
    start = os.lseek(1, 0, os.SEEK_CUR)
    try:
        status = main([*arguments, "--json"])
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    sys.stdout.flush()
    end = os.lseek(1, 0, os.SEEK_CUR)
    if status not in allowed:
        outcome.worse(REFUSED, f"exit status {status} of chestgan {' '.join(arguments[:2])}")
    text = os.pread(1, end - start, start).decode()
    if not text.strip():
        outcome.worse(REFUSED, "" if status else "no answer, and exit status 0")
        return None
    answer: dict[str, Any] = json.loads(text)
    return answer


def refusable(outcome: Outcome, read: Callable[[], Any]) -> Any:
    """What a function of the library returns, None where it raises an error of chestgan."""
    try:
        return read()
    except ChestganError as error:
        outcome.worse(REFUSED, "" if "\n" not in str(error) else "the error has several lines")
        return None
