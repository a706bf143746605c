"""The finished generator on disk: weights as safetensors, with the experiment that made them inside the file.

In: a folder and a generator. Out: `generator.safetensors` (float32; the metadata field `experiment` holds the
experiment as JSON, so that the file alone is enough) and `config.json`, the same for people.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from chestgan_core.atomic import replacing
from chestgan_core.errors import BadCheckpoint, BadExperiment
from chestgan_core.experiment import Experiment, parse_experiment
from chestgan_core.networks.registry import build_generator

GENERATOR_FILE = "generator.safetensors"
CONFIG_FILE = "config.json"


@dataclass(frozen=True)
class LoadedGenerator:
    """A generator ready to use: in eval mode, on `device`. sha256: of the bytes of generator.safetensors."""

    module: nn.Module
    experiment: Experiment
    sha256: str
    device: torch.device


def save_generator(
    folder: Path, generator: nn.Module, experiment: Experiment, name: str = GENERATOR_FILE
) -> str:
    """Write config.json, then the weights under `name`; returns the sha256 of the latter.

    The same weights give the same bytes: they are the content address of the model.
    """
    told = experiment.model_dump_json()
    tensors = {name: value.cpu().contiguous() for name, value in generator.state_dict().items()}
    data = save(tensors, metadata={"experiment": told})
    with replacing(folder / CONFIG_FILE) as path:
        path.write_text(experiment.model_dump_json(indent=2) + "\n", encoding="utf-8")
    with replacing(folder / name) as path:
        path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def load_generator(folder_or_file: Path, device: torch.device | str = "cpu") -> LoadedGenerator:
    """The generator of a training folder, or of one generator.safetensors.

    Raises BadCheckpoint: no such file, cut short, not safetensors, made by something else, another network.
    """
    path = folder_or_file / GENERATOR_FILE if folder_or_file.is_dir() else folder_or_file
    if not path.is_file():
        raise BadCheckpoint(path, "is not there", "give the folder of a training that has finished")
    experiment, tensors = _read(path)
    generator = build_generator(experiment)
    wanted = {name: value.shape for name, value in generator.state_dict().items()}
    found = {name: value.shape for name, value in tensors.items()}
    if wanted != found:
        odd = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        first = f"{odd[0]} is {_shape(found.get(odd[0]))}, not {_shape(wanted.get(odd[0]))}"
        cause = f"is of another network than its experiment says ({len(odd)} tensors differ: {first})"
        raise BadCheckpoint(path, cause, "train it again with this version")
    generator.load_state_dict(tensors)
    where = torch.device(device)
    generator = generator.eval().requires_grad_(False).to(where).to(memory_format=torch.channels_last)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return LoadedGenerator(generator, experiment, sha256, where)


def _read(path: Path) -> tuple[Experiment, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            told = (file.metadata() or {}).get("experiment")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        cause = f"cannot be read as safetensors: it is cut short or of another kind ({error})"
        raise BadCheckpoint(path, cause, "fetch it again, or train again") from error
    if told is None:
        raise BadCheckpoint(
            path, "does not say which experiment made it", f"give the {GENERATOR_FILE} of a chestgan training"
        )
    try:
        fields = json.loads(told)
        return parse_experiment(fields, fields["name"], path), tensors
    except (BadExperiment, ValueError, TypeError, KeyError) as error:
        cause = f"was made by an experiment that this version does not understand ({error})"
        raise BadCheckpoint(path, cause, "train it again with this version") from error


def _shape(shape: torch.Size | None) -> str:
    return "absent" if shape is None else " x ".join(map(str, shape)) or "a number"
