"""Servers that are not what they should be: each answer becomes one true line, and what cannot work is refused."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chestgan_core.errors import NotInStore, StoreError, StoreUnreachable
from chestgan_core.store import keys
from chestgan_core.store.client import s3_client
from chestgan_core.store.conditional_writes import LOCK
from chestgan_core.store.pointer_race import race_for_pointer
from chestgan_core.store.store import Store
from tests.standins.s3 import BadS3, Rule

REGION = {"x-amz-bucket-region": "eu-central-1"}
Use = Callable[[Store], object]


def _change(store: Store) -> object:
    return store.change_pointer("latest.json", lambda value: {"n": value.get("n", 0) + 1})


def _uses(tmp_path: Path) -> dict[str, Use]:
    source = tmp_path / "source.bin"
    source.write_bytes(b"bytes")
    return {
        "HEAD": lambda store: store.head("object"),
        "written at": lambda store: store.written_at("object"),
        "GET": lambda store: store.get_bytes("object"),
        "GET of a file": lambda store: store.get_file("object", tmp_path / "got", "0" * 64),
        "PUT": lambda store: store.put_bytes(b"bytes", "object"),
        "PUT of a file": lambda store: store.put_file(source, "object"),
        "list": lambda store: list(store.list("objects")),
        "check": lambda store: store.check(),
        "pointer": _change,
        "commit": lambda store: store.commit("a/manifest.json", {"x": source}, {"kind": "test"}),
    }


FAULTS = {
    "region in the answer": (
        Rule(".", 400, "AuthorizationHeaderMalformed", detail="<Region>eu-central-1</Region>"),
        "the bucket is in the region eu-central-1; set AWS_DEFAULT_REGION=eu-central-1",
    ),
    "region in a header": (
        Rule(".", 400, "IllegalLocationConstraintException", REGION),
        "the bucket is in the region eu-central-1; set AWS_DEFAULT_REGION=eu-central-1",
    ),
    "clock": (Rule(".", 403, "RequestTimeTooSkewed"), "set the clock of this machine"),
    "token": (Rule(".", 400, "ExpiredToken"), "renew AWS_SESSION_TOKEN"),
    "key": (Rule(".", 403, "InvalidAccessKeyId"), "check AWS_ACCESS_KEY_ID"),
    "checksums": (
        Rule(".", 400, "XAmzContentSHA256Mismatch"),
        "AWS_REQUEST_CHECKSUM_CALCULATION=when_required",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_says_the_same_whichever_request_meets_it(tmp_path: Path, name: str) -> None:
    rule, line = FAULTS[name]
    with BadS3([rule]) as server:
        for use in _uses(tmp_path).values():
            with pytest.raises(StoreError, match=line) as raised:
                use(server.store())
            assert not isinstance(raised.value, StoreUnreachable)  # a retry cannot help


def test_a_page_for_people_is_no_s3_server_whatever_is_requested(tmp_path: Path) -> None:
    with BadS3([Rule(".", html=True)]) as server:
        for use in _uses(tmp_path).values():
            with pytest.raises(StoreError, match=f"what answers at {server.endpoint} is not an S3 server"):
                use(server.store())


def test_too_many_requests_are_repeated_and_a_retry_of_the_step_may_help(tmp_path: Path) -> None:
    busy = {"status": 429, "code": "AnythingAtAll", "headers": {"Retry-After": "0"}}
    with BadS3([Rule(".", **busy, times=1)]) as server:
        server.store().put_bytes(b"{}", "object")
        assert server.requests == 2 * ["PUT /bucket/p/object"]
    for use in _uses(tmp_path).values():
        with BadS3([Rule(".", **busy)]) as server, pytest.raises(StoreUnreachable, match="overloaded"):
            use(server.store())


@pytest.mark.parametrize("use", ["GET", "GET of a file", "list"])
def test_a_server_that_sends_byte_by_byte_has_an_end(tmp_path: Path, use: str) -> None:
    started = time.monotonic()
    with BadS3([Rule(".", drip=0.05)]) as server, pytest.raises(StoreError):
        _uses(tmp_path)[use](server.store(attempts=1, answer_within=0.2))
    assert time.monotonic() - started < 60  # the answer would take three hours


@pytest.mark.parametrize("ignored", ["If-None-Match", "If-Match"])
def test_a_server_that_ignores_conditions_is_refused_before_it_loses_anything(ignored: str) -> None:
    with BadS3(ignores=(ignored,)) as server:
        for use in (_change, lambda store: store.commit("a/manifest.json", {}, {"kind": "test"})):
            with pytest.raises(StoreError, match=f"the store ignores {ignored} of a write; use a server"):
                use(server.store())
        assert set(server.objects) == {f"p/{keys.CONDITIONAL_WRITES}"}


@pytest.mark.parametrize("key", ["latest.json", keys.CONDITIONAL_WRITES])
def test_a_server_without_conditional_writes_is_told_from_one_that_fails(key: str) -> None:
    with BadS3([Rule(f"PUT /bucket/p/{key}", 501, "NotImplemented")]) as server:
        with pytest.raises(StoreError, match="the store has no conditional writes; use a server") as raised:
            _change(server.store())
        assert not isinstance(raised.value, StoreUnreachable)


def test_conditional_writes_are_tried_out_once_per_process_and_store() -> None:
    with BadS3() as server:
        for _ in range(3):
            _change(server.store())
        assert server.requests.count(f"PUT /bucket/p/{keys.CONDITIONAL_WRITES}") == 3
        assert server.store().get_pointer("latest.json")[0] == {"n": 3}


def test_with_a_shared_folder_for_locks_no_writer_is_lost_on_a_server_that_ignores_conditions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOCK, str(tmp_path))
    with BadS3(ignores=("If-None-Match", "If-Match")) as server:
        threads = [threading.Thread(target=_change, args=(server.store(),)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.store().get_pointer("latest.json")[0] == {"n": 6}


def test_of_writers_at_once_one_wins_or_the_store_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    race_for_pointer(store, "doctor/race")
    assert store.head("doctor/race") is None
    with BadS3() as server:
        lenient = server.store()
        lenient.put_pointer("first", {}, None)  # tried out: obeys
        server.ignores = ("If-None-Match", "If-Match")
        with pytest.raises(StoreError, match="8 of 8 writers at once were told that theirs is the only one"):
            race_for_pointer(lenient, "doctor/race")


def test_a_pointer_that_is_deleted_while_it_is_changed_is_written_anew() -> None:
    with BadS3() as server:
        store = server.store()
        etag = store.put_pointer("latest.json", {"n": 1}, None)
        store.delete("latest.json")
        with pytest.raises(StoreError, match="deleted meanwhile"):
            store.put_pointer("latest.json", {"n": 2}, etag)
        _change(store)
        assert store.get_pointer("latest.json")[0] == {"n": 1}


def test_a_missing_object_and_a_missing_bucket_are_told_apart() -> None:
    with BadS3() as server:
        assert server.store().head("object") is None
        with pytest.raises(NotInStore):
            server.store().get_bytes("object")
        with pytest.raises(StoreError, match="no such bucket"):
            Store(server.store().client, "another").head("object")


SETTINGS = {
    "no scheme": ({"AWS_ENDPOINT_URL": "localhost:8333"}, "AWS_ENDPOINT_URL: is not the URL of a server"),
    "no such scheme": (
        {"AWS_ENDPOINT_URL": "ftp://localhost"},
        "AWS_ENDPOINT_URL: is not the URL of a server",
    ),
    "no such port": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:99999"}, "AWS_ENDPOINT_URL: is not the URL"),
    "blank in the host": ({"AWS_ENDPOINT_URL": "http://a b:9000"}, "AWS_ENDPOINT_URL: is not the URL"),
    "half a bracket": ({"AWS_ENDPOINT_URL": "http://[::1"}, "AWS_ENDPOINT_URL: is not the URL"),
    "region": ({"AWS_DEFAULT_REGION": "eu west"}, "AWS_DEFAULT_REGION: is not the name of a region"),
    "checksum": (
        {"AWS_REQUEST_CHECKSUM_CALCULATION": "never"},
        "AWS_REQUEST_CHECKSUM_CALCULATION: has a value that does not exist",
    ),
    "defaults mode": ({"AWS_DEFAULTS_MODE": "x"}, "AWS settings: cannot be used"),
    "certificates": ({"AWS_CA_BUNDLE": "/nowhere/ca.pem"}, "AWS_CA_BUNDLE: names no readable file"),
    "profile": ({"AWS_PROFILE": "nobody"}, "no usable credentials"),
    "line end in the key": (
        {"AWS_ACCESS_KEY_ID": "key\n"},
        "hold characters that cannot be part of a request",
    ),
    "line end in the token": (
        {"AWS_SESSION_TOKEN": "a\nb"},
        "hold characters that cannot be part of a request",
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_cannot_work_is_named_and_not_called_a_lost_connection(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    changed, line = SETTINGS[name]
    usual = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for variable, value in {**usual, **changed}.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(StoreError, match=line) as raised:
        Store(s3_client(attempts=1), "bucket").check()
    assert not isinstance(raised.value, StoreUnreachable)
    assert "\n" not in str(raised.value)


def test_a_configuration_file_of_aws_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    path.write_text("this is no configuration\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    with pytest.raises(StoreError, match=f"{path}: is not a readable configuration file of AWS"):
        s3_client()
