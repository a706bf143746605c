"""The rows of a report about tumours: whether they are where they were asked for, what they look like, and whether
anything else changes with them.

In: the sides (tumour_sides.py) and a detector that was trained on real patients. Out: measurements by name.
"""

from dataclasses import dataclass
from functools import cached_property

from chestgan_core.evaluation.scoring.metric_rows import FloorValue, Measurement
from chestgan_core.evaluation.scoring.tumour_block import few_tumours
from chestgan_core.evaluation.scoring.tumour_sides import TumourSides
from chestgan_core.metrics.bootstrap import resampling
from chestgan_core.metrics.detection import MIN_OVERLAP
from chestgan_core.metrics.detector import Detector
from chestgan_core.metrics.measure import Measure, share
from chestgan_core.metrics.pairs import locality
from chestgan_core.metrics.placement import FALSE_FINDS, Placement, placement_of
from chestgan_core.metrics.tumour_appearance import MEASURES, Distance, appearance, appearance_distances

# What each measure of the appearance is, in words.
APPEARANCE = {
    "contrast": "mean in the middle of the box less the median around it",
    "size": "diameter of what is bright over that of the box",
    "rim": "fall across the border, per pixel",
}


@dataclass(frozen=True)
class TumourComparison:
    """detector: trained on the training slices of the sides; None where nobody asks what it finds."""

    sides: TumourSides
    detector: Detector | None
    seed: int

    @cached_property
    def found(self) -> Placement:
        """What the detector finds on both sides."""
        sides = self.sides
        if self.detector is None:
            raise ValueError("placement needs a detector")
        return placement_of(
            self.detector,
            sides.synthetic.images,
            sides.synthetic.boxes,
            sides.held_out.images,
            sides.held_out.boxes,
            sides.held_out.patients,
            seed=self.seed,
        )

    def placement(self) -> dict[str, Measurement]:
        """Placement between its floor and its ceiling, and false tumours."""
        found, kind = self.found, self.sides.image_kind
        detector = (
            f"a detector trained on {len(set(self.sides.train.patients))} training patients with ordinary augmentation"
            f" finds them (IoU {MIN_OVERLAP:g} or more) at {FALSE_FINDS:g} false finds per held-out image"
        )
        absent = "no tumour was asked for" if not found.asked else few_or_none(self.sides)
        rows = {
            "placement": _row(
                found.value,
                f"{found.asked:,} asked tumours in {found.images:,} images; {detector}; 95 % over the images",
                FloorValue(found.floor, "the same boxes exchanged between the images", found.asked),
                absent,
            ),
            "placement ceiling": _row(
                found.ceiling,
                f"{found.real_tumours:,} tumours in {found.real_images:,} held-out {kind} images; {detector};"
                f" {_over(found.ceiling)}{self._caution}",
                FloorValue(note="none: it is the reference of the placement"),
                absent,
            ),
        }
        real = found.false_finds_real
        rows["false tumours"] = _row(
            found.false_finds,
            "finds per image for which no tumour was asked; 95 % over the images",
            FloorValue(
                None if real is None else real.value,
                f"finds per held-out {kind} image without a tumour",
                found.real_images - self.sides.held_out.with_tumour,
            ),
            "every image was asked to show a tumour",
        )
        return rows

    def appearance(self) -> dict[str, Measurement]:
        """Contrast, size and rim of tumours: how far their distributions are from those of real ones."""
        sides = self.sides
        distances = appearance_distances(
            appearance(sides.synthetic.images, sides.synthetic.boxes, sides.window),
            appearance(sides.held_out.images, sides.held_out.boxes, sides.window),
            sides.held_out.patients,
            seed=self.seed,
        )
        return {f"tumour {name} KS": self._distance(name, distances.get(name)) for name in MEASURES}

    def pairs(self) -> dict[str, Measurement]:
        """What changes inside and outside of the box when the same seed is asked for no tumour."""
        if self.sides.pairs is None:
            reason = "not measured: no tumour was asked for"
            return {name: Measurement(None, reason) for name in ("pair change inside", "pair change outside")}
        pairs = self.sides.pairs
        change = locality(pairs.shown, pairs.without, pairs.boxes)
        drawn = resampling([str(at) for at in range(len(pairs.boxes))], self.seed)
        note = f"{len(pairs.boxes):,} pairs of one seed with and without tumour; mean absolute difference of a pixel"
        over = "95 % over the pairs"
        none = FloorValue(note="none: nobody has the same slice of a person without the tumour")
        # Images go from -1 to 1: half of a difference is a fraction of the window.
        inside = share(change.inside / 2, (change.inside >= 0).astype(float), drawn)
        outside = share(change.outside, change.inside, drawn, most=float("inf"))
        return {
            "pair change inside": _row(
                inside, f"{note} in the box, as a fraction of the window; {over}", none, ""
            ),
            "pair change outside": _row(
                outside,
                f"{note} outside of the box, as a fraction of that in the box; 100 % is another image; {over}",
                none,
                "nothing changes in the box",
            ),
        }

    def _distance(self, name: str, found: Distance | None) -> Measurement:
        if found is None:
            return Measurement(None, f"not measured: {few_or_none(self.sides)}")
        unit = {"contrast": f" {self.sides.window.unit}", "rim": f" {self.sides.window.unit} per pixel"}.get(
            name, ""
        )
        digits = ".2f" if name == "size" else ",.0f"
        note = (
            f"Kolmogorov-Smirnov of {APPEARANCE[name]}; median {found.synthetic:{digits}}{unit} in {found.boxes:,}"
            f" synthetic tumours, {found.real:{digits}}{unit} in {found.real_boxes:,} {self.sides.image_kind} ones;"
            f" {_over(found.value)}{self._caution}"
        )
        floor = (
            FloorValue(note="no floor: one patient")
            if found.floor is None
            else FloorValue(found.floor, "two halves of the held-out patients", found.real_boxes // 2)
        )
        return _row(found.value, note, floor, "")

    @property
    def _caution(self) -> str:
        held_out = self.sides.held_out
        few = few_tumours(held_out.with_tumour, held_out.patients_with_tumour, self.sides.image_kind)
        return f"; {few}" if few else ""


def few_or_none(sides: TumourSides) -> str:
    """Why there is no number about tumours."""
    if not sides.synthetic.boxes or not any(sides.synthetic.boxes):
        return "no tumour was asked for"
    if not sides.train.boxes:
        return "no training patient was annotated, so that no detector learns from them"
    if not sides.held_out.boxes:
        return "no held-out patient was annotated"
    if not sides.held_out.with_tumour:
        return f"none of {len(sides.held_out.boxes):,} held-out slices of annotated patients shows a tumour"
    return "no tumour could be measured"


def _row(found: Measure | None, note: str, floor: FloorValue, absent: str) -> Measurement:
    if found is None:
        return Measurement(None, f"not measured: {absent}", floor=FloorValue(note=floor.note))
    return Measurement(found.value, note, interval=found.interval, floor=floor)


def _over(found: Measure | None) -> str:
    """What the interval is over."""
    if found is None or found.interval is None:
        return "no interval: one patient says nothing about others"
    return f"95 % over {found.patients.patients} patients"
