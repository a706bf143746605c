"""Several writers race for one object, as publishers do for a pointer: exactly one may win.

In: a store and a key that is free. Out: nothing, or what is wrong with the store. A server may obey conditions one
request after another and still let two through that arrive together.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from chestgan_core.errors import PointerMoved, StoreError
from chestgan_core.store.store import Store

WRITERS = 8


def race_for_pointer(store: Store, key: str) -> None:
    """Let writers create an object at once, then let them change it at once; the object is deleted afterwards.

    Raises StoreError: another number than one has won, or the store is not usable at all.
    """
    try:
        (etag,) = _race(store, key, None)
        _race(store, key, etag)
    finally:
        store.delete(key)


def _race(store: Store, key: str, expected: str | None) -> list[str]:
    """The ETag of the only writer that won."""
    start = Barrier(WRITERS)

    def write(number: int) -> str | None:
        start.wait()
        try:
            return store.put_pointer(key, {"writer": number, "first": expected is None}, expected)
        except PointerMoved:
            return None

    with ThreadPoolExecutor(WRITERS) as pool:
        won = [etag for etag in pool.map(write, range(WRITERS)) if etag is not None]
    if len(won) != 1:
        raise StoreError(
            store.uri(key),
            f"{len(won)} of {WRITERS} writers at once were told that theirs is the only one",
            "use a store whose conditional writes are atomic, or set CHESTGAN_STORE_LOCK",
        )
    return won
