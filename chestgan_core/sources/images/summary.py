"""The counts of a collection of images, for `chestgan catalog` and the metadata of raw_images.

In: the rows of a collection. Out: `ImageSummary`, as text and as plain values.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chestgan_core.escaping import escaped
from chestgan_core.reasons import in_words
from chestgan_core.sources.images.image_rows import ImageRow, ImageStatus


@dataclass(frozen=True)
class ClassCount:
    """Images of one class in one split folder ("" without one), and how many of them are used."""

    class_name: str
    split: str
    images: int
    selected: int


@dataclass(frozen=True)
class ImageSummary:
    """files: all that were scanned. images: those that could be decoded. left_out: status -> number of files, so that
    files = selected + the sum of left_out.

    distinct_files, distinct_images: by bytes, and by size and grey levels. duplicate_groups: images that have more than
    one file. near_groups: groups of nearly equal images. ..._across_splits: such groups whose files lie in more than
    one split. two_classes: groups of either kind whose files lie in more than one class. patients: by the names of the
    files, else one per image or group.
    """

    dataset: str
    files: int
    images: int
    selected: int
    distinct_files: int
    distinct_images: int
    duplicate_groups: int
    near_groups: int
    duplicate_groups_across_splits: int
    near_groups_across_splits: int
    two_classes: int
    patients: int
    patients_across_splits: int
    by_class: tuple[ClassCount, ...]
    left_out: dict[str, int]

    @property
    def across_splits(self) -> int:
        """Groups of equal or nearly equal images in more than one split."""
        return self.duplicate_groups_across_splits + self.near_groups_across_splits

    def as_json(self) -> dict[str, Any]:
        """As plain values, for a manifest or for --json."""
        return asdict(self)

    def text(self) -> str:
        """For a terminal."""
        width = max([len("class"), *(len(each.class_name) for each in self.by_class)])
        splits = max([len("split"), *(len(each.split) for each in self.by_class)])
        return "\n".join(
            [
                f"{self.dataset}: {self.files} files, {self.images} images, {self.selected} selected,"
                f" {self.patients} patients or images without one",
                f"  {'class':{width}}  {'split':{splits}}  {'images':>7}  {'selected':>8}",
                *(
                    f"  {escaped(each.class_name):{width}}  {escaped(each.split):{splits}}"
                    f"  {each.images:>7}  {each.selected:>8}"
                    for each in self.by_class
                ),
                f"  duplicates: {self.distinct_images} distinct images in {self.distinct_files} distinct files;"
                f" {self.duplicate_groups} images have several files,"
                f" {self.duplicate_groups_across_splits} of them across splits",
                f"  near-duplicates: {self.near_groups} groups, {self.near_groups_across_splits} of them across splits",
                f"  with two classes: {self.two_classes}; patients across splits: {self.patients_across_splits}",
                f"  left out: {in_words(self.left_out)}",
            ]
        )


def summary_of(dataset: str, rows: Sequence[ImageRow]) -> ImageSummary:
    """The counts of a collection. rows: one per file."""
    decoded = [row for row in rows if row.is_image]
    equal = _by(decoded, lambda row: row.pixels_sha256)
    repeated = [group for group in equal if len(group) > 1]
    # Groups that consist of copies of one image are duplicates, not near-duplicates.
    near = [
        group
        for group in _by([row for row in decoded if row.group >= 0], lambda row: row.group)
        if len({row.pixels_sha256 for row in group}) > 1
    ]
    images, selected = (
        Counter((row.class_name, row.split) for row in some)
        for some in (decoded, [row for row in rows if row.is_selected])
    )
    patients = _by(decoded, lambda row: row.patient)
    statuses = Counter(row.status for row in rows if not row.is_selected)
    return ImageSummary(
        dataset=dataset,
        files=len(rows),
        images=len(decoded),
        selected=sum(selected.values()),
        distinct_files=len({row.sha256 for row in decoded}),
        distinct_images=len(equal),
        duplicate_groups=len(repeated),
        near_groups=len(near),
        duplicate_groups_across_splits=sum(map(_across_splits, repeated)),
        near_groups_across_splits=sum(map(_across_splits, near)),
        two_classes=sum(
            any(row.status == ImageStatus.TWO_CLASSES for row in group)
            for group in _by([row for row in decoded if row.group >= 0], lambda row: row.group)
        ),
        patients=len(patients),
        patients_across_splits=sum(map(_across_splits, patients)),
        by_class=tuple(ClassCount(*key, images[key], selected[key]) for key in sorted(images)),
        left_out=dict(sorted(statuses.items(), key=lambda item: (-item[1], item[0]))),
    )


def _by(rows: Sequence[ImageRow], key: Callable[[ImageRow], object]) -> list[list[ImageRow]]:
    found: defaultdict[object, list[ImageRow]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return list(found.values())


def _across_splits(rows: Sequence[ImageRow]) -> bool:
    return len({row.split for row in rows}) > 1
