"""Datasets of Kaggle, fetched with the user's credentials.

In: owner/dataset, and credentials from where Kaggle's own tools look for them. Out: the zip of the dataset under
`<home>/kaggle/`, fetched once. Kaggle redirects to a signed URL on another host, which gets no credentials; neither
they nor that URL appear in errors or logs.
"""

import base64
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from chestgan_core.errors import BadInput, SourceRefused
from chestgan_core.local.files import replacing
from chestgan_core.local.progress import Progress
from chestgan_core.sources.images.source import ImagesConfig

CREDENTIALS = "KAGGLE_API_TOKEN (or KAGGLE_USERNAME and KAGGLE_KEY, or ~/.kaggle/kaggle.json)"


@dataclass(frozen=True)
class KaggleCredentials:
    """authorization: value of the HTTP header."""

    authorization: str = field(repr=False)

    @classmethod
    def of_token(cls, token: str) -> "KaggleCredentials":
        """From an API token (`KGAT_...`), the current kind of credentials."""
        return cls(f"Bearer {token}")

    @classmethod
    def of_key(cls, user: str, key: str) -> "KaggleCredentials":
        """From a user name and a legacy API key."""
        return cls("Basic " + base64.b64encode(f"{user}:{key}".encode()).decode())


def find_credentials() -> KaggleCredentials | None:
    """The first of $KAGGLE_API_TOKEN, $KAGGLE_USERNAME with $KAGGLE_KEY, and the files access_token and kaggle.json in
    the folder $KAGGLE_CONFIG_DIR or ~/.kaggle. The order is that of kagglehub (src/kagglehub/config.py).

    None if there are none. Raises BadInput: a file that cannot be read, or kaggle.json without username and key.
    """
    if token := _one_line(os.environ.get("KAGGLE_API_TOKEN", ""), "KAGGLE_API_TOKEN"):
        return KaggleCredentials.of_token(token)
    user, key = os.environ.get("KAGGLE_USERNAME", "").strip(), os.environ.get("KAGGLE_KEY", "").strip()
    if user and key:
        return KaggleCredentials.of_key(user, _one_line(key, "KAGGLE_KEY"))
    folder = Path(os.environ.get("KAGGLE_CONFIG_DIR") or Path.home() / ".kaggle").expanduser()
    if token := _one_line(_read(folder / "access_token"), folder / "access_token"):
        return KaggleCredentials.of_token(token)
    path = folder / "kaggle.json"
    if not (text := _read(path)):
        return None
    try:
        fields = json.loads(text)
        return KaggleCredentials.of_key(str(fields["username"]), _one_line(str(fields["key"]), path))
    except (ValueError, KeyError, TypeError):
        # Not chained: the traceback would show the key.
        raise BadInput(
            path, "does not hold username and key", "download it again from kaggle.com/settings"
        ) from None


def fetch_kaggle(config: ImagesConfig, credentials: KaggleCredentials, home: Path) -> Path:
    """The zip of the dataset, downloaded unless it is below `home` already.

    Kaggle's API v1: GET <endpoint>/datasets/download/<owner>/<dataset>. Delete the zip to fetch a newer version.
    Raises SourceUnreachable, SourceRefused (wrong credentials, no such dataset, not a zip), BadInput (not an
    owner/dataset), DiskFull.
    """
    from chestgan_core.sources.download.http import download

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9][A-Za-z0-9_-]*", config.kaggle):
        raise BadInput(config.kaggle, "is not the name of a dataset of Kaggle", "write it as owner/dataset")
    path = home / "kaggle" / f"{config.kaggle.replace('/', '--')}.zip"
    if path.is_file():
        return path
    what = f"Kaggle dataset {config.kaggle}"
    path.parent.mkdir(parents=True, exist_ok=True)
    url = f"{config.kaggle_endpoint.rstrip('/')}/datasets/download/{config.kaggle}"
    try:
        with replacing(path) as arrived:
            with Progress(what, None, "bytes") as progress:
                download(url, arrived, auth=credentials.authorization, what=what, received=progress.step)
            _check_zip(arrived, what)
    except SourceRefused as error:
        remedy = f"check {CREDENTIALS}, or set {config.path_variable} to a folder or zip of your own"
        raise SourceRefused(what, error.cause, remedy) from error
    return path


def _check_zip(path: Path, what: str) -> None:
    """Raises SourceRefused: its table of contents or an entry is damaged."""
    from chestgan_core.dicom.file_walk import READ_ERRORS
    from chestgan_core.dicom.zip_archive import open_zip

    try:
        with open_zip(path) as archive:
            damaged = archive.testzip()
    except READ_ERRORS:
        raise SourceRefused(what, "the answer is not a zip", "try again") from None
    if damaged is not None:
        raise SourceRefused(what, "the downloaded zip is damaged", "try again")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError):
        raise BadInput(path, "cannot be read", "check its permissions") from None


def _one_line(secret: str, where: object) -> str:
    """The secret without surrounding white space. Raises BadInput, which does not quote it: not valid in a header."""
    secret = secret.strip()
    if not secret.isascii() or not secret.isprintable():
        raise BadInput(where, "is not a valid Kaggle credential", "copy it again from kaggle.com/settings")
    return secret
