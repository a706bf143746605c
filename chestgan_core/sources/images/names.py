"""What the place and the name of a picture say: its split, its class, its patient.

In: the path of a file below the folder of a collection. Out: `Place`. `<anything>/<split>/<class>/<name>`, or without
the level of splits.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from chestgan_core.sources.images.source import ImagesConfig

# Names of split folders where a dataset does not name its own: they are told, and decide nothing.
_USUAL_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
_SYSTEM_FOLDERS = frozenset({"__macosx", "$recycle.bin"})
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Place:
    """split, class_name, patient: "" where the path does not tell them."""

    split: str
    class_name: str
    patient: str


def has_splits(paths: Iterable[PurePosixPath], source: ImagesConfig) -> bool:
    """Whether any of the files lies in a split folder of the dataset; a flat copy has none."""
    return (
        any(_split_level(path.parts[:-1], source) is not None for path in paths) if source.splits else False
    )


def place_of(path: PurePosixPath, source: ImagesConfig) -> Place:
    """Where a picture belongs."""
    folders = path.parts[:-1]
    level = _split_level(folders, source)
    folder = folders[level + 1] if level is not None else folders[-1] if folders else ""
    if folder in source.splits:  # the picture lies in the split folder itself
        folder = ""
    split = folders[level] if level is not None else ""
    if not source.splits and len(folders) > 1 and folders[-2].lower() in _USUAL_SPLITS:
        split = folders[-2]
    return Place(split, _class_name(folder, source), _patient(path.name, source))


def is_hidden(path: PurePosixPath) -> bool:
    """Hidden files, and what macOS and Windows leave in folders and zips."""
    return (
        any(part.startswith(".") or part.lower() in _SYSTEM_FOLDERS for part in path.parts)
        or path.name.lower() in _SYSTEM_FILES
    )


def _split_level(folders: Sequence[str], source: ImagesConfig) -> int | None:
    """Which of the folders is that of the split: the innermost that has a class folder below it."""
    for level in range(len(folders) - 2, -1, -1):
        if folders[level] in source.splits:
            return level
    return None


def _class_name(folder: str, source: ImagesConfig) -> str:
    if source.class_name and (found := re.search(source.class_name, folder)):
        folder = found[1] if found.re.groups else found[0]
    # It becomes a part of keys in the store. What a key cannot hold is told by a hash, or two classes that differ in
    # nothing else would become one.
    spaced = re.sub(r"\s+", "-", folder.strip())
    name = re.sub(r"[^A-Za-z0-9._-]+|\.{2,}", "-", spaced).strip("._-")
    if name == spaced.strip("._-"):
        return name
    return f"{name or 'class'}-{hashlib.sha256(folder.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def _patient(name: str, source: ImagesConfig) -> str:
    if not source.patient_name or (found := re.search(source.patient_name, name)) is None:
        return ""
    return next((group for group in found.groups() if group), found[0])
