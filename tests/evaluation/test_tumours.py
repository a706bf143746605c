"""The part of a report about tumours: good and bad generators told apart, what cannot be judged, the pages."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from chestgan_core.config.evaluation_config import Evaluation
from chestgan_core.config.release_checks import TUMOUR_CHECKS
from chestgan_core.config.release_rules import ReleaseRules
from chestgan_core.evaluation.pages.report_page import write_report
from chestgan_core.evaluation.pages.sentences import sentence
from chestgan_core.evaluation.scoring.evaluate import evaluate
from chestgan_core.evaluation.scoring.gate import apply_gate
from chestgan_core.evaluation.scoring.metric_report import MetricReport
from chestgan_core.evaluation.scoring.metric_rows import CONDITION_GROUPS, MEASURES, MetricRow
from chestgan_core.evaluation.scoring.sides import RealImages
from chestgan_core.evaluation.scoring.tumour_block import (
    ALL,
    AUGMENTED,
    BOTH,
    REAL,
    SYNTHETIC,
    Estimate,
    Learned,
    Source,
    TumourBlock,
)
from chestgan_core.evaluation.scoring.tumour_sides import (
    AnnotatedSlices,
    AskedImages,
    Pairs,
    TumourSides,
    annotated_slices,
    tumour_sides,
)
from chestgan_core.evaluation.scoring.tumours import OFF, with_tumours
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.metrics.detector import IMAGES_SEEN
from chestgan_core.store.artefacts import parse_typed
from chestgan_core.training.data import LoadedSlices
from tests.metrics.spots import exchanged, spots
from tests.publishing.boxed_sets import asking_experiment, asking_generator

BUDGET = Evaluation(detector_images=640, few_patients=False)
LUNG = WINDOWS["lung"]


def slices(count: int, seed: int, patients: int) -> AnnotatedSlices:
    images, boxes = spots(count, seed)
    return AnnotatedSlices(
        images, tuple(boxes), tuple(f"{seed}-{at * patients // count}" for at in range(count))
    )


def sides(synthetic: AskedImages, held_out: AnnotatedSlices | None = None) -> TumourSides:
    shown = [at for at, some in enumerate(synthetic.boxes) if some]
    without, _ = spots(len(synthetic.boxes), 2, shown=[()] * len(synthetic.boxes))
    boxes = tuple(synthetic.boxes[at] for at in shown)
    pairs = Pairs(synthetic.images[shown], without[shown], boxes) if shown else None
    real = held_out or slices(60, 1, patients=10)
    return TumourSides(slices(24, 0, patients=6), real, synthetic, pairs, LUNG, "phantom")


def asked(misplaced: bool = False) -> AskedImages:
    """Of a perfect generator, or of one that places its tumours anywhere."""
    images, boxes = spots(80, seed=2)
    return AskedImages(images, tuple(exchanged(boxes, 0) if misplaced else boxes))


def plain_report() -> MetricReport:
    real, (fake, _) = slices(16, 1, patients=2), spots(16, 2)
    return evaluate(
        RealImages(real.images, real.patients),
        fake,
        window=LUNG,
        source_title="spots",
        image_kind="phantom",
        model_title="other spots",
        extractors=(),
    )


def report_on(some: TumourSides, budget: Evaluation = BUDGET) -> MetricReport:
    return with_tumours(plain_report(), some, budget, snapshot="feed", seed=0)


def value(report: MetricReport, measure: str) -> float:
    row = report.row(measure)
    assert row is not None
    assert row.value is not None, row.note
    return row.value


def of_tumours(report: MetricReport) -> list[MetricRow]:
    return [row for row in report.rows if row.group in CONDITION_GROUPS]


@pytest.fixture(scope="module")
def good() -> MetricReport:
    return report_on(sides(asked()))


@pytest.fixture(scope="module")
def curve() -> MetricReport:
    """Of detectors that have hardly learned anything, but many."""
    return report_on(sides(asked()), replace_budget(few_patients=True, detector_images=64))


@pytest.fixture(scope="module")
def bad() -> MetricReport:
    return report_on(sides(asked(misplaced=True)))


def tumour_rules(report: MetricReport) -> list[str]:
    gate = apply_gate(report.rows, ReleaseRules(), places_tumours=True)
    return [rule.state for rule in gate.rules if rule.check in TUMOUR_CHECKS]


def replace_budget(**fields: object) -> Evaluation:
    return BUDGET.model_copy(update=fields)


def test_a_perfect_generator_is_near_its_ceilings_and_passes(good: MetricReport) -> None:
    assert value(good, "placement") > 0.85 * value(good, "placement ceiling") > 0.5
    assert value(good, "detection utility") > 0.85 * value(good, "detection utility ceiling")
    assert value(good, "pair change inside") > 0.3
    assert tumour_rules(good) == ["passed", "passed"]


def test_a_generator_that_places_tumours_anywhere_is_at_the_floor_and_refused(
    good: MetricReport, bad: MetricReport
) -> None:
    row = bad.row("placement")
    assert row is not None
    assert row.floor is not None
    assert value(bad, "placement") < row.floor + 0.15 < 0.5
    assert value(bad, "detection utility") < 0.3 * value(good, "detection utility")
    assert tumour_rules(bad) == ["failed", "failed"]


def test_tumours_that_are_not_there_differ_in_contrast(good: MetricReport) -> None:
    _, boxes = spots(80, seed=2)
    empty, _ = spots(80, seed=2, shown=[()] * 80)
    absent = report_on(sides(AskedImages(empty, tuple(boxes))), replace_budget(detector_images=0))
    assert value(absent, "tumour contrast KS") > 0.9 > 0.4 > value(good, "tumour contrast KS")
    assert value(absent, "pair change inside") < 0.1  # as different as two mottled grounds


def test_each_row_carries_what_it_was_measured_with(good: MetricReport) -> None:
    expected = [name for name, measure in MEASURES.items() if measure.group in ("tumour", "detection")]
    rows = of_tumours(good)
    assert [row.measure for row in rows] == expected
    assert good.rows[-len(rows) :] == tuple(rows)
    for row in rows:
        assert (row.n_real, row.n_fake, row.seed, row.snapshot) == (60, 80, 0, "feed")
        assert row.split == "annotated held-out patients: 10 of 16"
        assert row.low is not None, row.measure
        assert row.high is not None
        assert row.low <= row.value <= row.high  # type: ignore[operator]
        by_pixels = row.measure.startswith(("tumour", "pair"))
        assert row.extractor == ("pixels" if by_pixels else "tumour-detector:1:640")
    named = {row.measure for row in rows if row.floor is not None}
    assert named == {
        "placement", "false tumours", "tumour contrast KS", "tumour size KS", "tumour rim KS", "detection utility",
        "detection utility ceiling", "detection utility of both", "detection utility of augmentation",
        "detection utility of all",
    }  # fmt: skip
    assert good.extractors[-1].id == "tumour-detector:1:640"


def test_the_curve_says_what_synthetic_images_add_to_few_patients(curve: MetricReport) -> None:
    block = curve.tumours
    assert block is not None
    assert block.patient_counts == (1, 2, 5, 6)
    assert [(one.source, one.patients) for one in block.learned[:5]] == [
        (REAL, 6), (SYNTHETIC, 0), (BOTH, 6), (AUGMENTED, 6), (ALL, 6),
    ]  # fmt: skip
    assert len(block.learned) == 5 + 4 * 3
    assert [gain.patients for gain in block.gains] == [1, 2, 5, 6]
    for gain, patients in zip(block.gains, (1, 2, 5, 6), strict=True):
        augmented, everything = block.of(AUGMENTED, patients), block.of(ALL, patients)
        assert augmented is not None
        assert everything is not None
        assert gain.besides.value == pytest.approx(
            everything.average_precision.value - augmented.average_precision.value
        )
    one_patient = block.of(REAL, 1)
    assert one_patient is not None
    assert (one_patient.real_images, one_patient.synthetic_images) == (4, 0)
    assert block.held_out.tumours == 30
    row = curve.row("detection utility ceiling")
    assert row is not None
    assert (block.learned[0].average_precision.value, block.learned[0].chance) == (row.value, row.floor)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0.5, 0.6, 0.7), "worth less than 1 phantom patient"),
        ((0.1, 0.3, 0.7), "worth 2 phantom patient(s), and less than 6"),
        ((0.1, 0.2, 0.3), "worth all 6 phantom patients"),
    ],
)
def test_synthetic_images_are_worth_as_many_patients_as_teach_no_more(
    values: tuple[float, ...], said: str, curve: MetricReport
) -> None:
    block = curve.tumours
    assert block is not None

    def learned(source: Source, patients: int, found: float) -> Learned:
        return Learned(source, patients, 0, 0, Estimate(found, None, None), (), 0.0)

    real = [learned(REAL, patients, found) for patients, found in zip((1, 2, 6), values, strict=True)]
    assert said in replace(block, learned=(*real, learned(SYNTHETIC, 0, 0.4))).worth
    assert replace(block, learned=(real[-1], learned(SYNTHETIC, 0, 0.4))).worth == ""
    # Where neither finds anything, the images are not worth as much as the patients.
    assert "worth no phantom patient" in replace(block, learned=(*real, learned(SYNTHETIC, 0, 0.0))).worth


def test_without_a_curve_five_detectors_are_trained(bad: MetricReport) -> None:
    assert bad.tumours is not None
    assert bad.tumours.patient_counts == (6,)
    assert len(bad.tumours.learned) == 5


def test_with_detectors_turned_off_nothing_about_placement_is_known_and_nothing_passes() -> None:
    found = report_on(sides(asked()), replace_budget(detector_images=0))
    assert found.tumours is None
    row = found.row("placement")
    assert row is not None
    assert (row.value, row.note) == (None, f"not measured: {OFF}")
    assert value(found, "tumour contrast KS") < 0.4
    gate = apply_gate(found.rows, ReleaseRules(), places_tumours=True)
    assert (
        "placement divided by its ceiling is not judged: not measured: no detector was trained" in gate.line()
    )


def test_the_budget_of_experiments_is_that_of_the_detector() -> None:
    assert Evaluation().detector_images == IMAGES_SEEN


def test_few_held_out_tumours_are_called_examples() -> None:
    found = report_on(sides(asked(), slices(6, 1, patients=1)), replace_budget(detector_images=64))
    row = found.row("placement ceiling")
    assert row is not None
    assert row.low is None
    few = "only 3 held-out phantom slice(s) of 1 patient(s) show a tumour: the numbers are examples"
    assert few in row.note
    assert found.tumours is not None
    assert few in found.tumours.caution


@pytest.mark.parametrize(
    ("held_out", "why"),
    [
        (AnnotatedSlices(torch.zeros(0, 1, 32, 32), (), ()), "no held-out patient was annotated"),
        (
            AnnotatedSlices(torch.zeros(4, 1, 32, 32), ((),) * 4, ("a", "b") * 2),
            "none of 4 held-out slices of annotated patients shows a tumour",
        ),
    ],
)
def test_without_held_out_tumours_each_row_says_why_it_is_empty(held_out: AnnotatedSlices, why: str) -> None:
    found = report_on(sides(asked(), held_out))
    for row in of_tumours(found):
        if not row.measure.startswith("pair"):
            assert (row.value, row.note) == (None, f"not measured: {why}"), row.measure


def test_the_pages_show_the_tumours_and_read_back_as_they_were(curve: MetricReport, tmp_path: Path) -> None:
    files = write_report(curve, tmp_path)
    names = {file.name for file in files}
    assert {"tumours.png", "tumour-pairs.png", "froc.png", "few-patients.png"} <= names
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for text in (
        "<h2>What was asked of the images",
        "phantom + augmentation",
        "found at 0.5",
        *(sentence(row, "phantom").replace("'", "&#39;") for row in of_tumours(curve)),
    ):
        assert text in page
    assert " real " not in page.partition("<h2>What was asked of the images")[2].partition("<h2>")[0]
    fields = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert parse_typed(TumourBlock, fields["tumours"], "report.json") == curve.tumours
    assert "what was asked of them: 60 + 80 synthetic images" in curve.as_text()


def test_a_report_without_conditions_says_nothing_about_tumours(tmp_path: Path) -> None:
    plain = plain_report()
    assert not of_tumours(plain)
    assert plain.as_json()["tumours"] is None
    write_report(plain, tmp_path)
    assert "tumour" not in (tmp_path / "report.html").read_text(encoding="utf-8").lower()
    assert "asked" not in plain.as_text()


def loaded(count: int, annotated: int) -> LoadedSlices:
    """Of the first slices it is known whether they have a tumour."""
    images, boxes = spots(count, 0, size=64)
    padded = torch.full((count, 8, 4), torch.nan)
    for at, some in enumerate(boxes[:annotated]):
        if some:
            padded[at, 0] = torch.tensor(some[0])
    return LoadedSlices(
        images,
        None,
        tuple(f"P{at // 4}" for at in range(count)),
        boxes=padded,
        annotated=torch.arange(count) < annotated,
    )


def test_slices_of_which_nobody_knows_are_on_no_side() -> None:
    found = annotated_slices(loaded(20, annotated=12), seed=0)
    assert (len(found.images), found.with_tumour, found.patients_with_tumour) == (12, 6, 3)
    assert torch.equal(found.images, loaded(20, 12).images[:12])
    nobody = annotated_slices(replace(loaded(8, 4), boxes=None, annotated=None), seed=0)
    assert (len(nobody.images), nobody.boxes) == (0, ())


def test_as_many_synthetic_images_of_known_layouts_as_real_ones_are_compared(tmp_path: Path) -> None:
    experiment = asking_experiment()
    generator = asking_generator(tmp_path, experiment)
    found = tumour_sides(generator, experiment, loaded(50, 40), loaded(20, 20), "phantom")
    assert len(found.synthetic.images) == len(found.synthetic.boxes) == 40
    asked_for = [some for some in found.synthetic.boxes if some]
    assert 0 < len(asked_for) < 40
    assert found.pairs is not None
    assert found.pairs.boxes == tuple(asked_for)
    assert not torch.equal(found.pairs.shown, found.pairs.without)
    always = experiment.model_copy(
        update={"publication": experiment.publication.model_copy(update={"tumour_fraction": 1.0})}
    )
    every = tumour_sides(generator, always, loaded(50, 40), loaded(20, 20), "phantom")
    assert all(every.synthetic.boxes)
