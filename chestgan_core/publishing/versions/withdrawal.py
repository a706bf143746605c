"""Withdraw a version of a published set: it stays in the store, and nobody is given it any more.

In: a set, a version, a reason, what to use instead. Out: `synthetic/<set>/<version>/withdrawn.json`, and the entry of
the index that says so. An artefact never changes, so the withdrawal is an object of its own beside its manifest; it is
written by conditional puts, and a later one corrects reason and replacement. Whoever has fetched the set keeps it.
"""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from chestgan_core.errors import BadInput, NotInStore, StoreError, nearest
from chestgan_core.publishing.reader.manifest import Name
from chestgan_core.publishing.versions.index import SetEntry, change_entry, read_entry, read_index
from chestgan_core.store import keys
from chestgan_core.store.artefacts import parse_typed
from chestgan_core.store.store import Store

MAX_REASON = 1_000  # characters
Reason: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_REASON)]


@dataclass(frozen=True)
class Withdrawal:
    """Why a version was withdrawn. replacement: `<set>/<version>`, or empty. at: UTC, of the first withdrawal."""

    name: Name
    version: Name
    reason: Reason
    replacement: Annotated[str, Field(max_length=257)] = ""
    at: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")] = "1970-01-01T00:00:00Z"
    kind: Literal["synthetic-set-withdrawal"] = "synthetic-set-withdrawal"

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


class SetWithdrawn(StoreError):
    """A version that its publisher has withdrawn; the cause is the publisher's, the remedy what to use instead."""


def withdraw_set(store: Store, name: str, version: str, reason: str, replacement: str = "") -> Withdrawal:
    """Withdraw one version of a set; doing it again corrects the reason and the replacement.

    Args:
        store: Its keys need the right to write below `synthetic/`.
        name: The set, for instance `demo`.
        version: 16 hex digits.
        reason: One line for those who would use it, at most 1,000 characters. It is public.
        replacement: What to use instead: a version of this set, or `SET/VERSION`; empty where there is nothing.

    Returns:
        The withdrawal as it is in the store.

    Raises:
        NotInStore: There is no such version, of the set or of the replacement.
        BadInput: The reason is empty or too long, or the replacement is the version itself or withdrawn too.
        StoreError: The store refused, or did not answer. The same call completes what was begun.
    """
    reason = " ".join(reason.split())
    if not 1 <= len(reason) <= MAX_REASON:
        raise BadInput("the reason", f"has {len(reason)} characters", f"write 1 to {MAX_REASON}")
    _require_published(store, name, version)
    instead = _checked_replacement(store, name, version, replacement) if replacement else ""
    new = Withdrawal(name, version, reason, instead, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    key = keys.set_withdrawal(name, version)

    def corrected(present: dict[str, Any]) -> dict[str, Any]:
        at = _parse(store, key, name, version, present).at if present else new.at
        return replace(new, at=at).as_json()

    written = _parse(store, key, name, version, dict(store.change_pointer(key, corrected)))
    # The entry says what the object says at that moment: two who withdraw at once leave the two alike.
    change_entry(store, name, version, lambda entry: _marked(entry, withdrawal_of(store, name, version)))
    return written


def withdrawal_of(store: Store, name: str, version: str) -> Withdrawal | None:
    """Why a version was withdrawn; None: it was not. One small request. Raises DamagedObject, StoreError."""
    key = keys.set_withdrawal(name, version)
    try:
        value, _ = store.get_pointer(key)
    except NotInStore:
        return None
    return _parse(store, key, name, version, value)


def require_not_withdrawn(store: Store, name: str, version: str) -> None:
    """Raises SetWithdrawn, which says why, and names the replacement or else the newest version that is not."""
    found = withdrawal_of(store, name, version)
    if found is None:
        return
    others = [entry for entry in read_index(store) if entry.name == name and not entry.withdrawn]
    if found.replacement:
        remedy = f"use {found.replacement} instead"
    elif others:
        remedy = f"the newest version that is not withdrawn is {others[-1].version}"
    else:
        remedy = "there is no other version of it"
    raise SetWithdrawn(f"set {name} {version}", f"was withdrawn ({found.reason})", remedy)


def stored_entry(store: Store, manifest_key: str) -> SetEntry:
    """The line of a committed set, with its withdrawal if there is one. Raises NotInStore, DamagedObject."""
    entry = read_entry(store, manifest_key)
    return _marked(entry, withdrawal_of(store, entry.name, entry.version))


def _marked(entry: SetEntry, found: Withdrawal | None) -> SetEntry:
    if found is None:
        return entry
    return replace(entry, withdrawn=found.reason, replacement=found.replacement)


def _parse(store: Store, key: str, name: str, version: str, value: dict[str, Any]) -> Withdrawal:
    remedy = "withdraw the version again after deleting this object"
    where = store.uri(key)
    found = parse_typed(Withdrawal, value, where, remedy, "the withdrawal of a set")
    return replace(found, name=name, version=version)


def _require_published(store: Store, name: str, version: str) -> None:
    try:
        store.read_manifest(keys.set_manifest(name, version))
    except NotInStore as error:
        entries = read_index(store)
        versions = [entry.version for entry in entries if entry.name == name]
        if versions:
            raise NotInStore(
                f"set {name}", f"has no version {version}", nearest(version, versions)
            ) from error
        names = {entry.name for entry in entries}
        raise NotInStore(f"set {name}", "has not been published", nearest(name, names)) from error


def _checked_replacement(store: Store, name: str, version: str, replacement: str) -> str:
    """`<set>/<version>` of a published version that is not withdrawn."""
    other, slash, its = replacement.partition("/")
    of, at = (other, its) if slash else (name, replacement)
    _require_published(store, of, at)
    if (of, at) == (name, version):
        raise BadInput("the replacement", "is the version that is withdrawn", "name another version, or none")
    if withdrawal_of(store, of, at):
        raise BadInput("the replacement", "is withdrawn too", "name another version, or none")
    return f"{of}/{at}"
