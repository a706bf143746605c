"""What came of one patient, as things that can be counted, shown and deleted.

In: objects of the store. Out: Trace, Traces. The order of `Kind` is the order in which they are deleted: what was made
of something goes before it, so that a killed deletion leaves everything that the rest can be found by.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chestgan_core.errors import DamagedObject, NotInStore
from chestgan_core.reasons import Reason
from chestgan_core.store.artefacts import AGAIN, StoredObject
from chestgan_core.store.client import PARALLEL
from chestgan_core.store.forgotten import ArtefactTombstone, parse_artefact_tombstone
from chestgan_core.store.keys import MANIFEST
from chestgan_core.store.store import Store

TRAIN, HELD_OUT = "train", "held-out"  # as in slices/splits.py


class Kind(Reason):
    """A kind of thing that comes of a patient, in the order of deletion; `.meaning` says why it does."""

    MONTH = "monthly report", "shows images of a model that was trained on the patient"
    LEADERBOARD = "leaderboard", "shows images of such models, and numbers of reports that are deleted"
    COMPARISON = "comparison", "shows real slices, and images of such models"
    PACK = "key of an offline file", "belongs to a reader study that is deleted"
    STUDY = "reader study", "holds pictures of held-out slices and of a withdrawn set"
    REAL_IMAGES = "real images", "pictures of held-out slices, for reader studies"
    UNFINISHED_SET = "unfinished set", "images of a model that was trained on the patient"
    SET = (
        "published set",
        "made by a model that was trained on the patient, or judged by the patient's slices",
    )
    REPORT = "report", "shows real slices, and was made with the patient's slices"
    UNFINISHED_RUN = "unfinished training", "its checkpoint cannot be told from one that has seen the patient"
    RUN = "training run", "its weights were trained on the patient"
    FEATURES = "features", "computed from the slices of both sides of a training set"
    TRAINING_SET = "training set", "lists the patient, and shows slices in its contact sheets"
    BOXES = "tumour boxes", "list boxes on the patient's slices"
    SR = "structured report", "was written about the patient"
    SLICES = "slices", "the normalized slices of the patient"
    RAW = "raw files", "the DICOM files of the patient"
    LOCAL = "download on this machine", "an interrupted download of the patient's series"
    CATALOG = "catalog", "lists the series of the patient"


ORDER = {kind: place for place, kind in enumerate(Kind)}


@dataclass(frozen=True)
class Trace:
    """One thing. name: what people call it, without the patient. objects: what is deleted of it.

    manifest: the key at which a tombstone stays, "" where none does. was, facts: what it says. note: why this one,
    where the kind does not say it. paths: folders of this machine.
    """

    kind: Kind
    name: str
    objects: tuple[StoredObject, ...]
    manifest: str = ""
    was: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    paths: tuple[Path, ...] = ()

    @property
    def keys(self) -> frozenset[str]:
        """Of the objects that are deleted or replaced."""
        return frozenset({item.key for item in self.objects} | ({self.manifest} - {""}))

    @property
    def bytes(self) -> int:
        """Of all its objects."""
        return sum(item.bytes for item in self.objects)


@dataclass(frozen=True)
class Remaining:
    """Something that came of the patient and stays. why: one sentence."""

    what: str
    why: str


@dataclass(frozen=True)
class Traces:
    """What was found, in the order of deletion. series: names of the patient's series, as far as catalogs know them.

    training_sets: version -> side of the patient, also of those that are deleted already. experiments: those whose
    training or report used one of them. known: something names the patient; else what was found is only of training
    sets that were deleted for others.
    """

    traces: tuple[Trace, ...]
    remaining: tuple[Remaining, ...]
    series: frozenset[str]
    training_sets: Mapping[str, str]
    experiments: tuple[str, ...]
    known: bool

    @property
    def keys(self) -> list[str]:
        """Of all objects that are deleted or replaced by a tombstone, sorted."""
        return sorted({key for trace in self.traces for key in trace.keys})

    def counted(self) -> dict[str, dict[str, int]]:
        """Kind -> how many things, objects and bytes, in the order of deletion."""
        counts: dict[str, dict[str, int]] = {}
        for trace in self.traces:
            one = counts.setdefault(str(trace.kind), {"count": 0, "objects": 0, "bytes": 0})
            one["count"] += 1
            one["objects"] += len(trace.keys)
            one["bytes"] += trace.bytes
        return counts


def folders(listed: Iterable[StoredObject], prefix: str, depth: int) -> dict[str, list[StoredObject]]:
    """Objects by the first `depth` folders below a prefix: `tiny/0123` of `reports/tiny/0123/...` with depth 2.

    Objects that lie less deep, such as pointers, are left out.
    """
    found: defaultdict[str, list[StoredObject]] = defaultdict(list)
    for item in listed:
        parts = item.key.removeprefix(prefix).split("/")
        if len(parts) > depth:
            found["/".join(parts[:depth])].append(item)
    return dict(found)


def read_json(store: Store, key: str) -> dict[str, Any] | None:
    """What an object says; None: it was deleted since it was listed. Raises DamagedObject."""
    try:
        return store.get_pointer(key)[0]
    except NotInStore:
        return None


@dataclass(frozen=True)
class Folder:
    """One artefact's folder. manifest: what its manifest says, {} where there is none. tombstone: what stands in its
    place. objects: all but a tombstone.
    """

    name: str
    key: str
    objects: tuple[StoredObject, ...]
    manifest: Mapping[str, Any]
    tombstone: ArtefactTombstone | None

    @property
    def orphaned(self) -> bool:
        """Objects of a writer that was killed, or of one that has not finished."""
        return not self.manifest and self.tombstone is None

    def trace(self, kind: Kind, note: str = "", **facts: str) -> Trace | None:
        """All of it, to be replaced by a tombstone; None: it is gone, up to its tombstone."""
        if self.tombstone is not None or not self.manifest:
            if not self.objects:
                return None
            return Trace(kind, self.name, self.objects, note=note or "left by a killed writer")
        was = str(self.manifest.get("kind", kind))
        return Trace(kind, self.name, self.objects, self.key, was, facts, note)


@contextmanager
def fields_of(store: Store, key: str) -> Iterator[None]:
    """A block that reads fields of a manifest. Raises DamagedObject, which names it: a field is not there, or of
    another kind.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DamagedObject(store.uri(key), "does not have the fields of its kind", AGAIN) from error


def artefacts(store: Store, prefix: str, depth: int, at_once: int = PARALLEL) -> Iterator[Folder]:
    """The artefacts whose manifests lie `depth` folders below a prefix, by name. Raises DamagedObject.

    at_once: how many manifests are read at a time, and wait in memory.
    """
    found = sorted(folders(store.list(prefix), prefix, depth).items())

    def read(one: tuple[str, list[StoredObject]]) -> Folder:
        name, objects = one
        key = f"{prefix}{name}/{MANIFEST}"
        value = None
        if any(item.key == key for item in objects):
            value = read_json(store, key)
        tombstone = parse_artefact_tombstone(value, store.uri(key)) if value else None
        kept = tuple(item for item in objects if not (tombstone and item.key == key))
        return Folder(name, key, kept, {} if tombstone else value or {}, tombstone)

    with ThreadPoolExecutor(at_once) as pool:
        reading: deque[Future[Folder]] = deque()
        for one in found:
            reading.append(pool.submit(read, one))
            if len(reading) > at_once:
                yield reading.popleft().result()
        while reading:
            yield reading.popleft().result()
