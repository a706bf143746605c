"""One request of STOW-RS (DICOM PS3.18 10.5): some files to an archive, and its answer.

In: an address, credentials from environment variables, files. Out: status and body of the answer, bounded. Certificates
are checked, the proxies of the environment are used, and no redirect is followed, which could lead the files and the
password elsewhere. Errors show server and path, never credentials or what the server wrote.
"""

import base64
import ipaddress
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from chestgan_core import __version__
from chestgan_core.errors import BadInput, SourceRefused
from chestgan_core.sources.download.http import BLOCK, plain_url, pool_for, untrusted
from chestgan_core.sources.download.retry import TemporaryFailure, retry_after

USER, PASSWORD, TOKEN = "CHESTGAN_DICOMWEB_USER", "CHESTGAN_DICOMWEB_PASSWORD", "CHESTGAN_DICOMWEB_TOKEN"
ALLOW_HTTP = "CHESTGAN_DICOMWEB_ALLOW_HTTP"
MAX_ANSWER_BYTES = 16 * 2**20  # a file takes some 600 bytes
_TEMPORARY = frozenset((408, 425, 429, 502, 503, 504))
_WITHOUT_BODY = frozenset((401, 403, 407))
# By the address or the server, not by the files: no other file would fare better.
_HOPELESS = frozenset((404, 405, 406, 410, 411, 415, 501, 505))
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


class CutOff(Exception):
    """The connection broke while files were sent or while the answer came: what the server stored is not known."""


@dataclass(frozen=True)
class Answer:
    """Of a server. kind: its Content-Type, shortened to the media type."""

    status: int
    body: bytes
    kind: str


@dataclass(frozen=True)
class Archive:
    """Where files are sent. root: the address of the DICOMweb service. authorization: of the header, empty without."""

    root: str
    authorization: str = field(default="", repr=False)

    @classmethod
    def from_environment(cls, address: str) -> "Archive":
        """The archive at an address, with the credentials of the environment variables.

        Raises BadInput: not an address of the kind https://server/path, credentials in it, http to another machine
        (unless $CHESTGAN_DICOMWEB_ALLOW_HTTP is yes), or credentials that are not complete.
        """
        try:
            parts = urlsplit(address.strip())
            host, _ = parts.hostname, parts.port
        except ValueError:
            host, parts = None, urlsplit("")
        if "@" in parts.netloc:
            cause = "has a user or a password in it, which logs and lists of processes would show"
            raise BadInput("the address", cause, f"set {USER} and {PASSWORD}, or {TOKEN}")
        if not host or parts.scheme not in ("http", "https") or not _PRINTABLE.fullmatch(address.strip()):
            raise BadInput("the address", "is not one of http", "give it as https://server/dicom-web")
        if parts.query or parts.fragment:
            cause = "has a ? or a # in it"
            raise BadInput(plain_url(address), cause, "give the root of the DICOMweb service")
        root = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/").removesuffix("/studies")
        if parts.scheme == "http" and not _is_here(host) and os.environ.get(ALLOW_HTTP) != "yes":
            raise BadInput(root, "is not https", f"use https, or set {ALLOW_HTTP}=yes in a closed network")
        return cls(root, _authorization())

    @property
    def url(self) -> str:
        """Where instances are stored."""
        return f"{self.root}/studies"

    def send(self, files: Sequence[bytes]) -> Answer:
        """Send some files at once.

        Raises CutOff; TemporaryFailure: no connection, or a status that may pass; SourceRefused: access denied, the
        address is not one of STOW-RS, a certificate that is not trusted, an answer without an end.
        """
        boundary = uuid.uuid4().hex
        parts = list(_multipart(files, boundary))
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Content-Length": str(sum(map(len, parts))),
            "Accept": "application/dicom+json",
            "Accept-Encoding": "identity",
            "User-Agent": f"chestgan/{__version__}",
        }
        if self.authorization:
            headers["Authorization"] = self.authorization
        try:
            answer = pool_for(self.url).request(
                "POST", self.url, body=iter(parts), headers=headers, retries=False, redirect=False,
                preload_content=False,
            )  # fmt: skip
            try:
                body = self._body(answer)
            finally:
                answer.close()  # an answer that was not read to its end makes the connection useless
        except HTTPError as error:
            raise self._failure(error) from error
        self._require_usable(answer)
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        return Answer(answer.status, body, kind if re.fullmatch(r"[\w.+/-]{1,60}", kind, re.ASCII) else "")

    def _body(self, answer: urllib3.BaseHTTPResponse) -> bytes:
        if answer.status in _WITHOUT_BODY or answer.status in _HOPELESS or 300 <= answer.status < 400:
            return b""
        body = b""
        while block := answer.read(BLOCK):
            body += block
            if len(body) > MAX_ANSWER_BYTES:
                cause = f"its answer has more than {MAX_ANSWER_BYTES >> 20} MiB"
                raise SourceRefused(self.root, cause, "check that the address is that of a DICOMweb service")
        return body

    def _failure(self, error: HTTPError) -> Exception:
        reason = getattr(error, "reason", None) or error
        match reason:
            case urllib3.exceptions.SSLError() if "CERTIFICATE_VERIFY_FAILED" in str(reason):
                return untrusted(self.root)
            case urllib3.exceptions.SSLError():
                return SourceRefused(self.root, "does not speak https as it should", "check address and port")
            case urllib3.exceptions.LocationParseError() | urllib3.exceptions.LocationValueError():
                return BadInput(self.root, "is not a valid address", "give it as https://server/dicom-web")
            case (
                urllib3.exceptions.NewConnectionError()
                | urllib3.exceptions.ConnectTimeoutError()
                | urllib3.exceptions.ProxyError()
            ):
                return TemporaryFailure("the server does not answer")
        return CutOff()

    def _require_usable(self, answer: urllib3.BaseHTTPResponse) -> None:
        status = answer.status
        if status in _TEMPORARY:
            cause = "the server is overloaded (429)" if status == 429 else f"the server failed ({status})"
            raise TemporaryFailure(cause, retry_after(answer.headers.get("Retry-After")))
        if status in (401, 403, 407):
            given = "the given account or token" if self.authorization else "anybody without an account"
            raise SourceRefused(
                self.root, f"denies access to {given} ({status})", f"set {USER} and {PASSWORD}, or {TOKEN}"
            )
        if 300 <= status < 400:
            raise SourceRefused(self.root, f"leads to another address ({status})", "give that address")
        if status in _HOPELESS:
            cause = f"takes no files by STOW-RS at this address ({status})"
            raise SourceRefused(
                self.root, cause, "give the root of the DICOMweb service, such as https://server/dicom-web"
            )


def _multipart(files: Sequence[bytes], boundary: str) -> Iterator[bytes]:
    """The parts of a body (PS3.18 8.7.3, RFC 2387), in pieces so that no file is copied."""
    for data in files:
        yield f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        yield data
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _authorization() -> str:
    user, password, token = (os.environ.get(name, "") for name in (USER, PASSWORD, TOKEN))
    if token and (user or password):
        raise BadInput(TOKEN, f"is set, and {USER} or {PASSWORD} too", "unset one of the two ways")
    if bool(user) != bool(password):
        raise BadInput(PASSWORD if user else USER, "is not set", f"set both {USER} and {PASSWORD}")
    if ":" in user:
        raise BadInput(USER, "has a colon, which ends a name there (RFC 7617)", "correct it")
    if token and not _PRINTABLE.fullmatch(token):
        raise BadInput(TOKEN, "is not a token: it has blanks, line ends or such", "correct it")
    if token:
        return f"Bearer {token}"
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}" if user else ""


def _is_here(host: str) -> bool:
    """Whether a host is this machine: what is sent there passes no network."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
