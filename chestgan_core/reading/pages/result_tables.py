"""The numbers of a result as CSV, for other programs.

In: a StudyResult, and for one table the answers themselves. Out: CSV text by file name. Cells that a spreadsheet would
run as a formula begin with an apostrophe. Nothing in them is about a person: readers are numbers, times are durations.
"""

from chestgan_core.local.csv_text import Cell, csv_text
from chestgan_core.reading.analysis.result import Confusion, Estimate, Proportion, StudyResult
from chestgan_core.reading.answers import StudyAnswers
from chestgan_core.reading.study_key import StudyKey


def result_tables(result: StudyResult) -> dict[str, str]:
    """readers.csv, images.csv, roc.csv, ratings.csv, drift.csv."""
    return {
        "readers.csv": _readers(result),
        "images.csv": _images(result),
        "roc.csv": _roc(result),
        "ratings.csv": _ratings(result),
        "drift.csv": _drift(result),
    }


def answers_table(key: StudyKey, answers: StudyAnswers) -> str:
    """Every answer with the truth, by the numbers of readers in the result; without dates and what readers said of
    themselves.
    """
    rows = {row.item: row for row in key.rows}
    numbers = {name: at for at, name in enumerate(sorted(one.reader for one in answers.readers), 1)}
    head = (
        "reader", "item", "truth", "class", "part", "position", "rating", "verdict", "confidence", "tumour_seen",
        "tumour_x", "tumour_y", "conspicuity", "seconds",
    )  # fmt: skip
    ordered = sorted(answers.answers, key=lambda one: (numbers[one.reader], one.position))
    return csv_text(
        head,
        (
            (
                numbers[one.reader], one.item, rows[one.item].truth, rows[one.item].image_class, one.part, one.position,
                one.rating, one.verdict, one.confidence, one.tumour_seen, one.tumour_x, one.tumour_y, one.conspicuity,
                round(one.seconds, 1),
            )
            for one in ordered
        ),
    )  # fmt: skip


def _proportion(found: Proportion) -> tuple[Cell, ...]:
    ends = found.interval
    return (found.value, None if ends is None else ends.low, None if ends is None else ends.high)


def _estimate(found: Estimate | None) -> tuple[Cell, ...]:
    if found is None:
        return (None, None, None)
    ends = found.interval
    return (found.value, None if ends is None else ends.low, None if ends is None else ends.high)


COUNTS = ("synthetic called synthetic", "synthetic called real", "real called real", "real called synthetic")
SHARES = tuple(
    f"{name}{end}" for name in ("accuracy", "sensitivity", "specificity") for end in ("", " low", " high")
)


def _confusion(found: Confusion) -> tuple[Cell, ...]:
    return (
        found.synthetic_called_synthetic,
        found.synthetic_called_real,
        found.real_called_real,
        found.real_called_synthetic,
        *_proportion(found.accuracy),
        *_proportion(found.sensitivity),
        *_proportion(found.specificity),
    )


def _readers(result: StudyResult) -> str:
    confusions = {one.label: _confusion(one) for one in result.confusion_by_reader}
    areas = {one.reader: one.area for one in result.roc.curves} if result.roc else {}
    none: tuple[Cell, ...] = (None,) * (len(COUNTS) + len(SHARES))
    head = ("reader", "standing", "answered", "of", "seconds per image", "minutes", *COUNTS, *SHARES)
    return csv_text(
        (*head, "AUC", "AUC low", "AUC high"),
        [
            (
                row.reader, row.standing, row.answered, row.of, row.seconds, round(row.minutes, 1),
                *confusions.get(f"reader {row.reader}", none), *_estimate(areas.get(row.reader)),
            )
            for row in result.readers
        ],
    )  # fmt: skip


def _images(result: StudyResult) -> str:
    rows: list[tuple[Cell, ...]] = [("all", "", *_confusion(result.confusion))]
    rows += [("class", one.label, *_confusion(one)) for one in result.confusion_by_class]
    rows += [("level", one.label, *_confusion(one)) for one in result.confusion_by_level]
    return csv_text(("by", "images", *COUNTS, *SHARES), rows)


def _roc(result: StudyResult) -> str:
    rows: list[tuple[Cell, ...]] = []
    if result.roc is not None:
        rows += [
            (f"reader {one.reader}", x, y, None, None) for one in result.roc.curves for x, y in one.corners
        ]
        mean = result.roc.mean_curve
        band = (
            zip(mean.low, mean.high, strict=True) if mean.low else [(None, None)] * len(mean.false_fractions)
        )
        rows += [
            ("mean", x, y, *ends)
            for x, y, ends in zip(mean.false_fractions, mean.true_fractions, band, strict=True)
        ]
    return csv_text(("curve", "real called synthetic", "synthetic called synthetic", "low", "high"), rows)


def _ratings(result: StudyResult) -> str:
    real, synthetic = result.ratings.real.counts, result.ratings.synthetic.counts
    return csv_text(("rating", "real", "synthetic"), [(at + 1, real[at], synthetic[at]) for at in range(10)])


def _drift(result: StudyResult) -> str:
    return csv_text(
        (
            "quarter", "answers", "accuracy", "accuracy low", "accuracy high", "rating real", "rating synthetic",
            "seconds",
        ),
        [
            (one.quarter, one.answers, *_proportion(one.accuracy), one.rating_real, one.rating_synthetic, one.seconds)
            for one in result.drift.quarters
        ],
    )  # fmt: skip
