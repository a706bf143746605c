"""An HTTP server on loopback whose answers can be damaged.

In: answers. Out: bytes on the wire, and a log of requests.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Self

from tests.standins.faults import Fault, Faults
from tests.standins.serving import serve, stop

BLOCK = 64 * 1024


@dataclass
class Request:
    """One request. at: seconds, monotonic. status: of the answer, 0 if the body was cut."""

    path: str
    headers: Mapping[str, str]
    at: float
    status: int = 0


@dataclass(frozen=True)
class Answer:
    """length None: sent in chunks, for bodies created while they are sent. series, key: whose faults apply, if any."""

    status: int
    headers: Mapping[str, str]
    body: Iterator[bytes]
    length: int | None = None
    series: str = ""
    key: str = ""


@dataclass
class StandInServer:
    """A running server. url: for the dataset's `endpoint`. log: every request, also those that failed.

    answer: of a path with its parameters, and headers in lower case. damage: makes a fault's wrong bytes of an answer.
    """

    answer: Callable[[str, Mapping[str, str]], Answer]
    faults: Faults = field(default_factory=Faults)
    damage: Callable[[Answer, Fault], Answer] = lambda answer, fault: answer
    base: str = ""
    log: list[Request] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                _serve(self, stand_in)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = serve(Handler)
        self.url = f"{self._server.url}{self.base}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        stop(self._server)

    def count(self, part: str) -> int:
        """Requests whose path has this part."""
        return sum(part in request.path for request in list(self.log))

    @property
    def header_names(self) -> set[str]:
        """The names of all headers received so far, in lower case."""
        return {name for request in list(self.log) for name in request.headers}

    def served(self, part: str) -> int:
        """Requests for such paths that got a complete answer with status 200."""
        return sum(part in request.path and request.status == 200 for request in list(self.log))


def _serve(handler: BaseHTTPRequestHandler, server: StandInServer) -> None:
    headers = {name.lower(): value for name, value in handler.headers.items()}
    # Logged before the answer is complete: a client that has it may read the log at once.
    request = Request(handler.path, headers, time.monotonic())
    server.log.append(request)
    answer = server.answer(handler.path, headers)
    fault = server.faults.next(answer.series, answer.key) if answer.series and answer.status == 200 else None
    try:
        _send(handler, request, answer, fault, server)
    except OSError:
        request.status = 0  # the client went away
        raise


def _send(
    handler: BaseHTTPRequestHandler,
    request: Request,
    answer: Answer,
    fault: Fault | None,
    server: StandInServer,
) -> None:
    match fault:
        case Fault.BUSY:
            headers = {"Retry-After": f"{server.faults.retry_after:g}"}
            answer = Answer(429, headers, iter([b"slow down"]), 9)
        case Fault.FAILED | Fault.GONE | Fault.FORBIDDEN:
            status = {Fault.FAILED: 503, Fault.GONE: 404, Fault.FORBIDDEN: 403}[fault]
            answer = Answer(status, {}, iter([b"no"]), 2)
        case Fault.WRONG_MD5 | Fault.BROKEN_ARCHIVE | Fault.UNFINISHED:
            answer = server.damage(answer, fault)
        case Fault.RESET | Fault.TRUNCATED | Fault.STALLED:
            _cut(handler, answer, fault, server)
            return
    request.status = answer.status
    _whole(handler, answer, slow=fault is Fault.SLOW)


def _head(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    handler.send_response(answer.status)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    if answer.length is None:
        handler.send_header("Transfer-Encoding", "chunked")
    else:
        handler.send_header("Content-Length", str(answer.length))
    handler.end_headers()


def _piece(handler: BaseHTTPRequestHandler, answer: Answer, data: bytes) -> None:
    if answer.length is None:
        data = b"%x\r\n%s\r\n" % (len(data), data)
    handler.wfile.write(data)


def _whole(handler: BaseHTTPRequestHandler, answer: Answer, slow: bool = False) -> None:
    _head(handler, answer)
    for block in answer.body:
        step = BLOCK // 4 if slow else len(block) or 1
        for start in range(0, len(block), step):
            _piece(handler, answer, block[start : start + step])
            if slow:
                time.sleep(0.002)
    if answer.length is None:
        handler.wfile.write(b"0\r\n\r\n")


def _cut(handler: BaseHTTPRequestHandler, answer: Answer, fault: Fault, server: StandInServer) -> None:
    """The first half of the body (without a length: half of its first block), then nothing more."""
    _head(handler, answer)
    left = None if answer.length is None else answer.length // 2
    for block in answer.body:
        part = block[: len(block) // 2 if left is None else left]
        _piece(handler, answer, part)
        left = (left or 0) - len(part)
        if left <= 0:
            break
    handler.wfile.flush()
    handler.close_connection = True
    if fault is Fault.STALLED:
        server.ended.wait()
    with suppress(OSError):
        if fault is Fault.RESET:
            # With a linger time of 0, closing the socket sends a reset (RST).
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
        else:
            handler.connection.shutdown(socket.SHUT_RDWR)
