"""A generator on disk: what comes back is what was saved, and a wrong file is refused in one line."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save_file

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.errors import BadCheckpoint, NotAvailable, UnknownName
from chestgan_core.networks.registry import build_discriminator, build_generator
from chestgan_core.training.devices import pick_device
from chestgan_core.training.run_manifest import GENERATOR_FILE
from chestgan_core.training.weights import (
    CONFIG_FILE,
    DISCRIMINATOR_FILE,
    load_discriminator,
    load_generator,
    save_discriminator,
    save_generator,
)


def test_a_saved_generator_comes_back_with_its_experiment(
    model: Path, experiment: Experiment, tmp_path: Path
) -> None:
    loaded = load_generator(model)
    assert loaded.experiment == experiment
    assert not loaded.module.training
    assert loaded.sha256 == hashlib.sha256((model / GENERATOR_FILE).read_bytes()).hexdigest()
    z = torch.ones(1, 8)
    assert torch.equal(loaded.module(z), build_generator(experiment).eval()(z))
    assert load_generator(model / GENERATOR_FILE).sha256 == loaded.sha256
    assert json.loads((model / CONFIG_FILE).read_text()) == experiment.model_dump(mode="json")
    assert save_generator(tmp_path, loaded.module, experiment) == loaded.sha256


def damaged(path: Path, how: str) -> None:
    data = path.read_bytes()
    tensors = load(data)  # not load_file: its tensors are views of the file that is overwritten below
    metadata = {"experiment": (path.parent / CONFIG_FILE).read_text()}
    if how == "missing":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "header cut":
        path.write_bytes(data[:50])
    elif how == "cut short":
        path.write_bytes(data[: len(data) // 2])
    elif how == "not safetensors":
        torch.save(tensors, path)
    elif how == "by another program":
        save_file(tensors, path)
    elif how == "lacks a tensor":
        save_file(dict(list(tensors.items())[1:]), path, metadata)
    elif how == "other widths":
        metadata["experiment"] = metadata["experiment"].replace(
            '"generator_width": 3', '"generator_width": 5'
        )
        save_file(tensors, path, metadata)
    elif how == "unknown family":
        save_file(tensors, path, {"experiment": metadata["experiment"].replace("dcgan", "r4")})
    elif how == "nested config":
        save_file(tensors, path, {"experiment": "[" * 100_000})
    elif how == "not a number":
        first = min(name for name, value in tensors.items() if value.is_floating_point())
        tensors[first].view(-1)[0] = float("nan")
        save_file(tensors, path, metadata)
    elif how == "other type":
        save_file({name: value.double() for name, value in tensors.items()}, path, metadata)
    elif how == "terabytes":
        wide = re.sub('("generator_width": ?)3', r"\g<1>1000000", metadata["experiment"])
        save_file(tensors, path, {"experiment": wide})
    elif how == "config no json":
        save_file(tensors, path, {"experiment": "{"})


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("missing", "is not there"),
        ("empty", "cannot be read as safetensors"),
        ("header cut", "cannot be read as safetensors"),
        ("cut short", "cannot be read as safetensors"),
        ("not safetensors", "cannot be read as safetensors"),
        ("by another program", "does not say which experiment"),
        ("lacks a tensor", "another network"),
        ("other widths", "another network"),
        ("unknown family", "network.family"),
        ("config no json", "does not understand"),
        ("nested config", "does not understand"),
        ("not a number", "NaN or infinite"),
        ("other type", "another network"),
        ("terabytes", "another network|does not understand"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(model: Path, how: str, cause: str) -> None:
    damaged(model / GENERATOR_FILE, how)
    with pytest.raises(BadCheckpoint, match=cause) as refused:
        load_generator(model)
    assert "\n" not in str(refused.value)
    assert str(model / GENERATOR_FILE) in str(refused.value)


def test_the_same_weights_give_the_same_bytes(model: Path, changed: Callable[..., Experiment]) -> None:
    first = (model / GENERATOR_FILE).read_bytes()
    save_generator(model, build_generator(changed()), changed())
    assert (model / GENERATOR_FILE).read_bytes() == first
    assert sorted(path.name for path in model.iterdir()) == [CONFIG_FILE, GENERATOR_FILE]


@pytest.mark.parametrize(
    ("family", "loss"),
    [
        ("vanilla", {"kind": "cross-entropy"}),
        ("dcgan", {"kind": "cross-entropy"}),
        ("wgan", {"kind": "wasserstein", "clip": 0.01}),
        ("spectral", {"kind": "hinge"}),
        ("r3", {"kind": "relativistic", "gamma": [1, 1]}),
    ],
)
def test_a_saved_discriminator_of_each_family_comes_back(
    family: str, loss: dict[str, object], changed: Callable[..., Experiment], tmp_path: Path
) -> None:
    fields = changed(loss={"kind": "cross-entropy"}).model_dump()
    fields["network"]["family"], fields["training"]["loss"] = family, loss
    config = parse_experiment(fields, "small", "test")
    discriminator = build_discriminator(config)
    images = torch.rand(6, 1, 16, 16)
    discriminator(images)  # moves running averages and the power iteration: they are part of what is kept
    sha256 = save_discriminator(tmp_path, discriminator, config, images_seen=120)
    loaded = load_discriminator(tmp_path)
    # Loaded in another memory layout, which changes the last bits.
    assert torch.allclose(loaded.module(images), discriminator.eval()(images), atol=1e-5)
    assert not loaded.module.training
    assert (loaded.experiment, loaded.images_seen, loaded.sha256) == (config, 120, sha256)
    assert sha256 == hashlib.sha256((tmp_path / DISCRIMINATOR_FILE).read_bytes()).hexdigest()
    assert save_discriminator(tmp_path, loaded.module, config, images_seen=120) == sha256
    assert [path.name for path in tmp_path.iterdir()] == [DISCRIMINATOR_FILE]


def test_neither_network_is_taken_for_the_other(model: Path, experiment: Experiment) -> None:
    save_discriminator(model, build_discriminator(experiment), experiment, images_seen=0)
    with pytest.raises(BadCheckpoint, match=r"give the discriminator\.safetensors of"):
        load_discriminator(model / GENERATOR_FILE)
    with pytest.raises(BadCheckpoint, match=r"give the generator\.safetensors of"):
        load_generator(model / DISCRIMINATOR_FILE)
    assert load_generator(model).experiment == load_discriminator(model).experiment


@pytest.mark.parametrize(
    ("metadata", "cause"),
    [
        ("{", "does not understand"),
        ("[]", "which experiment made it, or when"),
        ('{"experiment": {}}', "which experiment made it, or when"),
        ('{"experiment": {}, "images_seen": 3}', "does not understand"),
        ('{"experiment": [], "images_seen": 3}', "does not understand"),
    ],
)
def test_a_discriminator_without_its_experiment_is_refused_in_one_line(
    model: Path, experiment: Experiment, metadata: str, cause: str
) -> None:
    save_discriminator(model, build_discriminator(experiment), experiment, images_seen=0)
    path = model / DISCRIMINATOR_FILE
    save_file(load(path.read_bytes()), path, {"discriminator": metadata})
    with pytest.raises(BadCheckpoint, match=cause) as caught:
        load_discriminator(model)
    assert "\n" not in str(caught.value)


def test_a_folder_of_a_version_that_kept_no_discriminator_has_none(model: Path) -> None:
    with pytest.raises(BadCheckpoint, match=r"discriminator\.safetensors: is not there"):
        load_discriminator(model)


def test_auto_picks_an_available_device_and_an_absent_one_is_refused() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in ("cuda", "mps", "cpu")
    with pytest.raises(UnknownName, match="did you mean xpu, cpu"):
        pick_device("tpu")
    for name, present in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())):
        if not present:
            with pytest.raises(NotAvailable, match="not on this machine"):
                pick_device(name)
