"""Generators that are told where tumours are: trained, interrupted, saved and asked."""

import copy
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save_file

from chestgan_core.config.conditions import MAX_TUMOURS
from chestgan_core.config.experiment import parse_experiment
from chestgan_core.config.network_config import CONDITIONED_FAMILIES
from chestgan_core.errors import BadCheckpoint, BadInput
from chestgan_core.layouts.layout import Layout
from chestgan_core.networks.registry import build_discriminator, build_generator
from chestgan_core.training.checkpoint import TrainingState, data_fingerprint
from chestgan_core.training.conditions import SliceConditions
from chestgan_core.training.discriminator_logits import discriminator_logits
from chestgan_core.training.distributed import World
from chestgan_core.training.ema import calibrate_batch_norm
from chestgan_core.training.generation import CHUNK, generate, generate_stream
from chestgan_core.training.layouts import layouts_for, layouts_of
from chestgan_core.training.loop import train
from chestgan_core.training.run_manifest import GENERATOR_FILE
from chestgan_core.training.sampling import IndexSampler
from chestgan_core.training.schedule import Budget
from chestgan_core.training.step import step
from chestgan_core.training.weights import (
    CONFIG_FILE,
    LAYOUTS,
    LoadedGenerator,
    load_discriminator,
    load_generator,
    save_discriminator,
    save_generator,
)
from tests.training.conftest import conditional, slices_of, small, tumour_slices

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a short training without pictures."""
    out = tmp_path_factory.mktemp("trained")
    train(conditional(), tumour_slices(), out, CPU, Budget(None, 40), pictures=False)
    return out


@pytest.fixture(scope="module")
def generator(folder: Path) -> LoadedGenerator:
    return load_generator(folder)


# Training


@pytest.mark.parametrize("family", CONDITIONED_FAMILIES)
def test_a_training_that_was_interrupted_ends_with_the_same_bits(family: str, tmp_path: Path) -> None:
    rules = {"translation": 0.2, "cutout": 0.3, "probability": 0.7}
    experiment, slices = conditional(family, augmentation=rules), tumour_slices()
    whole = train(experiment, slices, tmp_path / "whole", CPU, Budget(None, 28), pictures=False)
    for images in (16, 28):
        parts = train(experiment, slices, tmp_path / "parts", CPU, Budget(None, images), pictures=False)
    assert parts.resumed_at == 16
    assert parts.sha256 == whole.sha256


def test_a_training_leaves_its_records_and_pictures_of_what_was_asked(tmp_path: Path) -> None:
    seen: list[torch.Tensor] = []

    def scorer(images: torch.Tensor) -> float:
        seen.append(images)
        return 1.0 / len(seen)

    experiment = conditional(validation={"every_images": 16, "images": 8}, snapshots=2)
    outcome = train(experiment, tumour_slices(), tmp_path, CPU, Budget(None, 40), scorer)
    assert outcome.best_at == 40
    names = {path.name for path in tmp_path.iterdir()}
    assert {"samples.png", "progress.gif", "history.parquet", "curves.png", "pairs.png"} <= names
    # The validation saw what the same seeds give later; so do snapshots.
    loaded = load_generator(tmp_path)
    assert torch.equal(generate(loaded, range(8)), seen[-1])
    snapshots = sorted(name for name in names if name.startswith("snapshot-"))
    assert snapshots
    assert load_generator(tmp_path / snapshots[0]).layouts is not None


def test_a_checkpoint_of_slices_with_other_boxes_is_refused(tmp_path: Path) -> None:
    slices = tumour_slices()
    train(conditional(), slices, tmp_path, CPU, Budget(None, 8), pictures=False)
    for name in ("boxes", "positions", "annotated"):
        other = copy.deepcopy(slices)
        part = getattr(other, name)
        part[0] = ~part[0] if part.dtype == torch.bool else part[0] + 1
        with pytest.raises(BadCheckpoint, match="belongs to other training images"):
            train(conditional(), other, tmp_path, CPU, Budget(None, 16), pictures=False)
    position_only = conditional().model_dump(mode="json") | {"conditions": {"position": True}}
    experiment = parse_experiment(position_only, "small", "test")
    said = r"belongs to another experiment: conditions\.tumour\.mismatched 0\.5 instead of None"
    with pytest.raises(BadCheckpoint, match=said):
        train(experiment, slices, tmp_path, CPU, Budget(None, 16), pictures=False)


def test_a_fingerprint_tells_what_is_known_from_what_is_not() -> None:
    images, known = torch.zeros(2, 1, 4, 4), torch.tensor([0, 1])
    assert data_fingerprint(images, known, None) != data_fingerprint(images, None, known)
    assert data_fingerprint(images, None) != data_fingerprint(images)


def test_slices_of_which_nothing_is_known_leave_the_maps_of_both_networks_alone() -> None:
    experiment, slices = conditional("dcgan"), tumour_slices()
    state = TrainingState(experiment, CPU, IndexSampler(len(slices), None, CPU))
    before = [copy.deepcopy(network.state_dict()) for network in (state.generator, state.discriminator)]
    told = slices.conditions
    unknown = SliceConditions(
        told.classes, told.positions, torch.full((20, 1, 4), torch.nan), torch.zeros(20, dtype=torch.bool)
    )
    for _ in range(3):
        step(state, slices.images, unknown, World(), 0.0)
    for saved, network in zip(before, (state.generator, state.discriminator), strict=True):
        changed = {
            name for name, weight in network.named_parameters() if not torch.equal(weight, saved[name])
        }
        maps = {name for name, _ in network.named_parameters() if name.startswith("tumours.")}
        assert maps
        assert not maps & changed
        assert changed


def test_calibration_asks_for_what_the_training_slices_show() -> None:
    experiment, slices = conditional("dcgan"), tumour_slices()
    network = build_generator(experiment)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(4)
    with_layouts, same, without = (copy.deepcopy(network) for _ in range(3))
    table = layouts_of(slices, experiment)
    for one, layouts in ((with_layouts, table), (same, table), (without, None)):
        calibrate_batch_norm(one, experiment, layouts)
        assert not one.training
    assert statistics(with_layouts).equal(statistics(same))
    assert not statistics(with_layouts).equal(statistics(without))


def statistics(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([value.flatten() for name, value in network.state_dict().items() if "running" in name])


# Asking

edges = st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(2, 7), st.integers(2, 7)).map(
    lambda box: (float(box[0]), float(box[1]), float(box[0] + box[2]), float(box[1] + box[3]))
)
layouts = st.builds(
    Layout,
    boxes=st.none() | st.lists(edges, max_size=3).map(tuple),
    position=st.none() | st.floats(0, 1, width=32),
    class_name=st.sampled_from(["", "A", "G"]),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 40), layouts), min_size=1, max_size=40))
def test_an_image_depends_on_its_seed_and_layout_alone(
    generator: LoadedGenerator, asked: list[tuple[int, Layout]]
) -> None:
    images = generate(generator, [seed for seed, _ in asked], [layout for _, layout in asked])
    assert images.shape == (len(asked), 1, 16, 16)
    for image, (seed, layout) in zip(images, asked, strict=True):
        assert torch.equal(image, generate(generator, [seed], [layout])[0])


def test_one_seed_with_several_layouts_gives_as_many_images(generator: LoadedGenerator) -> None:
    asked = [
        Layout(boxes, position, name)
        for boxes in (None, (), ((2.0, 3.0, 6.0, 8.0),))
        for position in (None, 0.2)
        for name in ("A", "G")
    ]
    images = generate(generator, [5] * len(asked), asked)
    assert len({image.numpy().tobytes() for image in images}) == len(asked)


def test_where_nothing_is_asked_layouts_are_drawn_from_the_table(generator: LoadedGenerator) -> None:
    seeds = range(3, 3 + CHUNK + 5)
    drawn = layouts_for(seeds, generator.experiment, generator.layouts)
    assert drawn is not None
    assert any(layout.boxes for layout in drawn)
    images = generate(generator, seeds)
    assert torch.equal(images, generate(generator, seeds, drawn))
    assert torch.equal(images, torch.stack(list(generate_stream(generator, seeds))))
    assert torch.equal(images[7:8], generate(generator, [10]))


def test_another_number_of_layouts_than_of_seeds_is_an_error(generator: LoadedGenerator) -> None:
    for count in (1, 3):
        with pytest.raises(ValueError, match="zip"):
            generate(generator, [1, 2], [Layout()] * count)


# On disk


def test_the_layouts_of_the_training_slices_come_back_with_the_generator(
    generator: LoadedGenerator, folder: Path, tmp_path: Path
) -> None:
    expected = layouts_of(tumour_slices(), conditional())
    assert expected is not None
    assert generator.layouts is not None
    for name, tensor in expected.tensors().items():
        assert torch.equal(tensor.nan_to_num(-1), generator.layouts.tensors()[name].nan_to_num(-1)), name
    sha256 = save_generator(tmp_path, generator.module, generator.experiment, layouts=generator.layouts)
    assert sha256 == generator.sha256
    assert (tmp_path / GENERATOR_FILE).read_bytes() == (folder / GENERATOR_FILE).read_bytes()


def without(tensors: dict[str, torch.Tensor]) -> None:
    for name in [name for name in tensors if name.startswith(LAYOUTS)]:
        del tensors[name]


def without_one(tensors: dict[str, torch.Tensor]) -> None:
    del tensors[LAYOUTS + "weight"]


def with_another(tensors: dict[str, torch.Tensor]) -> None:
    tensors[LAYOUTS + "more"] = torch.zeros(1)


def of_another_type(tensors: dict[str, torch.Tensor]) -> None:
    tensors[LAYOUTS + "boxes"] = tensors[LAYOUTS + "boxes"].double()


def of_another_shape(tensors: dict[str, torch.Tensor]) -> None:
    tensors[LAYOUTS + "boxes"] = tensors[LAYOUTS + "boxes"][:, : MAX_TUMOURS - 1].contiguous()


def beyond_the_image(tensors: dict[str, torch.Tensor]) -> None:
    tensors[LAYOUTS + "boxes"][0, 0] = torch.tensor([2.0, 2.0, 99.0, 4.0])


def of_an_unknown_class(tensors: dict[str, torch.Tensor]) -> None:
    tensors[LAYOUTS + "class"][0] = 2


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (without, "layouts: boxes is absent"),
        (without_one, "layouts: weight is absent"),
        (with_another, "layouts: more is unknown"),
        (of_another_type, r"layouts\.boxes is torch\.float64, not float32"),
        (of_another_shape, r"layouts\.boxes has the shape"),
        (beyond_the_image, r"layouts\.boxes has values out of range"),
        (of_an_unknown_class, r"layouts\.class has values out of range"),
    ],
)
def test_a_generator_without_sound_layouts_is_refused_in_one_line(
    folder: Path, tmp_path: Path, damage: Callable[[dict[str, torch.Tensor]], None], reason: str
) -> None:
    tensors = load((folder / GENERATOR_FILE).read_bytes())
    damage(tensors)
    path = tmp_path / GENERATOR_FILE
    save_file(tensors, path, {"experiment": (folder / CONFIG_FILE).read_text()})
    with pytest.raises(BadCheckpoint, match=f"does not hold the layouts .*{reason}") as refused:
        load_generator(path)
    assert "\n" not in str(refused.value)


def test_a_generator_that_takes_no_layouts_and_holds_some_is_refused(
    generator: LoadedGenerator, tmp_path: Path
) -> None:
    experiment = small()
    save_generator(tmp_path, build_generator(experiment), experiment, layouts=generator.layouts)
    with pytest.raises(BadCheckpoint, match=r"layouts\.boxes is .*, not absent"):
        load_generator(tmp_path)


@pytest.mark.parametrize("family", CONDITIONED_FAMILIES)
def test_a_discriminator_scores_images_with_what_is_known_of_them(family: str, tmp_path: Path) -> None:
    experiment, slices = conditional(family), tumour_slices()
    network = build_discriminator(experiment)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1)
    save_discriminator(tmp_path, network, experiment, 0)
    discriminator, told = load_discriminator(tmp_path), slices.conditions
    logits = discriminator_logits(discriminator, slices.images, told)
    assert logits.shape == (20,)
    assert told.boxes is not None
    others = SliceConditions(told.classes, told.positions, told.boxes.roll(1, 0), told.annotated)
    assert (logits != discriminator_logits(discriminator, slices.images, others)).mean() > 0.5
    for missing, of in (
        ("class and no position and no boxes of tumours", SliceConditions()),
        ("boxes of tumours", SliceConditions(told.classes, told.positions)),
    ):
        with pytest.raises(BadInput, match=f"have no {re.escape(missing)}, with which"):
            discriminator_logits(discriminator, slices.images, of)


def test_unconditional_slices_have_no_layouts() -> None:
    assert layouts_of(slices_of(torch.zeros(4, 1, 16, 16)), small()) is None
    assert layouts_for([1, 2], small(), None) is None
