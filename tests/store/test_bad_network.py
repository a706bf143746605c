"""The connection breaks in the middle: repeated when that helps, reported in one line when it does not."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chestgan_core.errors import StoreError
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.objects import PART_BYTES
from chestgan_core.store.store import Store
from tests.store.access import port_of, seen_through
from tests.store.proxy import Proxy

LOST = "the connection was lost during the transfer, and again when it was retried; check the network"


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(random.Random(5).randbytes(3 * PART_BYTES))
    return path


@pytest.mark.parametrize("size", [300_000, 3 * PART_BYTES])
def test_an_upload_that_breaks_is_reported_and_leaves_no_object(
    embedded: EmbeddedStore, store: Store, tmp_path: Path, size: int
) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(random.Random(size).randbytes(size))
    with Proxy(port_of(embedded), cut_up=100_000) as proxy:
        broken = seen_through(embedded, store, endpoint=proxy.url)
        with pytest.raises(StoreError, match=f"{store.uri('source.bin')}: {LOST}"):
            broken.put_file(source, "source.bin")
        with pytest.raises(StoreError, match=LOST):
            broken.commit("a/manifest.json", {"source.bin": source}, {"kind": "test"})
        assert proxy.cut >= 2
    assert list(store.list()) == []


@pytest.mark.parametrize("size", [300_000, 3 * PART_BYTES])
def test_a_download_that_breaks_is_reported_and_leaves_no_file(
    embedded: EmbeddedStore, store: Store, tmp_path: Path, size: int
) -> None:
    data = random.Random(size).randbytes(size)
    store.put_bytes(data, "object")
    with Proxy(port_of(embedded), cut_down=100_000) as proxy:
        broken = seen_through(embedded, store, endpoint=proxy.url)
        uses: list[Callable[[], object]] = [
            lambda: broken.get_file("object", tmp_path / "got.bin"),
            lambda: broken.get_bytes("object"),
        ]
        for use in uses:
            with pytest.raises(StoreError, match=f"{store.uri('object')}: {LOST}"):
                use()
    assert list(tmp_path.iterdir()) == []


def test_a_connection_that_breaks_once_is_nobodys_trouble(
    embedded: EmbeddedStore, store: Store, tmp_path: Path, large: Path
) -> None:
    with Proxy(port_of(embedded), cut_up=1_000_000, cuts=1) as proxy:
        shaky = seen_through(embedded, store, endpoint=proxy.url)
        artefact = shaky.commit("a/manifest.json", {"large.bin": large}, {"kind": "test"})
        assert proxy.cut == 1
    with Proxy(port_of(embedded), cut_down=1_000_000, cuts=1) as proxy:
        shaky = seen_through(embedded, store, endpoint=proxy.url)
        fetched = shaky.fetch("a/manifest.json", tmp_path / "got")
        assert proxy.cut == 1
    assert fetched["large.bin"].read_bytes() == large.read_bytes()
    with Proxy(port_of(embedded), cut_down=1_000_000, cuts=1) as proxy:
        shaky = seen_through(embedded, store, endpoint=proxy.url)
        assert shaky.read(artefact, "large.bin") == large.read_bytes()
        assert proxy.cut == 1


def test_a_pointer_whose_answer_is_lost_is_written_once_and_no_conflict(
    embedded: EmbeddedStore, store: Store
) -> None:
    # 25 bytes are the server's "100 Continue", which asks for the body; what follows says that it is written.
    with Proxy(port_of(embedded), cut_down=25, cuts=1) as proxy:
        shaky = seen_through(embedded, store, endpoint=proxy.url)
        etag = shaky.put_pointer("latest.json", {"version": "1"}, None)
        assert proxy.cut == 1
    assert store.get_pointer("latest.json") == ({"version": "1"}, etag)


def test_the_first_failure_ends_a_fetch_of_many_objects(
    embedded: EmbeddedStore, store: Store, tmp_path: Path
) -> None:
    files: dict[str, Path | bytes] = {f"{k}.bin": random.Random(k).randbytes(200_000) for k in range(40)}
    artefact = store.commit("a/manifest.json", files, {"kind": "test"})
    started = time.monotonic()
    with Proxy(port_of(embedded), cut_down=100_000) as proxy:
        broken = seen_through(embedded, store, endpoint=proxy.url)
        with pytest.raises(StoreError, match=LOST):
            broken.fetch(artefact, tmp_path)
    assert time.monotonic() - started < 30
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_store_that_takes_a_request_and_says_nothing_is_given_up(
    embedded: EmbeddedStore, store: Store
) -> None:
    started = time.monotonic()
    with Proxy(port_of(embedded), cut_up=0, stall=True) as proxy:
        silent = seen_through(embedded, store, endpoint=proxy.url)
        with pytest.raises(StoreError, match="did not send its answer in time"):
            silent.put_bytes(b"x", "object")
    assert time.monotonic() - started < 60
