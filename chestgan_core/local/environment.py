"""What people set as environment variables: folders and files."""

import os
from pathlib import Path

from chestgan_core.errors import BadInput


def path_from_environment(variable: str, what: str) -> Path:
    """The file or folder that an environment variable names.

    what: for the remedy, "the folder that holds the DICOM files". Raises BadInput: unset, or nothing is there.
    """
    value = os.environ.get(variable)
    if not value:
        raise BadInput(variable, "is not set", f"set it to {what}")
    path = Path(value).expanduser().resolve()
    if not path.exists():
        raise BadInput(path, "there is no such file or folder", f"set {variable} to {what}")
    return path
