"""Duplicates: which copies of an image are used, so that none is on both sides of the split or counted twice.

In: the rows of a collection, and the side (train, held-out) of each split folder. Out: the rows with their statuses,
groups and patients. All nearly equal images are found (imaging/perceptual_hash.py).

- An image that lies in the folders of two classes has no class: no copy of it is used.
- Of equal images on one side, the first by path is used.
- If images of train and held-out are equal or nearly equal, those of one side are left out: in each group, of the side
  that loses the smaller fraction of its images.
- Without sides, the training set splits by patient. Then of each group the images of one patient stay, the one with the
  most images in the group. Images whose names hold no patient get their group as patient, so none of them is lost.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from chestgan_core.imaging.perceptual_hash import NEAR, groups, near_pairs
from chestgan_core.sources.images.image_rows import ImageRow, ImageStatus

HELD_OUT = "held-out"


def mark_duplicates(rows: Sequence[ImageRow], sides: Mapping[str, str]) -> list[ImageRow]:
    """The same rows in the same order, each image with its group, patient, status and twin.

    sides: split -> `train` or `held-out`; empty if the training set splits by patient. Rows with another status than
    selected keep it.
    """
    marked = _grouped(list(rows))
    usable = [at for at, row in enumerate(marked) if row.is_image and row.is_selected]
    alike = _alike({marked[at].phash for at in usable})
    classes: defaultdict[str, set[str]] = defaultdict(set)
    for at in usable:
        classes[marked[at].phash].add(marked[at].class_name)
    for at in usable:
        if any(classes[phash] != {marked[at].class_name} for phash in alike[marked[at].phash]):
            marked[at] = replace(marked[at], status=str(ImageStatus.TWO_CLASSES))
    copies = _copies(marked, usable, sides)
    used = {at for at in usable if marked[at].is_selected} - copies.keys()
    near = _partners(marked, sorted(used), alike)
    lost = _both_sides(marked, near, sides) if sides else _several_patients(marked, near)
    used.difference_update(lost)
    twins = {at: next(other for other in near[at] if other in used) for at in lost}
    # If the image of which this is a copy is left out itself, its twin counts: `twin` is always an image that is used.
    twins |= {at: kept if kept in used else twins[kept] for at, kept in copies.items()}
    for at, twin in twins.items():
        _leave_out(marked, at, twin)
    return marked


def _grouped(rows: list[ImageRow]) -> list[ImageRow]:
    """Rows with the number of their group, and its name as patient if the file name holds none."""
    images = [at for at, row in enumerate(rows) if row.is_image]
    first: dict[str, int] = {}
    for at in images:
        first.setdefault(rows[at].pixels_sha256, at)
    # By hash, not by image: a collection may hold ten thousand masks that differ in a pixel.
    contents_of: defaultdict[str, list[str]] = defaultdict(list)
    for content, at in first.items():
        contents_of[rows[at].phash].append(content)
    hashes = list(contents_of)
    pairs = [(i, j) for i, j, _ in near_pairs(hashes, NEAR)]
    copies = Counter(rows[at].pixels_sha256 for at in images)
    number = 0
    groups_of: dict[str, tuple[int, str]] = {}
    for members in groups(len(hashes), pairs):
        contents = [content for member in members for content in contents_of[hashes[member]]]
        alone = sum(copies[content] for content in contents) == 1
        name = f"image-{min(contents)[:16]}"
        groups_of |= dict.fromkeys(contents, (-1 if alone else number, name))
        number += not alone
    for at in images:
        group, name = groups_of[rows[at].pixels_sha256]
        rows[at] = replace(rows[at], group=group, patient=rows[at].patient or name)
    return rows


def _alike(hashes: set[str]) -> dict[str, list[str]]:
    """Hash -> the hashes that are equal or nearly equal: itself, then the others, nearest first. By hash, not by image,
    as a collection may hold the same blank mask ten thousand times.
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
    """Image -> the other images in use that are equal or nearly equal, nearest first."""
    by_hash: defaultdict[str, list[int]] = defaultdict(list)
    for at in used:
        by_hash[rows[at].phash].append(at)
    return {
        at: [other for phash in alike[rows[at].phash] for other in by_hash[phash] if other != at]
        for at in used
    }


def _copies(rows: Sequence[ImageRow], usable: Sequence[int], sides: Mapping[str, str]) -> dict[int, int]:
    """Copies: of equal images on one side, each but the first -> the first."""
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
    """Images to leave out so that no held-out image is nearly equal to a training image."""
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
        # Cross-multiplied, so that the fractions are compared as integers.
        fewer = len(train) * size[HELD_OUT] < len(held_out) * (len(side) - size[HELD_OUT])
        lost += train if fewer else held_out
    return lost


def _several_patients(rows: Sequence[ImageRow], near: Mapping[int, Sequence[int]]) -> list[int]:
    """Images to leave out so that near-duplicates belong to one patient, and so to one side."""
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
