"""What `python -m bench.ablations` compares: tables of recipes at equal CPU time.

Out: TABLES, by name. A recipe is a shipped experiment, or fields of one: those of the default (`lung-spectral-64`),
with some replaced.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Recipe = Mapping[str, Any] | str

ADAM = {"lr": 1e-3, "beta1": 0.5, "beta2": 0.99}
NARROW = {"generator_width": 16, "discriminator_width": 16}
R3 = {
    "network": {"family": "r3", "latent_dim": 128, **NARROW},
    "training": {
        "loss": {"kind": "relativistic", "gamma": [1, 0.1], "penalty_every": 4},
        "optimizer": {"lr": 5e-4, "final_lr": 1e-4, "beta1": 0.0, "beta2": 0.9, "final_beta2": 0.99},
    },
}
CROSS_ENTROPY = {
    "network": {"family": "dcgan", **NARROW},
    "training": {"loss": {"kind": "cross-entropy", "real_targets": [0.9, 0.9]}},
}
HINGE = {"training": {"loss": {"kind": "hinge"}}}
LOSSES: dict[str, dict[str, Any]] = {
    "cross-entropy (DCGAN)": CROSS_ENTROPY,
    "hinge + spectral norm": HINGE,
    "relativistic + spectral norm": {},
    "r3 (relativistic, R1 + R2 every 4th step)": R3,
}


@dataclass(frozen=True)
class Table:
    """minutes: of CPU time for each recipe and seed. size: pixels per side."""

    title: str
    recipes: Mapping[str, Recipe]
    minutes: float
    size: int = 64


def default(**changed: Any) -> dict[str, Any]:
    """Fields of the default recipe; `network` and `training` are merged with theirs, other fields are replaced."""
    fields: dict[str, Any] = {
        "dataset": "folder",
        "network": {"family": "spectral", "latent_dim": 100, **NARROW},
        "training": {
            "loss": {"kind": "relativistic", "gamma": [0, 0]},
            "augmentation": {},
            "optimizer": ADAM,
            "batch_size": 16,
            "sampling": {"max_slices_per_patient": 120},
            "ema_images": 4000,
            "minutes": 1,
        },
    }
    for name, value in changed.items():
        fields[name] = {**fields[name], **value} if isinstance(fields.get(name), dict) else value
    return fields


def _with_and_without_augmentation() -> dict[str, Recipe]:
    recipes: dict[str, Recipe] = {}
    for name, fields in LOSSES.items():
        for said, augmentation in (("off", None), ("on", {})):
            training = {**fields.get("training", {}), "augmentation": augmentation, "sampling": {}}
            recipes[f"{name}, augmentation {said}"] = default(**{**fields, "training": training})
    return recipes


def projected(
    generator: dict[str, Any] | None = None, width: int = 16, beta1: float = 0.5, **projection: Any
) -> dict[str, Any]:
    """Fields of lung-projected-64, some replaced. width: of the generator; the rest is of the frozen features."""
    network = {
        "family": "projected",
        "generator_width": width,
        "generator": generator,
        "projection": {"pixel_weight": 16, "heads_every": 4, **projection},
    }
    return default(network=network, training={"optimizer": {**ADAM, "beta1": beta1}})


def with_generator(**options: Any) -> dict[str, Any]:
    """Fields of the default recipe with options of the generator."""
    return default(network={"generator": options})


MODULATED = {"upsampling": "resize", "modulation": True}

TABLES = {
    "losses": Table("Losses and augmentation", _with_and_without_augmentation(), 2.5),
    "thesis": Table(
        "Beside the thesis system",
        {"thesis-dcgan-final": "thesis-dcgan-final", "lung-spectral-64": default()},
        10,
    ),
    "projected": Table(
        "A discriminator on frozen features",
        {
            "lung-spectral-64": default(),
            "lung-projected-64": projected(),
            "pixels weigh 4": projected(pixel_weight=4),
            "pixels weigh 4, modulated": projected({"modulation": True}, pixel_weight=4),
            "pixels weigh 4, resized and modulated": projected(MODULATED, pixel_weight=4),
            "pixels weigh 4, smoothed": projected({"upsampling": "smoothed"}, pixel_weight=4),
            "pixels weigh 4, noise": projected({"noise": True}, pixel_weight=4),
            "pixels weigh 8, heads in every 8th step": projected(pixel_weight=8, heads_every=8),
            "pixels weigh 4, heads in every 8th step": projected(pixel_weight=4, heads_every=8),
            "pixels weigh 4, heads in every step": projected(pixel_weight=4, heads_every=1),
            "the same, resized and modulated, width 32": projected(
                MODULATED, 32, 0.0, pixel_weight=4, heads_every=1
            ),
            "the same at 32 pixels": projected(MODULATED, 32, 0.0, pixel_weight=4, heads_every=1, size=32),
            "without the discriminator of pixels": projected(pixel_weight=0, heads_every=1),
        },
        10,
    ),
    "generator": Table(
        "Options of the generator of lung-spectral-64",
        {
            "transposed convolutions, tanh (DCGAN)": default(),
            "smoothed": with_generator(upsampling="smoothed"),
            "resize": with_generator(upsampling="resize"),
            "modulation": with_generator(modulation=True),
            "excitation": with_generator(excitation=True),
            "noise": with_generator(noise=True),
            "linear output": with_generator(output="linear"),
        },
        2.5,
    ),
    "128": Table(
        "At 128 pixels",
        {
            "lung-projected-128": projected(size=64),
            "heads at 128 pixels": projected(),
            "lung-spectral-64's recipe at 128": default(),
        },
        30,
        size=128,
    ),
}
