"""An S3 server of a few lines that misbehaves on request: what no real server does for a test.

In: rules. Out: answers of S3 for objects of one bucket kept in memory; signatures are not looked at. What a
well-behaved server does is tested with a real one (store_fixtures.py).
"""

import hashlib
import http.server
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

from chestgan_core.store.client import Access, s3_client
from chestgan_core.store.store import Store
from tests.standins.serving import serve, stop

BUCKET = "bucket"
_CHECKSUM = re.compile("x-amz-(checksum-.*|sdk-checksum-algorithm|trailer)", re.IGNORECASE)


@dataclass(frozen=True)
class Rule:
    """What is answered to requests that match, instead of the right thing.

    match: regular expression of `PUT /bucket/key`. times: how often, None: always. drip: seconds between two bytes of
    an answer of 200 kB.
    """

    match: str
    status: int = 200
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""
    html: bool = False
    drip: float = 0
    times: int | None = None


@dataclass
class BadS3:
    """A running server.

    ignores: request headers that it does not look at. refuses_checksums: those of newer clients.
    """

    rules: list[Rule] = field(default_factory=list)
    ignores: tuple[str, ...] = ()
    refuses_checksums: bool = False
    objects: dict[str, tuple[bytes, dict[str, str], str]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        owner, self._lock, self._used = self, threading.Lock(), dict[int, int]()

        class Handler(_Handler):
            server_of = owner

        self._server = serve(Handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop(self._server)

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return self._server.url

    def store(self, attempts: int = 2, answer_within: float = 10) -> Store:
        """A store in its bucket."""
        access = Access(self.endpoint, "key", "secret")
        return Store(s3_client(access, attempts, answer_within), BUCKET, "p")

    def rule(self, request: str) -> Rule | None:
        """The first that matches and is not used up."""
        with self._lock:
            for number, rule in enumerate(self.rules):
                used = self._used.get(number, 0)
                if re.search(rule.match, request) and (rule.times is None or used < rule.times):
                    self._used[number] = used + 1
                    return rule
        return None


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: BadS3

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _serve(self) -> None:
        owner = self.server_of
        parts = urlsplit(self.path)
        request = f"{self.command} {unquote(parts.path)}"
        body = self._body()
        owner.requests.append(request)
        if (rule := owner.rule(request)) is not None:
            return self._misbehave(rule)
        if owner.refuses_checksums and self.command == "PUT" and any(map(_CHECKSUM.match, self.headers)):
            return self._error(400, "InvalidArgument")
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        if bucket != BUCKET:
            return self._error(404, "NoSuchBucket")
        if self.command == "GET" and not key:
            return self._listing(parse_qs(parts.query).get("prefix", [""])[0])
        with owner._lock:
            return self._object(key, body)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _serve  # noqa: N815 (names of http.server)

    def _object(self, key: str, body: bytes) -> None:
        objects, found = self.server_of.objects, self.server_of.objects.get(key)
        if self.command == "DELETE":
            objects.pop(key, None)
            return self._send(204)
        if self.command == "PUT":
            wanted = {name: self.headers.get(name) for name in ("If-None-Match", "If-Match")}
            wanted = {name: value for name, value in wanted.items() if name not in self.server_of.ignores}
            if wanted.get("If-None-Match") and found:
                return self._error(412, "PreconditionFailed")
            if wanted.get("If-Match") and (found is None or found[2] != wanted["If-Match"]):
                return self._error(412 if found else 404, "PreconditionFailed" if found else "NoSuchKey")
            etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            metadata = {
                name: value for name, value in self.headers.items() if name.lower().startswith("x-amz-meta-")
            }
            objects[key] = body, metadata, etag
            return self._send(200, headers={"ETag": etag})
        if found is None:
            return self._error(404, "NoSuchKey")
        data, metadata, etag = found
        date = {"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
        return self._send(200, data, {"ETag": etag, **metadata, **date})

    def _listing(self, prefix: str) -> None:
        found = sorted(key for key in self.server_of.objects if key.startswith(prefix))
        entries = "".join(
            f"<Contents><Key>{key}</Key><Size>{len(self.server_of.objects[key][0])}</Size></Contents>"
            for key in found
        )
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        self._send(200, text.encode(), {"Content-Type": "application/xml"})

    def _misbehave(self, rule: Rule) -> None:
        if rule.html:
            page = b"<!doctype html><html><body>Sign in<br></body></html>"
            return self._send(rule.status, page, {"Content-Type": "text/html"})
        if rule.drip:
            self.send_response(200)
            self.send_header("Content-Length", "200000")
            self.send_header("ETag", '"1"')
            self.end_headers()
            try:
                for _ in range(200_000):
                    self.wfile.write(b"x")
                    time.sleep(rule.drip)
            except OSError:
                self.close_connection = True
            return None
        return self._error(rule.status, rule.code, rule.headers, rule.detail)

    def _error(
        self, status: int, code: str, headers: Mapping[str, str] | None = None, detail: str = ""
    ) -> None:
        text = f"<Error><Code>{code}</Code><Message>no</Message>{detail}</Error>"
        self._send(status, text.encode(), {"Content-Type": "application/xml", **(headers or {})})

    def _send(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self) -> bytes:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
            return data
        plain = b""
        while data:
            line, _, data = data.partition(b"\r\n")
            size = int(line.split(b";")[0], 16)
            plain, data = plain + data[:size], data[size + 2 :]
            if not size:
                break
        return plain
