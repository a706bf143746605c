"""Which images of a collection a generator made, as far as the files beside them say so.

In: the path and the first bytes of every file. Out: whether an image is one of them. A PNG itself does not say it, but
a published set, its converted forms and `chestgan generate` leave files that do: the manifest or the description of the
folder, the marker of `chestgan generate`, and in the tars a label with the seed beside each image. An image that was
copied out alone cannot be told from a real one.
"""

import re
from pathlib import PurePosixPath

from chestgan_core.local.output import MARKER

# Bytes, not JSON: what is looked for is within the first kilobytes of a file that may have any size.
_OF_A_SET = re.compile(rb'"kind"\s*:\s*"synthetic-set(-form)?"')
_OF_A_GENERATOR = re.compile(rb'"of"\s*:\s*"of the generator ')
_SEED, _SHA256 = re.compile(rb'"seed"\s*:\s*\d+'), re.compile(rb'"sha256"\s*:\s*"[0-9a-f]{64}"')


class Generated:
    """What the files of a collection say, and about which."""

    def __init__(self) -> None:
        self._folders: set[PurePosixPath] = set()
        self._images: set[PurePosixPath] = set()

    def note(self, path: PurePosixPath, head: bytes) -> None:
        """One file of the collection: its path, and its first bytes."""
        if path.name == MARKER and _OF_A_GENERATOR.search(head):
            self._folders.add(path.parent)
        elif path.suffix.lower() == ".json":
            if _OF_A_SET.search(head):
                self._folders.add(path.parent)
            elif _SEED.search(head) and _SHA256.search(head):
                self._images.add(path.with_suffix(""))

    def __contains__(self, path: PurePosixPath) -> bool:
        """Whether an image is one that a generator made."""
        return path.with_suffix("") in self._images or any(folder in self._folders for folder in path.parents)
