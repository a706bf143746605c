"""Stores that see the session's server in another way: by a proxy, with another key, in another bucket."""

from dataclasses import replace

from chestgan_core.store.client import s3_client
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store


def seen_through(embedded: EmbeddedStore, store: Store, bucket: str = "", **access: str) -> Store:
    """The same prefix; access: fields of Access that differ."""
    assert embedded.access is not None
    return Store(s3_client(replace(embedded.access, **access)), bucket or store.bucket, store.prefix)


def port_of(embedded: EmbeddedStore) -> int:
    """Port of the S3 server."""
    assert embedded.access is not None
    return int(embedded.access.endpoint.rpartition(":")[2])
