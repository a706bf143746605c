"""The sections of a report about the other answers: ratings, agreement, the course of a sitting, tumours."""

from collections.abc import Mapping

from chestgan_core.documents.blocks import Block, Bullets, Figure, Paragraph, Table
from chestgan_core.reading.analysis.finding import shown
from chestgan_core.reading.analysis.result import StudyResult
from chestgan_core.reading.pages.chart_names import DRIFT, RATINGS
from chestgan_core.reading.pages.wording import (
    NONE,
    change,
    change_of_share,
    counted,
    number,
    percent,
    signed,
)


def ratings(result: StudyResult, charts: Mapping[str, bytes]) -> list[Block]:
    """Counts of 1 to 10 on both sides."""
    real, synthetic = result.ratings.real, result.ratings.synthetic
    if RATINGS not in charts:
        return [Paragraph("There is no rating yet.")]
    difference = result.ratings.difference
    rows = [
        (side.truth, *map(str, side.counts), number(side.mean), number(side.median))
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


def agreement(result: StudyResult) -> list[Block]:
    """Between readers, and of readers with themselves."""
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
            f" same, {percent(own.same_verdict)}; Cohen's kappa {kappa}."
        )
    lines.append(
        f"Second ratings: {percent(own.same_rating)} the same, on average"
        f" {number(own.rating_difference_absolute)} apart and {signed(own.rating_difference)} higher than the first."
    )
    lines.append("Kappa is 1 for full agreement and 0 for what chance would give with the same frequencies.")
    return [Bullets(tuple(lines))]


def drift(result: StudyResult, charts: Mapping[str, bytes]) -> list[Block]:
    """By quarter of the sitting."""
    if DRIFT not in charts:
        return [Paragraph("There is no answer yet.")]
    found = result.drift
    rows = [
        (
            str(one.quarter), str(one.answers), percent(one.accuracy), number(one.rating_real),
            number(one.rating_synthetic), number(one.seconds),
        )
        for one in found.quarters
    ]  # fmt: skip
    head = ("quarter", "answers", "right verdicts", "rating of real", "of synthetic", "median seconds")
    factor = found.seconds_factor
    lines = [
        f"Right verdicts, from the first image to the last: {change_of_share(found.accuracy)}.",
        f"Ratings of real images: {change(found.rating_real)}; of synthetic ones: {change(found.rating_synthetic)}.",
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


def tumours(result: StudyResult) -> list[Block]:
    """Clicks beside the boxes, and conspicuity."""
    found = result.tumours
    if found is None:
        return [Paragraph("Readers were not asked.")]
    blocks: list[Block] = []
    if found.images:
        distance = NONE if found.distance is None else f"{found.distance:.2f}"
        blocks.append(
            Bullets(
                (
                    f"{counted(found.images, 'real image')} of the study have boxes. A tumour was seen in"
                    f" {found.seen.count} of {found.seen.total} answers to them, {percent(found.seen)}.",
                    f"The click was inside a box in {found.inside.count} of {found.inside.total},"
                    f" {percent(found.inside)}. Median distance from the centre of the nearest box: {distance},"
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
            number(side.mean_conspicuity),
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
