"""Files with secrets that are made once: whole from the first moment, and only their owner may read them.

In: a path and a text. Out: the file. Of several processes that make it at once all find the same text in it.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def create_secret(path: Path, text: str) -> None:
    """Write `text` to `path`, mode 0600, unless there is a file already: then that one stays.

    A process that is killed meanwhile leaves a hidden temporary file, never an empty `path`. The folder must exist.
    Raises OSError.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # somebody was quicker
            os.link(part, path)  # unlike a rename this replaces nothing
    finally:
        part.unlink(missing_ok=True)
