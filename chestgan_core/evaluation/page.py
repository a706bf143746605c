"""The metric report as one HTML file that opens offline, with its figures.

In: a MetricReport. Out: report.html (figures inside) and figures/*.png in a folder. Every number is put into
words, and what makes the numbers coarse is said above them.
"""

import base64
from itertools import groupby
from pathlib import Path

import jinja2

from chestgan_core.atomic import replacing
from chestgan_core.evaluation.charts import closest_pairs, feature_scatter, value_histogram
from chestgan_core.evaluation.metric_report import BETTER, MetricReport, not_measured
from chestgan_core.evaluation.words import cautions, sentence
from chestgan_core.pictures import contact_sheet

HOUNSFIELD = (
    "Hounsfield units",
    "All pixels of the images compared. Values beyond the window were clipped to its ends.",
)
GREY = ("Grey levels", "All pixels of the images compared. The pictures have no Hounsfield units.")

HEADINGS = {
    "distance": "Distance",
    "manifold": "Overlap",
    "classifier": "Told apart by a classifier",
    "utility": "Usefulness",
    "memorization": "Memorization",
    "diversity": "Variety",
    "plausibility": "Plausibility",
}


def write_page(report: MetricReport, folder: Path) -> list[Path]:
    """Write figures/*.png and report.html; returns the files, the page last."""
    drawn = _draw(report, folder / "figures")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        report=report,
        cautions=cautions(report.rows, report.patients_real, report.word),
        groups=[
            (HEADINGS[group], [(row, sentence(row, report.word)) for row in rows])
            for group, rows in groupby(
                [row for row in report.rows if row.value is not None], lambda row: row.group
            )
        ],
        better=BETTER,
        missing=not_measured(report.rows),
        figures=[(title, caption, _data_uri(path)) for path, title, caption in drawn],
    )
    path = folder / "report.html"
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return [*(figure for figure, _, _ in drawn), path]


def _draw(report: MetricReport, folder: Path) -> list[tuple[Path, str, str]]:
    """The figures: file, title, caption."""
    pictures, word = report.pictures, report.word
    beside = f"{word.capitalize()} beside synthetic"
    sheet, histogram, scatter = (
        folder / name for name in ("real-beside-synthetic.png", "value-histogram.png", "feature-scatter.png")
    )
    contact_sheet(
        pictures.samples["real"],
        pictures.samples["synthetic"],
        sheet,
        title=beside,
        real_label=f"{word}, held-out patients" if "other" in pictures.samples else word,
        columns=4,
    )
    value_histogram(pictures.grey, report.window, word, histogram)
    drawn = [
        (
            sheet,
            beside,
            "Drawn by the seed, not chosen; both sides through the same window.",
        ),
        (
            histogram,
            *(HOUNSFIELD if report.window.unit == "HU" else GREY),
        ),
    ]
    if pictures.features:
        feature_scatter(pictures.features, word, scatter)
        caption = (
            "Each point is an image, in the plane of the two largest principal components of all groups."
        )
        drawn.append((scatter, "Features", caption))
    if pictures.closest is not None:
        pairs = folder / "closest-to-training.png"
        closest_pairs(pictures.closest, report.window, word, pairs)
        caption = (
            f"The synthetic images that are closest to one of {pictures.closest.searched[0]} trained on, beside how "
            f"close one of {pictures.closest.searched[1]} held-out images comes. Look for copies. The number is the "
            "root mean square difference of the pixels."
        )
        drawn.append((pairs, "Closest to training images", caption))
    return drawn


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
