"""The result of a study in sentences: what it shows, what it does not, and what limits it.

In: numbers of a result. Out: Finding and notes. "Not shown" is not "shown not to be": that images cannot be told apart
is said only where the whole interval lies within a margin around 0.5, and only within it.
"""

from collections.abc import Sequence

from chestgan_core.reading.analysis.answer_table import AnswerTable
from chestgan_core.reading.analysis.result import Estimate, Finding, ReaderRow, Roc
from chestgan_core.reading.design import StudyDesign

MARGIN = 0.05  # of the area, to both sides of 0.5
FEW_READERS, FEW_PATIENTS = 5, 10
CONDITIONS = (
    "This holds for these readers, these images and the way in which they were shown. It says how real single images"
    " look, not whether they are fit for diagnosis, and nothing about their diversity: read it beside coverage."
)


def finding(roc: Roc | None, planned: float, reached: float | None) -> Finding:
    """The area against 0.5, and the precision."""
    if roc is None:
        why = "No reader has answered half of the images of each side, so there is no ROC curve."
        return Finding(title="Not enough answers for a result", told_apart="unknown", sentences=(why,))
    of_whom = "one reader" if roc.readers == 1 else f"mean of {roc.readers} readers"
    area, ends = roc.area.value, roc.area.interval
    first = f"Area under the ROC curve (AUC) {area:.2f}, {of_whom}"
    if ends is None:
        sentences = (f"{first}, without an interval: {NO_INTERVAL}.", CONDITIONS)
        return Finding(
            title="No interval, so it is unknown whether readers could tell",
            told_apart="unknown",
            sentences=sentences,
        )
    over = "images" if roc.readers == 1 else "readers and images"
    lines = [f"{first}; 95% interval over {over} {shown(roc.area)}. 0.5 is chance, 1 is always right."]
    who = "The reader" if roc.readers == 1 else "Readers"
    within = ends.low >= 0.5 - MARGIN and ends.high <= 0.5 + MARGIN
    if ends.low > 0.5:
        title, told = f"{who} could tell synthetic from real images", "yes"
        lines.append("The interval lies above 0.5" + (f", but by at most {MARGIN}." if within else "."))
    elif ends.high < 0.5:
        title, told = f"{who} saw a difference, and took synthetic images for real ones", "yes"
        lines.append("The interval lies below 0.5: the images differ, but not in the way that was expected.")
    elif within:
        title, told = (
            f"{who} could not tell synthetic from real images, within {MARGIN} of chance",
            "no, within the margin",
        )
        lines.append(f"The whole interval lies between {0.5 - MARGIN:.2f} and {0.5 + MARGIN:.2f}.")
    else:
        title, told = f"{who} {_was(roc)} not shown to tell synthetic from real images", "not shown"
        lines.append(
            f"The interval contains 0.5. That does not show that they cannot tell: areas up to {ends.high:.2f} fit"
            f" these answers as well. To say so, all of it would have to lie within {MARGIN} of 0.5."
        )
    lines.append(precision(planned, reached, roc))
    return Finding(title=title, told_apart=told, sentences=(*lines, CONDITIONS))  # type: ignore[arg-type]


NO_INTERVAL = "it takes two patients and two synthetic images to say how far others would differ"


def _was(roc: Roc) -> str:
    return "was" if roc.readers == 1 else "were"


def precision(planned: float, reached: float | None, roc: Roc) -> str:
    """The planned half-width beside what was reached."""
    ends = roc.area.interval
    area = (
        "" if ends is None else f"; the half-width of the area's interval is {(ends.high - ends.low) / 2:.2f}"
    )
    # Planned before anything is known, by the normal approximation; reached at the accuracy that readers have.
    got = (
        "no verdicts were given"
        if reached is None
        else f"reached +- {100 * reached:.1f} (half of Wilson's interval, median of the readers)"
    )
    plan = f"planned +- {100 * planned:.1f} percentage points near 50%"
    return f"Precision of one reader's accuracy: {plan}, {got}{area}."


def shown(estimate: Estimate, digits: int = 2) -> str:
    """`0.48 to 0.61`; "none" without an interval."""
    ends = estimate.interval
    return "none" if ends is None else f"{ends.low:.{digits}f} to {ends.high:.{digits}f}"


def notes(
    design: StudyDesign, table: AnswerTable, rows: Sequence[ReaderRow], roc: Roc | None
) -> tuple[str, ...]:
    """What counts and what does not, and what limits the numbers."""
    found = [
        "Warm-up images count nowhere. Second answers to an image count for the agreement of readers with themselves"
        " only."
    ]
    unfinished = [row for row in rows if row.standing == "unfinished"]
    if unfinished:
        answered = ", ".join(f"{row.answered} of {row.of}" for row in unfinished)
        found.append(
            f"{_readers(len(unfinished))} did not finish ({answered} images). What they answered counts image by image;"
            " in means over readers they count if they answered half of the images of each side."
        )
    if absent := sum(row.standing == "no answer" for row in rows):
        found.append(f"{_readers(absent)} began and answered no image that counts. They are in no number.")
    if roc is not None:
        found += _about(roc)
    verdicts, confidence = table.first.verdict, table.first.confidence
    if missing := int(((verdicts == verdicts) & (confidence != confidence)).sum()):
        found.append(
            f"{missing} verdicts have no confidence: they count as verdicts, and not for the ROC curve."
        )
    if not design.ask_verdict:
        found.append(
            "Readers were not asked for a verdict: the ROC curve is that of the ratings, a low one for synthetic."
        )
    return tuple(found)


def _about(roc: Roc) -> list[str]:
    found = []
    if roc.left_out:
        found.append(f"{_readers(roc.left_out)} answered too few images to be in the mean area.")
    if roc.area.interval is None:
        found.append(f"There is no interval: {NO_INTERVAL}.")
    elif roc.area.interval.low == roc.area.interval.high:
        found.append(
            "All resamples gave the same area, so its interval says nothing about how far others would differ."
        )
    if roc.readers == 1:
        found.append("There is one reader. Intervals are over images only; other readers may differ by more.")
    elif roc.readers < FEW_READERS and roc.area.interval is not None:
        found.append(
            f"With {roc.readers} readers the interval tends to be too narrow; compare it with the cross-check."
        )
    if roc.patients < FEW_PATIENTS:
        found.append(
            f"The real images are of {roc.patients} patient(s). They say little about images of other patients."
        )
    return found


def _readers(count: int) -> str:
    return "1 reader" if count == 1 else f"{count} readers"
