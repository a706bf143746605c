"""Which slices a training set uses, on which side, and why the others are left out.

In: candidates (rows, no pixels) and the rules of the dataset. Out: a `Selection`. Every candidate is used or counted
under exactly one reason.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chestgan_core.config.dataset import Dataset
from chestgan_core.errors import BadInput
from chestgan_core.imaging.perceptual_hash import near_to
from chestgan_core.reasons import Reason, in_words
from chestgan_core.slices.candidates import Candidate, by_patient
from chestgan_core.slices.splits import HELD_OUT, SIDES, TRAIN, rank, require_patient_ids, split_patients
from chestgan_core.sources.images.source import ImagesConfig

# Of 256. The same slice under another name or compression differs in a few bits. Measured at 256 x 256 on real CT (315
# slices of 4 patients; 37,082 pairs of different patients): slices of two patients never differ in fewer than 45 bits.
# At the same position in another reconstruction of the same scan 80 % are within 10 (93 % within 16), of neighbours up
# to 3 mm apart 41 %. More bits would be safe for people, not for phantoms, which are smoother and more alike: at
# 64 x 64, 18 of 825 slices of 30 patients have one of another patient within 10, 152 within 16; the nearest pair is 4
# apart.
NEAR_BITS = 10


class NotUsed(Reason):
    """Why a slice is not used. The value is what reports print; `.meaning` explains it in one line."""

    NO_TUMOUR_BOX = "no-tumour-box", "the set requires slices with a tumour box, and this one has none"
    UNLIKE_REFERENCE = (
        "unlike-reference",
        "does not resemble the reference slices, or resembles a discarded one",
    )
    PATIENT_CAP = (
        "patient-cap",
        "its patient has more slices than max_slices_per_patient; evenly spaced ones are used",
    )
    TRAINED_PATIENT = (
        "trained-patient",
        "in a held-out folder, but its patient is in a training folder as well",
    )
    NEAR_DUPLICATE = (
        "near-duplicate",
        "held out, but nearly equal to a slice of a patient that is trained on",
    )
    CLASS_BALANCE = "class-balance", "its class has more training slices than the smallest class"


@dataclass(frozen=True, slots=True)
class UsedSlice:
    """A slice of the training set. side: `train` or `held-out`."""

    candidate: Candidate
    side: str


@dataclass(frozen=True)
class Selection:
    """candidates = used + the sum of left_out. used: in the order of the candidates."""

    used: tuple[UsedSlice, ...]
    left_out: Mapping[str, int]


def select_slices(
    candidates: Sequence[Candidate], dataset: Dataset, rejected: Iterable[int] = ()
) -> Selection:
    """Apply the rules of the dataset: which slices qualify, how many per patient, the two sides, near-duplicates across
    the sides, balance of the classes.

    rejected: indices of the candidates that the reference selector rejects. Deterministic. Raises BadInput: no slice
    meets the rules, fewer than two patients, patients without an id, a split folder without a side, an empty side.
    """
    rules = dataset.training_set
    left_out: Counter[NotUsed] = Counter()
    unlike = set(rejected)
    left_out[NotUsed.UNLIKE_REFERENCE] = len(unlike)
    eligible = [candidate for index, candidate in enumerate(candidates) if index not in unlike]
    if rules.slices == "tumour":
        marked = [candidate for candidate in eligible if candidate.boxes]
        left_out[NotUsed.NO_TUMOUR_BOX] = len(eligible) - len(marked)
        eligible = marked
    if rules.max_slices_per_patient is not None:
        capped = [
            candidate
            for slices in by_patient(eligible).values()
            for candidate in evenly_spaced(slices, rules.max_slices_per_patient)
        ]
        left_out[NotUsed.PATIENT_CAP] = len(eligible) - len(capped)
        eligible = capped
    sides = _sides(eligible, dataset, left_out)
    sides[HELD_OUT] = _without_near_duplicates(sides, left_out)
    if rules.balance == "classes":
        balanced = _balanced(sides[TRAIN])
        left_out[NotUsed.CLASS_BALANCE] = len(sides[TRAIN]) - len(balanced)
        sides[TRAIN] = balanced
    counts = {str(reason): count for reason, count in left_out.items() if count}
    for side in SIDES:
        if not sides[side]:
            raise BadInput(
                f"training set of {dataset.name}",
                f"no slice is left for the side {side}; left out: {in_words(counts)}",
                "materialize more patients, or relax the rules under training_set",
            )
    place = {(candidate.shard, candidate.index): at for at, candidate in enumerate(candidates)}
    used = [UsedSlice(candidate, side) for side in SIDES for candidate in sides[side]]
    used.sort(key=lambda use: place[use.candidate.shard, use.candidate.index])
    return Selection(tuple(used), counts)


def evenly_spaced(slices: Sequence[Candidate], limit: int) -> list[Candidate]:
    """At most `limit` of them: the middles of as many equal parts."""
    if len(slices) <= limit:
        return list(slices)
    return [slices[(2 * part + 1) * len(slices) // (2 * limit)] for part in range(limit)]


def _sides(
    eligible: Sequence[Candidate], dataset: Dataset, left_out: Counter[NotUsed]
) -> dict[str, list[Candidate]]:
    sides: dict[str, list[Candidate]] = {side: [] for side in SIDES}
    in_folders = any(candidate.row.series_uid for candidate in eligible)  # a flat copy has no split folders
    if isinstance(dataset.source, ImagesConfig) and dataset.source.splits and in_folders:
        for candidate in eligible:
            sides[_side_of_folder(candidate.row.series_uid, dataset)].append(candidate)
        trained = {candidate.row.patient for candidate in sides[TRAIN]}
        apart = [candidate for candidate in sides[HELD_OUT] if candidate.row.patient not in trained]
        left_out[NotUsed.TRAINED_PATIENT] = len(sides[HELD_OUT]) - len(apart)
        sides[HELD_OUT] = apart
        return sides
    strata = {
        patient: "+".join(sorted({candidate.row.histology for candidate in slices}))
        for patient, slices in by_patient(eligible).items()
    }
    if dataset.training_set.missing_patient_ids == "refuse":
        require_patient_ids(strata, f"training set of {dataset.name}")
    split = split_patients(strata, dataset.training_set.held_out_fraction)
    for candidate in eligible:
        sides[split.side(candidate.row.patient)].append(candidate)
    return sides


def _side_of_folder(folder: str, dataset: Dataset) -> str:
    assert isinstance(dataset.source, ImagesConfig)  # noqa: S101 (for the type checker)
    if folder not in dataset.source.splits:
        raise BadInput(
            f"dataset {dataset.name}",
            f"its folder {folder!r} is assigned to neither train nor held-out",
            "add it to source.splits of the dataset",
        )
    return dataset.source.splits[folder]


def _without_near_duplicates(
    sides: Mapping[str, Sequence[Candidate]], left_out: Counter[NotUsed]
) -> list[Candidate]:
    """The held-out slices without those within NEAR_BITS of a training slice."""
    train, held_out = ([candidate.row.phash for candidate in sides[side]] for side in SIDES)
    near = near_to(held_out, train, NEAR_BITS)
    left_out[NotUsed.NEAR_DUPLICATE] = len(near)
    return [candidate for index, candidate in enumerate(sides[HELD_OUT]) if index not in near]


def _balanced(train: Sequence[Candidate]) -> list[Candidate]:
    """As many slices of each class as the smallest one has. Slices of patients with many go first: what a generator
    lacks is patients, not slices.
    """
    classes: defaultdict[str, list[Candidate]] = defaultdict(list)
    for candidate in train:
        classes[candidate.row.histology].append(candidate)
    limit = min(map(len, classes.values()), default=0)
    return [candidate for slices in classes.values() for candidate in _fewer(slices, limit)]


def _fewer(slices: Sequence[Candidate], limit: int) -> list[Candidate]:
    patients = by_patient(slices)
    quotas = {}
    left = limit
    # From the patient with the fewest slices on: what it does not fill goes to the others.
    order = sorted(patients, key=lambda patient: (len(patients[patient]), rank(patient)))
    for waiting, patient in zip(range(len(order), 0, -1), order, strict=True):
        quotas[patient] = min(len(patients[patient]), left // waiting)
        left -= quotas[patient]
    return [
        candidate
        for patient, quota in quotas.items()
        if quota
        for candidate in evenly_spaced(patients[patient], quota)
    ]
