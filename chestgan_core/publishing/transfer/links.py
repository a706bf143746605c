"""Links to the files of a set for people without keys: presigned, so whoever has one can read that file until it ends.

In: a store and a version. Out: a file for curl, one link per file of the set, readable by its owner alone. The links
are never logged or printed: who reads a log would have the set.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from chestgan_core.errors import BadInput, StoreError
from chestgan_core.local.files import create_secret, file_error
from chestgan_core.publishing.reader.set_folder import MANIFEST, SetFolder, parse_set
from chestgan_core.publishing.versions.finding import find_set
from chestgan_core.publishing.versions.status import require_usable
from chestgan_core.store.client import is_anonymous
from chestgan_core.store.store import Store

LONGEST = timedelta(days=7)
"""More than that no server accepts: signature version 4 ends there."""
SHORTEST = timedelta(minutes=1)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Links:
    """A file with links. until: UTC, when they end. limits: what may end them before, one sentence each."""

    file: Path
    name: str
    version: str
    files: int
    bytes: int
    until: datetime
    limits: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data, without the links."""
        return {
            "file": str(self.file),
            "name": self.name,
            "version": self.version,
            "files": self.files,
            "bytes": self.bytes,
            "until": f"{self.until:%Y-%m-%dT%H:%M:%SZ}",
            "limits": list(self.limits),
        }


def parse_duration(text: str) -> timedelta:
    """`90m`, `12h` or `7d`. Raises BadInput: not such a time, or not from a minute to seven days."""
    found = re.fullmatch(r"([0-9]{1,6})([mhd])", text.strip())
    if not found:
        raise BadInput(f"the time {text}", "is not a number with m, h or d", "write 90m, 12h or 7d")
    span = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if not SHORTEST <= span <= LONGEST:
        raise BadInput(
            f"the time {text}",
            "is too short or too long for a link",
            "choose from 1m to 7d, the most that S3 allows",
        )
    return span


def link_set(store: Store, name: str, version: str | None, expires: timedelta, file: Path) -> Links:
    """Write a file with a link to each file of a set, for `curl --config FILE`.

    Args:
        store: Its keys need the right to read the set; the links have the rights of these keys, for one object each.
        name: The set.
        version: 16 hex digits; None for the one that was published last.
        expires: From a minute to seven days.
        file: Must not exist. It is made with mode 0600: whoever reads it can read the set.

    Returns:
        Where the file is, and until when its links work.

    Raises:
        NotInStore, SetWithdrawn, DamagedObject, StoreError: As fetch_set.
        BadInput: The file is there already or cannot be written; the store is used without keys; `expires`.
    """
    if not SHORTEST <= expires <= LONGEST:
        raise BadInput("the time of the links", "is not from a minute to seven days", "choose another one")
    if is_anonymous(store.client):
        raise BadInput("links", "are made with a key, and there is none", "leave out --anonymous")
    if file.exists():
        raise BadInput(file, "is there already", "give --out with another name, or delete it")
    artefact, version = find_set(store, name, version)
    require_usable(store, name, version)
    where = store.uri(artefact.manifest_key)
    found = parse_set(store.get_bytes(artefact.manifest_key, artefact.sha256), Path(), where)
    ends, limits = _limits(store, datetime.now(UTC).replace(microsecond=0) + expires)
    # The manifest last: without it the folder is not a set, so one that was broken off is not taken for one.
    wanted = [(found.name(item), item.key) for item in found.objects] + [(MANIFEST, artefact.manifest_key)]
    lines = [(f"{name}/{file_name}", _link(store, key, expires)) for file_name, key in wanted]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        create_secret(file, _config(found, lines, ends, limits, file.name))
    except OSError as error:
        raise file_error(file, error) from error
    return Links(file, name, version, len(lines), found.bytes, ends, limits)


def _link(store: Store, key: str, expires: timedelta) -> str:
    from botocore.exceptions import BotoCoreError

    full = store.uri(key).removeprefix(f"s3://{store.bucket}/")
    try:
        return store.client.generate_presigned_url(
            "get_object",
            Params={"Bucket": store.bucket, "Key": full},
            ExpiresIn=int(expires.total_seconds()),
        )
    except BotoCoreError as error:
        raise StoreError(
            store.uri(key), "cannot be linked to: there are no usable credentials", "set them"
        ) from error


def _limits(store: Store, until: datetime) -> tuple[datetime, tuple[str, ...]]:
    """When the links end, and why perhaps before."""
    credentials = cast("Any", store.client)._request_signer._credentials
    limits = []
    if ends := getattr(credentials, "_expiry_time", None):
        if ends.astimezone(UTC) < until:
            until = ends.astimezone(UTC).replace(microsecond=0)
            limits.append("The keys that signed them are temporary and end then.")
    elif getattr(credentials, "token", None):
        limits.append(
            "The keys that signed them are temporary (AWS_SESSION_TOKEN): the links end with them, which may be sooner."
        )
    if (urlsplit(store.client.meta.endpoint_url).hostname or "") in _LOCAL:
        limits.append(
            "The store is on this machine: the links work only here, and only while it runs (make dev)."
        )
    return until, tuple(limits)


def _config(
    found: SetFolder, lines: Sequence[tuple[str, str]], until: datetime, limits: Sequence[str], file: str
) -> str:
    """A configuration file of curl; names and links have no quotation marks (set_folder.parse_set; URL encoding)."""
    name = found.facts.name
    head = [
        f"# The set {name}, version {found.version}: {found.images:,} images, {found.bytes:,} bytes.",
        f"# Fetch it with:   curl --config {file}",
        f"# The links end on {until:%Y-%m-%d at %H:%M} UTC.",
        "# Whoever has this file can read the set: keep it like a password.",
        *(f"# {limit}" for limit in limits),
        f"# Check it with:   chestgan sets verify {name}",
        "create-dirs",
        "fail",
        "fail-early",
        "location",
        "retry = 5",
    ]
    return "\n".join([*head, *(f'url = "{link}"\noutput = "{path}"' for path, link in lines)]) + "\n"
