"""A kind of input whose reader does what no reader may do: one fault for each seed."""

import ctypes
import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fuzz.kind import LEFT_OUT, REFUSED, Outcome


def make(rng: random.Random, seeds: Path, folder: Path) -> dict[str, Any]:
    raise NotImplementedError  # replaced by the test


def read(folder: Path, facts: Mapping[str, Any]) -> Outcome:
    match facts["fault"]:
        case "abort":
            os.kill(os.getpid(), signal.SIGABRT)
        case "exit":
            os._exit(3)
        case "traceback":
            raise KeyError("a name")
        case "escape":
            print("\x1b[31mred", file=sys.stderr)
        case "printed traceback":
            print("Traceback (most recent call last):\n  ...", file=sys.stderr)
        case "unaccounted":
            return Outcome(LEFT_OUT, "3 files, 2 accounted for")
        case "memory":
            ctypes.memset(ctypes.create_string_buffer(130 * 2**20), 1, 130 * 2**20)
        case "refused":
            return Outcome(REFUSED)
        case "hang":
            time.sleep(1000)
    return Outcome()
