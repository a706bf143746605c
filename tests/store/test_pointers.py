"""Pointers: moved by whoever has seen their present value."""

import threading
from typing import Any

import pytest

from chestgan_core.errors import DamagedObject, NotInStore, PointerMoved
from chestgan_core.store.store import Store

KEY = "synthetic/index.json"


def test_a_pointer_is_moved_by_whoever_has_seen_it(store: Store) -> None:
    with pytest.raises(NotInStore):
        store.get_pointer(KEY)
    first = store.put_pointer(KEY, {"version": "1"}, None)
    assert store.get_pointer(KEY) == ({"version": "1"}, first)
    with pytest.raises(PointerMoved, match=f"{store.uri(KEY)}: another writer was first"):
        store.put_pointer(KEY, {"version": "2"}, None)
    second = store.put_pointer(KEY, {"version": "2"}, first)
    with pytest.raises(PointerMoved):
        store.put_pointer(KEY, {"version": "3"}, first)
    store.update_pointer(KEY, {"version": "4"})
    assert store.get_pointer(KEY)[0] == {"version": "4"}
    with pytest.raises(PointerMoved):
        store.put_pointer(KEY, {"version": "5"}, second)


def test_only_one_of_many_writers_moves_a_pointer_from_one_value(store: Store) -> None:
    for expected in (None, store.put_pointer("other.json", {"writer": -1}, None)):
        key = KEY if expected is None else "other.json"
        won: list[int] = []

        def write(k: int, key: str = key, expected: str | None = expected, won: list[int] = won) -> None:
            try:
                store.put_pointer(key, {"writer": k}, expected)
                won.append(k)
            except PointerMoved:
                pass

        _together(write, 16)
        assert won == [store.get_pointer(key)[0]["writer"]]


def test_no_change_of_a_pointer_is_lost(store: Store) -> None:
    def add(k: int) -> None:
        store.change_pointer(KEY, lambda index: {"sets": [*index.get("sets", []), k]})

    _together(add, 16)
    assert sorted(store.get_pointer(KEY)[0]["sets"]) == list(range(16))


def test_a_pointer_that_says_the_same_is_not_written_again(store: Store) -> None:
    store.update_pointer(KEY, {"version": "1"})
    _, etag = store.get_pointer(KEY)
    before = store.client.head_object(Bucket=store.bucket, Key=f"{store.prefix}/{KEY}")["LastModified"]
    store.update_pointer(KEY, {"version": "1"})
    assert store.get_pointer(KEY)[1] == etag
    after = store.client.head_object(Bucket=store.bucket, Key=f"{store.prefix}/{KEY}")["LastModified"]
    assert before == after


def test_a_pointer_that_is_not_json_is_damaged(store: Store) -> None:
    store.put_bytes(b"\x00", KEY)
    with pytest.raises(DamagedObject, match="is not a JSON object"):
        store.get_pointer(KEY)


def test_a_pointer_names_what_it_points_to(store: Store) -> None:
    store.update_pointer(KEY, {"run": "r1", "version": "v2"})
    assert store.read_pointer(KEY, "run", "version") == ("r1", "v2")
    with pytest.raises(NotInStore):
        store.read_pointer("nothing/latest.json", "version")


@pytest.mark.parametrize("value", [{}, {"version": 3}, {"version": None}, {"version": "../other"}])
def test_a_pointer_that_is_not_as_its_readers_expect_is_damage_that_names_it(
    store: Store, value: dict[str, Any]
) -> None:
    store.update_pointer(KEY, value)
    with pytest.raises(DamagedObject, match=r"index\.json: is not a pointer with version; materialize"):
        store.read_pointer(KEY, "version")


def _together(work: "object", count: int) -> None:
    start = threading.Barrier(count)

    def run(k: int) -> None:
        start.wait()
        work(k)  # type: ignore[operator]

    threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
