"""A small STOW-RS server whose answers a test writes. What it does of itself is store every file and say so."""

import io
import json
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self, TypeAlias

import pydicom

from tests.standins.serving import serve, stop


@dataclass(frozen=True)
class Reply:
    """An answer. store: whether the files of the request are kept all the same. cut: the connection is reset after half
    of the body. read: bytes of the request that are read before the answer, by default all. mute: then the connection
    is reset without one.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    store: bool = False
    cut: bool = False
    read: int | None = None
    mute: bool = False


Planned: TypeAlias = Reply | Callable[[list[str]], Reply | None] | None
"""A reply, or a function of the UIDs that came that returns one. None: what the server does of itself."""


def dicom_json(stored: Iterable[str] = (), failed: Mapping[str, Any] | None = None) -> bytes:
    """The answer that names these instances. failed: UID -> reason."""

    def item(uid: str, reason: Any = None) -> dict[str, Any]:
        fields: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
        return fields if reason is None else {**fields, "00081197": {"vr": "US", "Value": [reason]}}

    return json.dumps(
        {
            "00081199": {"vr": "SQ", "Value": [item(uid) for uid in stored]},
            "00081198": {"vr": "SQ", "Value": [item(uid, why) for uid, why in (failed or {}).items()]},
        }
    ).encode()


class StowServer:
    """planned: replies to the next requests, in order. always: to all after them. stored: UID -> bytes. requests: how
    many files each had; refused ones count. headers: of every request.
    """

    def __init__(self, *planned: Planned, always: Planned = None, tls: ssl.SSLContext | None = None) -> None:
        self.planned, self.always = deque(planned), always
        self._tls = tls
        self.stored: dict[str, bytes] = {}
        self.requests: list[int] = []
        self.sizes: list[int] = []
        self.headers: list[dict[str, str]] = []

    def __enter__(self) -> Self:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                server._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = serve(Handler)
        self.url = f"{self._server.url}/dicom-web"
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
            self.url = self.url.replace("http://", "https://")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop(self._server)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.headers.append(headers)
        length = int(headers["content-length"])
        self.sizes.append(length)
        planned = self.planned.popleft() if self.planned else self.always
        if isinstance(planned, Reply) and planned.read is not None:
            handler.rfile.read(min(planned.read, length))
            self.requests.append(0)
            if not planned.mute:
                _send(handler, planned)
            _reset(handler)
            return
        files = _files(handler.rfile.read(length), headers["content-type"])
        self.requests.append(len(files))
        reply = planned(list(files)) if callable(planned) else planned
        if reply is None or reply.store:
            self.stored |= files
        _send(handler, reply or Reply(200, dicom_json(files), {"Content-Type": "application/dicom+json"}))


def _files(body: bytes, kind: str) -> dict[str, bytes]:
    assert kind.startswith('multipart/related; type="application/dicom"; boundary='), kind
    boundary = kind.rpartition("boundary=")[2].encode()
    first, *parts, last = (b"\r\n" + body).split(b"\r\n--" + boundary)
    assert (first, last) == (b"", b"--\r\n")
    files = {}
    for part in parts:
        head, _, data = part.partition(b"\r\n\r\n")
        assert head == b"\r\nContent-Type: application/dicom"
        files[str(pydicom.dcmread(io.BytesIO(data)).SOPInstanceUID)] = data
    return files


def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    handler.send_response(reply.status)
    for name, value in reply.headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(reply.body)))
    handler.end_headers()
    handler.wfile.write(reply.body[: len(reply.body) // 2] if reply.cut else reply.body)
    if reply.cut:
        _reset(handler)


def _reset(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.wfile.flush()
    # With a linger time of 0, closing the socket sends a reset (RST).
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
