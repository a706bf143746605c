"""Files and JSON over HTTP, from servers that are slow or overloaded or close connections early.

In: a URL with parameters. Out: parsed JSON, or a file that appears complete or not at all. Failures are retried
(retry.py), also in the middle of a body; the bandwidth limit of the process applies. Errors name what was requested and
at most server and path: never parameters, credentials, or the target of a redirect, which may be signed.
"""

import hashlib
import json
import os
import shutil
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationValueError

from chestgan_core import __version__
from chestgan_core.errors import BadInput, DiskFull, SourceRefused
from chestgan_core.local.files import HEADROOM_BYTES, file_error, replacing
from chestgan_core.sources.download import bandwidth
from chestgan_core.sources.download.retry import TemporaryFailure, retry_after, with_retries

CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
BLOCK = 256 * 1024
_CONNECTIONS = 16
_REDIRECTS = 5
_MAX_ANSWER_BYTES = 1 << 30
# Temporary failures: request timeout, too early, too many requests, and errors of the server itself.
TEMPORARY_STATUS = frozenset({408, 425, 429}) | frozenset(range(500, 600)) - {501, 505}


@dataclass(frozen=True)
class Downloaded:
    """md5: hex digest of the file's bytes."""

    bytes: int
    md5: str


def get_json(
    url: str, params: Mapping[str, str] | None = None, auth: str | None = None, what: str = ""
) -> Any:
    """The parsed answer; None for an empty one (NBIA sends that when it finds nothing).

    auth: value of the Authorization header. what: named in errors; by default server and path. Raises
    SourceUnreachable, SourceRefused (4xx, an answer that is not JSON, or of more than 1 GiB).
    """
    what = what or plain_url(url)

    def attempt() -> bytes:
        with _answer(what, url, params, _headers(auth)) as answer:
            data = b"".join(_blocks(answer, _MAX_ANSWER_BYTES))
        _check_length(answer, len(data))
        return data

    data = with_retries(what, attempt)
    if not data.strip():
        return None
    try:
        return json.loads(data)
    except ValueError as error:
        raise SourceRefused(what, "the answer is not JSON", "check the endpoint of the dataset") from error


def download(
    url: str,
    path: Path,
    params: Mapping[str, str] | None = None,
    auth: str | None = None,
    what: str = "",
    received: Callable[[int], None] | None = None,
) -> Downloaded:
    """Write the answer to `path`, whose folder must exist. An interrupted transfer resumes if the server supports it.

    auth: value of the Authorization header; a redirect to another host does not get it. what: named in errors; by
    default server and path. received: is called with the number of bytes of each block. Raises SourceUnreachable,
    SourceRefused (4xx), BadInput (the file cannot be written), DiskFull.
    """
    what = what or plain_url(url)
    try:
        with replacing(path) as part, part.open("wb") as file:
            transfer = _Transfer(what, url, params, auth, file, received or (lambda _: None))
            return with_retries(what, transfer.resume, lambda: transfer.furthest)
    except OSError as error:
        raise file_error(path.parent, error) from error


def plain_url(url: str) -> str:
    """Scheme, server and path of a URL: what an error may show."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class _Transfer:
    """The state of one download between the attempts."""

    def __init__(
        self,
        what: str,
        url: str,
        params: Mapping[str, str] | None,
        auth: str | None,
        file: IO[bytes],
        received: Callable[[int], None],
    ) -> None:
        self._what, self._url, self._params, self._auth = what, url, params, auth
        self._file, self._received = file, received
        self.furthest = 0
        self._begin("")

    def _begin(self, validator: str) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._digest, self._bytes, self._validator = hashlib.md5(usedforsecurity=False), 0, validator

    def resume(self) -> Downloaded:
        headers = _headers(self._auth)
        if self._bytes and self._validator:
            # RFC 9110, 13.1.5: if the file has changed, the server ignores the range and sends all of it.
            headers |= {"Range": f"bytes={self._bytes}-", "If-Range": self._validator}
        with _answer(self._what, self._url, self._params, headers) as answer:
            if answer.status != 206 or not answer.headers.get("Content-Range", "").startswith(
                f"bytes {self._bytes}-"
            ):
                self._begin(_strong_validator(answer))
            before = self._bytes
            for block in _blocks(answer):
                # A server may send without an end: some space stays for the others on this machine.
                if shutil.disk_usage(Path(self._file.name).parent).free < HEADROOM_BYTES:
                    raise DiskFull(
                        self._what, "leaves no space on the disk", "free some space, or set CHESTGAN_HOME"
                    )
                self._file.write(block)
                self._digest.update(block)
                self._bytes += len(block)
                self.furthest = max(self.furthest, self._bytes)
                self._received(len(block))
        _check_length(answer, self._bytes - before)
        return Downloaded(self._bytes, self._digest.hexdigest())


def _strong_validator(answer: urllib3.BaseHTTPResponse) -> str:
    """The ETag with which an interrupted transfer can resume, "" if the server does not support that."""
    etag = answer.headers.get("ETag", "")
    strong = etag.startswith('"') and answer.headers.get("Accept-Ranges", "") == "bytes"
    return etag if strong else ""


@contextmanager
def _answer(
    what: str, url: str, params: Mapping[str, str] | None, headers: Mapping[str, str]
) -> Iterator[urllib3.BaseHTTPResponse]:
    """A successful answer whose body is not read yet. Failures while it is read count as failures of this attempt."""
    try:
        answer = pool_for(url).request(
            "GET",
            url,
            fields=dict(params or {}),
            headers=headers,
            preload_content=False,
            redirect=True,
            retries=urllib3.Retry(
                total=None, connect=0, read=0, status=0, other=0, redirect=_REDIRECTS, respect_retry_after_header=False
            ),
        )  # fmt: skip
    except (LocationValueError, urllib3.exceptions.URLSchemeUnknown) as error:
        raise BadInput(
            plain_url(url), "is not a valid address", "correct the endpoint of the dataset"
        ) from error
    except HTTPError as error:
        raise _failure(what, error) from error
    try:
        _check_status(what, answer)
        yield answer
    except HTTPError as error:
        raise TemporaryFailure("the connection was closed in the middle of the answer") from error
    except BaseException:
        answer.close()  # the rest of the body stays unread, so the connection cannot be used again
        raise
    finally:
        answer.release_conn()


def _failure(what: str, error: HTTPError) -> Exception:
    reason = getattr(error, "reason", None) or error
    match reason:
        case urllib3.exceptions.SSLError():
            return untrusted(what)
        case urllib3.exceptions.ResponseError() if isinstance(error, urllib3.exceptions.MaxRetryError):
            return SourceRefused(what, "the server redirects endlessly", "check the endpoint")
        case urllib3.exceptions.ProtocolError():
            return TemporaryFailure("the connection was reset")
        case urllib3.exceptions.ReadTimeoutError():
            return TemporaryFailure(f"the server sent nothing for {READ_SECONDS:.0f} s")
    return TemporaryFailure("the server does not answer")


def _check_status(what: str, answer: urllib3.BaseHTTPResponse) -> None:
    status = answer.status
    if status in (200, 206, 204):
        return
    if status in TEMPORARY_STATUS:
        wait = retry_after(answer.headers.get("Retry-After"))
        raise TemporaryFailure(overloaded(status), wait)
    raise refusal(what, status)


def overloaded(status: int) -> str:
    """The cause that a temporary HTTP status stands for."""
    return "the server is overloaded (429)" if status == 429 else f"the server failed ({status})"


def refusal(what: str, status: int) -> SourceRefused:
    """The error that a permanent HTTP status stands for."""
    if status in (404, 410):
        remedy = (
            "it may have been withdrawn: materialize series_catalog again, or leave it out (exclude_series)"
        )
        return SourceRefused(what, f"the source does not have it ({status})", remedy)
    if status in (401, 403):
        remedy = "check the endpoint, and whether the collection is public"
        return SourceRefused(what, f"the source denies access ({status})", remedy)
    return SourceRefused(what, f"the source answered {status}", "check the endpoint of the dataset")


def untrusted(what: str) -> SourceRefused:
    """The error for a server whose certificate is not trusted."""
    cause = "the certificate of the server is not trusted"
    return SourceRefused(what, cause, "set SSL_CERT_FILE to the certificates of your network")


def _blocks(answer: urllib3.BaseHTTPResponse, max_bytes: int | None = None) -> Iterator[bytes]:
    """The body in blocks, at the bandwidth of the process. Raises SourceRefused: more than max_bytes."""
    limit, total = bandwidth.shared(), 0
    while block := answer.read(BLOCK, decode_content=True):
        limit.received(len(block))
        total += len(block)
        if max_bytes is not None and total > max_bytes:
            raise SourceRefused(
                "answer", f"has more than {max_bytes} bytes", "check the endpoint of the dataset"
            )
        yield block


def _check_length(answer: urllib3.BaseHTTPResponse, found: int) -> None:
    stated = answer.headers.get("Content-Length", "")
    if stated.isdigit() and int(stated) != found and not answer.headers.get("Content-Encoding"):
        raise TemporaryFailure(f"the answer ended after {found} of {stated} bytes")


def _headers(auth: str | None) -> dict[str, str]:
    headers = {"User-Agent": f"chestgan/{__version__}", "Accept-Encoding": "identity"}
    return headers | ({"Authorization": auth} if auth else {})


def pool_for(url: str) -> urllib3.PoolManager:
    """The connections to a server, through the proxy of the environment if there is one. Certificates are checked."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = "" if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get(parts.scheme, "")
    # A proxy does not reach servers on this machine. A forked child must not share connections.
    return _manager("" if host in ("127.0.0.1", "localhost", "::1") else proxy, os.getpid())


@cache
def _manager(proxy: str, _process: int) -> urllib3.PoolManager:
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
    if not proxy:
        return urllib3.PoolManager(maxsize=_CONNECTIONS, timeout=timeout)
    parts = urlsplit(proxy)
    headers = None
    if parts.username:
        secret = f"{parts.username}:{parts.password or ''}"
        headers = urllib3.make_headers(proxy_basic_auth=secret)
    return urllib3.ProxyManager(proxy, maxsize=_CONNECTIONS, timeout=timeout, proxy_headers=headers)
