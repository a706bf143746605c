"""The sections of a report about verdicts: who called what real or synthetic, and the ROC curves."""

from collections.abc import Mapping, Sequence

from chestgan_core.documents.blocks import Block, Bullets, Figure, Pair, Paragraph, Table
from chestgan_core.reading.analysis.finding import shown
from chestgan_core.reading.analysis.result import Confusion, StudyResult
from chestgan_core.reading.pages.chart_names import CONFUSION, READERS, ROC
from chestgan_core.reading.pages.wording import counted, percent, percent_of_estimate


def verdicts(result: StudyResult, charts: Mapping[str, bytes]) -> list[Block]:
    """Tables of what was called what."""
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
            f" images, is {percent_of_estimate(result.accuracy_over_readers)}.",
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
                        percent(one.specificity),
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
                percent(one.accuracy),
                percent(one.sensitivity),
                percent(one.specificity),
            )
            for one in rows
        ),
        (2, 1.6, 1.2, 1.4, 1.2, 3.2, 3.2, 3.2),
    )


def roc_curves(result: StudyResult, charts: Mapping[str, bytes]) -> list[Block]:
    """Areas, and how they were found."""
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
        f" ({counted(roc.readers, 'reader')}, {roc.synthetic_images} synthetic images, {roc.real_images} real images of"
        f" {counted(roc.patients, 'patient')}).",
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
