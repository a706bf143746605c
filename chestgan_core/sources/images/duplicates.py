"""Pictures that are there twice: which of them are used, so that none is on both sides and none is counted twice.

In: the rows of a collection, and which side each split is on. Out: the rows with their statuses, groups and patients.
Every pair of pictures is compared (near_duplicates.py).

- The same picture with two classes has no class: no copy is used.
- Of equal pictures on one side the first by path is used.
- Where train and held-out pictures are the same or nearly, the pictures of one side are left out: of each group those
  whose loss is the smaller share of their side.
- Without sides a training set splits by patient. There the pictures of one patient stay, of the patient with the
  most pictures in the group. Pictures without a patient's token get their group as patient, so none is lost.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from chestgan_core.imaging.perceptual_hash import NEAR, groups, near_pairs
from chestgan_core.sources.images.image_rows import ImageRow, ImageStatus

HELD_OUT = "held-out"


def decide(rows: Sequence[ImageRow], sides: Mapping[str, str]) -> list[ImageRow]:
    """The same rows in the same order, each picture with its group, patient, status and twin.

    sides: split -> `train` or `held-out`; empty where the training set splits by patient. Rows that have a status other
    than selected keep it.
    """
    decided = _grouped(list(rows))
    usable = [at for at, row in enumerate(decided) if row.is_picture and row.is_selected]
    alike = _alike({decided[at].phash for at in usable})
    classes: defaultdict[str, set[str]] = defaultdict(set)
    for at in usable:
        classes[decided[at].phash].add(decided[at].class_name)
    for at in usable:
        if any(classes[phash] != {decided[at].class_name} for phash in alike[decided[at].phash]):
            decided[at] = replace(decided[at], status=str(ImageStatus.TWO_CLASSES))
    copies = _copies(decided, usable, sides)
    used = {at for at in usable if decided[at].is_selected} - copies.keys()
    near = _partners(decided, sorted(used), alike)
    lost = _both_sides(decided, near, sides) if sides else _several_patients(decided, near)
    used.difference_update(lost)
    twins = {at: next(other for other in near[at] if other in used) for at in lost}
    # A copy of a picture that gave way has the twin of that one: `twin` always names a picture that is used.
    twins |= {at: kept if kept in used else twins[kept] for at, kept in copies.items()}
    for at, twin in twins.items():
        _leave_out(decided, at, twin)
    return decided


def _grouped(rows: list[ImageRow]) -> list[ImageRow]:
    """Rows with the number of their group, and its name as patient where the file's name tells none."""
    pictures = [at for at, row in enumerate(rows) if row.is_picture]
    first: dict[str, int] = {}
    for at in pictures:
        first.setdefault(rows[at].pixels_sha256, at)
    distinct = list(first.values())
    pairs = [(i, j) for i, j, _ in near_pairs([rows[at].phash for at in distinct], NEAR)]
    copies = Counter(rows[at].pixels_sha256 for at in pictures)
    number = 0
    told: dict[str, tuple[int, str]] = {}
    for members in groups(len(distinct), pairs):
        contents = [rows[distinct[member]].pixels_sha256 for member in members]
        alone = sum(copies[content] for content in contents) == 1
        told |= {content: (-1 if alone else number, f"picture-{min(contents)[:16]}") for content in contents}
        number += not alone
    for at in pictures:
        group, name = told[rows[at].pixels_sha256]
        rows[at] = replace(rows[at], group=group, patient=rows[at].patient or name)
    return rows


def _alike(hashes: set[str]) -> dict[str, list[str]]:
    """Hash -> those that are the same or nearly the same, itself first, then the nearest. By hash, not by picture: a
    collection may hold the same blank mask ten thousand times.
    """
    ordered = sorted(hashes)
    found: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for i, j, bits in near_pairs(ordered, NEAR):
        found[ordered[i]].append((bits, ordered[j]))
        found[ordered[j]].append((bits, ordered[i]))
    return {phash: [phash, *(other for _, other in sorted(found[phash]))] for phash in ordered}


def _partners(
    rows: Sequence[ImageRow], used: Sequence[int], alike: Mapping[str, Sequence[str]]
) -> dict[int, list[int]]:
    """Picture -> the other pictures in use that are the same or nearly the same, nearest first."""
    holders: defaultdict[str, list[int]] = defaultdict(list)
    for at in used:
        holders[rows[at].phash].append(at)
    return {
        at: [other for phash in alike[rows[at].phash] for other in holders[phash] if other != at]
        for at in used
    }


def _copies(rows: Sequence[ImageRow], usable: Sequence[int], sides: Mapping[str, str]) -> dict[int, int]:
    """Of equal pictures on one side all but the first -> the first."""
    first: dict[tuple[str, str], int] = {}
    copies = {}
    for at in usable:
        if rows[at].is_selected:
            kept = first.setdefault((sides.get(rows[at].split, ""), rows[at].pixels_sha256), at)
            if kept != at:
                copies[at] = kept
    return copies


def _both_sides(
    rows: Sequence[ImageRow], near: Mapping[int, Sequence[int]], sides: Mapping[str, str]
) -> list[int]:
    """Pictures to leave out so that no held-out picture is near a training picture."""
    side = {at: sides[rows[at].split] for at in near}
    size = Counter(side.values())
    crossing: defaultdict[int, list[int]] = defaultdict(list)
    for at, others in near.items():
        if any(side[other] != side[at] for other in others):
            crossing[rows[at].group].append(at)
    lost = []
    for _, members in sorted(crossing.items()):
        held_out = [at for at in members if side[at] == HELD_OUT]
        train = [at for at in members if side[at] != HELD_OUT]
        # Crosswise, so that the shares are compared in whole numbers.
        fewer = len(train) * size[HELD_OUT] < len(held_out) * (len(side) - size[HELD_OUT])
        lost += train if fewer else held_out
    return lost


def _several_patients(rows: Sequence[ImageRow], near: Mapping[int, Sequence[int]]) -> list[int]:
    """Pictures to leave out so that near-duplicates belong to one patient, hence to one side."""
    count = Counter((rows[at].group, rows[at].patient) for at in near)
    order = sorted(near, key=lambda at: (-count[rows[at].group, rows[at].patient], at))
    kept: set[int] = set()
    for at in order:
        if not any(other in kept and rows[other].patient != rows[at].patient for other in near[at]):
            kept.add(at)
    return sorted(near.keys() - kept)


def _leave_out(rows: list[ImageRow], at: int, twin: int) -> None:
    same = rows[at].pixels_sha256 == rows[twin].pixels_sha256
    status = ImageStatus.DUPLICATE if same else ImageStatus.NEAR_DUPLICATE
    rows[at] = replace(rows[at], status=str(status), twin=rows[twin].path)
