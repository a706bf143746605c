"""Which files of experiments and datasets can be used, without validating again what was validated before.

In: the path of a file. Out: the little that the pipeline has to know of it when it loads: its dataset; of a dataset,
whether it is CT and has annotations. A file that is new, or whose bytes or dataset have changed, is validated.

What was found is kept in one JSON file of the home. It is believed only for the same bytes, checked by the same code
with the same libraries, and only that a file can be used: whoever needs its values reads the file. A file with a fault
is validated each time. Where the home cannot be written, everything is.
"""

import hashlib
import json
import os
import re
import stat
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import pydantic
import yaml

from chestgan_core.config.names import SHIPPED_DATASETS, SHIPPED_EXPERIMENTS, dataset_files
from chestgan_core.errors import ChestganError, DamagedObject
from chestgan_core.local.files import open_regular, replacing
from chestgan_core.local.home import home
from chestgan_core.local.json_text import parse_json

FORMAT = 1
MAX_BYTES = 8 * 2**20  # of the file with what was found: some 40,000 experiments
MAX_YAML = 4 * 2**20 + 4  # as much of a YAML file as is ever read
_PACKAGE = Path(__file__).parent.parent
PACKAGED = _PACKAGE / "config" / "validated-files.json"
"""Made with an image (deploy/docker/Dockerfile): a new pod has an empty home."""
_MODULE = re.compile(r"[a-z0-9_]+(/[a-z0-9_]+)*\.py")
_MODELS = ("config/dataset.py", "config/experiment.py")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class DatasetFile:
    """A dataset that can be used. digest: sha256 of the bytes of its file, hexadecimal."""

    digest: str
    has_hounsfield: bool
    annotated: bool


@dataclass(frozen=True)
class ExperimentFile:
    """An experiment that can be used. dataset_digest: sha256 of the bytes of the file of its dataset, by whose rules it
    was validated.
    """

    digest: str
    dataset: str
    dataset_digest: str


class ValidatedFiles:
    """The files that were validated before, and those that are asked for now.

    Examples:
        >>> from chestgan_core.config.names import SHIPPED_EXPERIMENTS
        >>> from chestgan_core.config.validated_files import ValidatedFiles
        >>> known = ValidatedFiles()  # ValidatedFiles.read() knows what this home has validated before
        >>> known.experiment(SHIPPED_EXPERIMENTS / "demo.yaml").dataset
        'phantom'
    """

    def __init__(
        self,
        datasets: Mapping[str, DatasetFile] | None = None,
        experiments: Mapping[str, ExperimentFile] | None = None,
        modules: Iterable[str] = (),
    ) -> None:
        self._known_datasets, self._known_experiments = datasets or {}, experiments or {}
        self._modules = frozenset(modules)
        self._datasets: dict[str, DatasetFile] = {}
        self._experiments: dict[str, ExperimentFile] = {}
        self._files = dataset_files()
        self._digests: dict[str, str | None] = {}

    @classmethod
    def read(cls) -> Self:
        """With what this home has validated before, or what came with the package; what is damaged, too large, of
        another form, or found by other code counts as nothing.
        """
        for path in (_path(), PACKAGED):
            with suppress(OSError, DamagedObject, AttributeError, KeyError, TypeError, ValueError):
                with open_regular(path) as file:
                    data = file.read(MAX_BYTES + 1)
                if len(data) > MAX_BYTES:
                    continue
                found = parse_json(data, str(path), "")
                if found["format"] == FORMAT and found["checked by"] == _checked_by(found["modules"]):
                    return cls(
                        {name: _dataset(**one) for name, one in found["datasets"].items()},
                        {name: _experiment(**one) for name, one in found["experiments"].items()},
                        found["modules"],
                    )
        return cls()

    def dataset(self, path: Path) -> DatasetFile:
        """A dataset that can be used, by its file. Raises BadInput: its fault."""
        known, digest = self._known_datasets.get(path.stem), _digest(path)
        if known is None or known.digest != digest:
            from chestgan_core.config.dataset import load_dataset

            loaded = load_dataset(path)
            known = DatasetFile(digest or "", loaded.has_hounsfield, bool(loaded.annotations))
            if _digest(path) != digest:
                return known  # replaced meanwhile: nobody knows which of both was read
        self._datasets[path.stem] = known
        return known

    def experiment(self, path: Path) -> ExperimentFile:
        """An experiment that can be used, by its file. Raises BadExperiment: its fault, or that of its dataset."""
        known, digest = self._known_experiments.get(path.stem), _digest(path)
        if known is None or (known.digest, known.dataset_digest) != (digest, self._digest_of(known.dataset)):
            from chestgan_core.config.experiment import load_experiment

            loaded = load_experiment(path)
            of_dataset = self._digest_of(loaded.dataset)
            known = ExperimentFile(digest or "", loaded.dataset, of_dataset or "")
            if _digest(path) != digest or not of_dataset:
                return known
        self._experiments[path.stem] = known
        return known

    def write(self, path: Path | None = None) -> None:
        """Keep what can be used, for the next process, unless that is known already. A home that cannot be written
        changes nothing. path: by default in the home.
        """
        path = path or _path()
        if (self._datasets, self._experiments) == (self._known_datasets, self._known_experiments):
            return
        modules = sorted(self._modules.union(_loaded_modules()))
        found = {
            "format": FORMAT,
            "modules": modules,
            "checked by": _checked_by(modules),
            "datasets": {name: asdict(one) for name, one in self._datasets.items()},
            "experiments": {name: asdict(one) for name, one in self._experiments.items()},
        }
        with suppress(OSError, ChestganError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with replacing(path, durable=False) as part:
                part.write_text(json.dumps(found), encoding="utf-8")

    def _digest_of(self, dataset: str) -> str | None:
        if dataset not in self._digests:
            path = self._files.get(dataset)
            self._digests[dataset] = None if path is None else _digest(path)
        return self._digests[dataset]


def main() -> None:
    """Validate the shipped files, and keep that beside them."""
    found = ValidatedFiles()
    for path in SHIPPED_DATASETS.glob("*.yaml"):
        found.dataset(path)
    for path in SHIPPED_EXPERIMENTS.glob("*.yaml"):
        found.experiment(path)
    found.write(PACKAGED)


def _path() -> Path:
    return home() / "validated-files.json"


def _digest(path: Path) -> str | None:
    """sha256 of the bytes of a file, as far as they are read; None where there is none that can be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait for ever
        try:
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            return hashlib.sha256(os.read(descriptor, MAX_YAML)).hexdigest() if is_file else None
        finally:
            os.close(descriptor)
    except OSError:
        return None


def _dataset(digest: object, has_hounsfield: object, annotated: object) -> DatasetFile:
    if not (isinstance(has_hounsfield, bool) and isinstance(annotated, bool)):
        raise TypeError("not what a dataset is known by")
    return DatasetFile(_text(digest), has_hounsfield, annotated)


def _experiment(digest: object, dataset: object, dataset_digest: object) -> ExperimentFile:
    if not isinstance(dataset, str):
        raise TypeError("not what an experiment is known by")
    return ExperimentFile(_text(digest), dataset, _text(dataset_digest))


def _text(digest: object) -> str:
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ValueError("no digest")
    return digest


def _loaded_modules() -> list[str]:
    """The modules of core that this process has loaded: where it has validated, the models and all that they use."""
    names = [name.split(".")[1:] for name in sys.modules if name.startswith("chestgan_core.")]
    paths = ["/".join(name) for name in names]
    return [f"{path}.py" if (_PACKAGE / f"{path}.py").is_file() else f"{path}/__init__.py" for path in paths]


def _checked_by(modules: Any) -> str:
    """sha256 over the source of these modules, and over the versions of Python and of the libraries.

    Raises OSError: one is gone; ValueError: not the modules that validate.
    """
    if not set(_MODELS) <= set(modules) or not all(_MODULE.fullmatch(name) for name in modules):
        raise ValueError("not the models")
    digest = hashlib.sha256(f"{sys.version} {pydantic.VERSION} {yaml.__version__}".encode())
    for name in modules:
        digest.update(f"\n{name} ".encode() + hashlib.sha256((_PACKAGE / name).read_bytes()).digest())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
