"""The figures of a metric report, as files and as blocks of its page.

In: the pictures of a MetricReport. Out: figures/*.png. Two of them are for whoever compares reports: the first images
of each side as plain grids, pixel for pixel.
"""

from pathlib import Path

from chestgan_core.documents.blocks import Figure
from chestgan_core.evaluation.pages.charts import closest_pairs, feature_scatter, value_histogram
from chestgan_core.evaluation.scoring.metric_report import MetricReport
from chestgan_core.imaging.pictures import contact_sheet, image_grid, narrowed, save_png

# Plain grids of the first images: 8 a row, a gap of 2 pixels, nothing enlarged.
PLAIN, COLUMNS, GAP = 16, 8, 2
REAL_GRID, SYNTHETIC_GRID = "samples-real.png", "samples-synthetic.png"
MOST_ACROSS = 1600  # pixels inside the page; the file is as large as it gets
HOUNSFIELD = (
    "Hounsfield units",
    "All pixels of the images compared. Values beyond the window were clipped to its ends.",
)
GREY = ("Grey levels", "All pixels of the images compared. The pictures have no Hounsfield units.")


def draw_sheet(report: MetricReport, folder: Path) -> Figure:
    """Real beside synthetic; also writes the plain grids."""
    samples, image_kind = report.pictures.samples, report.image_kind
    title = f"{image_kind.capitalize()} beside synthetic"
    path = folder / "real-beside-synthetic.png"
    contact_sheet(
        samples["real"],
        samples["synthetic"],
        path,
        title=title,
        real_label=f"{image_kind}, held-out patients" if "other" in samples else image_kind,
        columns=4,
    )
    for role, name in (("real", REAL_GRID), ("synthetic", SYNTHETIC_GRID)):
        save_png(image_grid(samples[role][:PLAIN], COLUMNS, gap=GAP), folder / name)
    return Figure(
        narrowed(path.read_bytes(), MOST_ACROSS),
        title,
        "Drawn by the seed, not chosen; both sides through the same window.",
        0.78,
    )


def draw_charts(report: MetricReport, folder: Path) -> list[Figure]:
    """Values and, where there are features, their scatter."""
    pictures, image_kind = report.pictures, report.image_kind
    histogram, scatter = folder / "value-histogram.png", folder / "feature-scatter.png"
    value_histogram(pictures.grey, report.window, image_kind, histogram)
    title, caption = HOUNSFIELD if report.window.unit == "HU" else GREY
    drawn = [Figure(histogram.read_bytes(), title, caption)]
    if pictures.features:
        feature_scatter(pictures.features, image_kind, scatter)
        caption = (
            "Each point is an image, in the plane of the two largest principal components of all groups."
        )
        drawn.append(Figure(scatter.read_bytes(), "Features", caption))
    return drawn


def draw_closest(report: MetricReport, folder: Path) -> list[Figure]:
    """The synthetic images most like one trained on, where the report has looked for them."""
    closest = report.pictures.closest
    if closest is None:
        return []
    path = folder / "closest-to-training.png"
    closest_pairs(closest, report.image_kind, path)
    caption = (
        "The synthetic images that are most like an image trained on, the nearest first, with that image and the"
        " nearest held-out one. Above: root mean square difference, 0 to 2. A copy would show the same slice in the"
        " first two lines, at a far smaller difference than in the third."
    )
    return [Figure(narrowed(path.read_bytes(), MOST_ACROSS), "Closest to training", caption)]
