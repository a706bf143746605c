"""Where a set comes from and what was measured on its model, as typed data: all that its card says.

In: plain data of the steps that led to the set, or provenance.json of somebody else. Out: Provenance, and CardFacts,
which adds what is known of the files themselves. Times and names of machines are not in it: the version of a set is a
hash of its files, and the same run must give the same version.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from chestgan_core.config.dataset import ImageKind
from chestgan_core.errors import DamagedObject
from chestgan_core.escaping import escaped
from chestgan_core.evaluation.reader_study import ReaderStudyBlock
from chestgan_core.evaluation.scoring.attack_block import AttackBlock
from chestgan_core.evaluation.scoring.gate import GateResult
from chestgan_core.evaluation.scoring.metric_rows import MEASURES, MetricRow
from chestgan_core.evaluation.scoring.provenance import DataFacts, RunFacts
from chestgan_core.evaluation.scoring.report_payload import ExtractorInfo
from chestgan_core.evaluation.thesis.block import ThesisRow
from chestgan_core.local.json_text import parse_json
from chestgan_core.publishing.fields import NotNegative, Sha256, Text
from chestgan_core.publishing.reader.labels import Boxes
from chestgan_core.publishing.reader.manifest import SetFacts, facts_from
from chestgan_core.publishing.split.counts import SplitCounts
from chestgan_core.store.artefacts import parse_typed

FILE = "provenance.json"
KIND = "synthetic-set-provenance"
FORMAT = 2
MAX_BYTES = 8 * 2**20
REMEDY = "fetch the set again; if that does not help, ask whoever published it"
Counts: TypeAlias = dict[str, NotNegative]


@dataclass(frozen=True, kw_only=True)
class PublishedRow(MetricRow):
    """A measure as published: without the seconds that it took, which are others in each computation."""

    seconds: float = field(default=0.0, compare=False)

    def __post_init__(self) -> None:
        # Whoever prints a row looks its measure up.
        if self.measure not in MEASURES:
            raise ValueError(f"{escaped(self.measure[:60])} is not a measure that this version knows")


@dataclass(frozen=True, kw_only=True)
class PublishedThesisRow(ThesisRow):
    """A measure of the thesis system as published."""

    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class PublishedThesis:
    """The measures of the thesis system, for continuity. why: what is wrong with them."""

    rows: tuple[PublishedThesisRow, ...]
    label: Text
    why: Text


@dataclass(frozen=True)
class Metrics:
    """A metric report, as report.json has it. patients_real: on the side that the images are compared with.
    covered_worse: a sentence about groups of patients, of whom a set says nothing else.

    provenance: versions of the libraries that measured, seeds of the measured images.
    """

    rows: tuple[PublishedRow, ...]
    patients_real: NotNegative
    image_kind: ImageKind
    extractors: tuple[ExtractorInfo, ...] = ()
    gate: GateResult | None = None
    reader_study: ReaderStudyBlock | None = None
    thesis: PublishedThesis | None = None
    attacks: AttackBlock | None = None
    covered_worse: Text = ""
    data: DataFacts | None = None
    run: RunFacts | None = None
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceFacts:
    """The dataset that the model was trained on. access: how others get it. collection_version: "" where none was
    recorded. private: whether its owner keeps it. rules: its file as data, without paths and machines, and where it is
    private without names of patients and series. limits: sentences of whoever described it.
    """

    dataset: Text
    access: Text
    private: bool
    hounsfield: bool
    image_kind: ImageKind
    citation: Text = ""
    doi: Text = ""
    collection_version: Text = ""
    rules: dict[str, Any] = field(default_factory=dict)
    limits: tuple[Text, ...] = ()


@dataclass(frozen=True)
class TrainingFacts:
    """The training set, as its manifest counts it.

    size: pixels per side of its slices. in_shards: slices before its rules; left_out: by these, by reason;
    not_normalized: files and slices before that.
    """

    size: NotNegative
    patients: Counts
    slices: Counts
    in_shards: NotNegative
    left_out: Counts
    not_normalized: Counts = field(default_factory=dict)


@dataclass(frozen=True)
class Provenance:
    """What led to a set. source, source_licence: title and licence of the training data.

    run, training_set, report: their versions. generator_sha256: hex, of the weights. metrics: None where nothing was
    measured; source_facts, training, split: None where nothing is recorded, and the card says so. split: the counts of
    split.csv. reproduction: how the real side of the metrics was made (writing/instructions.py), empty where nobody
    can repeat it.
    """

    source: Text
    source_licence: Text
    run: Text = ""
    generator_sha256: Text = ""
    training_set: Text = ""
    report: Text = ""
    source_facts: SourceFacts | None = None
    training: TrainingFacts | None = None
    split: SplitCounts | None = None
    metrics: Metrics | None = None
    reproduction: dict[str, Any] = field(default_factory=dict)

    @property
    def image_kind(self) -> ImageKind | None:
        """The word for one of the training images; None where it is not known."""
        if self.source_facts:
            return self.source_facts.image_kind
        return self.metrics.image_kind if self.metrics else None

    def as_json(self) -> dict[str, Any]:
        """Plain data, without seconds of computations."""
        plain = asdict(self)
        if self.metrics:
            rows = [*plain["metrics"]["rows"], *(plain["metrics"]["thesis"] or {"rows": ()})["rows"]]
            for row in rows:
                del row["seconds"]
        return plain


@dataclass(frozen=True)
class AskedCounts:
    """What the images of a set were asked to show. tumour, none: how many were asked for tumours, and for none;
    unsaid: of which nothing was said. boxes: of all tumours.
    """

    tumour: NotNegative = 0
    none: NotNegative = 0
    unsaid: NotNegative = 0
    boxes: NotNegative = 0

    def with_labels(self, labels: Iterable[Boxes]) -> "AskedCounts":
        """With the boxes of further images."""
        counts = [None if boxes is None else len(boxes) for boxes in labels]
        return AskedCounts(
            tumour=self.tumour + sum(bool(count) for count in counts),
            none=self.none + counts.count(0),
            unsaid=self.unsaid + counts.count(None),
            boxes=self.boxes + sum(count or 0 for count in counts),
        )


@dataclass(frozen=True)
class Statements:
    """The fixed sentences of a card (statements.py). asked: what its labels say beside the class."""

    intended: tuple[Text, ...]
    forbidden: tuple[Text, ...]
    limits: tuple[Text, ...]
    copies: tuple[Text, ...]
    changes: Text
    asked: tuple[Text, ...] = ()


@dataclass(frozen=True)
class ListedFile:
    """A file of the set. sha256: hex."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    bytes: NotNegative
    sha256: Sha256


@dataclass(frozen=True)
class CardFacts:
    """Everything a card says. network: of the generator, as its experiment has it. files: but those of the card. asked:
    None where it was not counted.
    """

    set: SetFacts
    network: dict[str, Any]
    provenance: Provenance
    statements: Statements
    files: tuple[ListedFile, ...]
    asked: AskedCounts | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "kind": KIND,
            "format": FORMAT,
            "set": self.set.as_json(),
            "network": self.network,
            "provenance": self.provenance.as_json(),
            "statements": asdict(self.statements),
            "asked": asdict(self.asked) if self.asked else None,
            "files": [asdict(one) for one in self.files],
        }

    def as_bytes(self) -> bytes:
        """provenance.json; the same facts give the same bytes. Names keep the order that the card has them in."""
        return (json.dumps(self.as_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


@dataclass(frozen=True)
class _File:
    kind: Literal["synthetic-set-provenance"]
    format: Annotated[int, Field(ge=1)]
    network: dict[str, Any]
    provenance: Provenance
    statements: Statements
    files: Annotated[tuple[ListedFile, ...], Field(max_length=1_000_000)]
    asked: AskedCounts | None


def provenance_from(value: Mapping[str, Any]) -> Provenance:
    """Plain data as typed. Raises KeyError (no `source`, no `source_licence`), DamagedObject (a wrong type)."""
    for name in ("source", "source_licence"):
        if name not in value:
            raise KeyError(name)
    return parse_typed(
        Provenance, dict(value), "the provenance of a set", "give the fields of Provenance", "as expected"
    )


def read_provenance(data: bytes, where: str) -> CardFacts:
    """provenance.json of somebody else. where: named by an error.

    Raises DamagedObject: too large, not JSON, a field is missing or out of bounds, or of a later format.
    """
    if len(data) > MAX_BYTES:
        raise DamagedObject(where, f"has {len(data):,} bytes, at most {MAX_BYTES:,} are read", REMEDY)
    value = parse_json(data, where, REMEDY)
    found = parse_typed(_File, value, where, REMEDY, "the provenance of a set")
    if found.format > FORMAT:
        cause = f"is of format {found.format}, which a newer version of chestgan writes"
        raise DamagedObject(where, cause, "install that version")
    facts = facts_from(value.get("set"), where)
    return CardFacts(facts, found.network, found.provenance, found.statements, found.files, found.asked)
