"""Datasets of Kaggle, fetched with the user's credentials.

In: owner/slug and credentials from where Kaggle's own tools look for them. Out: the zip of the dataset under
`<home>/kaggle/`, fetched once. Kaggle redirects to a signed address on another host, which gets no credentials; neither
they nor that address appear in errors or logs.
"""

import base64
import json
import os
import re
import zipfile
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
        """An API token (`KGAT_...`), what Kaggle gives out at present."""
        return cls(f"Bearer {token}")

    @classmethod
    def of_key(cls, user: str, key: str) -> "KaggleCredentials":
        """A user name and a legacy API key."""
        return cls("Basic " + base64.b64encode(f"{user}:{key}".encode()).decode())


def find_credentials() -> KaggleCredentials | None:
    """The first of: $KAGGLE_API_TOKEN, $KAGGLE_USERNAME with $KAGGLE_KEY, and in the folder $KAGGLE_CONFIG_DIR or
    ~/.kaggle the files access_token and kaggle.json; the order is that of kagglehub (src/kagglehub/config.py).

    None where there are none. Raises BadInput: a file that cannot be read, or kaggle.json without username and key.
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
        told = json.loads(text)
        return KaggleCredentials.of_key(str(told["username"]), _one_line(str(told["key"]), path))
    except (ValueError, KeyError, TypeError):
        # Not chained: the traceback would show the key.
        raise BadInput(
            path, "does not hold username and key", "download it again from kaggle.com/settings"
        ) from None


def fetch_kaggle(source: ImagesConfig, credentials: KaggleCredentials, home: Path) -> Path:
    """The zip of the source's dataset, from the cache under home where it is there already.

    Kaggle's API v1: GET <endpoint>/datasets/download/<owner>/<slug>. A newer version of the dataset is fetched when the
    zip is deleted. Raises SourceUnreachable; SourceRefused: wrong credentials, no such dataset, or what came is no zip;
    BadInput: owner/slug is none.
    """
    from chestgan_core.sources.download.http import download

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9][A-Za-z0-9_-]*", source.kaggle):
        raise BadInput(source.kaggle, "is no dataset of Kaggle", "write it as owner/slug")
    path = home / "kaggle" / f"{source.kaggle.replace('/', '--')}.zip"
    if path.is_file():
        return path
    what = f"Kaggle dataset {source.kaggle}"
    path.parent.mkdir(parents=True, exist_ok=True)
    url = f"{source.kaggle_endpoint.rstrip('/')}/datasets/download/{source.kaggle}"
    try:
        with replacing(path) as arrived:
            with Progress(what, None, "bytes") as progress:
                download(url, arrived, auth=credentials.authorization, what=what, received=progress.step)
            _check_zip(arrived, what)
    except SourceRefused as error:
        remedy = f"check {CREDENTIALS}, or set {source.path_variable} to a folder or zip of your own"
        raise SourceRefused(what, error.cause, remedy) from error
    return path


def _check_zip(path: Path, what: str) -> None:
    """Its table of contents and the CRC of every entry."""
    from chestgan_core.dicom.file_walk import READ_ERRORS

    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except READ_ERRORS:
        raise SourceRefused(what, "what came is no zip", "try again") from None
    if damaged is not None:
        raise SourceRefused(what, "the zip that came is damaged", "try again")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError):
        raise BadInput(path, "cannot be read", "check its permissions") from None


def _one_line(secret: str, where: object) -> str:
    """The secret without white space around it. Raises BadInput, without it, when it cannot stand in a header."""
    secret = secret.strip()
    if not secret.isascii() or not secret.isprintable():
        raise BadInput(where, "is no Kaggle credential", "copy it again from kaggle.com/settings")
    return secret
