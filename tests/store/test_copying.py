"""Copies inside the store: whole, with what is noted of them, or not at all."""

import pytest

from chestgan_core.errors import NotInStore
from chestgan_core.store.store import Store


def test_a_copy_has_the_bytes_and_the_sha256_of_its_source(store: Store) -> None:
    there = store.put_bytes(b"a tar", "staged/tar")
    copied = store.copy("staged/tar", "set/tar")
    assert (copied.key, copied.bytes, copied.sha256) == ("set/tar", there.bytes, there.sha256)
    assert store.head("set/tar") == copied
    assert store.get_bytes("set/tar") == b"a tar"
    store.delete("staged/tar")
    assert store.get_bytes("set/tar") == b"a tar"


def test_what_is_not_there_is_not_copied(store: Store) -> None:
    with pytest.raises(NotInStore, match="is not in the store"):
        store.copy("staged/nothing", "set/tar")
    assert store.head("set/tar") is None
