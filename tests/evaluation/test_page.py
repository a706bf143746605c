"""The page of a report: the verdict that is seen first, the words for each measure, and what is there only when the
report has it.
"""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pypdf
import pytest
import torch

from chestgan_core.config.release_rules import ReleaseRules
from chestgan_core.documents.blocks import Document, Section, Table
from chestgan_core.documents.html import as_html
from chestgan_core.errors import DamagedObject
from chestgan_core.evaluation.pages.report_page import write_report
from chestgan_core.evaluation.pages.sentences import ended_by_clock, sentence
from chestgan_core.evaluation.pages.verdict import gate_table, headlines, tumour_headlines, verdict
from chestgan_core.evaluation.reader_study import ReaderStudyBlock
from chestgan_core.evaluation.scoring.closest import Closest
from chestgan_core.evaluation.scoring.evaluate import evaluate
from chestgan_core.evaluation.scoring.gate import GateResult, apply_gate
from chestgan_core.evaluation.scoring.metric_report import MetricReport
from chestgan_core.evaluation.scoring.metric_rows import CONDITION_GROUPS, MEASURES, MetricRow
from chestgan_core.evaluation.scoring.provenance import DataFacts, RunFacts, duration, in_words
from chestgan_core.evaluation.scoring.read_report import comparison_key
from chestgan_core.evaluation.scoring.report_payload import RunReport
from chestgan_core.evaluation.scoring.sides import RealImages
from chestgan_core.evaluation.thesis.block import ThesisBlock, ThesisRow
from chestgan_core.evaluation.thesis.page import thesis_blocks, thesis_comparison
from chestgan_core.evaluation.thesis.score import ThesisScore
from chestgan_core.imaging.pictures import image_grid, png_of
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.store.artefacts import parse_typed


def row(measure: str, value: float | None, **more: Any) -> MetricRow:
    """A row as a report has it."""
    known = MEASURES[measure]
    fields: dict[str, Any] = {
        "sd": None, "low": None, "high": None, "floor": None, "floor_sd": None, "floor_n": 40, "n_real": 40,
        "n_fake": 40, "extractor": "net:abc:1", "split": "held-out patients: 2 of 6", "snapshot": "abc", "seed": 0,
        "seconds": 0.1, "note": "a note", "floor_note": "4 others",
    }  # fmt: skip
    return MetricRow(measure, known.group, known.better, value, **{**fields, **more})


def rows() -> tuple[MetricRow, ...]:
    """All measures, with an interval and a floor."""
    return tuple(row(name, 0.25, low=0.2, high=0.3, floor=0.125) for name in MEASURES)


def gate(rules: ReleaseRules) -> GateResult:
    """The gate for these rows, without that of memorization."""
    return apply_gate([one for one in rows() if one.measure != "memorized fraction"], rules)


GATE = gate(
    ReleaseRules(
        max_kid_above_floor=75, min_coverage_of_floor=0.2, max_memorized_above_floor=0.6, grey_levels=None
    )
)


def thesis_row(
    measure: str, value: float | None, real: float | None, published: dict[str, float]
) -> ThesisRow:
    return ThesisRow(measure, value, real, 12, 9, 12, 0, 0.5, "scikit-image", "over pairs", "", published)


THESIS = ThesisBlock(
    (
        thesis_row("SSIM", 0.31, 0.29, {"DCGAN": 0.2667}),
        thesis_row("PSNR", 15.2, 14.9, {"DCGAN": 14.2089}),
        thesis_row("LPIPS on VGG", None, None, {}),
        thesis_row("LPIPS on AlexNet", 0.4, 0.3, {}),
    ),
    ThesisScore(4, 4.2, 3, 3.1, (), "without LPIPS", {"DCGAN": 4}, {"DCGAN": 5}),
    "real",
)


@pytest.fixture(scope="module")
def report() -> MetricReport:
    """A report with every measure, and with what a run in the store adds."""
    images = torch.rand(16, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    measured = evaluate(
        RealImages(images, ("a",) * 8 + ("b",) * 8),
        images.flip(0),
        window=WINDOWS["lung"],
        source_title="test images",
        image_kind="real",
        model_title="a model",
        extractors=(),
    )
    data = DataFacts(
        dataset="test", title="test images", licence="CC BY 4.0", citation="Somebody 2020", doi="",
        snapshot="feed0123", patients={"train": 4, "held-out": 2}, slices={"train": 1112, "held-out": 54},
        rules={"slices": "lung", "reference": None},
    )  # fmt: skip
    experiment = {
        "name": "a-model", "description": "", "resolution": 32, "window": "lung", "classes": [],
        "network": {"latent_dim": 8, "family": "dcgan"},
        "training": {"loss": {"kind": "hinge"}, "batch_size": 8, "minutes": 2.0, "augmentation": None},
    }  # fmt: skip
    experiment["training"] |= {"optimizer": {"lr": 2e-4, "kind": "adam"}, "sampling": {}, "validation": None}  # type: ignore[operator]
    run = RunFacts(
        experiment=experiment, run="0123456789ab", images_seen=25536, seconds=300.0, resumed_at=0,
        device="cpu", precision="fp32", best_kid=0.25, best_at=8000,
    )  # fmt: skip
    return replace(measured, rows=rows(), data=data, run=run)


def text_of(pdf: Path) -> str:
    """All words; without the foot of each page, which may stand in the middle of a sentence."""
    pages = pypdf.PdfReader(io.BytesIO(pdf.read_bytes())).pages
    text = " ".join(" ".join(page.extract_text() for page in pages).split())
    return re.sub(r"Metric report: a model page \d+ of \d+ ", "", text)


def test_page_and_pdf_have_data_run_training_and_every_measure(report: MetricReport, tmp_path: Path) -> None:
    curves = png_of(image_grid(report.pictures.samples["real"]))
    write_report(report, tmp_path, {"curves.png": curves, "progress.png": curves})
    page, pdf = (tmp_path / "report.html").read_text(encoding="utf-8"), text_of(tmp_path / "report.pdf")
    for text in (
        "CC BY 4.0",
        "train: 1,112 slices of 4 patients; held-out: 54 slices of 2 patients",
        "feed0123",
        "dcgan, latent dim 8",
        "hinge",
        "25,536 in 5 min",
        "that of 8,000 images seen, with KID 250.0 x 1000 at its validation",
        "The same eight seeds during the training",
        "0123456789ab",
        *(sentence(one, "real") for one in report.rows),
    ):
        assert text in page
        assert text in pdf


def test_the_same_report_has_the_same_page_and_pdf(report: MetricReport, tmp_path: Path) -> None:
    written = [write_report(report, tmp_path / place) for place in ("one", "two")]
    for first, second in zip(*written, strict=True):
        assert first.name == second.name
        assert first.read_bytes() == second.read_bytes(), first.name


def test_a_report_on_loose_files_has_no_section_for_what_it_does_not_know(
    report: MetricReport, tmp_path: Path
) -> None:
    write_report(replace(report, data=None, run=None), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for title in ("Data", "Model", "Training", "Release gate", "Scores of the thesis system"):
        assert f"<h2>{title}" not in page


def test_the_pairs_closest_to_training_are_shown_where_they_were_searched_for(
    report: MetricReport, tmp_path: Path
) -> None:
    images = report.pictures.samples["real"][:3]
    found = Closest(images, images, images.flip(0), np.zeros(3), np.ones(3), (3, 3))
    for closest in (found, None):
        folder = tmp_path / str(closest is None)
        write_report(replace(report, pictures=replace(report.pictures, closest=closest)), folder)
        assert (folder / "figures" / "closest-to-training.png").is_file() == (closest is not None)
        assert ("Closest to training" in text_of(folder / "report.pdf")) == (closest is not None)


@pytest.mark.parametrize("measure", list(MEASURES))
def test_every_measure_has_a_sentence_with_its_interval(measure: str) -> None:
    one = row(measure, 0.25, low=0.2, high=0.3)
    assert one.number(0.25) in sentence(one, "real")
    assert f"95% interval {one.interval}" in sentence(one, "real")
    assert "real" not in sentence(row(measure, 0.25, floor=0.1), "phantom")


def test_a_refused_release_says_which_measure_and_by_how_much(report: MetricReport) -> None:
    notice = verdict(replace(report, gate=GATE))
    assert notice.tone == "bad"
    assert notice.lines == (
        "KID x 1000 above its floor is 125, at most 75 is allowed.",
        "Memorized fraction above its floor is not judged: it was not measured; at most 0.6 is allowed.",
    )
    table = gate_table(GATE)
    assert table.rows[1] == ("KID x 1000 above its floor", "at most 75", "125", "failed, by 50")
    assert table.rows[2] == ("coverage divided by its floor", "at least 0.2", "2", "passed")
    assert table.rows[4] == ("memorized fraction above its floor", "at most 0.6", "none", "not judged")


def test_a_passed_gate_is_the_verdict_and_without_one_nothing_passes(report: MetricReport) -> None:
    passed = gate(ReleaseRules(max_memorized_above_floor=None, grey_levels=None))
    notice = verdict(replace(report, gate=passed))
    assert notice.tone == "care"  # not everything that a gate can require was required
    assert notice.lines == (
        "5 rules passed.",
        "There is no rule for memorized fraction above its floor, KS grey levels.",
    )
    assert verdict(replace(report, gate=None)).tone == "plain"
    unmeasured = (row("KID", None, note="not measured: no weights"),)
    assert verdict(replace(report, gate=None, rows=unmeasured)).tone == "care"


def test_the_headline_numbers_stand_beside_their_floor() -> None:
    tiles = headlines(rows(), "real").items
    assert [tile.label for tile in tiles][:2] == ["KID x 1000, lower is better", "FID, lower is better"]
    assert tiles[0].value == "250.0"
    assert tiles[0].remark == "200.0 to 300.0; real against real: 125.0"


def test_tumours_stand_between_chance_and_what_real_images_reach() -> None:
    placement, utility = tumour_headlines(rows()).items
    assert (placement.label, placement.value) == ("placement, higher is better", "25%")
    assert placement.remark == "20 to 30%; by chance 12%; ceiling 25%"
    assert utility.label == "detection utility, higher is better"
    assert tumour_headlines([one for one in rows() if one.group not in CONDITION_GROUPS]).items == ()


def test_the_measures_of_the_thesis_system_stand_beside_its_published_values() -> None:
    table = next(block for block in thesis_blocks(THESIS) if isinstance(block, Table))
    assert table.head == ("measure", "this model", "real against real", "published, DCGAN")
    assert table.rows == (
        ("SSIM", "0.310 (bad)", "0.290", "0.267"),
        ("PSNR", "15.20 dB (bad)", "14.90 dB", "14.21 dB"),
        ("LPIPS on VGG", "none", "none", "none"),
        ("LPIPS on AlexNet", "0.400 (medium)", "0.300", "none"),
        ("weighted score", "4 of 10", "", "4 of 10"),
        ("unweighted score", "3 of 10", "", "5 of 10"),
    )
    reports = [("a", THESIS), ("b", None)]
    compared = next(block for block in thesis_comparison(reports, "real") if isinstance(block, Table))
    assert compared.head == ("measure", "a", "real against real", "published, DCGAN")
    assert compared.rows == table.rows
    page = as_html(Document("t", "l", (), (Section("s", tuple(thesis_comparison(reports, "real"))),)))
    assert "They do not measure generation: " in page
    assert thesis_comparison(reports[1:], "real") == []


def test_a_report_on_tumours_compares_with_one_without_conditions(report: MetricReport) -> None:
    plain = tuple(one for one in report.rows if one.group not in CONDITION_GROUPS)
    asked = tuple(
        replace(one, extractor="tumour-detector:1:9", n_real=7, split="annotated held-out patients: 1 of 2")
        for one in report.rows
        if one.group in CONDITION_GROUPS
    )
    assert len(asked) > 10
    keys = [
        comparison_key(cast("RunReport", replace(report, rows=rows))) for rows in (plain, (*plain, *asked))
    ]
    assert keys[0] == keys[1]


def test_fields_of_an_experiment_become_words() -> None:
    assert (
        in_words({"gamma": [1, 0.1], "kind": "relativistic", "clip": None}) == "relativistic, gamma 1 and 0.1"
    )
    assert in_words({"smoothed_generator": True, "kept": False}) == "smoothed generator yes"
    assert (duration(48), duration(725), duration(12000)) == ("48 s", "12 min", "3 h 20 min")


def test_report_json_is_the_whole_report_as_plain_data(report: MetricReport, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    fields = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert fields["data"]["snapshot"] == "feed0123"
    assert fields["run"]["images_seen"] == 25536
    assert [one["measure"] for one in fields["rows"]] == list(MEASURES)


def test_report_json_is_read_back_as_it_was_and_a_wrong_field_is_named(report: MetricReport) -> None:
    whole = replace(report, gate=GATE, thesis=THESIS)
    fields = json.loads(json.dumps(whole.as_json()))
    assert parse_typed(RunReport, fields, "report.json").as_json() == whole.as_json()
    fields["rows"][0]["value"] = "high"
    with pytest.raises(DamagedObject, match=r"report\.json: .*rows\.0\.value"):
        parse_typed(RunReport, fields, "report.json")
    with pytest.raises(DamagedObject, match="run"):
        parse_typed(RunReport, {**whole.as_json(), "run": None}, "report.json")


@pytest.mark.parametrize(
    ("seen", "seconds", "said"), [(12_000, 1800.5, True), (40_000, 1800.5, False), (12_000, 600.0, False)]
)
def test_a_training_that_its_limit_of_minutes_ended_is_named(
    seen: int, seconds: float, said: bool, report: MetricReport
) -> None:
    assert report.run is not None
    fields = {"training": {"images": 40_000, "minutes": 30}}
    run = replace(report.run, experiment=fields, images_seen=seen, seconds=seconds)
    assert ended_by_clock(None) == []
    assert bool(ended_by_clock(run)) == said
    if said:
        assert "limit of 30 minutes after 12,000 of 40,000 images" in ended_by_clock(run)[0]


READ = ReaderStudyBlock(
    study="first", title="Real <or> not?", version="0123456789abcdef", set_name="a-model", set_version="aa",
    model_sha256="0" * 64, readers=6, real_images=40, synthetic_images=40, area=0.647, area_ends=(0.51, 0.776),
    accuracy=0.629, accuracy_ends=(0.515, 0.733), told_apart="yes",
    finding="Readers could tell synthetic from real images",
)  # fmt: skip


def test_what_readers_saw_stands_beside_coverage_and_is_no_diversity(
    report: MetricReport, tmp_path: Path
) -> None:
    write_report(replace(report, reader_study=READ), tmp_path)
    page, pdf = (tmp_path / "report.html").read_text(encoding="utf-8"), text_of(tmp_path / "report.pdf")
    section = page.split("<h2>Reader study</h2>")[1].split("<h2>")[0]
    for text in (
        "Realism is not diversity: read it beside coverage.",
        "Readers could tell synthetic from real images.",
        "0.65 (95% interval 0.51 to 0.78)",
        "62.9% (95% interval 51.5% to 73.3%)",
        "40 real, 40 synthetic",
        "<th>coverage</th>",
    ):
        assert text in section
        assert re.sub("<[^>]*>", "", text) in pdf
    assert "Real &lt;or&gt; not?" in section
    assert "reader study: AUC 0.65 (95% interval 0.51 to 0.78), 6 readers." in " ".join(
        replace(report, reader_study=READ).as_text().split()
    )


def test_a_report_without_a_reader_study_has_no_section_and_reads_as_before(
    report: MetricReport, tmp_path: Path
) -> None:
    write_report(replace(report, gate=GATE), tmp_path)
    assert "Reader study" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    fields = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert fields["reader_study"] is None
    del fields["reader_study"]  # as reports of version 7 were
    assert parse_typed(RunReport, fields, "report.json").reader_study is None
    fields["reader_study"] = {"study": "first"}
    with pytest.raises(DamagedObject, match=r"reader_study\.title: Field required"):
        parse_typed(RunReport, fields, "report.json")


def test_a_study_that_measured_nothing_says_none() -> None:
    nothing = replace(READ, area=None, area_ends=None, accuracy=None, accuracy_ends=None)
    assert dict(nothing.facts())["area under the ROC curve, 0.5 is chance"] == "none"
    assert replace(READ, area_ends=None).area_in_words == "0.65"
