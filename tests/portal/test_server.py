"""`chestgan portal` as a process: when it says its address, how it ends, slow clients, and what its log has.

One process for all tests that only ask, with its own embedded store as on a laptop.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

from chestgan_portal.app import create_pages, guarded
from chestgan_portal.security import slow_clients
from chestgan_portal.security.request_lines import RequestLines
from chestgan_portal.server import server_config
from chestgan_portal.settings import Settings
from chestgan_web.guard import Receive, Scope, Send
from tests.standins.ports import free_port

ROOT = Path(__file__).parent.parent.parent
SECRET_PATH = "/reset/a-secret-that-must-not-be-logged"


def _all(connection: socket.socket) -> bytes:
    found = b""
    with suppress(ConnectionError):
        while part := connection.recv(1 << 16):
            found += part
    return found


class Running:
    """A portal in a process of its own. address: http://127.0.0.1:<port>."""

    def __init__(self, folder: Path, **variables: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self.log = free_port(), folder / "log"
        self.address = f"http://127.0.0.1:{self.port}"
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("CHESTGAN_", "AWS_"))
        }
        self.environment = {
            **kept, "CHESTGAN_HOME": str(folder / "home"), "CHESTGAN_PORTAL_PORT": str(self.port), **variables,
        }  # fmt: skip
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "chestgan_core.cli", "portal"],
                env=self.environment, cwd=ROOT, stdout=out, stderr=out,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while self.address not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def ask(self, request: bytes) -> bytes:
        """Bytes of one connection, until the server closes it."""
        with closing(socket.create_connection(("127.0.0.1", self.port), timeout=20)) as connection:
            with suppress(ConnectionError):
                connection.sendall(request)
            return _all(connection)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    portal = Running(tmp_path_factory.mktemp("portal"))
    yield portal
    if portal.process.poll() is None:
        portal.stop()


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join(
        [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
    ).encode()


def test_its_address_is_said_when_it_answers(running: Running) -> None:
    with urllib.request.urlopen(f"{running.address}/ready", timeout=10) as answer:
        assert answer.read() == b'{"database":"ok","store":"ok"}'
        assert "server" not in answer.headers


def test_a_port_that_is_taken_is_one_line(running: Running) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "chestgan_core.cli", "portal"],
        env=running.environment, cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert second.returncode == 1
    assert second.stdout == ""
    said = f"chestgan: port {running.port}: is in use; set CHESTGAN_PORTAL_PORT to another one"
    assert second.stderr.strip() == said


def test_a_refused_request_is_one_line_without_its_address_its_sender_or_what_it_holds(
    running: Running,
) -> None:
    before = len(running.log.read_text())
    assert b"404" in running.ask(get(f"{SECRET_PATH}/more?token=hidden", "Cookie: hidden=1")).splitlines()[0]
    assert (
        b"403" in running.ask(get("/login", "Origin: https://hidden.example", method="POST")).splitlines()[0]
    )
    assert b"503" in running.ask(get("/notify", "Content-Length: 0", method="POST")).splitlines()[0]
    assert b"200" in running.ask(get("/health")).splitlines()[0]
    lines = running.log.read_text()[before:].splitlines()
    assert [line.partition(" in ")[0] for line in lines] == [
        "GET unknown page: 404", "POST unknown page: 403", "POST /notify: 503",
    ]  # fmt: skip


def test_a_head_that_is_too_large_or_no_http_is_refused(running: Running) -> None:
    large = get("/health", f"X-Large: {'x' * (1 << 20)}")
    for request in (
        large,
        b"\x16\x03\x01 not http\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ):
        # Of a large one the server reads no further, and the end of the connection may come before the answer.
        found = running.ask(request)
        assert found.startswith(b"HTTP/1.1 400 ") or (request is large and not found)
    assert b"200" in running.ask(get("/health")).splitlines()[0]


def test_a_body_of_tiny_chunks_keeps_nobody_waiting(running: Running) -> None:
    head = f"POST /contact HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nTransfer-Encoding: chunked\r\n\r\n"
    answers = []
    attack = threading.Thread(
        target=lambda: answers.append(running.ask(head.encode() + b"1\r\na\r\n" * 900_000))
    )
    attack.start()
    slowest = 0.0
    while attack.is_alive():
        started = time.monotonic()
        with urllib.request.urlopen(f"{running.address}/health", timeout=20) as answer:
            assert answer.status == 200
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < 2  # 5 s where the chunks are read
    assert answers[0].startswith(b"HTTP/1.1 400 ") or not answers[0]  # or the connection was reset under it


def test_an_upgrade_to_a_websocket_is_answered_as_the_request_that_it_is(running: Running) -> None:
    before = len(running.log.read_text())
    upgrade = (
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    )
    plain = get("/health", *upgrade).replace(b"Connection: close", b"Connection: upgrade, close")
    assert b"200" in running.ask(plain).splitlines()[0]
    assert running.log.read_text()[before:] == ""


def test_sigterm_ends_it_with_success_and_its_store_and_a_restart_finds_everything(tmp_path: Path) -> None:
    first = Running(tmp_path)
    children = psutil.Process(first.process.pid).children(recursive=True)
    assert children, "no embedded store"
    assert first.stop() == 0
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    assert "the portal has ended" in first.log.read_text()
    assert "Traceback" not in first.log.read_text()
    written = (tmp_path / "home" / "portal.sqlite").stat().st_ino
    second = Running(tmp_path)
    assert second.stop(signal.SIGINT) == 0
    assert (tmp_path / "home" / "portal.sqlite").stat().st_ino == written
    assert "Traceback" not in second.log.read_text()


# --- The server in this process, around applications whose behaviour is known.


class Slow:
    """Answers after a while; fails on /fails, and in the middle of its response on /breaks."""

    def __init__(self) -> None:
        self.began = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        import asyncio

        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        if scope["path"] == "/fails":
            raise ValueError("hidden value of a person")
        start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]}
        await send(start)
        if scope["path"] == "/breaks":
            await send({"type": "http.response.body", "body": b"ha", "more_body": True})
            raise ValueError("hidden value of a person")
        self.began.set()
        await asyncio.sleep(0.7 if scope["path"] == "/slow" else 0)
        await send({"type": "http.response.body", "body": b"done"})


class Serving:
    """server_config with an application, in a thread."""

    def __init__(self, app: object) -> None:
        import uvicorn

        self.port = free_port()
        config = server_config(app)  # type: ignore[arg-type]
        config.port = self.port
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self) -> "Serving":
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=30)
        assert not self.thread.is_alive()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: ",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n12",
    ],
)
def test_a_client_that_never_ends_its_request_is_disconnected(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_clients, "ARRIVAL", 0.5)
    with Serving(Slow()) as serving, closing(serving.connect()) as connection:
        connection.sendall(sent)
        started = time.monotonic()
        assert _all(connection) == b""
        assert 0.3 < time.monotonic() - started < 5


def test_a_client_that_sends_a_byte_at_a_time_has_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "ARRIVAL", 0.5)
    with Serving(Slow()) as serving, closing(serving.connect()) as connection:
        started = time.monotonic()
        with suppress(ConnectionError):
            for byte in b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 1000:
                connection.sendall(bytes([byte]))
                time.sleep(0.02)
        assert time.monotonic() - started < 10  # all of them take 20 s


def test_a_slow_answer_and_the_next_request_on_its_connection_are_not_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of both, the client has sent all that it had to."""
    monkeypatch.setattr(slow_clients, "ARRIVAL", 0.4)
    with Serving(Slow()) as serving, closing(serving.connect()) as connection:
        for _ in range(2):
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            found = b""
            while not found.endswith(b"done"):
                part = connection.recv(1 << 16)
                assert part, found
                found += part
            time.sleep(0.6)


def test_two_requests_in_one_packet_are_both_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "ARRIVAL", 0.4)
    with Serving(Slow()) as serving, closing(serving.connect()) as connection:
        last = b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + last)
        assert _all(connection).count(b"done") == 2


def test_a_request_that_is_being_answered_at_the_end_is_answered_in_whole() -> None:
    app = Slow()
    with Serving(app) as serving, closing(serving.connect()) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert app.began.wait(5)
        serving.server.should_exit = True
        assert _all(connection).endswith(b"done")


@pytest.mark.parametrize("path", ["/fails", "/breaks"])
def test_a_failure_is_one_line_that_says_where_and_not_what_was_sent(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Serving(Slow()) as serving, closing(serving.connect()) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        found = _all(connection)
    assert b"done" not in found
    assert (b"500" in found.splitlines()[0]) == (path == "/fails")
    written = [record.getMessage() for record in caplog.records if record.name.startswith("chestgan")]
    assert len(written) == 1
    assert "GET unknown page: ValueError; portal/test_server.py:" in written[0]
    assert "hidden" not in caplog.text


def test_a_page_that_fails_is_a_page_that_says_so(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = create_pages(settings)

    def fails() -> None:
        raise ValueError("hidden value of a person")

    pages.add_api_route("/fails/{number}", fails)
    with Serving(guarded(pages, settings)) as serving, closing(serving.connect()) as connection:
        host = f"127.0.0.1:{serving.port}"
        connection.sendall(f"GET /fails/77 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        found = _all(connection).decode()
    assert "500" in found.splitlines()[0]
    assert "the administrators find it in the log" in found
    assert "hidden value" not in found + caplog.text
    assert "GET /fails/{number}: ValueError; " in caplog.text


def test_websockets_and_lifespan_pass_the_layer_unchanged() -> None:
    import asyncio

    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def never() -> dict[str, object]:
        raise AssertionError

    asyncio.run(RequestLines(app)({"type": "lifespan"}, never, never))  # type: ignore[arg-type]
    assert seen == ["lifespan"]
