"""Membership attacks in a report: who is caught, who is not, what is shown beside it, and what cannot be attacked."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.config.release_rules import ReleaseRules
from chestgan_core.documents.blocks import Table
from chestgan_core.errors import DamagedObject
from chestgan_core.evaluation.pages.attack_page import attack_blocks
from chestgan_core.evaluation.pages.attack_tables import attack_table
from chestgan_core.evaluation.pages.report_page import write_report
from chestgan_core.evaluation.pages.sentences import sentence
from chestgan_core.evaluation.scoring.attack_block import DISCRIMINATOR, NEAREST, AttackBlock
from chestgan_core.evaluation.scoring.attack_metrics import with_attacks
from chestgan_core.evaluation.scoring.attack_sides import KnownImages, attack_sides, roles
from chestgan_core.evaluation.scoring.evaluate import compute_features
from chestgan_core.evaluation.scoring.gate import apply_gate
from chestgan_core.evaluation.scoring.metric_report import MetricReport
from chestgan_core.evaluation.scoring.metric_rows import NOT_ASKED
from chestgan_core.evaluation.scoring.sides import RealImages
from chestgan_core.evaluation.scoring.tumour_block import Estimate
from chestgan_core.evaluation.thesis.measuring import RunDiscriminator
from chestgan_core.metrics.feature_extractors import Extractor, NetworkExtractor
from chestgan_core.networks.registry import build_discriminator
from chestgan_core.publishing.writing.card_measures import attacked
from chestgan_core.publishing.writing.provenance import Metrics, provenance_from
from chestgan_core.store.artefacts import parse_typed
from chestgan_core.training.conditions import SliceConditions
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.generation import generate
from chestgan_core.training.loop import train
from chestgan_core.training.schedule import Budget
from chestgan_core.training.weights import (
    LoadedDiscriminator,
    load_discriminator,
    load_generator,
    save_discriminator,
)
from tests.evaluation.test_report import report_of
from tests.publishing.card_facts import gathered

SIZE, SLICES = 16, 4
# Features without weights of others: the image in 4 x 4 pixels.
COARSE = NetworkExtractor(
    nn.Sequential(nn.AvgPool2d(4), nn.Flatten()),
    "coarse",
    48,
    "",
    SIZE,
    lambda unit: unit,
    torch.device("cpu"),
)


def people(count: int, seed: int, first: int = 0) -> KnownImages:
    """Patients with four slices each, which vary about an image of their own."""
    random = torch.Generator().manual_seed(seed)
    own = torch.rand(count, 1, 4, 4, generator=random).repeat_interleave(SLICES, dim=0)
    coarse = (own + 0.5 * torch.rand(count * SLICES, 1, 4, 4, generator=random)) / 0.75 - 1
    images = nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear").clamp(-1, 1)
    return KnownImages(images, tuple(f"patient {first + at // SLICES}" for at in range(len(images))))


TRAINED, HELD_OUT = people(20, 1), people(12, 2, first=100)


def noisy(images: Tensor, seed: int = 3, noise: float = 0.03) -> Tensor:
    return images + noise * torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))


def attacked_report(
    fake: Tensor,
    discriminator: RunDiscriminator | None = None,
    trained: KnownImages = TRAINED,
    held_out: KnownImages = HELD_OUT,
    extractors: tuple[Extractor, ...] = (),
    more: Callable[[], Tensor] | None = None,
) -> MetricReport:
    real, reference = (RealImages(of.images, of.patients) for of in (held_out, trained))
    report = report_of(real, fake, reference=reference, extractors=extractors)
    return with_attacks(
        report,
        trained,
        held_out,
        discriminator=discriminator or RunDiscriminator(),
        features_of=compute_features,
        images=500,
        seed=0,
        more=more,
    )


def block_of(report: MetricReport) -> AttackBlock:
    assert report.attacks is not None
    return report.attacks


@pytest.fixture(scope="module")
def memorized() -> MetricReport:
    """Of a generator that prints training slices with a little noise."""
    return attacked_report(noisy(TRAINED.images), extractors=(COARSE,))


def test_a_generator_that_memorizes_is_caught_by_patient_and_the_attack_is_named(
    memorized: MetricReport,
) -> None:
    row, block = memorized.row("attack AUC"), block_of(memorized)
    assert row is not None
    assert row.value is not None
    assert row.value > 0.95
    assert row.low is not None
    assert row.low > 0.6  # the limit of the gate
    assert row.floor is not None
    said = f"An attack told 20 patients that were trained on from 6 others: {block.best.title}, AUC"
    assert block.verdict.startswith(said)
    assert f"{block.best.title}, the best of 5 attacks on 80 synthetic images" in row.note
    assert "Bonferroni" in row.note
    assert block.best.control_by_patient.at_chance
    refused = next(
        rule for rule in apply_gate(memorized.rows, ReleaseRules()).rules if rule.check == "attacks"
    )
    assert refused.state == "failed"
    assert refused.value == row.low
    true_positives = memorized.row("attack true positives")
    assert true_positives is not None
    assert true_positives.value is not None
    assert true_positives.value > 0.8
    assert "above every one of 6 others, who are too few to show 1 % false positives" in true_positives.note


def test_images_of_other_patients_are_not_taken_for_a_leak() -> None:
    report = attacked_report(noisy(people(20, 9).images))
    block = block_of(report)
    assert block.best.by_patient.auc.low is not None
    assert block.best.by_patient.auc.low < 0.5
    assert block.verdict.startswith(
        "No attack told 20 patients that were trained on from 6 others better than chance"
    )
    assert "does not show that nothing can be found" in block.caution
    rule = next(one for one in apply_gate(report.rows, ReleaseRules()).rules if one.check == "attacks")
    assert rule.state == "passed"
    for word in ("safe", "private", "anonym"):
        assert word not in block.verdict


def test_a_small_gan_after_a_few_steps_and_its_discriminator_are_not_taken_for_a_leak(tmp_path: Path) -> None:
    experiment = small("vanilla")
    train(
        experiment,
        LoadedSlices(TRAINED.images, None, TRAINED.patients),
        tmp_path,
        torch.device("cpu"),
        Budget(images=64, minutes=None),
    )
    fake = generate(load_generator(tmp_path), range(48))
    block = block_of(attacked_report(fake, RunDiscriminator(load_discriminator(tmp_path))))
    assert DISCRIMINATOR in {one.attack for one in block.results}
    assert block.left_out == ()
    assert block.verdict.startswith("No attack told")


def test_a_discriminator_that_memorizes_is_caught_where_the_images_tell_nothing(tmp_path: Path) -> None:
    experiment = small("vanilla")
    network = build_discriminator(experiment)
    adam = torch.optim.Adam(network.parameters(), lr=3e-3)
    unlike = people(20, 50).images
    for step in range(60):
        images = torch.cat([TRAINED.images, people(20, 60 + step).images, unlike])
        truth = torch.arange(len(images)) < len(TRAINED.images)
        loss = nn.functional.binary_cross_entropy_with_logits(network(images), truth.float())
        adam.zero_grad()
        torch.autograd.backward(loss)
        adam.step()
    loaded = saved(network, experiment, tmp_path)
    block = block_of(attacked_report(noisy(people(20, 9).images), RunDiscriminator(loaded)))
    assert block.best.attack == DISCRIMINATOR
    assert block.verdict.startswith(
        "An attack told 20 patients that were trained on from 6 others: discriminator"
    )
    assert block.instruments[-1] == f"discriminator:{loaded.sha256[:12]}"
    assert block.best.control_by_patient.auc.value < 0.9


def small(family: str, **more: object) -> Experiment:
    fields = {
        "dataset": "phantom",
        "resolution": SIZE,
        "network": {"family": family, "latent_dim": 4},
        "training": {"images": 64, "batch_size": 16},
        **more,
    }
    return parse_experiment(fields, "small", "test")


def saved(network: nn.Module, experiment: Experiment, folder: Path) -> LoadedDiscriminator:
    save_discriminator(folder, network, experiment, images_seen=64)
    return load_discriminator(folder)


def test_no_patient_has_two_roles_and_each_role_has_long_and_short_series() -> None:
    held_out = people(12, 4)
    longer = held_out.some([*range(48), *range(24), *range(24), *range(24)])  # six patients with 16 slices
    given = roles(longer.patients, seed=0)
    assert Counter(given.values()) == {"others": 6, "reference": 3, "control": 3}
    sides = attack_sides(TRAINED, longer, 500, seed=0)
    assert not isinstance(sides, str)
    kept = [set(of.patients) for of in (sides.others, sides.reference, sides.control)]
    assert sum(map(len, kept)) == len(set.union(*kept)) == 12
    for of in kept:
        assert {Counter(longer.patients)[patient] for patient in of} == {4, 16}
    assert given == roles(longer.patients, seed=0)
    assert given != roles(longer.patients, seed=1)


def test_each_patient_gives_at_most_as_many_slices_on_both_sides() -> None:
    sides = attack_sides(TRAINED, HELD_OUT, 40, seed=0)
    assert not isinstance(sides, str)
    assert sides.slices == 2
    for of in (sides.members, sides.others, sides.control):
        assert max(Counter(of.patients).values()) == 2
    assert max(Counter(sides.reference.patients).values()) == SLICES
    assert len(sides.members) <= 40


@pytest.mark.parametrize(("trained", "held_out"), [(4, 12), (20, 8)])
def test_with_too_few_patients_nothing_is_asked_for_and_nothing_is_generated(
    trained: int, held_out: int
) -> None:
    def never() -> Tensor:
        raise AssertionError("images were made for an attack that is not run")

    report = attacked_report(
        noisy(TRAINED.images), trained=people(trained, 1), held_out=people(held_out, 2, 100), more=never
    )
    assert report.attacks is None
    for measure in ("attack AUC", "attack true positives"):
        row = report.row(measure)
        assert row is not None
        assert row.value is None
        assert row.note.startswith(NOT_ASKED)
        assert f"there are {trained} and {held_out}" in row.note
        assert sentence(row, "real").startswith(f"{measure} was not asked for: attacks need 5 patients")
    assert "attacks need 5 patients" in report.as_text()
    assert "attacks" not in {rule.check for rule in apply_gate(report.rows, ReleaseRules()).rules}
    assert len(attack_blocks(report, {})) == 1


def test_a_patient_on_both_sides_of_the_limits_is_enough() -> None:
    assert not isinstance(attack_sides(people(5, 1), people(9, 2, 100), 500, 0), str)


def test_an_attack_whose_control_is_told_as_well_is_not_to_be_trusted(memorized: MetricReport) -> None:
    block = block_of(memorized)
    odd = replace(block.best.control_by_patient, auc=Estimate(0.9, 0.7, 1.0))
    results = tuple(replace(one, control_by_patient=odd) for one in block.results)
    doubted = replace(block, results=results)
    assert doubted.verdict.startswith("The attacks are not to be trusted: the same attack tells the control")
    blind = replace(block, blind=replace(block.blind, by_patient=odd))
    assert "differ from the others for other reasons" in blind.verdict


def test_training_patients_of_another_scanner_are_no_leak_and_give_no_value() -> None:
    # Nothing of the generator is told: the patients trained on are all darker than those held out.
    darker = KnownImages(TRAINED.images * 0.3 - 0.7, TRAINED.patients)
    report = attacked_report(noisy(people(20, 9).images), trained=darker)
    row = report.row("attack AUC")
    assert row is not None
    assert row.value is None
    assert row.note.startswith(
        "not to be trusted: the patients trained on differ from the others for other reasons"
    )
    assert "Not to be trusted" in str(attack_blocks(report, {})[0])
    rule = next(one for one in apply_gate(report.rows, ReleaseRules()).rules if one.check == "attacks")
    assert rule.state == "not judged"


def test_a_discriminator_that_cannot_score_is_left_out_with_the_reason(tmp_path: Path) -> None:
    class NotANumber(nn.Module):
        def forward(self, images: Tensor, condition: object) -> Tensor:
            return torch.full((len(images),), torch.nan)

    fits = saved(build_discriminator(small("vanilla")), small("vanilla"), tmp_path)
    larger = small("vanilla", resolution=32)
    for loaded, reason in (
        (replace(fits, module=NotANumber()), "its outputs are not all finite numbers"),
        (
            saved(build_discriminator(larger), larger, tmp_path),
            "are (1, 16, 16), its discriminator takes 32 x 32",
        ),
        (None, "no discriminator was given"),
    ):
        block = block_of(attacked_report(noisy(TRAINED.images), RunDiscriminator(loaded)))
        assert [name for name, _ in block.left_out] == [DISCRIMINATOR]
        assert reason in block.left_out[0][1]
        assert len(block.results) == 4


def test_a_discriminator_that_is_told_classes_is_told_those_of_the_real_images(tmp_path: Path) -> None:
    classes = small("spectral", classes=["A", "B"])
    loaded = RunDiscriminator(saved(build_discriminator(classes), classes, tmp_path))
    fake = noisy(TRAINED.images)
    unknown = block_of(attacked_report(fake, loaded))
    assert "have no class, with which its discriminator was trained" in unknown.left_out[0][1]
    trained, held_out = (
        replace(of, conditions=SliceConditions(classes=torch.arange(len(of)) % 2))
        for of in (TRAINED, HELD_OUT)
    )
    known = block_of(attacked_report(fake, loaded, trained, held_out))
    assert known.left_out == ()
    assert known.results[-1].attack == DISCRIMINATOR


def test_features_that_are_not_finite_are_left_out_and_pixels_attacked() -> None:
    class Broken(NetworkExtractor):
        def features(self, images: Tensor, label: str | None = "features") -> NDArray[np.float32]:
            found = super().features(images, label)
            found[0] = float("inf")
            return found

    broken = Broken(COARSE._network, "broken", 48, "", SIZE, lambda unit: unit, torch.device("cpu"))
    report = attacked_report(noisy(TRAINED.images), extractors=(COARSE,))
    odd = replace(report, rows=report.rows[:-2], pictures=replace(report.pictures, extractor=broken))
    block = block_of(
        with_attacks(
            odd,
            TRAINED,
            HELD_OUT,
            discriminator=RunDiscriminator(),
            features_of=compute_features,
            images=500,
            seed=0,
        )
    )
    assert block.left_out[0] == ("attacks on features", "features are not all finite numbers")
    assert {one.space for one in block.results} == {"pixels"}
    assert block.verdict.startswith("An attack told")


def test_features_that_the_report_has_are_not_computed_again() -> None:
    report = attacked_report(noisy(TRAINED.images), extractors=(COARSE,))
    asked: dict[str, Tensor] = {}

    def features_of(extractor: Extractor, role: str, images: Tensor, label: str) -> NDArray[np.float32]:
        asked[role] = images
        return extractor.features(images, label)

    before = replace(report, rows=report.rows[:-2])
    again = with_attacks(
        before,
        TRAINED,
        HELD_OUT,
        discriminator=RunDiscriminator(),
        features_of=features_of,
        images=500,
        seed=0,
    )
    assert again.attacks == report.attacks
    # All held-out images were compared, and as many of those that were trained on: the others are new.
    assert set(asked) == {"other"}
    assert len(asked["other"]) == len(TRAINED) - len(HELD_OUT)


def test_all_synthetic_images_are_attacked_also_those_that_were_not_compared() -> None:
    fake = noisy(TRAINED.images)
    report = attacked_report(fake, extractors=(COARSE,), more=lambda: noisy(TRAINED.images, seed=7)[:20])
    assert block_of(report).synthetic == len(fake) + 20
    row = report.row("attack AUC")
    assert row is not None
    assert (row.n_real, row.n_fake) == ((20 + 6) * SLICES, len(fake) + 20)


def test_the_same_seed_gives_the_same_block(memorized: MetricReport) -> None:
    assert block_of(attacked_report(noisy(TRAINED.images), extractors=(COARSE,))) == block_of(memorized)


def test_a_block_is_read_back_with_a_schema_and_holds_no_patient(memorized: MetricReport) -> None:
    text = json.dumps(memorized.as_json(), allow_nan=False)
    assert "patient 1" not in text
    fields = json.loads(text)["attacks"]
    assert parse_typed(AttackBlock, fields, "here") == memorized.attacks
    wrongs: list[dict[str, Any]] = [{"results": []}, {"left_out": [["one"]]}, {"slices": "many"}]
    for wrong in wrongs:
        with pytest.raises(DamagedObject):
            parse_typed(AttackBlock, {**fields, **wrong}, "here")


def test_the_page_has_the_verdict_every_attack_beside_its_control_and_the_curves(
    memorized: MetricReport, tmp_path: Path
) -> None:
    block = block_of(memorized)
    write_report(memorized, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert (tmp_path / "figures" / "attacks.png").is_file()
    assert "Attacked before release" in page
    assert block.verdict in page
    assert "Others may find more" in page
    table = attack_table(block)
    assert len(table.rows) == len(block.results) + 1
    assert len(set(table.head)) == len(table.head)  # the UI keys its cells by column
    assert table.rows[-1][0] == "no generator (features)"
    assert NEAREST in {line[0].partition(" (")[0] for line in table.rows}
    assert "attack AUC" in memorized.as_text()


def test_the_card_says_what_was_attacked_and_found_or_that_nothing_was(memorized: MetricReport) -> None:
    published = provenance_from(gathered(metrics=memorized.as_json())).metrics
    assert published is not None
    blocks = attacked(published)
    assert block_of(memorized).verdict in str(blocks[0])
    assert any(isinstance(one, Table) for one in blocks)
    assert "no discriminator was given" in str(blocks)
    assert "20 patient(s)" in str(blocks)
    assert "was not tried" in str(attacked(None)[0])
    bare = replace(published, attacks=None)
    assert "was not tried" in str(attacked(bare)[0])
    assert isinstance(bare, Metrics)
    assert asdict(published.attacks) == asdict(block_of(memorized))  # type: ignore[arg-type]
