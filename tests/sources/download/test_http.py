"""Files and JSON over HTTP: retries, waits that servers demand, and no secret in errors."""

import logging
import random
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chestgan_core.errors import BadInput, DiskFull, SourceRefused, SourceUnreachable
from chestgan_core.sources.download import retry
from chestgan_core.sources.download.http import download, get_json
from chestgan_core.sources.download.retry import retry_after
from tests.standins import Fault, Faults, StandInServer
from tests.standins.server import BLOCK, Answer

BODY = random.Random(1).randbytes(20 * BLOCK + 17)


def bytes_of(
    data: bytes, status: int = 200, **answer_headers: str
) -> Callable[[str, Mapping[str, str]], Answer]:
    """The same answer to every request, with the faults of `it`."""

    def answer(path: str, headers: Mapping[str, str]) -> Answer:
        blocks = (data[start : start + BLOCK] for start in range(0, len(data), BLOCK))
        named = {name.replace("_", "-"): value for name, value in answer_headers.items()}
        return Answer(status, named, blocks, len(data), "it")

    return answer


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHESTGAN_DOWNLOAD_PATIENCE", "20")


def test_a_file_arrives_complete_despite_temporary_failures(tmp_path: Path) -> None:
    faults = [Fault.BUSY, Fault.RESET, Fault.TRUNCATED, Fault.SLOW]
    with StandInServer(bytes_of(BODY), Faults({"it": faults})) as server:
        done = download(server.url, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY
    assert done.bytes == len(BODY)
    assert [request.status for request in server.log] == [429, 0, 0, 200]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_retry_waits_as_long_as_the_server_demands(tmp_path: Path) -> None:
    with StandInServer(bytes_of(BODY), Faults({"it": [Fault.BUSY]}, retry_after=1.2)) as server:
        download(server.url, tmp_path / "file")
    first, second = server.log
    assert second.at - first.at >= 1.2


def test_a_long_wait_is_logged_and_a_short_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with StandInServer(bytes_of(BODY), Faults({"it": [Fault.BUSY]}, retry_after=0.1)) as server:
        download(server.url, tmp_path / "file")
    assert not caplog.messages
    monkeypatch.setattr(retry, "LOGGED_WAIT", 0.1)
    with StandInServer(bytes_of(BODY), Faults({"it": [Fault.BUSY]}, retry_after=0.1)) as server:
        download(server.url, tmp_path / "file", what="series 2.25.1")
    [message] = caplog.messages
    assert message.startswith("series 2.25.1: the server is overloaded (429); next attempt in")


def test_a_server_that_demands_no_wait_gets_few_requests_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHESTGAN_DOWNLOAD_PATIENCE", "2")
    with (
        StandInServer(bytes_of(BODY), Faults(always={"it": Fault.BUSY}, retry_after=0)) as server,
        pytest.raises(SourceUnreachable),
    ):
        download(server.url, tmp_path / "file")
    assert len(server.log) < 10


def test_a_wait_may_be_given_in_seconds_or_as_a_date() -> None:
    assert retry_after("7") == 7
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert retry_after("soon") is None
    assert retry_after(None) is None


@pytest.mark.parametrize("fault", [Fault.FAILED, Fault.RESET, Fault.TRUNCATED])
def test_retries_end_and_leave_no_file(tmp_path: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHESTGAN_DOWNLOAD_PATIENCE", "0.6")
    with (
        StandInServer(bytes_of(BODY), Faults(always={"it": fault})) as server,
        pytest.raises(SourceUnreachable, match=r"series 1\.2: .*also after retries.*run again"),
    ):
        download(server.url, tmp_path / "file", what="series 1.2")
    assert len(server.log) >= 2
    assert list(tmp_path.iterdir()) == []


def test_a_wait_longer_than_the_patience_is_given_up_at_once(tmp_path: Path) -> None:
    started = time.monotonic()
    with (
        StandInServer(bytes_of(BODY), Faults(always={"it": Fault.BUSY}, retry_after=3600)) as server,
        pytest.raises(SourceUnreachable, match="overloaded"),
    ):
        download(server.url, tmp_path / "file")
    assert len(server.log) == 1
    assert time.monotonic() - started < 15


def test_a_server_that_is_gone_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHESTGAN_DOWNLOAD_PATIENCE", "0")
    with StandInServer(bytes_of(b"")) as server:
        gone = server.url
    with pytest.raises(SourceUnreachable, match="does not answer"):
        get_json(gone)


@pytest.mark.parametrize("fault", [Fault.GONE, Fault.FORBIDDEN])
def test_a_permanent_failure_is_not_retried(tmp_path: Path, fault: Fault) -> None:
    with StandInServer(bytes_of(BODY), Faults(always={"it": fault})) as server, pytest.raises(SourceRefused):
        download(server.url, tmp_path / "file")
    assert len(server.log) == 1
    assert list(tmp_path.iterdir()) == []


def in_ranges(etags: list[str]) -> Callable[[str, Mapping[str, str]], Answer]:
    """A server that sends the rest of a file on demand; its n-th answer has the n-th ETag."""
    left = list(etags)

    def answer(path: str, headers: Mapping[str, str]) -> Answer:
        etag = left.pop(0)
        begin = int(headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        sent = {"ETag": etag, "Accept-Ranges": "bytes"}
        data, status = BODY, 200
        if begin and headers.get("if-range") == etag:
            data, status = BODY[begin:], 206
            sent["Content-Range"] = f"bytes {begin}-{len(BODY) - 1}/{len(BODY)}"
        blocks = (data[start : start + BLOCK] for start in range(0, len(data), BLOCK))
        return Answer(status, sent, blocks, len(data), "it" if status == 200 else "")

    return answer


def test_an_interrupted_transfer_resumes_where_it_stopped(tmp_path: Path) -> None:
    received: list[int] = []
    with StandInServer(in_ranges(['"a"', '"a"']), Faults({"it": [Fault.TRUNCATED]})) as server:
        download(server.url, tmp_path / "file", received=received.append)
    assert (tmp_path / "file").read_bytes() == BODY
    assert sum(received) == len(BODY)
    assert server.log[1].status == 206


def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(tmp_path: Path) -> None:
    with StandInServer(in_ranges(['"a"', '"b"']), Faults({"it": [Fault.TRUNCATED]})) as server:
        download(server.url, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY
    assert server.log[1].headers["if-range"] == '"a"'


def test_credentials_neither_follow_a_redirect_nor_reach_an_error(tmp_path: Path) -> None:
    with StandInServer(bytes_of(b"no", status=404)) as storage:
        signed = f"{storage.url}/bucket/file?X-Signature=sealed"
        with StandInServer(bytes_of(b"", status=302, Location=signed)) as server:
            address = server.url.replace("http://", "http://me:password@")
            with pytest.raises(SourceRefused) as refused:
                download(f"{address}/file", tmp_path / "file", {"token": "ticket"}, auth="Basic secret")
    assert server.log[0].headers["authorization"] == "Basic secret"
    assert storage.log[0].path.endswith("X-Signature=sealed")
    assert "authorization" not in storage.header_names
    message = str(refused.value)
    assert f"{server.url}/file" in message
    assert not [word for word in ("password", "ticket", "secret", "sealed") if word in message]


def test_an_empty_answer_is_none_and_a_page_is_not_json() -> None:
    with StandInServer(bytes_of(b" \n")) as server:
        assert get_json(server.url) is None
    with (
        StandInServer(bytes_of(b"<html>sign in</html>")) as server,
        pytest.raises(SourceRefused, match="not JSON"),
    ):
        get_json(server.url)


def test_all_threads_share_the_bandwidth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHESTGAN_BANDWIDTH", "1.25")
    data = b"x" * 250_000
    with StandInServer(bytes_of(data)) as server, ThreadPoolExecutor(4) as pool:
        barrier = threading.Barrier(4)

        def fetch(number: int) -> None:
            barrier.wait()
            download(server.url, tmp_path / str(number))

        started = time.monotonic()
        list(pool.map(fetch, range(4)))
    # 1 MB at 1.25 MB/s, less the burst.
    assert time.monotonic() - started >= 0.7


@pytest.mark.parametrize(
    ("variable", "value"),
    [("CHESTGAN_BANDWIDTH", "fast"), ("CHESTGAN_BANDWIDTH", "0"), ("CHESTGAN_DOWNLOAD_PATIENCE", "long")],
)
def test_a_limit_that_is_not_a_number_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with StandInServer(bytes_of(BODY)) as server, pytest.raises(BadInput, match=variable):
        download(server.url, tmp_path / "file")


def test_a_file_that_cannot_be_written_is_not_blamed_on_the_server(tmp_path: Path) -> None:
    with StandInServer(bytes_of(BODY)) as server, pytest.raises(BadInput, match="cannot be read or written"):
        download(server.url, tmp_path / "no folder" / "file")


def test_an_answer_without_an_end_leaves_space_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil._ntuple_diskusage(2**40, 2**40 - 1000, 1000)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with StandInServer(bytes_of(BODY)) as server, pytest.raises(DiskFull, match="leaves no space"):
        download(server.url, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
