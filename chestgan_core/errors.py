"""The errors that reach a person. Each says in one line which object, what is wrong, and what to do.

    ChestganError
        BadInput                    a path, an option, a file that cannot be used: the caller must change something
            UnknownName             no dataset, device, extractor, ... of this name: the remedy says the nearest ones
            BadExperiment           an experiment file (tuning.space.BadSpace: a file that says what a study varies)
            PatientForgotten        the patient has withdrawn: nothing of this patient is stored
            NotHounsfield           dicom.hounsfield: a slice whose values are not Hounsfield units
        DiskFull                    this machine has no space left: no fault of the input
        NotAvailable                weights, an extra or a device are missing here; others can do without
        BadCheckpoint               a generator or a checkpoint of another network or training, or a damaged one
        StoreError                  the store refused, or is not set up
            StoreUnreachable        it did not answer: may pass by itself, so Dagster tries the step again
            PointerMoved            another writer was first: Dagster tries the step again
            NotInStore              the step that writes the object has not run yet
                Forgotten           it was deleted, because a patient whom it came of has withdrawn
            DamagedObject           stored bytes that are not what they should be: must be written again
            SetWithdrawn            publishing.versions.status: a version of a set that was withdrawn
        SourceUnreachable           IDC, NBIA, Kaggle or a webhook did not answer: may pass by itself
        SourceRefused               it answered, and will not give or take this: retrying cannot help
        IdentityFound               files of a private folder still name a person
        TrainingDiverged, ...       training/ and tuning/: a run that ended, and why

A caller of the library catches ChestganError, or the class that it has an answer to. The command line ends with
status 2 for UnknownName and BadExperiment (wrong use), and with status 1 for all others.
"""

import difflib
from collections.abc import Iterable

from chestgan_core.escaping import escaped

_LISTED = 12  # known names that still fit in one line
_MIN_PART = 3  # characters of a name that is looked for inside longer ones


def nearest(name: str, known: Iterable[str]) -> str:
    """The remedy for an unknown name: up to three known names most like it (by difflib), else such as contain it.

    Where none is like it: all of them, or the first twelve and how many there are. Upper and lower case, and `-` or
    `_`, count as equal. known: in any order; the answer is sorted by likeness, else alphabetically.
    """
    names = {_plain(one): one for one in sorted(known)}
    alike = difflib.get_close_matches(_plain(name), names)
    if not alike and len(name) >= _MIN_PART:
        alike = [one for one in names if _plain(name) in one][:3]
    if alike:
        return f"did you mean {', '.join(names[one] for one in alike)}?"
    if not names:
        return "there is none yet"
    listed = ", ".join(list(names.values())[:_LISTED])
    return f"choose one of {listed}" + (f", ... ({len(names)} in all)" if len(names) > _LISTED else "")


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def described(error: Exception) -> str:
    """An error that is none of ours, as the middle of a line: its class and what it says, without line ends."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


class ChestganError(Exception):
    """what: the object (path, key, series); cause: what is wrong with it; remedy: what the reader can do.

    All three are `escaped`: names of files, keys and header values may hold characters that act on a terminal.
    """

    def __init__(self, what: object, cause: str, remedy: str) -> None:
        self.what, self.cause, self.remedy = escaped(what), escaped(cause), escaped(remedy)
        super().__init__(f"{self.what}: {self.cause}; {self.remedy}")

    def __reduce__(self) -> tuple[type["ChestganError"], tuple[str, str, str]]:
        # The default would call the class with one argument when the error crosses a process border.
        return type(self), (self.what, self.cause, self.remedy)


class BadInput(ChestganError):
    """What was given cannot be used: a path, an option, a DICOM folder without a usable series."""


class UnknownName(BadInput):
    """A name that is not among the known ones; the remedy is `nearest`."""


class PatientForgotten(BadInput):
    """A patient who has withdrawn: nothing of this patient is stored again."""


class BadExperiment(BadInput):
    """An experiment file or name that cannot be used; names the file and the field."""


class DiskFull(ChestganError):
    """This machine has no space left for what is to be written. Neither the input nor the settings are at fault."""


class BadCheckpoint(ChestganError):
    """A generator or a checkpoint that cannot be loaded, or belongs to another network or training."""


class StoreError(ChestganError):
    """The object store refused, failed or is not there; carries bucket and key."""


class StoreUnreachable(StoreError):
    """The store did not answer, or broke off: what may pass by itself."""


class NotInStore(StoreError):
    """No such object, or an artefact whose manifest was never written."""


class Forgotten(NotInStore):
    """An artefact that was deleted because a patient whom it came of has withdrawn."""


class DamagedObject(StoreError):
    """Bytes whose sha256 or size is not what the manifest says, or a manifest or pointer without what it must hold."""


class PointerMoved(StoreError):
    """A conditional put lost against another writer."""


class SourceUnreachable(ChestganError):
    """A source of images did not answer, was overloaded or broke off: what may pass by itself."""


class SourceRefused(ChestganError):
    """A source does not have what was requested, or sends it damaged: retrying cannot help. Names the series."""


class IdentityFound(ChestganError):
    """Files of a private folder that still name a person; says which kinds of findings and in how many files."""


class NotAvailable(ChestganError):
    """An optional part is missing (weights, an extra, a device); says how to get it."""
