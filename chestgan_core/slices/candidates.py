"""Every slice that a training set may use, with its tumour boxes. Only rows are read, no pixels.

In: the committed slices of patients (or of the classes of pictures), tumour boxes in stored pixels. Out: candidates in
the order of the shards, and how many boxes are on them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from chestgan_core.errors import DamagedObject
from chestgan_core.slices.shards import SliceRow, parse_rows, rows_path
from chestgan_core.slices.slices_manifest import REMEDY, WHAT, SlicesManifest
from chestgan_core.slices.tumour_boxes import SliceBox, on_slice
from chestgan_core.sources.annotations.boxes import TumourBox
from chestgan_core.store.artefacts import Artefact, parse_typed
from chestgan_core.store.client import PARALLEL
from chestgan_core.store.store import Store


@dataclass(frozen=True)
class StoredShard:
    """A shard in the store. name: the patient, or the class of pictures; key, sha256: of the safetensors object and
    of its rows.
    """

    name: str
    slices: int
    key: str
    sha256: str
    rows_key: str
    rows_sha256: str

    @classmethod
    def from_artefact(cls, name: str, artefact: Artefact) -> "StoredShard":
        """The shard that patient_slices.py or image_slices.py has committed."""
        tensors = next(item for item in artefact.objects if item.key.endswith(".safetensors"))
        rows = next(item for item in artefact.objects if item.key.endswith(".parquet"))
        manifest = parse_typed(SlicesManifest, artefact.manifest, artefact.manifest_key, REMEDY, WHAT)
        return cls(name, manifest.slices, tensors.key, tensors.sha256, rows.key, rows.sha256)

    def fetch(self, store: Store, path: Path) -> Path:
        """The shard as a verified file, with its rows beside it; returns path."""
        store.get_file(self.key, path, self.sha256)
        store.get_file(self.rows_key, rows_path(path), self.rows_sha256)
        return path

    def rows(self, store: Store) -> tuple[SliceRow, ...]:
        """Its rows alone. Raises DamagedObject, BadInput."""
        rows = parse_rows(store.get_bytes(self.rows_key, self.rows_sha256), store.uri(self.rows_key))
        if len(rows) != self.slices:
            raise DamagedObject(
                store.uri(self.rows_key),
                f"has {len(rows)} rows, its manifest says {self.slices}",
                "materialize slice_tensors again",
            )
        return rows


@dataclass(frozen=True, slots=True)
class Candidate:
    """Slice `index` of the shard `shard`. boxes: where its tumour is."""

    shard: str
    index: int
    row: SliceRow
    boxes: tuple[SliceBox, ...] = ()


@dataclass(frozen=True)
class BoxCounts:
    """Where the tumour boxes of a dataset are. boxes = on_slices + without_slice + beyond_slice + other_size.

    without_slice: the slice that a box names is in no shard (it shows no lung, or its series was not selected), or the
    UID that it names is that of several slices, so that nobody can say which is meant.
    beyond_slice: the box lies outside of the part of the image that the slice was cropped to. other_size: the
    annotation states another size of the image than it has, so that nobody can say where the box is.
    """

    boxes: int = 0
    on_slices: int = 0
    without_slice: int = 0
    beyond_slice: int = 0
    other_size: int = 0


def read_candidates(store: Store, shards: Sequence[StoredShard]) -> list[Candidate]:
    """The slices of all shards, from their rows. Raises DamagedObject, BadInput."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        read = pool.map(lambda shard: shard.rows(store), shards)
        return [
            Candidate(shard.name, index, row)
            for shard, rows in zip(shards, read, strict=True)
            for index, row in enumerate(rows)
        ]


def with_boxes(
    candidates: Iterable[Candidate], boxes: Iterable[TumourBox], size: int
) -> tuple[list[Candidate], BoxCounts]:
    """The candidates with their tumour boxes, and where the boxes are. size: pixels per side of the slices.

    A box belongs to the slice of its patient with its UID. Where its patient is none of the candidates' (some files
    do not name one), its UID must be that of a single slice: a UID does not promise to be one patient's.
    """
    candidates = list(candidates)
    patients = {candidate.row.patient for candidate in candidates}
    slices_with = Counter(candidate.row.sop_uid for candidate in candidates)
    slices_of_patient_with = Counter(
        (candidate.row.patient, candidate.row.sop_uid) for candidate in candidates
    )
    # Edges of the boxes, and the size that the image must have: (0, 0) where the annotation does not say it.
    edges_of: defaultdict[tuple[str, str], dict[tuple[int, int, int, int], tuple[int, int]]] = defaultdict(
        dict
    )
    for box in boxes:
        patient = box.patient if box.patient in patients else ""
        sizes = edges_of[patient, box.sop_uid]
        # Of two origins with the same box the one that states a size can be checked.
        sizes[box.edges] = max(sizes.get(box.edges, (0, 0)), (box.image_width, box.image_height))
    for (patient, uid), edges in edges_of.items():
        if patient:  # the same box of an origin that does not name the patient
            for same in edges_of.get(("", uid), {}).keys() & edges.keys():
                del edges_of["", uid][same]
    total = sum(map(len, edges_of.values()))
    marked: list[Candidate] = []
    on_slices = beyond = other_size = 0
    for candidate in candidates:
        patient, uid = candidate.row.patient, candidate.row.sop_uid
        of_patient = edges_of[patient, uid] if slices_of_patient_with[patient, uid] == 1 else {}
        of_anyone = edges_of["", uid] if slices_with[uid] == 1 else {}
        size_of = (candidate.row.stored_columns, candidate.row.stored_rows)
        stated = {**of_anyone, **of_patient}
        stored = sorted(edges for edges, stated_size in stated.items() if stated_size in ((0, 0), size_of))
        other_size += len(stated) - len(stored)
        placed = [on_slice(candidate.row, *edges, size=size) for edges in stored]
        shown = tuple(box for box in placed if box is not None)
        on_slices, beyond = on_slices + len(shown), beyond + len(placed) - len(shown)
        marked.append(Candidate(candidate.shard, candidate.index, candidate.row, shown))
    without = total - on_slices - beyond - other_size
    return marked, BoxCounts(total, on_slices, without, beyond, other_size)


def by_patient(candidates: Iterable[Candidate]) -> Mapping[str, list[Candidate]]:
    """Patient -> its slices, in the order given."""
    grouped: defaultdict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        grouped[candidate.row.patient].append(candidate)
    return grouped
