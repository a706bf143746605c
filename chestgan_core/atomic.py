"""Files that appear whole or not at all.

In: the path of a file that is to be written. Out: a temporary path beside it, which takes its place at the end.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which replaces `path` when the block ends without an error.

    Its name is new each time: of two writers at once neither writes into the file of the other. What a killed
    process leaves is hidden (`.NAME.*.part`). The bytes are on the disk before the name is, so that a power cut
    leaves no empty file either. The folder must exist.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
