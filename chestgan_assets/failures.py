"""Errors of the core as Dagster failures: one line for the person, and no retry where a retry cannot help."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from chestgan_core.errors import ChestganError, DamagedObject, NotInStore, StoreError


@contextmanager
def one_line_failures() -> Iterator[None]:
    """Bad input and damaged objects fail for good; a store that is down may be tried again by a RetryPolicy."""
    try:
        yield
    except ChestganError as error:
        passing = isinstance(error, StoreError) and not isinstance(error, (NotInStore, DamagedObject))
        raise dg.Failure(
            description=str(error),
            metadata={"object": error.what, "cause": error.cause, "remedy": error.remedy},
            allow_retries=passing,
        ) from error
