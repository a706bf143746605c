"""Errors of the core as Dagster failures: one line for people, and no retry where a retry cannot help."""

import logging
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from chestgan_assets.execution.dagster_internals import SentenceFailure
from chestgan_assets.execution.executor import on_kubernetes
from chestgan_assets.execution.interruptions import INTERRUPTED, INTERRUPTED_LABEL
from chestgan_core.errors import ChestganError, PointerMoved, StoreUnreachable

MAX_INTERRUPTIONS = 10  # a training that takes days may see as many upgrades of its nodes

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Described:
    """An error as people are shown it. temporary: another attempt may succeed. kind: of the error."""

    sentence: str
    metadata: Mapping[str, Any]
    temporary: bool = False
    kind: type[Exception] = Exception


def describe(error: Exception) -> Described:
    """The sentence of an error, and whether a retry can help: with a silent store and a moved pointer only.

    Everything else is permanent: bad input, a refused key, a damaged object, a bug; also a source that did not answer
    for as long as sources/download/retry.py waits: a retry would hold its slot in the pool for three times as long.
    """
    if isinstance(error, ChestganError):
        metadata = {"object": error.what, "cause": error.cause, "remedy": error.remedy}
        temporary = isinstance(error, (StoreUnreachable, PointerMoved))
        return Described(str(error), metadata, temporary, type(error))
    if isinstance(error, dg.Failure):
        return Described(error.description or "", error.metadata)
    # Neither its message nor its cause: an error of the operating system names the file, which may name a patient.
    # The places in the code are enough to find it.
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}, line {place.lineno}, in {place.name}"
    _log.error("".join(traceback.format_tb(error.__traceback__)))
    said = f"{type(error).__name__} in {where}; this is a bug; please report it with the log"
    return Described(said, {"place": where})


@contextmanager
def one_line_failures() -> Iterator[None]:
    """Turn errors into dg.Failure, of which only temporary ones (`describe`) are retried by a RetryPolicy.

    In pods, a step that received SIGTERM is retried in another pod; elsewhere it ends with a sentence, and Dagster
    marks the run as canceled where a person canceled it. The cause of an error is dropped: Dagster stores whole chains,
    and an error of the operating system may name a patient's file or a signed URL.
    """
    try:
        yield
    except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt) as error:
        if on_kubernetes():
            # The node is drained, or the pod is preempted: another pod resumes. Where a person has terminated the run,
            # no process is left that would start it.
            raise dg.RetryRequested(max_retries=MAX_INTERRUPTIONS, seconds_to_wait=1) from error
        # Dagster would apply the RetryPolicy, announce a retry in 10 s, and cancel the run only then.
        raise SentenceFailure(INTERRUPTED, {INTERRUPTED_LABEL: True}) from None
    except dg.Failure:
        raise
    except Exception as error:
        error.__cause__ = error.__context__ = None
        found = describe(error)
        if found.temporary:
            raise dg.Failure(found.sentence, metadata=found.metadata, allow_retries=True) from error
        raise SentenceFailure(found.sentence, found.metadata) from None
