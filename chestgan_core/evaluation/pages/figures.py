"""The figures of a metric report: PNG files, and their blocks on its page.

In: the pictures of a MetricReport. Out: figures/*.png; from these files, the blocks. Two files are for comparisons of
several reports: the first images of each side as plain grids, pixel for pixel.
"""

from collections.abc import Mapping
from pathlib import Path

from chestgan_core.documents.blocks import Figure
from chestgan_core.evaluation.pages.attack_chart import attacks_png
from chestgan_core.evaluation.pages.charts import closest_pairs, feature_scatter, value_histogram
from chestgan_core.evaluation.pages.group_charts import groups_png
from chestgan_core.evaluation.pages.tumour_charts import (
    curve_png,
    examples_png,
    froc_png,
    pairs_png,
    subjects_png,
)
from chestgan_core.evaluation.scoring.metric_report import MetricReport
from chestgan_core.evaluation.scoring.report_payload import ReportPayload
from chestgan_core.imaging.pictures import contact_sheet, image_grid, save_png, shrink_to_width

# Plain grids of the first images: 8 per row, a gap of 2 pixels, nothing enlarged.
GRID_IMAGES, COLUMNS, GAP = 16, 8, 2
REAL_GRID, SYNTHETIC_GRID = "samples-real.png", "samples-synthetic.png"
CONTACT_SHEET, HISTOGRAM, SCATTER, CLOSEST = (
    "real-beside-synthetic.png",
    "value-histogram.png",
    "feature-scatter.png",
    "closest-to-training.png",
)
SUBJECTS = "synthetic-patient.png"
GROUPS = "groups.png"
ATTACKS = "attacks.png"
PLACED, PAIRS, FROC, FEW_PATIENTS = (
    "tumours.png",
    "tumour-pairs.png",
    "froc.png",
    "few-patients.png",
)
MAX_WIDTH = 1600  # pixels on the page; the file itself keeps its size
HOUNSFIELD = (
    "Hounsfield units",
    "All pixels of the compared images. Values beyond the window were clipped to its ends.",
)
GREY = ("Grey levels", "All pixels of the compared images. The pictures have no Hounsfield units.")


def draw_figures(report: MetricReport, folder: Path) -> dict[str, bytes]:
    """Write the PNG files; returns them by name. Without features there is no scatter, without training images no
    closest pairs.
    """
    pictures, image_kind = report.pictures, report.image_kind
    contact_sheet(
        pictures.samples["real"],
        pictures.samples["synthetic"],
        folder / CONTACT_SHEET,
        title=_sheet_title(report),
        real_label=f"{image_kind}, held-out patients" if "other" in pictures.samples else image_kind,
        columns=4,
    )
    for role, name in (("real", REAL_GRID), ("synthetic", SYNTHETIC_GRID)):
        save_png(image_grid(pictures.samples[role][:GRID_IMAGES], COLUMNS, gap=GAP), folder / name)
    value_histogram(pictures.grey, report.window, image_kind, folder / HISTOGRAM)
    if pictures.features:
        feature_scatter(pictures.features, image_kind, folder / SCATTER)
    if pictures.closest is not None:
        closest_pairs(pictures.closest, image_kind, folder / CLOSEST)
    if pictures.attacks and report.attacks:
        (folder / ATTACKS).write_bytes(attacks_png(pictures.attacks, report.attacks.best))
    if report.groups and report.groups.groupings:
        (folder / GROUPS).write_bytes(groups_png(report.groups))
    for name, png in _of_conditions(report).items():
        (folder / name).write_bytes(png)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _of_conditions(report: MetricReport) -> dict[str, bytes]:
    """The figures of what was asked of the images, as far as something was measured."""
    pictures, block = report.pictures.tumours, report.tumours
    found = {}
    if pictures and pictures.pairs:
        found[PAIRS] = pairs_png(pictures.pairs)
    if pictures and block:
        found[PLACED] = examples_png(pictures, report.image_kind)
    if report.pictures.subjects:
        found[SUBJECTS] = subjects_png(report.pictures.subjects, report.image_kind)
    if block and block.learned:
        found[FROC] = froc_png(block)
        if len(block.patient_counts) > 1:
            found[FEW_PATIENTS] = curve_png(block)
    return found


def sheet_block(report: ReportPayload, figures: Mapping[str, bytes]) -> Figure:
    """Real beside synthetic images."""
    caption = "Drawn by the seed, not chosen; both sides through the same window."
    return Figure(shrink_to_width(figures[CONTACT_SHEET], MAX_WIDTH), _sheet_title(report), caption, 0.78)


def chart_blocks(report: ReportPayload, figures: Mapping[str, bytes]) -> list[Figure]:
    """The histogram of values and, where there are features, their scatter."""
    blocks = [Figure(figures[HISTOGRAM], *(HOUNSFIELD if report.window.unit == "HU" else GREY))]
    if SCATTER in figures:
        caption = (
            "Each point is an image, in the plane of the two largest principal components of all groups."
        )
        blocks.append(Figure(figures[SCATTER], "Features", caption))
    return blocks


def closest_blocks(figures: Mapping[str, bytes]) -> list[Figure]:
    """The synthetic images most similar to a training image, where the report searched for them."""
    if CLOSEST not in figures:
        return []
    caption = (
        "The synthetic images that are most similar to a training image, the nearest first, with that image and the"
        " nearest held-out one. Above: root mean square difference, 0 to 2. A copy would show the same slice in the"
        " first two rows, at a far smaller difference than in the third."
    )
    return [Figure(shrink_to_width(figures[CLOSEST], MAX_WIDTH), "Closest to training", caption)]


def _sheet_title(report: ReportPayload) -> str:
    return f"{report.image_kind.capitalize()} beside synthetic"
