"""What is known of training slices: as they are loaded, drawn, augmented and shown to the discriminator."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.config.conditions import MAX_TUMOURS
from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.config.names import SHIPPED_DATASETS
from chestgan_core.config.training_plan import Augmentation, Sampling
from chestgan_core.errors import BadExperiment, BadInput
from chestgan_core.layouts.layout import Layout
from chestgan_core.networks.conditioning import Condition, tumour_maps
from chestgan_core.slices.shards import UNKNOWN_POSITION, Shard, SliceRow, write_shard
from chestgan_core.slices.tumour_boxes import SliceBox
from chestgan_core.training.augmentation import augment
from chestgan_core.training.conditions import class_numbers, conditions_asked, padded_boxes
from chestgan_core.training.data import load_slices, load_training_slices
from chestgan_core.training.sampling import IndexSampler, sampling_weights
from chestgan_core.training.step import _with_mismatched
from tests.training.conftest import conditional, small, tumour_slices

CPU = torch.device("cpu")


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Augmentation


def bright_squares(count: int = 64) -> tuple[torch.Tensor, Condition]:
    """(N, 1, 32, 32) dark images with a bright square each, and its box."""
    images, boxes = torch.full((count, 1, 32, 32), -0.5), torch.empty(count, 1, 4)
    places = torch.randint(0, 24, (count, 2), generator=random(5))
    for number, (left, top) in enumerate(places.tolist()):
        images[number, 0, top : top + 8, left : left + 8] = 0.75
        boxes[number, 0] = torch.tensor([left, top, left + 8, top + 8]) / 32
    return images, Condition(boxes=boxes, annotated=torch.ones(count, dtype=torch.bool))


@pytest.mark.parametrize("probability", [1.0, 0.5])
@pytest.mark.parametrize(("translation", "cutout"), [(0.25, 0.0), (0.0, 0.4), (0.25, 0.4)])
def test_boxes_move_with_the_image_and_what_is_blanked_is_not_asked(
    translation: float, cutout: float, probability: float
) -> None:
    rules = Augmentation(
        translation=translation, cutout=cutout, brightness=0, contrast=0, probability=probability
    )
    images, condition = bright_squares()
    for seed in range(6):
        seen, moves = augment(images, rules, random(seed))
        assert moves is not None
        moved = condition.moved(moves.right, moves.down, moves.hidden)
        assert moved.boxes is not None
        bright = seen[:, 0] == 0.75
        for number, (left, top, right, bottom) in enumerate((moved.boxes[:, 0] * 32).round().int().tolist()):
            box = torch.zeros(32, 32, dtype=torch.bool)
            box[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
            blanked = seen[number, 0] == 0
            assert torch.equal(bright[number], box & ~blanked)
            if moved.hidden is not None:
                assert blanked.any() == bool(moved.hidden[number].any())
        map = tumour_maps(moved, 32)[:, 0]
        assert (map[bright] > 0.1).all()  # the corner of a box lies 1.41 radii from its centre
        assert not map[seen[:, 0] == 0].any()


# Sampling


@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.booleans(), st.integers(0, 1)), min_size=1, max_size=40),
    st.integers(1, 5),
)
def test_within_each_class_half_of_the_weight_shows_a_tumour_and_all_of_it_sums_to_one(
    slices: list[tuple[str, bool, int]], cap: int
) -> None:
    patients = [patient for patient, _, _ in slices]
    tumours = torch.tensor([shown for _, shown, _ in slices])
    classes = torch.tensor([number for _, _, number in slices])
    rules = Sampling(balance="classes", max_slices_per_patient=cap)
    weights = sampling_weights(patients, classes, rules, tumours)
    if weights is None:
        weights = torch.full((len(slices),), 1 / len(slices), dtype=torch.float64)
    assert float(weights.sum()) == pytest.approx(1)
    assert (weights > 0).all()
    present = classes.unique().tolist()
    for number in present:
        of_class = float(weights[classes == number].sum())
        assert of_class == pytest.approx(1 / len(present))
        shown = float(weights[(classes == number) & tumours].sum())
        alone = tumours[classes == number].unique()
        assert shown == pytest.approx(of_class / 2 if len(alone) == 2 else of_class * int(alone[0]))


def test_a_rare_tumour_is_drawn_half_of_the_time_and_a_patient_with_many_slices_counts_as_capped() -> None:
    # The tumour of one patient is on 90 slices, that of the other on 10; 900 show none.
    patients = ["many"] * 90 + ["few"] * 10 + [f"P{number}" for number in range(900)]
    tumours = torch.arange(1000) < 100
    weights = sampling_weights(patients, None, Sampling(max_slices_per_patient=10), tumours)
    drawn = IndexSampler(1000, weights, CPU)(20_000, random())
    assert (drawn < 100).float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert (drawn < 90).float().mean().item() == pytest.approx(0.25, abs=0.02)


def test_without_balanced_classes_each_class_keeps_its_weight() -> None:
    classes, tumours = torch.tensor([0] * 60 + [1] * 40), torch.arange(100) % 10 == 0
    weights = sampling_weights([f"P{n}" for n in range(100)], classes, Sampling(), tumours)
    assert weights is not None
    assert float(weights[:60].sum()) == pytest.approx(0.6)
    assert float(weights[tumours].sum()) == pytest.approx(0.5)


# Slices that do not fit


HERE, THERE, NONE = (2.0, 2.0, 6.0, 6.0), (9.0, 9.0, 14.0, 14.0), (torch.nan,) * 4


def mismatched(boxes: list[tuple[float, ...]], annotated: list[bool], fraction: float) -> list[bool]:
    """Of each image of a batch: whether the slice of the next one is shown in its place."""
    count = len(boxes)
    real = torch.arange(1.0, count + 1).view(-1, 1, 1, 1).expand(-1, 1, 16, 16)
    fake = torch.zeros(count, 1, 16, 16)
    given = Condition(boxes=torch.tensor(boxes)[:, None] / 16, annotated=torch.tensor(annotated))
    shown = _with_mismatched(real, fake, given, round(fraction * len(real)))
    values = shown.flatten(1)
    assert torch.equal(values.amin(dim=1), values.amax(dim=1))  # a whole image of one of them
    following = [number % count + 1 for number in range(1, count + 1)]
    assert all(value in (0, other) for value, other in zip(values[:, 0].tolist(), following, strict=True))
    return (values[:, 0] > 0).tolist()


def test_a_slice_takes_the_place_of_an_image_only_where_its_tumours_are_others() -> None:
    boxes = [HERE, THERE, THERE, NONE, NONE, HERE, HERE, THERE]
    known = [True] * 8
    fit = [True, False, True, False]
    assert mismatched(boxes, known, 0.5) == [*fit, False, False, False, False]
    assert mismatched(boxes, known, 0.25) == [True, *[False] * 7]
    assert not any(mismatched(boxes, known, 0.0))


def test_a_slice_of_which_nothing_is_known_fits_everything() -> None:
    boxes = [HERE, NONE, HERE, NONE, HERE, HERE, HERE, HERE]
    assert mismatched(boxes, [True] * 8, 0.5) == [True, True, True, True, *[False] * 4]
    assert not any(mismatched(boxes, [True, False, True, False, *[True] * 4], 0.5))


# Loading

MARKED = "marked", "without", "unmarked", "unknown"


def shard(path: Path, size: int, boxes: Mapping[str, Any] | None = None) -> Path:
    """Four slices of a patient each, at positions 0.1, 0.4, 0.7 and unknown."""
    hu = np.random.default_rng(0).integers(-1000, 100, (4, size, size)).astype(np.int16)
    rows = [
        SliceRow(name, "A", "1.2", name, 0.0, 0.3, pixel_mm=320 / size, position=position)
        for name, position in zip(MARKED, (0.1, 0.4, 0.7, UNKNOWN_POSITION), strict=True)
    ]
    write_shard(Shard(hu, tuple(rows)), path)
    return path


def marks(size: int) -> dict[tuple[str, str], tuple[SliceBox, ...] | None]:
    """Of slices of this size: two tumours on the first, none on the second, and nobody knows of the others."""
    pixel = size / 64

    def box(left: float, top: float, right: float, bottom: float) -> SliceBox:
        edges = (left * pixel, top * pixel, right * pixel, bottom * pixel)
        return SliceBox(*edges, 5.0 * (right - left), 5.0 * (bottom - top))

    return {
        ("marked", "marked"): (box(1, 2, 4, 5), box(20, 24, 40, 34)),
        ("without", "without"): (),
        ("unmarked", "unmarked"): None,
    }


def asks(**conditions: Any) -> Experiment:
    fields = small().model_dump(mode="json") | {"resolution": 64, "conditions": conditions}
    return parse_experiment(fields, "small", "test")


@pytest.mark.parametrize("size", [64, 128, 96])
def test_boxes_are_in_pixels_of_the_images_whatever_the_size_of_the_slices(tmp_path: Path, size: int) -> None:
    path = shard(tmp_path / "x.safetensors", size)
    loaded = load_slices([path], asks(position=True, tumour={}), marks(size))
    assert loaded.boxes is not None
    assert loaded.annotated is not None
    assert loaded.positions is not None
    assert loaded.pixel_mm is not None
    assert loaded.boxes.shape == (4, 2, 4)
    # The larger one first.
    assert loaded.boxes[0].flatten().tolist() == pytest.approx([20, 24, 40, 34, 1, 2, 4, 5], abs=1e-4)
    assert loaded.boxes[1:].isnan().all()
    assert loaded.annotated.tolist() == [True, True, False, False]
    assert loaded.positions[:3].tolist() == pytest.approx([0.1, 0.4, 0.7])
    assert loaded.positions[3].isnan()
    assert loaded.pixel_mm.tolist() == pytest.approx([5.0] * 4)
    assert loaded.told() == {
        "with_tumour": 1, "without_tumour": 1, "unknown_tumour": 2, "with_position": 3, "without_position": 1,
    }  # fmt: skip


def test_only_what_the_experiment_asks_for_is_told(tmp_path: Path) -> None:
    path = shard(tmp_path / "x.safetensors", 64)
    nothing = load_slices([path], asks(), marks(64))
    assert (nothing.positions, nothing.boxes, nothing.annotated, nothing.told()) == (None, None, None, {})
    place = load_slices([path], asks(position=True))
    assert place.positions is not None
    assert place.boxes is None


def test_of_many_tumours_the_largest_are_kept() -> None:
    boxes = [(0.0, 0.0, float(side), 1.0) for side in range(1, MAX_TUMOURS + 4)]
    padded = padded_boxes([boxes, [], boxes[:2]])
    assert padded.shape == (3, MAX_TUMOURS, 4)
    assert padded[0, :, 2].tolist() == [*range(MAX_TUMOURS + 3, 3, -1)]
    assert padded[1].isnan().all()
    assert padded[2, :2, 2].tolist() == [2, 1]
    assert padded[2, 2:].isnan().all()


def test_an_experiment_that_asks_for_what_nobody_knows_is_refused(tmp_path: Path) -> None:
    path = shard(tmp_path / "x.safetensors", 64)
    with pytest.raises(BadInput, match=r"nothing says where they are in these slices; give --marks"):
        load_slices([path], asks(tumour={}))
    few = asks(tumour={}), asks(position=True)
    empty = dict.fromkeys(marks(64), ())
    with pytest.raises(BadInput, match=r"asks for tumours, and none of its 4 slices has a box; materialize"):
        load_training_slices([path], few[0], empty)
    rows = [SliceRow(str(n), "A", "1.2", str(n), 0.0, 0.3, 5.0) for n in range(4)]
    hu = np.random.default_rng(0).integers(-1000, 100, (4, 64, 64)).astype(np.int16)
    write_shard(Shard(hu, tuple(rows)), tmp_path / "y.safetensors")
    with pytest.raises(BadInput, match=r"asks for positions, and that of none of its 4 slices is known"):
        load_training_slices([tmp_path / "y.safetensors"], few[1])
    with pytest.raises(BadInput, match=r"the marks: are of another size than the slice"):
        load_slices([path], few[0], marks(256))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"network": {"family": "vanilla"}},
            "vanilla takes neither positions nor tumours; .* dcgan, spectral",
        ),
        (
            {
                "network": {"family": "wgan"},
                "training": {"images": 1, "loss": {"kind": "wasserstein", "clip": 0.01}},
            },
            "wgan takes neither positions nor tumours",
        ),
        (
            {"dataset": "chest_ct_scan_images", "window": "grey"},
            "has pictures: neither positions in the body",
        ),
        ({"dataset": "UNANNOTATED"}, "names no annotations, so nobody knows where its tumours are"),
        ({"conditions": {"tumour": {"mismatched": 0.6}}}, "conditions.tumour.mismatched"),
        ({"conditions": {"tumor": {}}}, "conditions.tumor"),
        (
            {"conditions": {"position": True}, "publication": {"tumour_fraction": 0.5}},
            "publication.tumour_fraction: the generator is not told where tumours are",
        ),
    ],
)
def test_conditions_that_cannot_be_met_are_refused_with_a_reason(
    fields: dict[str, Any], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fields.get("dataset") == "UNANNOTATED":
        phantoms = (SHIPPED_DATASETS / "phantom.yaml").read_text()
        without = "".join(re.split(r"(?m)^annotations:\n(?:  .*\n)+", phantoms))
        assert without != phantoms
        (tmp_path / "scans.yaml").write_text(without)
        monkeypatch.setenv("CHESTGAN_DATASETS", str(tmp_path))
        fields = fields | {"dataset": "scans"}
    whole = {"dataset": "phantom", "training": {"images": 1}, "conditions": {"tumour": {}}, **fields}
    with pytest.raises(BadExperiment, match=reason):
        parse_experiment(whole, "any", "test")


# Asking


def test_layouts_become_what_networks_take() -> None:
    experiment = conditional()
    asked = [
        Layout(((2.0, 2.0, 6.0, 6.0),), 0.25, "G"),
        Layout((), None),
        Layout(None, 1.0),
    ]
    classes = class_numbers([0, 1, 2], experiment, asked)
    of = conditions_asked(asked, classes, experiment).at(slice(None), 16)
    assert classes is not None
    assert classes.tolist() == [1, 1, 0]
    assert of.positions is not None
    assert of.boxes is not None
    assert of.annotated is not None
    assert of.boxes[0].tolist() == [[0.125, 0.125, 0.375, 0.375]]
    assert of.boxes[1:].isnan().all()
    assert of.annotated.tolist() == [True, True, False]
    assert of.positions.isnan().tolist() == [False, True, False]


def test_conditions_of_some_slices_are_those_of_these_slices() -> None:
    whole = tumour_slices().conditions
    chosen = [3, 0, 7]
    some, at = whole.some(chosen), whole.at(torch.tensor(chosen), 16)
    for part, found in zip(whole.tensors, some.tensors, strict=True):
        assert part is not None
        assert found is not None
        assert torch.equal(part[chosen].nan_to_num(-1), found.nan_to_num(-1))
    assert at.boxes is not None
    assert some.boxes is not None
    assert torch.equal((16 * at.boxes).nan_to_num(-1), some.boxes.nan_to_num(-1))
