"""A real S3 server for the whole test session, and a store in it that is empty at the start of each test."""

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from chestgan_core.store.client import s3_client
from chestgan_core.store.embedded import BUCKET, EmbeddedStore
from chestgan_core.store.store import Store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """The embedded server, as a user of the embedded store has it."""
    with EmbeddedStore(tmp_path_factory.mktemp("home")) as started:
        yield started


@pytest.fixture(scope="session")
def s3(embedded: EmbeddedStore) -> "S3Client":
    """One for all tests: to make it takes a tenth of a second."""
    return s3_client(embedded.access)


@pytest.fixture
def store(s3: "S3Client") -> Store:
    """A store with a prefix of its own."""
    return Store(s3, BUCKET, f"test-{uuid.uuid4().hex[:12]}")
