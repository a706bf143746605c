"""The final weights on disk: safetensors files that contain the experiment that they were trained with.

In: a folder and a network. Out: `generator.safetensors` (float32; the metadata field `experiment` is the experiment as
JSON, so that the file is complete in itself; tensors named `layouts.` are not weights, but layouts to draw from),
`config.json`, the same for people, and `discriminator.safetensors`,
which evaluation reads and which is never published.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.errors import BadCheckpoint, BadExperiment
from chestgan_core.layouts.table import LayoutTable
from chestgan_core.local.files import replacing
from chestgan_core.networks.registry import build_discriminator, build_generator
from chestgan_core.training.run_manifest import GENERATOR_FILE

LAYOUTS = "layouts."
DISCRIMINATOR_FILE = "discriminator.safetensors"
CONFIG_FILE = "config.json"
MAX_EXPERIMENT_CHARACTERS = 1_000_000
# Names of the one metadata field of each file. One, because safetensors writes several in no fixed order, and the
# same weights must give the same bytes.
_OF_GENERATOR, _OF_DISCRIMINATOR = "experiment", "discriminator"


@dataclass(frozen=True)
class LoadedGenerator:
    """A generator ready to use: in eval mode, on `device`. sha256: of the bytes of generator.safetensors.

    layouts: from which those of seeds are drawn; None where it is asked for no more than a class.
    """

    module: nn.Module
    experiment: Experiment
    sha256: str
    device: torch.device
    layouts: LayoutTable | None = None


@dataclass(frozen=True)
class LoadedDiscriminator:
    """A discriminator (or critic) ready to use: in eval mode, on `device`; images, and classes, to logits (N,).

    images_seen: when it had these weights. They are the last of the training, also where the generator that is kept is
    that of an earlier validation. sha256: of the bytes of discriminator.safetensors.
    """

    module: nn.Module
    experiment: Experiment
    images_seen: int
    sha256: str
    device: torch.device


def save_generator(
    folder: Path,
    generator: nn.Module,
    experiment: Experiment,
    name: str = GENERATOR_FILE,
    layouts: LayoutTable | None = None,
) -> str:
    """Write config.json, then the weights under `name`.

    Args:
        folder: Exists.
        generator: The network that `build_generator(experiment)` makes.
        experiment: Stored with the weights.
        name: Of the file.
        layouts: Of the training slices, where the experiment has conditions.

    Returns:
        The sha256 (hexadecimal) of the weights file. The same weights give the same bytes.
    """
    with replacing(folder / CONFIG_FILE) as path:
        path.write_text(experiment.model_dump_json(indent=2) + "\n", encoding="utf-8")
    beside = {LAYOUTS + key: tensor for key, tensor in (layouts.tensors() if layouts else {}).items()}
    return _write(folder / name, generator, {_OF_GENERATOR: experiment.model_dump_json()}, beside)


def save_discriminator(
    folder: Path, discriminator: nn.Module, experiment: Experiment, images_seen: int
) -> str:
    """Write discriminator.safetensors; returns its sha256. The same weights give the same bytes."""
    fields = {"experiment": experiment.model_dump(mode="json"), "images_seen": images_seen}
    return _write(folder / DISCRIMINATOR_FILE, discriminator, {_OF_DISCRIMINATOR: json.dumps(fields)})


def load_generator(folder_or_file: Path, device: torch.device | str = "cpu") -> LoadedGenerator:
    """A trained generator, ready to generate.

    Args:
        folder_or_file: The folder of a training, or its generator.safetensors alone.
        device: Where to put it.

    Returns:
        The module in eval mode, its experiment, and the sha256 of the file.

    Raises:
        BadCheckpoint: There is no such file, it is cut short or not safetensors, it was not written by a training of
            this version, or its tensors are not those of its experiment.

    Examples:
        >>> import tempfile
        >>> from chestgan_core.config.experiment import load_experiment
        >>> experiment = load_experiment("lung-spectral-64")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sha256 = save_generator(Path(folder), build_generator(experiment), experiment)
        ...     loaded = load_generator(Path(folder))
        >>> loaded.sha256 == sha256, loaded.experiment.name, loaded.module.training
        (True, 'lung-spectral-64', False)
    """
    path = _found(folder_or_file, GENERATOR_FILE)
    fields, tensors = _read(path, _OF_GENERATOR, GENERATOR_FILE)
    experiment = _experiment(fields, path)
    saved: dict[str, Tensor] = {}
    if experiment.conditions:
        names = [name for name in tensors if name.startswith(LAYOUTS)]
        saved = {name.removeprefix(LAYOUTS): tensors.pop(name) for name in names}
    module, where = _filled(build_generator, experiment, tensors, path, device)
    return LoadedGenerator(module, experiment, _sha256(path), where, _layouts(saved, experiment, path))


def load_discriminator(folder_or_file: Path, device: torch.device | str = "cpu") -> LoadedDiscriminator:
    """The discriminator of a training folder, or of one discriminator.safetensors. Raises BadCheckpoint."""
    path = _found(folder_or_file, DISCRIMINATOR_FILE)
    metadata, tensors = _read(path, _OF_DISCRIMINATOR, DISCRIMINATOR_FILE)
    try:
        fields, images_seen = metadata["experiment"], int(metadata["images_seen"])
    except (KeyError, TypeError, ValueError) as error:
        cause = "does not say which experiment made it, or when"
        raise BadCheckpoint(path, cause, f"give the {DISCRIMINATOR_FILE} of a chestgan training") from error
    experiment = _experiment(fields, path)
    module, where = _filled(build_discriminator, experiment, tensors, path, device)
    return LoadedDiscriminator(module, experiment, images_seen, _sha256(path), where)


def _write(
    path: Path, network: nn.Module, metadata: dict[str, str], beside: Mapping[str, Tensor] | None = None
) -> str:
    tensors = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    data = save({**tensors, **(beside or {})}, metadata=metadata)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def _found(folder_or_file: Path, name: str) -> Path:
    path = folder_or_file / name if folder_or_file.is_dir() else folder_or_file
    if not path.is_file():
        raise BadCheckpoint(path, "is not there", "give the folder of a training that has finished")
    return path


def _read(path: Path, field: str, name: str) -> tuple[Any, dict[str, Tensor]]:
    """The metadata field, parsed, and the tensors. name: what the file should have been."""
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(field)
            if text is not None and len(text) > MAX_EXPERIMENT_CHARACTERS:
                raise BadCheckpoint(
                    path, "says too much about its experiment", "train it again with this version"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        cause = f"cannot be read as safetensors: it is cut short or of another kind ({error})"
        raise BadCheckpoint(path, cause, "fetch it again, or train again") from error
    if text is None:
        cause = "does not say which experiment made it"
        raise BadCheckpoint(path, cause, f"give the {name} of a chestgan training")
    try:
        return json.loads(text), tensors
    except (ValueError, RecursionError) as error:
        raise _not_understood(path, error) from error


def _experiment(fields: Mapping[str, Any], path: Path) -> Experiment:
    try:
        return parse_experiment(fields, fields["name"], path)
    except (BadExperiment, ValueError, TypeError, KeyError) as error:
        raise _not_understood(path, error) from error


def _layouts(saved: Mapping[str, Tensor], experiment: Experiment, path: Path) -> LayoutTable | None:
    if not experiment.conditions:
        return None
    try:
        return LayoutTable.from_tensors(saved, experiment.resolution, len(experiment.classes))
    except ValueError as error:
        cause = f"does not hold the layouts that its experiment asks for ({error})"
        raise BadCheckpoint(path, cause, "train it again with this version") from error


def _not_understood(path: Path, error: Exception) -> BadCheckpoint:
    cause = f"was made by an experiment that this version does not understand ({error})"
    return BadCheckpoint(path, cause, "train it again with this version")


def _filled(
    build: Callable[[Experiment], nn.Module],
    experiment: Experiment,
    tensors: dict[str, Tensor],
    path: Path,
    device: torch.device | str,
) -> tuple[nn.Module, torch.device]:
    """The network of the experiment with these weights, ready to use."""
    try:
        with torch.device("meta"):  # without memory: who wrote the file chose the sizes
            expected = {
                name: (value.shape, value.dtype) for name, value in build(experiment).state_dict().items()
            }
    except (RuntimeError, ValueError, MemoryError, OverflowError) as error:
        raise _not_understood(path, error) from error
    found = {name: (value.shape, value.dtype) for name, value in tensors.items()}
    if expected != found:
        odd = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        first = f"{odd[0]} is {_shape(found.get(odd[0]))}, not {_shape(expected.get(odd[0]))}"
        cause = f"is of another network than its experiment says ({len(odd)} tensors differ: {first})"
        raise BadCheckpoint(path, cause, "train it again with this version")
    if wrong := [name for name, value in tensors.items() if not bool(value.isfinite().all())]:
        cause = f"holds numbers that are NaN or infinite ({wrong[0]})"
        raise BadCheckpoint(path, cause, "train it again: the training has diverged, or the file is damaged")
    network = build(experiment)
    network.load_state_dict(tensors)
    where = torch.device(device)
    return network.eval().requires_grad_(False).to(where).to(memory_format=torch.channels_last), where


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shape(found: tuple[torch.Size, torch.dtype] | None) -> str:
    if found is None:
        return "absent"
    shape, kind = found
    return f"{' x '.join(map(str, shape)) or 'a number'} ({str(kind).removeprefix('torch.')})"
