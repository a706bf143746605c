"""The metric report as one HTML file that opens offline, with its figures.

In: a MetricReport. Out: report.html (figures inside) and figures/*.png in a folder. Every number is put into
words, and what makes the numbers coarse is said above them.
"""

import base64
import os
from pathlib import Path

import jinja2

from chestgan_core.evaluation.charts import feature_scatter, hounsfield_histogram
from chestgan_core.evaluation.metric_report import MetricReport
from chestgan_core.evaluation.rows import MetricRow
from chestgan_core.pictures import contact_sheet

# Below these, the page says that the numbers are coarse.
FEW_PATIENTS, FEW_IMAGES = 10, 1000


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
        cautions=cautions(report),
        rows=[(row, sentence(row)) for row in report.rows],
        figures=[(title, caption, _data_uri(path)) for path, title, caption in drawn],
    )
    path = folder / "report.html"
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(path)
    return [*(figure for figure, _, _ in drawn), path]


def cautions(report: MetricReport) -> list[str]:
    """What a reader must know before the numbers, drawn from the numbers themselves."""
    rows = [row for row in report.rows if row.value is not None]
    said = []
    if absent := {row.extractor: row.note for row in report.rows if row.value is None}:
        said += [f"With {name} nothing was measured ({note})." for name, note in absent.items()]
    if not rows:
        return said
    first = rows[0]
    if report.patients_real < FEW_PATIENTS:
        said.append(
            f"Few patients: the real side is {report.patients_real} patient(s). Slices of one patient look"
            " alike, so the numbers say little about patients in general, and the spread is too small."
        )
    if first.n_real < FEW_IMAGES:
        said.append(
            f"Few images: {first.n_real} on each side. All numbers are coarse; compare them only with numbers"
            " at the same n, extractor and split."
        )
    if any(row.floor is not None and row.floor_n < row.n_real for row in rows):
        said.append(
            "The groups of real patients behind the floor are smaller than the comparison: their FID is"
            " biased upwards more, so the model looks better beside it than it is."
        )
    if all(row.floor is None for row in rows):
        said.append(
            f"There is no floor, so nothing says how far real patients are apart: {first.floor_note}."
        )
    return said


def sentence(row: MetricRow) -> str:
    """One row in plain words."""
    if row.value is None:
        return f"{row.measure} was {row.note}."
    value = row.number(row.value, row.sd)
    floor = row.number(row.floor, row.floor_sd)
    if row.measure in ("KID", "FID"):
        if row.floor is None:
            return f"{row.measure} {value}. 0 would be no difference; without a floor it has no scale."
        said = f"{row.measure} {value}; two groups of real patients differ by {floor}."
        # A floor within its own error of 0 is no divisor.
        if row.floor > 2 * (row.floor_sd or 0):
            times = row.value / row.floor
            said += f" The distance of the synthetic images is {times:.1f} times that."
        return said
    real = f" (images of other real patients: {floor})" if row.floor is not None else ""
    return {
        "precision": f"{value} of the synthetic images lie among the real ones{real}.",
        "recall": f"{value} of the real images lie among the synthetic ones{real}.",
        "density": f"A synthetic image lies in {value} times as many real neighbourhoods as a real one would"
        f" on average{real}; more than 1 can mean images crowded at the typical.",
        "coverage": f"{value} of the real images have a synthetic image in their neighbourhood{real}; low"
        " when the generator makes only some kinds of image.",
    }[row.measure]


def _draw(report: MetricReport, folder: Path) -> list[tuple[Path, str, str]]:
    """The figures: file, title, caption."""
    pictures = report.pictures
    sheet, histogram, scatter = (
        folder / name
        for name in ("real-beside-synthetic.png", "hounsfield-histogram.png", "feature-scatter.png")
    )
    contact_sheet(
        pictures.samples["real"],
        pictures.samples["synthetic"],
        sheet,
        title="Real beside synthetic",
        real_label="real, held-out patients" if "other" in pictures.samples else "real",
        columns=4,
    )
    hounsfield_histogram(pictures.grey, report.window, histogram)
    drawn = [
        (
            sheet,
            "Real beside synthetic",
            "Drawn by the seed, not chosen; both sides through the same window.",
        ),
        (
            histogram,
            "Hounsfield units",
            "All pixels of the images compared. Values beyond the window were clipped to its ends.",
        ),
    ]
    if pictures.features:
        feature_scatter(pictures.features, scatter)
        caption = (
            "Each point is an image, in the plane of the two largest principal components of all groups."
        )
        drawn.append((scatter, "Features", caption))
    return drawn


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
