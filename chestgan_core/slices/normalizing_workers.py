"""Processes that normalize slices beside this one: what they do, and how they are made.

In: parts of a series. Out: what their slices show. A pool is made once and serves any number of patients, one after the
other:

    with normalizing_workers() as workers:
        for patient in patients:
            normalize_patient(store, dataset, patient, home, workers)
"""

from chestgan_core.dicom.file_walk import Archives
from chestgan_core.local.memory import keep_freed_memory
from chestgan_core.local.workers import START_AFTER, Workers
from chestgan_core.slices.one_slice import SeenSlice, SlicesToSee, see

_archives: Archives | None = None  # of a process that works for another one


def normalizing_workers(cores: int | None = None, start_after: float = START_AFTER) -> Workers:
    """A pool for `normalize` and `normalize_patient`: a context manager, at whose end its processes end.

    Args:
        cores: How many processes work at once, with this one; None: CHESTGAN_CORES, else all cores that this process
            may use. With 1 none is started.
        start_after: Seconds of work in this process before others are started: small deliveries need none.

    Raises:
        BadInput: CHESTGAN_CORES is no whole number from 1 to 64.
    """
    return Workers(prepare, cores, start_after)


def prepare(_: None) -> None:
    """In another process, before its first slices. That this module has been imported is the longer part."""
    keep_freed_memory()


def see_there(slices: SlicesToSee) -> list[SeenSlice]:
    """What the slices show, in another process, which keeps archives open until `close_archives`.

    Raises ValueError: their archive would have to be unpacked again.
    """
    global _archives
    if not slices.in_place:
        raise ValueError("not in place")
    if _archives is None:
        _archives = Archives()
    return see(slices, _archives)


def close_archives(_: None) -> None:
    """In another process, when the files of a patient are no longer needed."""
    global _archives
    if _archives is not None:
        _archives.__exit__(None, None, None)
    _archives = None
