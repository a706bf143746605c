"""Whether a version of a published set may be used: published, deprecated or withdrawn, why, and what to use instead.

In: a set and a version. Out: `synthetic/<set>/<version>/status.json`, and the entry of the index that says the same. An
artefact never changes, so its status is an object of its own beside its manifest, changed by conditional puts. It is
written before the manifest, so every set has one: whoever may read objects and not list them (a public bucket, the
policy for consumers) is answered "refused" for an object that is not there, and could not tell the two apart.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from chestgan_core.errors import NotInStore, StoreError
from chestgan_core.escaping import escaped
from chestgan_core.publishing.fields import Name
from chestgan_core.publishing.versions.index import SetEntry, change_entry, read_entry, read_index
from chestgan_core.store import keys
from chestgan_core.store.artefacts import parse_typed
from chestgan_core.store.forgotten import remove_artefact
from chestgan_core.store.store import Store

log = logging.getLogger(__name__)
MAX_REASON = 1_000  # characters
State: TypeAlias = Literal["published", "deprecated", "withdrawn"]
Reason: TypeAlias = Annotated[str, Field(max_length=MAX_REASON)]
Time: TypeAlias = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]


@dataclass(frozen=True)
class SetStatus:
    """What its publisher says of a version. reason: of a deprecation or withdrawal. replacement: `<set>/<version>`, or
    empty. at: UTC, since when it has this state. kept: why it is exempt from the retention rule, empty where it is not.
    removed: files of the manifest that the retention rule has deleted.
    """

    name: Name
    version: Name
    state: State
    at: Time
    reason: Reason = ""
    replacement: Annotated[str, Field(max_length=257)] = ""
    kept: Reason = ""
    removed: Annotated[tuple[Name, ...], Field(max_length=1_000_000)] = ()
    kind: Literal["synthetic-set-status"] = "synthetic-set-status"

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def line(self) -> str:
        """For people: `DEPRECATED since 2026-11-29: reason; use demo/0123456789abcdef instead`; "" where published."""
        return line_of(self.as_json())


class SetWithdrawn(StoreError):
    """A version that its publisher has withdrawn; the cause is the publisher's, the remedy what to use instead."""


def line_of(status: Mapping[str, Any]) -> str:
    """SetStatus.line of a status as plain data."""
    if status["state"] == "published":
        return ""
    instead = f"; use {status['replacement']} instead" if status["replacement"] else ""
    return f"{status['state'].upper()} since {status['at'][:10]}: {status['reason']}{instead}"


def now() -> str:
    """The time as it is written into a status."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def status_of(store: Store, name: str, version: str) -> SetStatus | None:
    """What is said of a version; None: nothing, so it was never published here. One small request.

    Raises DamagedObject (what is there is no status: never taken for a permission), StoreError.
    """
    key = keys.set_status(name, version)
    try:
        value, _ = store.get_pointer(key)
    except NotInStore:
        return None
    return _parse(store, name, version, value)


def withdrawal_of(store: Store, name: str, version: str) -> SetStatus | None:
    """Why a version was withdrawn; None: it was not. Raises DamagedObject, StoreError."""
    found = status_of(store, name, version)
    return found if found and found.state == "withdrawn" else None


def require_not_withdrawn(store: Store, name: str, version: str) -> SetStatus | None:
    """What is said of a version that may be used, perhaps that it is deprecated.

    Raises SetWithdrawn, which says why, and names the replacement or else the newest version that is not withdrawn.
    """
    found = status_of(store, name, version)
    if found is None or found.state != "withdrawn":
        return found
    others = [entry for entry in read_index(store) if entry.name == name and not entry.withdrawn]
    if found.replacement:
        remedy = f"use {found.replacement} instead"
    elif others:
        remedy = f"the newest version that is not withdrawn is {others[-1].version}"
    else:
        remedy = "there is no other version of it"
    raise SetWithdrawn(f"set {name} {version}", f"was withdrawn ({found.reason})", remedy)


def keep_unless_withdrawn(store: Store, name: str, version: str, manifest_key: str) -> None:
    """Take back what was committed a moment ago and shows images of a version that was withdrawn meanwhile.

    A patient's withdrawal looks for it once more after the version was withdrawn (store/forgotten.py has the reason).
    manifest_key: of what was committed. Raises SetWithdrawn.
    """
    try:
        require_not_withdrawn(store, name, version)
    except SetWithdrawn:
        remove_artefact(store, manifest_key)
        raise


def require_usable(store: Store, name: str, version: str) -> SetStatus | None:
    """As require_not_withdrawn, for somebody who is given the images: a warning is logged of a deprecated version."""
    found = require_not_withdrawn(store, name, version)
    if found and (said := found.line()):
        log.warning(escaped(f"set {name} {version}: {said}"))
    return found


def begin_status(store: Store, name: str, version: str) -> SetStatus:
    """The status of a version that is about to be published; what is said of it already stays.

    Raises SetWithdrawn: it was withdrawn, and is not published again.
    """
    require_not_withdrawn(store, name, version)
    new = SetStatus(name, version, "published", now())
    value = store.change_pointer(keys.set_status(name, version), lambda present: present or new.as_json())
    return _parse(store, name, version, dict(value))


def change_status(
    store: Store, name: str, version: str, change: Callable[[SetStatus], SetStatus]
) -> SetStatus:
    """Change what is said of a published version, in its object and in the index, whoever else is changing it.

    change: gets what is said now, may be called more than once, and may raise. `at` stays where the state stays.
    """

    def changed(present: dict[str, Any]) -> dict[str, Any]:
        before = (
            _parse(store, name, version, present) if present else SetStatus(name, version, "published", now())
        )
        after = change(before)
        return replace(after, at=before.at if after.state == before.state else now()).as_json()

    written = _parse(
        store, name, version, dict(store.change_pointer(keys.set_status(name, version), changed))
    )
    # The entry says what the object says at that moment: two who change it at once leave the two alike.
    change_entry(store, name, version, lambda entry: _marked(entry, status_of(store, name, version)))
    return written


def stored_entry(store: Store, manifest_key: str) -> SetEntry:
    """The line of a committed set, with what is said of it. Raises NotInStore, DamagedObject."""
    entry = read_entry(store, manifest_key)
    return _marked(entry, status_of(store, entry.name, entry.version))


def _marked(entry: SetEntry, found: SetStatus | None) -> SetEntry:
    if found is None:
        return entry
    return replace(entry, state=found.state, reason=found.reason, replacement=found.replacement)


def _parse(store: Store, name: str, version: str, value: dict[str, Any]) -> SetStatus:
    remedy = "withdraw or publish the version again after deleting this object"
    where = store.uri(keys.set_status(name, version))
    found = parse_typed(SetStatus, value, where, remedy, "the status of a set")
    return replace(found, name=name, version=version)
