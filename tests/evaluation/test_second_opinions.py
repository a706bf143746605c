"""Further extractors in a report: they stand beside the first one, never in its place."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from chestgan_core.errors import BadInput
from chestgan_core.evaluation.pages.second_opinions import about_training, opinion_blocks
from chestgan_core.evaluation.pages.sentences import cautions
from chestgan_core.evaluation.pages.verdict import headlines
from chestgan_core.evaluation.scoring.evaluate import evaluate
from chestgan_core.evaluation.scoring.metric_report import MetricReport
from chestgan_core.evaluation.scoring.metric_rows import (
    FEATURE_MEASURES,
    PIXELS,
    FloorValue,
    Measurement,
    MetricRow,
    RowContext,
    first_opinions,
    second_opinions,
)
from chestgan_core.evaluation.scoring.provenance import FEATURES_OF_TRAINING, require_others
from chestgan_core.evaluation.scoring.sides import RealImages
from chestgan_core.imaging.windows import WINDOWS

FIRST, COUSIN, RADIOMICS = "efficientnet-lite0:57:1", "efficientnet-lite2:96:1", "radiomics:1:body"


def rows(**values: float | None) -> list[MetricRow]:
    """KID and coverage by each extractor, then what is measured in pixels; a value may be None."""
    found: list[MetricRow] = []
    for extractor, value in (
        (FIRST, values.get("first", 0.1)),
        (COUSIN, values.get("cousin", 0.3)),
        (RADIOMICS, 0.5),
    ):
        context = RowContext(extractor, (20, 20), "held-out patients: 12 of 20", "", 0)
        measured: dict[str, Measurement] = {
            name: Measurement(
                value, "a note" if value is not None else "no weights", floor=FloorValue(0.05, "", 20)
            )
            for name in ("KID", "coverage")
        }
        found += context.rows(partial(dict, measured))
    pixels = {"MS-SSIM": Measurement(0.4, "a note"), "attack AUC": Measurement(0.5, "a note")}
    return found + RowContext(PIXELS, (20, 20), "", "", 0).rows(lambda: pixels)


def test_every_row_is_a_first_or_a_second_opinion() -> None:
    every = rows()
    assert [row.extractor for row in second_opinions(every)] == [COUSIN, COUSIN, RADIOMICS, RADIOMICS]
    assert [row.measure for row in first_opinions(every)] == ["KID", "coverage", "MS-SSIM", "attack AUC"]
    assert second_opinions(every[-2:]) == []


def test_an_extractor_that_is_missing_leaves_the_headline_empty_and_no_other_takes_its_place() -> None:
    without = rows(first=None)
    assert [row.extractor for row in first_opinions(without)][:2] == [FIRST, FIRST]
    assert not headlines(without, "real").items
    assert cautions(without, 12, "real") == [f"With {FIRST} nothing was measured (no weights)."]
    assert headlines(rows(cousin=None), "real").items[0].value == "100.0"


def test_the_table_has_each_measure_by_each_extractor_with_its_own_floor() -> None:
    (_, table) = opinion_blocks(rows(cousin=None))
    assert table.head == ("measure", "efficientnet-lite0", "efficientnet-lite2", "radiomics")  # type: ignore[union-attr]
    assert table.rows[0] == (  # type: ignore[union-attr]
        "KID x 1000, lower is better", "100.0; floor 50.0", "not measured", "500.0; floor 50.0",
    )  # fmt: skip
    assert opinion_blocks(rows()[:2]) == []


@pytest.mark.parametrize(
    ("network", "kept", "said"),
    [
        ("", rows(), []),
        ("efficientnet-lite1", rows(), [
            "The discriminator of this training saw images through efficientnet-lite1. efficientnet-lite0 and "
            "efficientnet-lite2 were trained on the same photographs (ImageNet): numbers by such cousins are better "
            "than the images are. radiomics is no relative of it."
        ]),
        ("efficientnet-lite1", rows()[:2], [
            "The discriminator of this training saw images through efficientnet-lite1. efficientnet-lite0 was trained "
            "on the same photographs (ImageNet): numbers by such cousins are better than the images are. No extractor "
            "of this report is without kinship to it."
        ]),
    ],
)  # fmt: skip
def test_relatives_of_what_the_training_saw_are_named(
    network: str, kept: list[MetricRow], said: list[str]
) -> None:
    provenance = {FEATURES_OF_TRAINING: network} if network else {}
    assert about_training(provenance, kept) == said


def test_the_network_that_was_trained_against_is_refused() -> None:
    require_others(("efficientnet-lite0", "radiomics"), {})
    trained = {FEATURES_OF_TRAINING: "efficientnet-lite1"}
    require_others(("efficientnet-lite0", "radiomics"), trained)
    with pytest.raises(
        BadInput, match=r"efficientnet-lite1: is the network on whose features .* by radiomics"
    ):
        require_others(("efficientnet-lite1",), trained)


@pytest.fixture(scope="module")
def report() -> MetricReport:
    """Of two extractors that need no weights: radiomics with and without lungs."""
    images = torch.rand(32, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    smooth = torch.nn.functional.avg_pool2d(images, 5, 1, 2)
    from chestgan_core.metrics.feature_extractors import open_extractor

    return evaluate(
        RealImages(smooth[:16], ("one",) * 8 + ("two",) * 8),
        smooth[16:],
        window=WINDOWS["lung"],
        source_title="clouds",
        image_kind="phantom",
        model_title="more clouds",
        extractors=(open_extractor("radiomics"), "radiomics"),
    )


def test_both_extractors_measure_everything_and_say_by_what_they_are_scaled(report: MetricReport) -> None:
    firsts = [row.measure for row in report.headline if row.measure in FEATURE_MEASURES]
    assert firsts == [row.measure for row in report.second_opinions]
    assert {row.extractor for row in report.second_opinions} == {
        "radiomics:1:lungs and body at -1350 to 150 HU"
    }
    assert all(
        one.about.endswith("z-scores by the held-out images, as no others were given")
        for one in report.extractors
    )


def test_the_score_card_has_second_opinions_apart_and_fits_a_terminal(report: MetricReport) -> None:
    text = report.as_text()
    assert max(map(len, text.splitlines())) <= 110
    assert text.count("second opinions: by other extractors") == 1
    assert text.count("    KID ") == 2
    assert "second opinions" not in replace(report, rows=tuple(report.headline)).as_text()
