"""What the code location could not load: files of experiments and datasets, settings. Each is a line for people.

One broken file or setting is left out, and everything else loads. The lines are in the log of the load, in the ticks of
patient_partitions_sensor and in the daily check `configuration_loads`; Dagster's page of a code location shows none.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from chestgan_core.errors import ChestganError, described

_log = logging.getLogger("chestgan")
_faults: list[str] = []


def load_faults() -> tuple[str, ...]:
    """The faults of this load, in the order in which they were found."""
    return tuple(_faults)


def note_fault(sentence: str) -> None:
    """Add a fault and log it; a fault that is known already is not repeated."""
    if sentence not in _faults:
        _faults.append(sentence)
        _log.warning("left out: %s", sentence)


@contextmanager
def left_out(what: object, consequence: str = "") -> Iterator[None]:
    """Note whatever the block raises, instead of ending the load. what: named where an error names nothing itself.

    consequence: what is missing now, for faults that are not about one file.
    """
    beside = f" ({consequence})" if consequence else ""
    try:
        yield
    except ChestganError as error:
        note_fault(f"{error}{beside}")
    except Exception as error:
        # Any library may raise here: each error is a setting or a file that only its owner can correct.
        note_fault(f"{what}: {described(error)}; correct it, or remove it{beside}")
