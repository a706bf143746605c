"""Series of the Imaging Data Commons: objects of a public S3 bucket, read without an account.

In: a row of the catalog whose location is s3://bucket/folder/. Out: one file per object, complete and checked: their
number against the index, sizes against the listing, MD5 sums against ETags that are MD5 sums (those of objects that
were uploaded in one part). Complete files of an interrupted download are kept, so that it resumes.

boto3 lists the objects; download/http.py fetches them, as boto3 needs three times the CPU time.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from chestgan_core.errors import BadInput, SourceRefused
from chestgan_core.local.files import file_error
from chestgan_core.sources.download.download_progress import DownloadProgress
from chestgan_core.sources.download.http import (
    CONNECT_SECONDS,
    READ_SECONDS,
    TEMPORARY_STATUS,
    download,
    overloaded,
    plain_url,
    refusal,
    untrusted,
)
from chestgan_core.sources.download.retry import DamagedDownload, TemporaryFailure, retry_after, with_retries

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from chestgan_core.sources.series_rows import SeriesRow

PARALLEL = 8
_PLAIN_MD5 = re.compile(r'"?([0-9a-f]{32})"?')


@dataclass(frozen=True)
class _Object:
    """md5: hex digest, "" if the ETag is not one."""

    key: str
    bytes: int
    md5: str


def fetch_series(
    row: "SeriesRow", folder: Path, endpoint: str, progress: DownloadProgress | None = None
) -> list[Path]:
    """Fetch the files of a series into `folder`; their paths, in the order of their keys. Removes other files there.

    Raises SourceUnreachable, SourceRefused (both name the series), BadInput (the folder cannot be written), DiskFull.
    """
    return list(incoming_files(row, folder, endpoint, progress))


def incoming_files(
    row: "SeriesRow", folder: Path, endpoint: str, progress: DownloadProgress | None = None
) -> Iterator[Path]:
    """As `fetch_series`, but yields each file as soon as it is complete, while later ones are still fetched."""
    what = f"series {row.key}"
    client = _client(endpoint, os.getpid())
    bucket, prefix = _parse_location(row.location, what)
    objects = with_retries(what, lambda: _listed(what, client, bucket, prefix))
    if len(objects) != (row.images or len(objects) or 1):
        raise SourceRefused(
            what,
            f"the bucket holds {len(objects)} files, the index lists {row.images}",
            "materialize series_catalog again with a newer index, or leave it out (exclude_series of the dataset)",
        )
    # Unsigned, this is the plain URL of the folder, in the addressing style of the endpoint.
    address = client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": prefix})
    urls = [address + quote(item.key.removeprefix(prefix)) for item in objects]
    paths = [folder / item.key.removeprefix(prefix).replace("/", "_") for item in objects]
    with _file_errors(folder), ThreadPoolExecutor(PARALLEL) as pool:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_others(folder, set(paths))
        jobs = [
            # Each with a context of its own, so that its waits end when the download is called off.
            pool.submit(copy_context().run, _fetch, what, url, item, path, progress)
            for url, item, path in zip(urls, objects, paths, strict=True)
        ]
        try:
            for path, job in zip(paths, jobs, strict=True):
                job.result()
                yield path
        finally:
            for job in jobs:
                job.cancel()


@contextmanager
def _file_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise file_error(folder, error) from error


def _fetch(what: str, url: str, item: _Object, path: Path, progress: DownloadProgress | None) -> None:
    def attempt() -> None:
        done = download(url, path, what=what, received=progress.received if progress else None)
        if (done.bytes, item.md5 or done.md5) != (item.bytes, done.md5):
            path.unlink()
            raise DamagedDownload("a file does not have the size and MD5 that the bucket lists")

    if not _is_complete(path, item):
        with_retries(what, attempt)
    if progress:
        progress.finished()


def _is_complete(path: Path, item: _Object) -> bool:
    with suppress(FileNotFoundError):
        if path.stat().st_size == item.bytes:
            with path.open("rb") as file:
                return not item.md5 or hashlib.file_digest(file, "md5").hexdigest() == item.md5
    return False


def _remove_others(folder: Path, paths: set[Path]) -> None:
    """Remove the partial files of a killed download, and files that are not of this series."""
    for path in folder.iterdir():
        if path not in paths:
            path.unlink()


def _listed(what: str, client: "S3Client", bucket: str, prefix: str) -> list[_Object]:
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    objects = []
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                md5 = _PLAIN_MD5.fullmatch(entry["ETag"])
                objects.append(_Object(entry["Key"], entry["Size"], md5[1] if md5 else ""))
    except (BotoCoreError, ClientError, HTTPError, ConnectionError) as error:
        raise _failure(what, error) from error
    # Some tools represent a folder as an empty object whose key ends in a slash.
    return [item for item in objects if not item.key.endswith("/")]


def _failure(what: str, error: Exception) -> Exception:
    from botocore.exceptions import ClientError, EndpointConnectionError, SSLError

    if isinstance(error, ClientError):
        answer = error.response["ResponseMetadata"]
        status = int(answer.get("HTTPStatusCode", 0))
        if status in TEMPORARY_STATUS or error.response["Error"].get("Code") == "SlowDown":
            return TemporaryFailure(
                overloaded(status), retry_after(answer.get("HTTPHeaders", {}).get("retry-after"))
            )
        return refusal(what, status)
    if isinstance(error, SSLError):
        return untrusted(what)
    if isinstance(error, EndpointConnectionError):
        return TemporaryFailure("the server does not answer")
    return TemporaryFailure("the connection was closed early")


def _parse_location(location: str, what: str) -> tuple[str, str]:
    parts = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]+)/(.+?)/?\*?", location)
    if not parts:
        raise SourceRefused(
            what, "the catalog has no s3:// location of it", "materialize series_catalog again"
        )
    return parts[1], parts[2] + "/"


def _client(endpoint: str, process: int) -> "S3Client":
    try:
        return _made_client(endpoint, process)
    except ValueError as error:
        raise BadInput(
            plain_url(endpoint), "is not a valid address", "correct the endpoint of the dataset"
        ) from error


@cache
def _made_client(endpoint: str, _process: int) -> "S3Client":
    """An unsigned client: it neither reads nor sends the user's keys or profile.

    One per process, as a forked child must not share connections.
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
        # with_retries does it, in the same way for every source.
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=2 * PARALLEL,
        s3={"addressing_style": "auto" if host.endswith("amazonaws.com") else "path"},
        proxies={} if host in ("127.0.0.1", "localhost", "::1") else None,
    )
    # A profile that AWS_PROFILE names may not exist here, and its settings do not apply.
    no_profile = {"profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)}
    session = botocore.session.Session(session_vars=no_profile)
    return boto3.session.Session(botocore_session=session).client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="anonymous",
        aws_secret_access_key="anonymous",  # noqa: S106 (never sent; keeps botocore from searching for real ones)
        config=config,
        verify=os.environ.get("SSL_CERT_FILE"),  # as everywhere else here
    )
