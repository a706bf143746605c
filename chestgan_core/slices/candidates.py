"""Every slice that a training set may use. Only rows are read, no pixels.

In: the committed slices of patients (or of the classes of pictures). Out: candidates in the order of the shards; what
is known of their tumours is added later (annotated_slices.py).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from chestgan_core.errors import DamagedObject
from chestgan_core.local.progress import Progress
from chestgan_core.slices.shards import SliceRow, parse_rows, rows_path
from chestgan_core.slices.slices_manifest import REMEDY, WHAT, SlicesManifest
from chestgan_core.slices.tumour_boxes import SliceBox
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
    """Slice `index` of the shard `shard`. boxes: where its tumours are. annotated: whether a slice without boxes surely
    shows no tumour; True for one with boxes. masks: annotations of these tumours that have one.
    """

    shard: str
    index: int
    row: SliceRow
    boxes: tuple[SliceBox, ...] = ()
    annotated: bool = False
    masks: tuple[TumourBox, ...] = ()


def read_candidates(store: Store, shards: Sequence[StoredShard]) -> list[Candidate]:
    """The slices of all shards, from their rows: a request for each shard, several at once. Raises DamagedObject,
    BadInput.
    """
    found: list[Candidate] = []
    with Progress("rows of slices", len(shards), "shards") as progress, ThreadPoolExecutor(PARALLEL) as pool:
        read = pool.map(lambda shard: shard.rows(store), shards)
        for shard, rows in zip(shards, read, strict=True):
            found += [Candidate(shard.name, index, row) for index, row in enumerate(rows)]
            progress.step()
    return found


def by_patient(candidates: Iterable[Candidate]) -> Mapping[str, list[Candidate]]:
    """Patient -> its slices, in the order given."""
    grouped: defaultdict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        grouped[candidate.row.patient].append(candidate)
    return grouped
