"""The rows of a metric report in words: what they say, and what limits them.

In: rows, and the word for the images that are not synthetic ("real", or "phantom": those are neither real nor CT
data). Out: sentences, for the page of the report and the card of a set. Imports nothing heavy.
"""

from collections.abc import Sequence

from chestgan_core.config.dataset import ImageKind
from chestgan_core.evaluation.scoring.metric_rows import NOTHING_SHOWN, MetricRow, first_opinions
from chestgan_core.evaluation.scoring.provenance import RunFacts

# Below these, the report calls its numbers coarse.
FEW_PATIENTS, FEW_IMAGES = 10, 1000
TISSUES = {
    "air fraction": "air",
    "lung fraction": "lung",
    "soft tissue fraction": "soft tissue",
    "bone fraction": "bone",
}


def cautions(rows: Sequence[MetricRow], patients: int, kind: ImageKind) -> list[str]:
    """What a reader must know before the numbers, derived from the rows.

    patients: number of patients on the real side. kind: the word for images that are not synthetic.
    """
    headline = [row for row in rows if row.measure in ("KID", "FID")]
    measured = [row for row in first_opinions(headline) if row.value is not None]
    lines = []
    nothing_shown = dict.fromkeys(row.note for row in rows if row.note.startswith(NOTHING_SHOWN))
    lines += [
        f"The synthetic images {note.removeprefix(NOTHING_SHOWN).strip()}. They show nothing, and no distance to them"
        " means anything."
        for note in nothing_shown
    ]
    if absent := {row.extractor: row.note for row in headline if row.value is None}:
        lines += [f"With {name} nothing was measured ({note})." for name, note in absent.items()]
    if not measured:
        return lines
    first = measured[0]
    if patients < FEW_PATIENTS:
        lines.append(
            f"Few patients: the {kind} side has {patients} patient(s). Slices of one patient are similar, so the"
            " numbers say little about patients in general, and the intervals are too narrow."
        )
    if first.n_real < FEW_IMAGES:
        lines.append(
            f"Few images: {first.n_real} on each side. All numbers are coarse; compare them only with numbers"
            " of the same n, extractor and split."
        )
    if any(row.floor is not None and row.floor_n < row.n_real for row in measured):
        lines.append(
            f"The two groups of {kind} patients for the floor are smaller than the compared sides: their FID is biased"
            " upwards more, so the model seems better beside it than it is."
        )
    if all(row.floor is None for row in measured):
        lines.append(
            f"There is no floor, so nothing says how far {kind} patients are from each other: {first.floor_note}."
        )
    return lines


def ended_by_clock(run: RunFacts | None) -> list[str]:
    """Whether the limit in minutes ended the training before it had seen its images."""
    plan = run.experiment["training"] if run else {}
    if run is None or plan.get("minutes") is None or plan.get("images") is None:
        return []
    if run.images_seen >= plan["images"] or run.seconds < 60 * plan["minutes"]:
        return []
    return [
        f"The training was ended by its limit of {plan['minutes']:g} minutes after {run.images_seen:,} of "
        f"{plan['images']:,} images: on a faster or less busy machine the numbers are better."
    ]


def sentence(row: MetricRow, kind: ImageKind) -> str:
    """One row as a sentence. kind: the word for images that are not synthetic."""
    if row.value is None:
        return f"{row.measure} {'was ' if row.note.startswith('not ') else 'has no value: '}{row.note}."
    value = row.number(row.value, row.sd)
    floor = row.number(row.floor, row.floor_sd)
    if row.measure in ("KID", "FID"):
        if row.floor is None:
            return f"{row.measure} {value}{_interval(row)}. 0 means no difference; without a floor it has no scale."
        text = f"{row.measure} {value}{_interval(row)}; two groups of {kind} patients differ by {floor}."
        # A floor within its own error of 0 cannot be a divisor.
        if row.floor > 2 * (row.floor_sd or 0):
            times = row.value / row.floor
            text += f" The distance of the synthetic images is {times:.1f} times that."
        return text
    return f"{_clause(row, kind, value)}{_interval(row)}."


def _clause(row: MetricRow, kind: ImageKind, value: str) -> str:
    """A sentence without its full stop, for measures that are not distances."""
    floor = row.number(row.floor)
    others = f" (images of other {kind} patients: {floor})" if row.floor is not None else ""
    beside = f"; {kind} images: {floor}" if row.floor is not None else ""
    if row.measure in TISSUES:
        return f"{value} of the pixels of synthetic images have values of {TISSUES[row.measure]}{beside}"
    known = {
        "FID ratio": f"The FID between two groups of {kind} patients is {value} times that of the synthetic images; 1"
        " means as near as other patients",
        "precision": f"{value} of the synthetic images lie among the {kind} ones{others}",
        "recall": f"{value} of the {kind} images lie among the synthetic ones{others}",
        "density": f"A synthetic image lies in {value} times as many {kind} neighbourhoods as a {kind} one would"
        f" on average{others}; values above 1 can mean that images crowd around typical ones",
        "coverage": f"{value} of the {kind} images have a synthetic image in their neighbourhood{others}; low"
        " where the generator makes only some kinds of images",
        "MS-SSIM": f"The mean MS-SSIM of two synthetic images is {value}{beside}; higher values mean that the"
        " generator repeats itself",
        "KS grey levels": f"The largest difference between the distributions of values is {value}"
        f" (Kolmogorov-Smirnov){others}; 0 means equal, 1 disjoint",
        "lung area": f"Lung fills {value} of the body in synthetic images{beside}",
        "AUC": f"A classifier ranks a {kind} image above a synthetic one with an AUC of {value}{others}; 0.5 is"
        " chance, 1 is perfect recognition",
        "utility": f"A classifier of the classes that was trained on synthetic images only reaches an AUC of {value} on"
        f" held-out {kind} patients; 0.5 is chance",
        "pairwise distance": f"Two synthetic images are {value} apart on average{beside}",
        "nearest other distance": f"Half of the synthetic images have another one within {value}{beside}, most of them"
        " of the same patient; a larger distance is no fault, a far smaller one says that images are repeated",
        "utility ceiling": f"The same classifier, trained on {kind} images, reaches {value}",
        "memorized fraction": f"{value} of the synthetic images are nearer to a training image than to a held-out one"
        f"{others}; 50% is chance. It compares two distances and says of neither that it is small: far above 50% can"
        " mean copies, or images that are like neither side, such as noise. 50% does not prove privacy",
    }
    known |= _of_attacks(row, value) | _of_conditions(row, kind, value)
    return known.get(row.measure, f"{row.measure} is {value}{others}")


def _of_attacks(row: MetricRow, value: str) -> dict[str, str]:
    """Sentences about membership attacks, without their full stops."""
    control = ""
    if row.floor is not None:
        control = f"; of control patients, who were not trained on either: {row.number(row.floor)}"
    return {
        "attack AUC": "The best of several attacks ranks a patient that was trained on above one that was not with an"
        f" AUC of {value}{control}; 0.5 is chance. That attacks find nothing does not show that nothing can be found",
        "attack true positives": f"It recognizes {value} of the patients that were trained on while it takes at most 1%"
        f" of the others for such{control}",
    }


def _of_conditions(row: MetricRow, kind: ImageKind, value: str) -> dict[str, str]:
    """Sentences about what was asked of an image, without their full stops."""
    floor = row.number(row.floor)
    chance = f"; by chance it would be {floor}" if row.floor is not None else ""
    halves = f"; between two halves of the held-out {kind} patients: {floor}" if row.floor is not None else ""
    beside = f"; {kind} ones: {floor}" if row.floor is not None else ""
    precision = "reaches an average precision of"
    return {
        "placement": f"A detector of {kind} tumours finds {value} of the asked ones where they were asked for{chance}",
        "placement ceiling": f"It finds {value} of the tumours of held-out {kind} patients: more placement than that"
        " cannot be expected",
        "false tumours": f"In an image for which no tumour was asked it finds {value} of them"
        + (f"; in a held-out {kind} image without a tumour {floor}" if row.floor is not None else ""),
        "tumour contrast KS": f"The contrast of synthetic tumours differs from that of {kind} ones by {value}"
        f" (Kolmogorov-Smirnov){halves}",
        "tumour size KS": f"Their size, against that of the box, differs by {value}{halves}",
        "tumour rim KS": f"Their rim differs by {value}{halves}",
        "pair change inside": f"Where the same seed is asked for no tumour, a pixel in the box changes by {value} of"
        " the window",
        "pair change outside": f"Outside of the box it changes by {value} of that; 0% if nothing else changes, 100% is"
        " another image",
        "detection utility": f"A detector that was trained on synthetic images only {precision} {value} on held-out"
        f" {kind} patients{chance}",
        "detection utility ceiling": f"Trained on as many {kind} images it {precision} {value}{chance}",
        "detection utility of both": f"Trained on both it {precision} {value}{chance}",
        "detection utility of augmentation": f"Trained on {kind} images with ordinary augmentation, the competitor, it"
        f" {precision} {value}{chance}",
        "detection utility of all": f"Trained on both with ordinary augmentation it {precision} {value}{chance}",
        "detection sensitivity": f"At one false positive per image, the detector of synthetic images finds {value} of"
        f" the held-out {kind} tumours",
        "detection sensitivity ceiling": f"That of {kind} images finds {value} of them",
        "neighbour similarity": f"The similarity of neighbouring slices of a synthetic patient is {value}{beside}",
        "tumour volume": f"The volume of the tumour of a synthetic patient is {value} of the asked one"
        + (f"; that of {kind} ones is {floor} of the ellipsoid around them" if row.floor is not None else ""),
    }


def _interval(row: MetricRow) -> str:
    """The 95 % interval, in brackets; "" where there is none."""
    return f" (95% interval {row.interval})" if row.interval else ""
