"""A result as a document: report.html (one file, opens offline) and report.pdf.

In: a StudyResult and its charts. Out: Document. Beside each picture stand its numbers; what was not asked or not
answered has a sentence instead of a number.
"""

from collections.abc import Mapping, Sequence

from chestgan_core.documents.blocks import (
    Block,
    Bullets,
    Document,
    Figure,
    Notice,
    Pair,
    Paragraph,
    Section,
    Table,
    Tile,
    Tiles,
)
from chestgan_core.reading.analysis.finding import MARGIN, shown
from chestgan_core.reading.analysis.groups import FEWEST
from chestgan_core.reading.analysis.multireader import RESAMPLES
from chestgan_core.reading.analysis.result import Confusion, Estimate, Proportion, StudyResult

# The charts, by file name; reading/pages/result_charts.py draws them, which takes matplotlib.
CONFUSION, READERS, ROC, RATINGS, DRIFT = (
    "confusion.png",
    "readers.png",
    "roc.png",
    "ratings.png",
    "drift.png",
)
NONE = "none"


def result_document(result: StudyResult, charts: Mapping[str, bytes]) -> Document:
    """charts: of draw_charts."""
    design = result.design
    unknown = result.finding.told_apart == "unknown"
    return Document(
        title=f"Reader study: {design.title}",
        lead=(
            f"Synthetic images of the set {design.set_name}, version {design.set_version}, among held-out real ones of"
            f" the same preprocessing: {design.images_per_side} of each side. {_count(result.started, 'reader')},"
            f" {result.finished} of them with all images; {result.answers:,} answers. Study {design.name},"
            f" {result.version}."
        ),
        summary=(
            Notice("care" if unknown else "plain", result.finding.title, result.finding.sentences),
            _tiles(result),
            Notice("care", "Read with care", result.notes),
        ),
        sections=(
            Section("Verdicts", tuple(_verdicts(result, charts))),
            Section("ROC curves", tuple(_roc(result, charts))),
            Section("Ratings of realism", tuple(_ratings(result, charts))),
            Section("Agreement", tuple(_agreement(result))),
            Section("Over the sitting", tuple(_drift(result, charts))),
            Section("Where is the tumour?", tuple(_tumours(result))),
            Section("Readers", tuple(_readers(result))),
            Section("How it was analysed", tuple(_method(result))),
        ),
    )


def _tiles(result: StudyResult) -> Tiles:
    roc, accuracy = result.roc, result.accuracy_over_readers
    tiles = []
    if roc is not None:
        tiles.append(Tile("AUC, 0.5 is chance", f"{roc.area.value:.2f}", _interval(roc.area)))
    if accuracy is not None:
        remark = _interval(accuracy, percent=True)
        tiles.append(Tile("right verdicts, 50% is chance", f"{accuracy.value:.1%}", remark))
    tiles.append(Tile("readers", str(result.started), f"{result.finished} finished"))
    seconds = "" if result.seconds is None else f"median {result.seconds:.1f} s each"
    tiles.append(Tile("images of each side", str(result.design.images_per_side), seconds))
    return Tiles(tuple(tiles))


def _verdicts(result: StudyResult, charts: Mapping[str, bytes]) -> list[Block]:
    if not result.design.ask_verdict:
        return [Paragraph("Readers were not asked whether an image is real or synthetic.")]
    if CONFUSION not in charts:
        return [Paragraph("There is no verdict yet.")]
    blocks: list[Block] = [
        Paragraph(
            "The positive finding is synthetic. Sensitivity: share of the synthetic images that were called synthetic."
            " Specificity: share of the real images that were called real."
        ),
        Pair(
            (
                Figure(
                    charts[CONFUSION], "All verdicts", "Percentages are of the row: of what the images are."
                ),
                Figure(charts[READERS], "By reader", "Readers are numbered; nothing says who they are."),
            )
        ),
        _confusion_table("verdicts of", [result.confusion, *result.confusion_by_reader]),
        Paragraph(
            "Intervals are those of Wilson, 95%. They take each verdict as independent of the others, which holds for"
            " one reader about images of many patients, and not for all readers together: the same images are judged"
            " by all, so that their true interval is wider. The mean over readers, with an interval over readers and"
            f" images, is {_percent_estimate(result.accuracy_over_readers)}.",
            small=True,
        ),
    ]
    if result.confusion_by_class:
        blocks.append(_confusion_table("class", result.confusion_by_class))
    if result.confusion_by_level:
        blocks += [
            Paragraph(
                "Real slices by their level between base and apex of the lungs; synthetic ones have no level."
            ),
            Table(
                ("level", "called real", "called synthetic", "specificity"),
                tuple(
                    (
                        one.label,
                        str(one.real_called_real),
                        str(one.real_called_synthetic),
                        _percent(one.specificity),
                    )
                    for one in result.confusion_by_level
                ),
                (2, 2, 2, 3),
            ),
        ]
    return blocks


def _confusion_table(what: str, rows: Sequence[Confusion]) -> Table:
    head = (
        what,
        "synthetic: right",
        "wrong",
        "real: right",
        "wrong",
        "accuracy",
        "sensitivity",
        "specificity",
    )
    return Table(
        head,
        tuple(
            (
                one.label,
                str(one.synthetic_called_synthetic),
                str(one.synthetic_called_real),
                str(one.real_called_real),
                str(one.real_called_synthetic),
                _percent(one.accuracy),
                _percent(one.sensitivity),
                _percent(one.specificity),
            )
            for one in rows
        ),
        (2, 1.6, 1.2, 1.4, 1.2, 3.2, 3.2, 3.2),
    )


def _roc(result: StudyResult, charts: Mapping[str, bytes]) -> list[Block]:
    roc = result.roc
    if roc is None:
        return [Paragraph("No reader has answered half of the images of each side.")]
    scale = (
        "Verdict and confidence make ten steps, from real with confidence 5 to synthetic with confidence 5."
        if roc.scale == "verdict and confidence"
        else "Ratings make the steps: the lower, the more synthetic."
    )
    check = roc.cross_check
    lines = [
        f"Mean area: {roc.area.value:.3f}, 95% interval {shown(roc.area, 3)}"
        f" ({_count(roc.readers, 'reader')}, {roc.synthetic_images} synthetic images, {roc.real_images} real images of"
        f" {_count(roc.patients, 'patient')}).",
    ]
    if check is not None:
        freedom = (
            "" if check.degrees_of_freedom is None else f", {check.degrees_of_freedom:.1f} degrees of freedom"
        )
        lines.append(
            f"Cross-check by analysis of variance (Obuchowski and Rockette, Hillis): {check.interval.low:.3f} to"
            f" {check.interval.high:.3f}, standard error {check.standard_error:.3f}{freedom}."
        )
    if roc.finished is not None:
        lines.append(
            f"Readers with all images only: {roc.finished.value:.3f}, 95% interval {shown(roc.finished, 3)}."
        )
    if result.roc_of_ratings is not None:
        other = result.roc_of_ratings.area
        lines.append(
            f"From the ratings instead of the verdicts: {other.value:.3f}, 95% interval {shown(other, 3)}."
        )
    return [
        Paragraph(scale),
        Figure(
            charts[ROC], "ROC curves", "Each reader, and the mean of their curves at equal fractions.", 0.6
        ),
        Bullets(tuple(lines)),
        Table(
            ("reader", "AUC", "95% interval over images"),
            tuple(
                (f"reader {one.reader}", f"{one.area.value:.3f}", shown(one.area, 3)) for one in roc.curves
            ),
            (2, 2, 4),
        ),
    ]


def _ratings(result: StudyResult, charts: Mapping[str, bytes]) -> list[Block]:
    real, synthetic = result.ratings.real, result.ratings.synthetic
    if RATINGS not in charts:
        return [Paragraph("There is no rating yet.")]
    difference = result.ratings.difference
    rows = [
        (side.truth, *map(str, side.counts), _number(side.mean), _number(side.median))
        for side in (real, synthetic)
    ]
    return [
        Figure(charts[RATINGS], "Ratings", "From 1, looks synthetic, to 10, looks real.", 0.65),
        Table(("", *map(str, range(1, 11)), "mean", "median"), tuple(rows), (2, *[1.0] * 10, 1.3, 1.4)),
        Paragraph(
            "Real minus synthetic, mean over readers: "
            + (
                "none, as no reader has rated half of each side."
                if difference is None
                else f"{difference.value:+.2f}, 95% interval over readers and images {shown(difference)}."
            )
        ),
    ]


def _agreement(result: StudyResult) -> list[Block]:
    found, own = result.agreement, result.self_agreement
    lines = []
    if found.kappa is not None and found.observed is not None and found.expected is not None:
        lines.append(
            f"Between readers: Fleiss' kappa of the verdicts {found.kappa.value:.2f}, 95% interval over images"
            f" {shown(found.kappa)}. Pairs of readers agree on {found.observed:.0%} of the images, by chance it would"
            f" be {found.expected:.0%}. {found.images} images with two verdicts or more"
            + (f", {found.left_out} with one are left out." if found.left_out else ".")
        )
    elif found.images:
        lines.append("Between readers: kappa is not defined, as all verdicts are the same.")
    else:
        lines.append("Between readers: no image has verdicts of two readers.")
    if not own.pairs:
        lines.append("Of readers with themselves: no image was answered twice.")
        return [Bullets(tuple(lines))]
    if own.same_verdict.total:
        kappa = "not defined" if own.kappa is None else f"{own.kappa:.2f}"
        lines.append(
            f"Of readers with themselves: {own.same_verdict.count} of {own.same_verdict.total} second verdicts are the"
            f" same, {_percent(own.same_verdict)}; Cohen's kappa {kappa}."
        )
    lines.append(
        f"Second ratings: {_percent(own.same_rating)} the same, on average"
        f" {_number(own.rating_difference_absolute)} apart and {_signed(own.rating_difference)} higher than the first."
    )
    lines.append("Kappa is 1 for full agreement and 0 for what chance would give with the same frequencies.")
    return [Bullets(tuple(lines))]


def _drift(result: StudyResult, charts: Mapping[str, bytes]) -> list[Block]:
    if DRIFT not in charts:
        return [Paragraph("There is no answer yet.")]
    found = result.drift
    rows = [
        (
            str(one.quarter), str(one.answers), _percent(one.accuracy), _number(one.rating_real),
            _number(one.rating_synthetic), _number(one.seconds),
        )
        for one in found.quarters
    ]  # fmt: skip
    head = ("quarter", "answers", "right verdicts", "rating of real", "of synthetic", "median seconds")
    factor = found.seconds_factor
    lines = [
        f"Right verdicts, from the first image to the last: {_points(found.accuracy)}.",
        f"Ratings of real images: {_change(found.rating_real)}; of synthetic ones: {_change(found.rating_synthetic)}.",
        "Time per image: "
        + (
            "too few answers."
            if factor is None
            else f"times {factor.value:.2f} (95% interval {shown(factor)})."
        ),
    ]
    caption = "Each reader's own order, in four parts. Second answers are left out."
    return [
        Figure(charts[DRIFT], "By quarter", caption, 0.95),
        Table(head, tuple(rows), (1.3, 1.4, 3.4, 2, 2, 2)),
        Bullets(tuple(lines)),
        Paragraph(
            "Changes are mean slopes of the readers, with Student's interval over readers, from three readers on."
            " Orders are random, so a change is one of the readers and not of the images.",
            small=True,
        ),
    ]


def _tumours(result: StudyResult) -> list[Block]:
    found = result.tumours
    if found is None:
        return [Paragraph("Readers were not asked.")]
    blocks: list[Block] = []
    if found.images:
        distance = NONE if found.distance is None else f"{found.distance:.2f}"
        blocks.append(
            Bullets(
                (
                    f"{_count(found.images, 'real image')} of the study have boxes. A tumour was seen in"
                    f" {found.seen.count} of {found.seen.total} answers to them, {_percent(found.seen)}.",
                    f"The click was inside a box in {found.inside.count} of {found.inside.total},"
                    f" {_percent(found.inside)}. Median distance from the centre of the nearest box: {distance},"
                    " in widths of the image.",
                )
            )
        )
    else:
        blocks.append(Paragraph("No image of the study has a box, so clicks cannot be right or wrong."))
    rows = [
        (
            side.truth,
            f"{side.seen.count} of {side.seen.total}",
            *map(str, side.conspicuity),
            _number(side.mean_conspicuity),
        )
        for side in found.sides
    ]
    blocks += [
        Table(
            ("images", "tumour seen", *(f"conspicuity {at}" for at in range(1, 6)), "mean"),
            tuple(rows),
            (2, 2.4, *[2.0] * 5, 1.5),
        ),
        Paragraph(
            "Real images without a box are among them: a tumour there was not drawn, which does not mean that there is"
            " none. Synthetic images have no boxes.",
            small=True,
        ),
    ]
    return blocks


def _readers(result: StudyResult) -> list[Block]:
    rows = [
        (
            f"reader {one.reader}",
            one.standing,
            f"{one.answered} of {one.of}",
            _number(one.seconds),
            f"{one.minutes:.1f}",
        )
        for one in result.readers
    ]
    blocks: list[Block] = [
        Table(
            ("reader", "standing", "images", "median seconds", "minutes in all"), tuple(rows), (2, 2, 2, 2, 2)
        )
        if rows
        else Paragraph("There is no reader yet.")
    ]
    if result.groups:
        blocks.append(
            Table(
                ("said of themselves", "", "readers"),
                tuple((one.what, one.group, str(one.readers)) for one in result.groups),
                (3, 4, 1.5),
            )
        )
    blocks.append(
        Paragraph(
            f"Groups of fewer than {FEWEST} readers are not shown by themselves, so that nobody can be recognised. What"
            " readers said is not joined to their numbers.",
            small=True,
        )
    )
    return blocks


def _method(result: StudyResult) -> list[Block]:
    return [
        Bullets(
            (
                "Images come in another random order for each reader. Readers were told nothing between images.",
                f"Intervals over readers and images come from {RESAMPLES:,} resamples of readers, patients (with all"
                f" their real images) and synthetic images, seed {result.seed}. Of n, n - 1 are drawn, without which"
                " intervals of few readers are too narrow.",
                "Each reader has the same weight in the mean area, once half of the images of each side were answered.",
                f"That readers cannot tell is said only where the whole interval lies within {MARGIN} of 0.5.",
            )
        ),
        Paragraph(
            "Wilson 1927; Fleiss, Psychological Bulletin 1971; Cohen 1960; Obuchowski and Rockette 1995; Hillis,"
            " Statistics in Medicine 2007; Gallas et al. 2009 on the bootstrap over readers and cases; Rao and Wu"
            " 1988.",
            small=True,
        ),
    ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _percent(found: Proportion) -> str:
    """`62.9% (58.5 to 67.1)`."""
    if found.value is None or found.interval is None:
        return NONE
    return f"{found.value:.1%} ({100 * found.interval.low:.1f} to {100 * found.interval.high:.1f})"


def _percent_estimate(found: Estimate | None) -> str:
    if found is None:
        return NONE
    return f"{found.value:.1%} ({_interval(found, percent=True) or 'without an interval'})"


def _interval(found: Estimate, percent: bool = False) -> str:
    ends = found.interval
    if ends is None:
        return ""
    return f"95% {ends.low:.1%} to {ends.high:.1%}" if percent else f"95% {ends.low:.2f} to {ends.high:.2f}"


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.1f}"


def _signed(value: float | None) -> str:
    return NONE if value is None else f"{value:+.1f}"


def _points(found: Estimate | None) -> str:
    """A change of a share."""
    if found is None:
        return "too few answers"
    ends = found.interval
    interval = "" if ends is None else f" (95% interval {100 * ends.low:+.1f} to {100 * ends.high:+.1f})"
    return f"{100 * found.value:+.1f} percentage points{interval}"


def _change(found: Estimate | None) -> str:
    if found is None:
        return "too few answers"
    ends = found.interval
    interval = "" if ends is None else f" (95% interval {ends.low:+.1f} to {ends.high:+.1f})"
    return f"{found.value:+.1f}{interval}"
