"""The record of a withdrawal: what was deleted, when, by which command, by whom, what remains and why.

In: what a run of `chestgan forget` found and did. Out: `forgotten/<dataset>/<patient>/record-0001.json`, ..., written
once each. A record has the sha256 of its own content, and that of the record before; the first has that of the
tombstone. So a record that was changed or is missing in the middle is noticed by whoever has a later one, or the sha256
that the command printed. That is all they prove: whoever may write to the store can write a whole new chain, and the
name of the operator is what the operator gave.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from chestgan_core import __version__
from chestgan_core.errors import DamagedObject, NotInStore, PointerMoved
from chestgan_core.forgetting.traces import Remaining, Traces
from chestgan_core.store import keys
from chestgan_core.store.artefacts import canonical_json, parse_typed, sha256_of
from chestgan_core.store.forgotten import now
from chestgan_core.store.store import Store

State: TypeAlias = Literal["begun", "complete", "incomplete"]
Sha256: TypeAlias = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_REMEDY = "compare it with the sha256 that chestgan forget printed"
_MAX_TRIES = 20


@dataclass(frozen=True)
class Record:
    """One entry of the chain. state: begun, before anything is deleted; complete: a walk afterwards found nothing;
    incomplete: it found something, which a writer had added meanwhile.

    found: kind -> how many things, objects and bytes. keys, keys_sha256: of the objects that are deleted or replaced by
    a tombstone, sorted, a line each. withdrawn: sets. remaining: what stays and why. unreachable: what the command
    cannot reach. requested: what is to be made again. at: UTC. by: what the operator gave as name.
    """

    dataset: str
    patient: str
    number: Annotated[int, Field(ge=1)]
    state: State
    at: str
    by: str
    command: str
    version: str
    found: dict[str, dict[str, int]]
    keys: int
    keys_sha256: Sha256
    withdrawn: list[str]
    remaining: list[Remaining]
    unreachable: list[str]
    requested: list[str]
    previous: Sha256
    sha256: str = ""
    kind: Literal["forgetting-record"] = "forgetting-record"

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @property
    def key(self) -> str:
        """Of its object."""
        return keys.forgetting_record(self.dataset, self.patient, self.number)

    def own_sha256(self) -> str:
        """Of everything but the sha256 itself, as canonical JSON."""
        fields = self.as_json()
        del fields["sha256"]
        return sha256_of(canonical_json(fields))


@dataclass(frozen=True)
class Occasion:
    """Who deletes, with what. by: a name, or empty. command: as it was given, without what is confidential."""

    command: str
    by: str = ""
    unreachable: Sequence[str] = field(default=())
    requested: Sequence[str] = field(default=())


def keys_sha256(found: Sequence[str]) -> str:
    """Of keys, sorted, a line each."""
    return sha256_of("".join(f"{key}\n" for key in sorted(found)).encode())


def write_record(
    store: Store, dataset: str, patient: str, state: State, traces: Traces, occasion: Occasion
) -> Record:
    """Add a record to the chain. Raises DamagedObject (the chain is broken), PointerMoved, StoreError."""
    for _ in range(_MAX_TRIES):
        before = read_records(store, dataset, patient)
        record = Record(
            dataset=dataset,
            patient=patient,
            number=len(before) + 1,
            state=state,
            at=now(),
            by=occasion.by,
            command=occasion.command,
            version=__version__,
            found=traces.counted(),
            keys=len(traces.keys),
            keys_sha256=keys_sha256(traces.keys),
            withdrawn=[trace.name for trace in traces.traces if trace.facts.get("reason")],
            remaining=list(traces.remaining),
            unreachable=list(occasion.unreachable),
            requested=list(occasion.requested),
            previous=before[-1].sha256 if before else _tombstone_sha256(store, dataset, patient),
        )
        record = parse_typed(Record, {**record.as_json(), "sha256": record.own_sha256()}, "a record")
        try:
            store.put_pointer(keys.forgetting_record(dataset, patient, record.number), record.as_json(), None)
        except PointerMoved:
            continue  # the same command runs twice
        return record
    where = store.uri(keys.forgetting_record(dataset, patient, 1))
    raise PointerMoved(where, "others wrote records all the time", "run again")


def read_records(store: Store, dataset: str, patient: str) -> list[Record]:
    """The chain, checked. Raises DamagedObject: a record was changed, or one is missing."""
    prefix = keys.forgetting_records_prefix(dataset, patient)
    listed = sorted(item.key for item in store.list(prefix))
    records: list[Record] = []
    previous = ""
    for number, key in enumerate(listed, 1):
        where = store.uri(key)
        value: Mapping[str, Any] = store.get_pointer(key)[0]
        record = parse_typed(Record, value, where, _REMEDY, "the record of a withdrawal")
        if record.own_sha256() != record.sha256:
            raise DamagedObject(where, "was changed: it has not the sha256 that it states", _REMEDY)
        expected = previous or _tombstone_sha256(store, dataset, patient)
        if record.number != number or record.previous != expected:
            raise DamagedObject(where, "does not follow the record before it: one is missing", _REMEDY)
        records.append(record)
        previous = record.sha256
    return records


def _tombstone_sha256(store: Store, dataset: str, patient: str) -> str:
    key = keys.forgotten_patient(dataset, patient)
    try:
        return sha256_of(store.get_bytes(key))
    except NotInStore as error:
        raise DamagedObject(store.uri(key), "is missing, and there are records", _REMEDY) from error
