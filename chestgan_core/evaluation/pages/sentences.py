"""The rows of a metric report in words: what they say, and what makes them coarse.

In: rows, and the word for the images that are not synthetic ("real", or "phantom": those are neither real nor
CT data). Out: sentences, for the page of the report and the card of a set.
"""

from collections.abc import Sequence

from chestgan_core.config.dataset import ImageKind
from chestgan_core.evaluation.scoring.metric_rows import MetricRow

# Below these, the numbers are called coarse.
FEW_PATIENTS, FEW_IMAGES = 10, 1000
TISSUES = {"air share": "air", "lung share": "lung", "soft share": "soft tissue", "bone share": "bone"}


def cautions(rows: Sequence[MetricRow], patients: int, kind: ImageKind) -> list[str]:
    """What a reader must know before the numbers, drawn from the numbers themselves.

    patients: how many patients the images compared with the synthetic ones come from.
    """
    headline = [row for row in rows if row.measure in ("KID", "FID")]
    measured = [row for row in headline if row.value is not None]
    said = []
    if absent := {row.extractor: row.note for row in headline if row.value is None}:
        said += [f"With {name} nothing was measured ({note})." for name, note in absent.items()]
    if not measured:
        return said
    first = measured[0]
    if patients < FEW_PATIENTS:
        said.append(
            f"Few patients: the {kind} side is {patients} patient(s). Slices of one patient look alike, so the"
            " numbers say little about patients in general, and the spread is too small."
        )
    if first.n_real < FEW_IMAGES:
        said.append(
            f"Few images: {first.n_real} on each side. All numbers are coarse; compare them only with numbers"
            " at the same n, extractor and split."
        )
    if any(row.floor is not None and row.floor_n < row.n_real for row in measured):
        said.append(
            f"The groups of {kind} patients behind the floor are smaller than the comparison: their FID is"
            " biased upwards more, so the model looks better beside it than it is."
        )
    if all(row.floor is None for row in measured):
        said.append(
            f"There is no floor, so nothing says how far {kind} patients are apart: {first.floor_note}."
        )
    return said


def sentence(row: MetricRow, kind: ImageKind) -> str:
    """One row in plain words."""
    if row.value is None:
        return f"{row.measure} was {row.note}."
    value = row.number(row.value, row.sd)
    floor = row.number(row.floor, row.floor_sd)
    if row.measure in ("KID", "FID"):
        if row.floor is None:
            return f"{row.measure} {value}{_interval(row)}. 0 would be no difference; without a floor it has no scale."
        said = f"{row.measure} {value}{_interval(row)}; two groups of {kind} patients differ by {floor}."
        # A floor within its own error of 0 is no divisor.
        if row.floor > 2 * (row.floor_sd or 0):
            times = row.value / row.floor
            said += f" The distance of the synthetic images is {times:.1f} times that."
        return said
    return f"{_said(row, kind, value)}{_interval(row)}."


def _said(row: MetricRow, kind: ImageKind, value: str) -> str:
    """A sentence without its full stop, for measures that are no distances."""
    floor = row.number(row.floor)
    others = f" (images of other {kind} patients: {floor})" if row.floor is not None else ""
    beside = f"; {kind} images: {floor}" if row.floor is not None else ""
    if row.measure in TISSUES:
        return f"{value} of the pixels of synthetic images have values of {TISSUES[row.measure]}{beside}"
    known = {
        "FID ratio": f"The FID between two groups of {kind} patients is {value} times that of the synthetic images; 1"
        " would be as near as other patients",
        "precision": f"{value} of the synthetic images lie among the {kind} ones{others}",
        "recall": f"{value} of the {kind} images lie among the synthetic ones{others}",
        "density": f"A synthetic image lies in {value} times as many {kind} neighbourhoods as a {kind} one would"
        f" on average{others}; more than 1 can mean images crowded at the typical",
        "coverage": f"{value} of the {kind} images have a synthetic image in their neighbourhood{others}; low"
        " when the generator makes only some kinds of image",
        "MS-SSIM": f"Two synthetic images are alike by {value} on average (MS-SSIM){beside}; above that the"
        " generator repeats itself",
        "KS grey levels": f"The distributions of values are apart by {value} at most (Kolmogorov-Smirnov){others}; 0 is"
        " the same, 1 is disjoint",
        "lung area": f"Lung takes {value} of the body on synthetic images{beside}",
        "AUC": f"A classifier ranks a {kind} image above a synthetic one with an AUC of {value}{others}; 0.5 is"
        " chance, 1 tells them apart always",
        "utility": f"A classifier of the classes that saw synthetic images only reaches {value} on held-out {kind}"
        " patients; 0.5 is chance",
        "utility ceiling": f"The same classifier trained on {kind} images reaches {value}",
        "memorized share": f"{value} of the synthetic images are nearer to an image trained on than to a held-out one"
        f"{others}; far above 50% means that training images are copied, below it proves no privacy",
    }
    return known.get(row.measure, f"{row.measure} is {value}{others}")


def _interval(row: MetricRow) -> str:
    """The 95 % interval, in brackets; "" where there is none."""
    return f" (95% interval {row.interval})" if row.interval else ""
