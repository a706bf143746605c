"""Synthetic patients in a report: how alike neighbouring slices are and how large the tumour is, beside real series."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from chestgan_core.evaluation.pages.report_page import write_report
from chestgan_core.evaluation.scoring.evaluate import evaluate
from chestgan_core.evaluation.scoring.metric_report import MetricReport
from chestgan_core.evaluation.scoring.metric_rows import MetricRow
from chestgan_core.evaluation.scoring.sides import RealImages
from chestgan_core.evaluation.scoring.subject_metrics import SUBJECTS, with_subjects
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.slices.shards import SliceRow
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.weights import LoadedGenerator
from tests.layouts.chests import LUNG_MM, PIXEL_MM, chest
from tests.publishing.boxed_sets import asking_experiment, asking_generator

SPACING = 12.0
CENTRE, RADIUS = (17.5, 31.5, 0.5 * LUNG_MM), 33.0  # pixels, pixels, mm; mm


def series(patients: int = 2, spacing: float = SPACING, known: bool = True) -> LoadedSlices:
    """Chests with a ball of a tumour, and tight boxes around its cuts."""
    images, rows, boxes = [], [], []
    for patient in range(patients):
        for z in np.arange(spacing / 2, LUNG_MM, spacing):
            image = torch.tensor(chest(z / LUNG_MM), dtype=torch.float32)
            cut = np.sqrt(max(RADIUS**2 - (z - CENTRE[2]) ** 2, 0)) / PIXEL_MM
            box = (CENTRE[0] - cut, CENTRE[1] - cut, CENTRE[0] + cut, CENTRE[1] + cut)
            middles = np.arange(64) + 0.5
            disc = (middles - CENTRE[0]) ** 2 + (middles[:, None] - CENTRE[1]) ** 2 <= cut**2
            image[0][torch.from_numpy(disc)] = 0.7
            images.append(image)
            boxes.append(box if cut else (torch.nan,) * 4)
            rows.append(row(patient, float(z), known))
    padded = torch.full((len(images), 8, 4), torch.nan)
    padded[:, 0] = torch.tensor(boxes)
    return LoadedSlices(
        torch.stack(images),
        None,
        tuple(one.patient for one in rows),
        boxes=padded,
        annotated=torch.ones(len(rows), dtype=torch.bool),
        pixel_mm=torch.full((len(rows),), PIXEL_MM),
        rows=tuple(rows),
    )


def row(patient: int, z: float, known: bool) -> SliceRow:
    return SliceRow(
        patient=f"P{patient}",
        histology="",
        series_uid=f"1.{patient}",
        sop_uid=f"1.{patient}.{z:g}",
        position_mm=z,
        lung_fraction=0.3,
        pixel_mm=PIXEL_MM,
        **({"position": z / LUNG_MM} if known else {}),
    )


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> LoadedGenerator:
    """With random weights: its slices hardly differ, and no tumour is in them."""
    return asking_generator(tmp_path_factory.mktemp("model"), asking_experiment())


def report_on(generator: LoadedGenerator, held_out: LoadedSlices) -> MetricReport:
    plain = evaluate(
        RealImages(held_out.images, held_out.patients),
        held_out.images.flip(0),
        window=WINDOWS["lung"],
        source_title="chests",
        image_kind="phantom",
        model_title="a model",
        extractors=(),
    )
    return with_subjects(plain, generator, held_out, snapshot="feed", split=plain.rows[0].split, seed=0)


def rows_of(report: MetricReport) -> tuple[MetricRow, MetricRow]:
    similar, volume = report.row("neighbour similarity"), report.row("tumour volume")
    assert similar is not None
    assert volume is not None
    return similar, volume


@pytest.fixture(scope="module")
def report(generator: LoadedGenerator) -> MetricReport:
    return report_on(generator, series())


def test_neighbours_are_compared_at_the_spacing_of_real_series(report: MetricReport) -> None:
    similar, _ = rows_of(report)
    assert "neighbouring slices, 12 mm apart" in similar.note
    assert similar.n_fake == SUBJECTS
    assert similar.floor_note == "38 neighbours in phantom series of 2 held-out patient(s)"
    assert similar.floor is not None
    assert similar.value is not None
    assert similar.floor < 0.9 < similar.value <= 1  # of random weights nothing changes along the body
    assert similar.low is not None


def test_a_ball_of_a_tumour_is_as_large_as_its_boxes_say_and_an_absent_one_is_not(
    report: MetricReport,
) -> None:
    _, volume = rows_of(report)
    assert volume.floor == pytest.approx(1, abs=0.15)
    assert volume.value is not None
    assert volume.value < 0.5
    assert "ml asked in the mean" in volume.note


def test_real_series_without_positions_give_no_floor(generator: LoadedGenerator) -> None:
    similar, volume = rows_of(report_on(generator, series(known=False)))
    assert (similar.floor, volume.floor) == (None, None)
    assert "5 mm apart" in similar.note
    assert similar.floor_note == "no floor: no held-out phantom series has slices at this spacing"


def test_a_generator_that_knows_no_mm_makes_no_patient_and_the_rows_say_so(
    generator: LoadedGenerator,
) -> None:
    assert generator.layouts is not None
    blind = replace(generator, layouts=replace(generator.layouts, pixel_mm=0.0))
    for one in rows_of(report_on(blind, series())):
        assert one.value is None
        assert one.note == "not measured: it is not known how many mm a pixel and the lungs have"


def test_the_page_shows_a_synthetic_patient_above_a_held_out_one(
    report: MetricReport, tmp_path: Path
) -> None:
    write_report(report, tmp_path)
    assert (tmp_path / "figures" / "synthetic-patient.png").is_file()
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "The similarity of neighbouring slices of a synthetic patient is" in page
    assert "Slices of one synthetic patient:" in page
