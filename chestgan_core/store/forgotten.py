"""Patients who have withdrawn, and what stays in the place of what came of them.

In: a store, a dataset, the name of a patient in its keys. Out: `forgotten/<dataset>/<patient>.json`, the tombstone of
a patient: as long as it is there, nothing of this patient comes into the store again. It says no more of the patient
than the keys did, which in a private dataset are keyed hashes. Whatever commits something of single patients asks here
before, and again afterwards: a tombstone that was written in between is seen by one of the two sides, so nobody slips
through. `chestgan forget` writes it (chestgan_core/forgetting).
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from chestgan_core.errors import Forgotten, NotInStore, PatientForgotten
from chestgan_core.store import keys
from chestgan_core.store.artefacts import FORGOTTEN, canonical_json, parse_typed
from chestgan_core.store.store import Store

_WHAT, _REMEDY = "a tombstone", "run chestgan forget for the patient again"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PatientTombstone:
    """Says that a patient has withdrawn. patient: the name in keys. at: UTC, of the first request."""

    dataset: str
    patient: str
    at: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    kind: Literal["forgotten-patient"] = "forgotten-patient"


@dataclass(frozen=True)
class ArtefactTombstone:
    """Stands where the manifest of an artefact was that came of a patient who has withdrawn.

    was: the kind of the artefact. at: UTC. facts: what those need who look for what was made of it; no name of a
    patient. The key of the manifest stays occupied, so that who was still making the artefact cannot commit it.
    """

    was: str
    at: str
    facts: dict[str, str]
    kind: Literal["forgotten"] = "forgotten"


def now() -> str:
    """The time as tombstones and records write it, UTC."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def forgotten_patients(store: Store, dataset: str) -> set[str]:
    """The names of all patients of a dataset who have withdrawn. One request for each thousand of them."""
    prefix = keys.forgotten_prefix(dataset)
    names = [item.key.removeprefix(prefix) for item in store.list(prefix)]
    return {name.removesuffix(".json") for name in names if "/" not in name and name.endswith(".json")}


def tombstone_of(store: Store, dataset: str, patient: str) -> PatientTombstone | None:
    """The tombstone of a patient; None: has not withdrawn. One small request. Raises DamagedObject, StoreError."""
    key = keys.forgotten_patient(dataset, patient)
    try:
        value, _ = store.get_pointer(key)
    except NotInStore:
        return None
    return parse_typed(PatientTombstone, value, store.uri(key), _REMEDY, _WHAT)


def write_tombstone(store: Store, dataset: str, patient: str) -> PatientTombstone:
    """Say that a patient has withdrawn; the time of the first request stays. Returns what is in the store."""
    new = asdict(PatientTombstone(dataset, patient, now()))
    key = keys.forgotten_patient(dataset, patient)
    written = store.change_pointer(key, lambda present: present or new)
    return parse_typed(PatientTombstone, dict(written), store.uri(key), _REMEDY, _WHAT)


def require_not_forgotten(store: Store, dataset: str, patient: str) -> None:
    """Raises PatientForgotten: the patient has withdrawn."""
    if found := tombstone_of(store, dataset, patient):
        raise PatientForgotten(
            f"{dataset}:{patient}",
            f"has withdrawn (chestgan forget, {found.at[:10]}), so nothing of this patient is stored",
            "leave the patient out",
        )


@contextmanager
def storing_of(store: Store, dataset: str, patient: str, prefix: str) -> Iterator[None]:
    """A block that stores things of one patient below a prefix, which holds nothing of others.

    Where the patient withdraws meanwhile, what the block has stored is deleted. Raises PatientForgotten, before the
    block or after it.
    """
    require_not_forgotten(store, dataset, patient)
    try:
        yield
    finally:
        if tombstone_of(store, dataset, patient) is not None:
            for item in list(store.list(prefix)):
                store.delete(item.key)
    require_not_forgotten(store, dataset, patient)


def remove_artefact(store: Store, manifest_key: str) -> None:
    """Delete an artefact that was committed a moment ago, the manifest first; not an error if there is none."""
    try:
        artefact = store.read_manifest(manifest_key)
    except NotInStore:
        return
    store.delete(manifest_key)
    for item in artefact.objects:
        store.delete(item.key)


def require_none_forgotten(store: Store, manifest_keys: Iterable[str]) -> None:
    """Raises Forgotten: a tombstone stands in the place of one of these manifests. A small request each."""
    for key in manifest_keys:
        if artefact_tombstone(store, key) is not None:
            cause = "was deleted meanwhile, because a patient of it has withdrawn"
            raise Forgotten(store.uri(key), cause, "materialize its asset again, then what is made of it")


def keep_unless_forgotten(store: Store, manifest_key: str, made_of: Iterable[str]) -> None:
    """Take back an artefact that was committed a moment ago, where a patient has withdrawn while it was made.

    A withdrawal looks for artefacts after it has put tombstones in the place of what they were made of. So it finds
    this one, or this one finds a tombstone.

    Args:
        store: Where it was committed.
        manifest_key: Of the artefact.
        made_of: Keys of the manifests that it was made of.

    Raises:
        Forgotten: A tombstone stands in the place of one of them; the artefact is gone.
    """
    try:
        require_none_forgotten(store, made_of)
    except Forgotten:
        remove_artefact(store, manifest_key)
        raise


def put_artefact_tombstone(store: Store, manifest_key: str, was: str, facts: Mapping[str, str]) -> None:
    """Put a tombstone in the place of a manifest, whatever is there."""
    store.put_bytes(canonical_json(asdict(ArtefactTombstone(was, now(), dict(facts)))), manifest_key)


def artefact_tombstone(store: Store, manifest_key: str) -> ArtefactTombstone | None:
    """What stands in the place of a manifest; None: the artefact is there, or was never. Raises DamagedObject."""
    try:
        value, _ = store.get_pointer(manifest_key)
    except NotInStore:
        return None
    return parse_artefact_tombstone(value, store.uri(manifest_key))


def parse_artefact_tombstone(value: Mapping[str, Any], where: str) -> ArtefactTombstone | None:
    """A tombstone of what was read from the key of a manifest; None: it is none. Raises DamagedObject."""
    if value.get("kind") != FORGOTTEN:
        return None
    return parse_typed(ArtefactTombstone, value, where, _REMEDY, _WHAT)
