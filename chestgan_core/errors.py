"""The errors that reach a person. Each says in one line which object, what is wrong, and what to do."""

import difflib
from collections.abc import Iterable

_LISTED = 12  # known names that still fit in one line


def nearest(name: str, known: Iterable[str]) -> str:
    """The remedy for an unknown name: the known names most like it (by difflib), or all of them where they are few.

    Upper and lower case, and `-` or `_`, count as equal. known: in any order; the answer is sorted by likeness, else
    alphabetically.
    """

    names = {_plain(one): one for one in sorted(known)}
    alike = difflib.get_close_matches(_plain(name), names)
    if alike:
        return f"did you mean {', '.join(names[one] for one in alike)}?"
    if not names:
        return "there is none yet"
    listed = ", ".join(list(names.values())[:_LISTED])
    return f"choose one of {listed}" + (f", ... ({len(names)} in all)" if len(names) > _LISTED else "")


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


class ChestganError(Exception):
    """what: the object (path, key, series); cause: what is wrong with it; remedy: what the reader can do."""

    def __init__(self, what: object, cause: str, remedy: str) -> None:
        self.what, self.cause, self.remedy = str(what), cause, remedy
        super().__init__(f"{what}: {cause}; {remedy}")

    def __reduce__(self) -> tuple[type["ChestganError"], tuple[str, str, str]]:
        # The default would call the class with one argument when the error crosses a process border.
        return type(self), (self.what, self.cause, self.remedy)


class BadInput(ChestganError):
    """What was given cannot be used: a path, an option, a DICOM folder without a usable series."""


class BadExperiment(BadInput):
    """An experiment file or name that cannot be used; names the file and the field."""


class BadCheckpoint(ChestganError):
    """A generator or a training state that cannot be loaded, or belongs to another network."""


class StoreError(ChestganError):
    """The object store refused, failed or is not there; carries bucket and key."""


class StoreUnreachable(StoreError):
    """The store did not answer, or broke off: what may pass by itself."""


class NotInStore(StoreError):
    """No such object, or an artefact whose manifest was never written."""


class DamagedObject(StoreError):
    """Bytes whose sha256 or size is not what the manifest says."""


class PointerMoved(StoreError):
    """A conditional put lost against another writer."""


class SourceUnreachable(ChestganError):
    """A source of images did not answer, was overloaded or broke off: what may pass by itself."""


class SourceRefused(ChestganError):
    """A source does not have what was asked for, or gives it damaged: asking again cannot help. Names the series."""


class IdentityFound(ChestganError):
    """Files of a private folder that still name a person; says which kinds of findings and in how many files."""


class NotAvailable(ChestganError):
    """An optional part is missing (weights, an extra, a device); says how to get it."""
