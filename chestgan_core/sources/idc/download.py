"""Series of the Imaging Data Commons: objects of a public S3 bucket, read without an account.

In: a catalog row whose location is s3://bucket/folder/. Out: one file an object, complete and checked: their number
against the index, sizes against the listing, MD5 against the ETag where that is an MD5 (it is for objects that were
put in one piece). Files that are there already are checked and kept, so that a broken download goes on.

boto3 lists; the objects come through web.py, as any file does. Through boto3 each costs three times the processor.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from chestgan_core.errors import BadInput, SourceRefused
from chestgan_core.sources.download.download_progress import DownloadProgress
from chestgan_core.sources.download.http import (
    CONNECT_SECONDS,
    PASSING_STATUS,
    READ_SECONDS,
    download,
    overloaded,
    plain_url,
    refusal,
    untrusted,
)
from chestgan_core.sources.download.retry import Damaged, Passing, persistently, retry_after

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from chestgan_core.sources.series_rows import SeriesRow

PARALLEL = 8
_PLAIN_MD5 = re.compile(r'"?([0-9a-f]{32})"?')


@dataclass(frozen=True)
class _Object:
    """md5: hex, "" where the ETag is none."""

    key: str
    bytes: int
    md5: str


def fetch_series(
    row: "SeriesRow", folder: Path, endpoint: str, progress: DownloadProgress | None = None
) -> list[Path]:
    """The files of a series in `folder`, in the order of their keys. Other files in `folder` are removed.

    Raises SourceUnreachable, SourceRefused (both name the series), BadInput (the folder cannot be written).
    """
    return list(incoming_files(row, folder, endpoint, progress))


def incoming_files(
    row: "SeriesRow", folder: Path, endpoint: str, progress: DownloadProgress | None = None
) -> Iterator[Path]:
    """As `fetch_series`, one file after the other, while those after it still come."""
    what = f"series {row.key}"
    client = _client(endpoint, os.getpid())
    bucket, prefix = _parse_location(row.location, what)
    objects = persistently(what, lambda: _listed(what, client, bucket, prefix))
    if len(objects) != (row.images or len(objects) or 1):
        raise SourceRefused(
            what,
            f"the bucket holds {len(objects)} files, the index says {row.images}",
            "materialize series_catalog again with a newer index, or leave it out (exclude_series of the dataset)",
        )
    # Unsigned, it is the plain address of the folder, as the rules of this endpoint have it.
    address = client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": prefix})
    paths = [folder / item.key.removeprefix(prefix).replace("/", "_") for item in objects]
    with _explained(folder), ThreadPoolExecutor(PARALLEL) as pool:
        folder.mkdir(parents=True, exist_ok=True)
        _drop_strangers(folder, set(paths))
        jobs = [
            pool.submit(_bring, what, address + quote(item.key.removeprefix(prefix)), item, path, progress)
            for item, path in zip(objects, paths, strict=True)
        ]
        try:
            for path, job in zip(paths, jobs, strict=True):
                job.result()
                yield path
        finally:
            for job in jobs:
                job.cancel()


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        cause = f"cannot be written ({error.strerror})"
        raise BadInput(folder, cause, "check its permissions and the space on the disk") from error


def _bring(what: str, url: str, item: _Object, path: Path, progress: DownloadProgress | None) -> None:
    def one_try() -> None:
        done = download(url, path, what=what, received=progress.received if progress else None)
        if (done.bytes, item.md5 or done.md5) != (item.bytes, done.md5):
            path.unlink()
            raise Damaged("a file is not what the bucket says of it (size, MD5)")

    if not _is_complete(path, item):
        persistently(what, one_try)
    if progress:
        progress.finished()


def _is_complete(path: Path, item: _Object) -> bool:
    with suppress(FileNotFoundError):
        if path.stat().st_size == item.bytes:
            with path.open("rb") as file:
                return not item.md5 or hashlib.file_digest(file, "md5").hexdigest() == item.md5
    return False


def _drop_strangers(folder: Path, paths: set[Path]) -> None:
    """Parts that a killed download left, and files that are not of this series."""
    for path in folder.iterdir():
        if path not in paths:
            path.unlink()


def _listed(what: str, client: "S3Client", bucket: str, prefix: str) -> list[_Object]:
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    objects = []
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for told in page.get("Contents", []):
                md5 = _PLAIN_MD5.fullmatch(told["ETag"])
                objects.append(_Object(told["Key"], told["Size"], md5[1] if md5 else ""))
    except (BotoCoreError, ClientError, HTTPError, ConnectionError) as error:
        raise _failure(what, error) from error
    # An object of no bytes that ends in a slash is how some tools write folders.
    return [item for item in objects if not item.key.endswith("/")]


def _failure(what: str, error: Exception) -> Exception:
    from botocore.exceptions import ClientError, EndpointConnectionError, SSLError

    if isinstance(error, ClientError):
        told = error.response["ResponseMetadata"]
        status = int(told.get("HTTPStatusCode", 0))
        if status in PASSING_STATUS or error.response["Error"].get("Code") == "SlowDown":
            return Passing(overloaded(status), retry_after(told.get("HTTPHeaders", {}).get("retry-after")))
        return refusal(what, status)
    if isinstance(error, SSLError):
        return untrusted(what)
    if isinstance(error, EndpointConnectionError):
        return Passing("the server does not answer")
    return Passing("the connection broke off")


def _parse_location(location: str, what: str) -> tuple[str, str]:
    parts = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]+)/(.+?)/?\*?", location)
    if not parts:
        raise SourceRefused(
            what, "the catalog does not say in which bucket it lies", "materialize series_catalog again"
        )
    return parts[1], parts[2] + "/"


def _client(endpoint: str, process: int) -> "S3Client":
    try:
        return _made_client(endpoint, process)
    except ValueError as error:
        raise BadInput(plain_url(endpoint), "is no address", "correct the endpoint of the dataset") from error


@cache
def _made_client(endpoint: str, _process: int) -> "S3Client":
    """Unsigned: neither the keys nor the profile of the user are looked for, let alone sent.

    One for each process, as a forked child must not share connections.
    """
    import boto3
    import botocore.session
    from botocore import UNSIGNED
    from botocore.config import Config

    host = urlsplit(endpoint).hostname or ""
    config = Config(
        signature_version=UNSIGNED,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={
            "mode": "standard",
            "total_max_attempts": 1,
        },  # retrying.py does it, the same for every source
        max_pool_connections=2 * PARALLEL,
        s3={"addressing_style": "auto" if host.endswith("amazonaws.com") else "path"},
        proxies={} if host in ("127.0.0.1", "localhost", "::1") else None,
    )
    # A profile that the user names for a store of his own need not exist here, nor do its settings apply.
    nobodys = {"profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)}
    session = botocore.session.Session(session_vars=nobodys)
    return boto3.session.Session(botocore_session=session).client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="anonymous",
        aws_secret_access_key="anonymous",  # noqa: S106 (never sent; keeps botocore from looking for real ones)
        config=config,
        verify=os.environ.get("SSL_CERT_FILE"),  # as everything else here does it
    )
