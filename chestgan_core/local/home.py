"""The local folder: the embedded store, Dagster's history, generated phantoms, the patient key."""

import os
from pathlib import Path

_CHECKOUT = Path(__file__).parent.parent.parent


def home() -> Path:
    """$CHESTGAN_HOME, else `.local` in a source checkout, else the user's data folder. It may not exist yet."""
    if folder := os.environ.get("CHESTGAN_HOME"):
        return Path(folder).expanduser().resolve()
    if (_CHECKOUT / "workspace.yaml").is_file():
        return _CHECKOUT / ".local"
    return Path.home() / ".local" / "share" / "chestgan"
