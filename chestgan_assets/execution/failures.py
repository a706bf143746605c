"""Errors of the core as Dagster failures: one line for the person, and no retry where a retry cannot help."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from chestgan_assets.execution.executor import on_kubernetes
from chestgan_core.errors import ChestganError, PointerMoved, StoreUnreachable

MOVES = 10  # a training of days may meet as many upgrades of its nodes


log = logging.getLogger(__name__)


@contextmanager
def one_line_failures() -> Iterator[None]:
    """Only a store that does not answer, or a pointer that others moved, is tried again by a RetryPolicy.

    In pods, a step that is told to end is one that moves. Everything else fails for good: bad input, a refused key, a
    damaged object, a bug; and a source that did not answer for as long as sources/download/retry.py is patient: it
    would hold a place of the pool for three times as long.
    What an error of the core came from is not passed on: Dagster keeps whole chains, and a system's error may name a
    patient's file or a signed URL.
    """
    try:
        yield
    except ChestganError as error:
        error.__cause__ = error.__context__ = None
        raise dg.Failure(
            description=str(error),
            metadata={"object": error.what, "cause": error.cause, "remedy": error.remedy},
            allow_retries=isinstance(error, (StoreUnreachable, PointerMoved)),
        ) from error
    except dg.DagsterExecutionInterruptedError as error:
        if on_kubernetes():
            # The node is emptied, or the pod makes room: another one goes on. Of a run that a person ended nobody is
            # left to start it.
            raise dg.RetryRequested(max_retries=MOVES, seconds_to_wait=1) from error
        raise
    except Exception as error:
        # Neither its words nor its chain: a system's error names the file, and the file may name a patient. The places
        # in the code are enough to find it.
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}, line {place.lineno}, in {place.name}"
        log.error("".join(traceback.format_tb(error.__traceback__)))
        raise dg.Failure(
            description=f"{type(error).__name__} in {where}; this is a defect: please report it with the log",
            allow_retries=False,
        ) from None
