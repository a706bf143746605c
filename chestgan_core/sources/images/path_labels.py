"""The labels that the path of an image holds: its split, its class, its patient.

In: the path of a file below the folder of a collection: `<anything>/<split>/<class>/<name>`, or without the level of
splits. Out: `PathLabels`, and whether the dataset takes files of such a path. Names are compared as config/labels.py
says.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from chestgan_core.config.labels import class_key, comparable, normal_form
from chestgan_core.sources.images.source import ImagesConfig

# Names of split folders, for datasets that do not name their own: reported, but without any effect on the split.
_USUAL_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
_SYSTEM_FOLDERS = frozenset({"__macosx", "$recycle.bin"})
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class PathLabels:
    """split, class_name, patient: "" if the path does not hold it."""

    split: str
    class_name: str
    patient: str


def has_splits(paths: Iterable[PurePosixPath], config: ImagesConfig) -> bool:
    """Whether any of the files lies in a split folder of the dataset; a copy without the split folders has none."""
    return bool(config.splits) and any(_split_level(path.parts[:-1], config) is not None for path in paths)


def labels_of(path: PurePosixPath, config: ImagesConfig) -> PathLabels:
    """The labels in the path of an image."""
    folders = path.parts[:-1]
    level = _split_level(folders, config)
    folder = folders[level + 1] if level is not None else folders[-1] if folders else ""
    splits = _splits(config)
    if comparable(folder) in splits:  # the image lies in the split folder itself
        folder = ""
    split = splits[comparable(folders[level])] if level is not None else ""
    if not config.splits and len(folders) > 1 and comparable(folders[-2]) in _USUAL_SPLITS:
        split = normal_form(folders[-2])
    return PathLabels(split, _class_name(folder, config), _patient(path.name, config))


def is_included(path: PurePosixPath, config: ImagesConfig) -> bool:
    """Whether the dataset takes files of this path (include_paths)."""
    text = unicodedata.normalize("NFC", str(path))
    return not config.include_paths or any(
        re.search(pattern, text, re.IGNORECASE) for pattern in config.include_paths
    )


def is_hidden(path: PurePosixPath) -> bool:
    """Whether it is a hidden file, or one that macOS or Windows leaves in folders and zips."""
    return (
        any(part.startswith(".") or part.lower() in _SYSTEM_FOLDERS for part in path.parts)
        or path.name.lower() in _SYSTEM_FILES
    )


def _split_level(folders: Sequence[str], config: ImagesConfig) -> int | None:
    """Index of the split folder: the innermost one that has a class folder below it."""
    for level in range(len(folders) - 2, -1, -1):
        if comparable(folders[level]) in _splits(config):
            return level
    return None


def _splits(config: ImagesConfig) -> dict[str, str]:
    """The split folders of the dataset as they are compared -> as the dataset names them."""
    return {comparable(name): name for name in config.splits}


def _class_name(folder: str, config: ImagesConfig) -> str:
    folder = normal_form(folder)
    if config.class_name and (found := re.search(config.class_name, folder)):
        folder = found[1] if found.re.groups else found[0]
    return class_key(folder) if folder else ""


def _patient(name: str, config: ImagesConfig) -> str:
    if not config.patient_name or (found := re.search(config.patient_name, normal_form(name))) is None:
        return ""
    return next((group for group in found.groups() if group), found[0])
