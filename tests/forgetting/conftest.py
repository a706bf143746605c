"""A chain with everything that a patient can be part of, made once and copied to the store of each test."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from chestgan_core.store.client import s3_client
from chestgan_core.store.embedded import BUCKET, EmbeddedStore
from chestgan_core.store.store import Store
from tests.forgetting.chain import Chain, make_chain
from tests.pipeline.conftest import deliver
from tests.pipeline.stages import Stages


@pytest.fixture(scope="session")
def people(embedded: EmbeddedStore, phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Stages:
    """A private folder of three phantoms that are treated as people, and their slices in a store."""
    folder = tmp_path_factory.mktemp("people")
    deliver(phantom_folder, folder / "delivery")
    return Stages(embedded, folder)


@pytest.fixture(scope="session")
def made(people: Stages, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Chain]]:
    """The chain, in a store of its own."""
    store = Store(s3_client(people.embedded.access), BUCKET, f"chain-{uuid.uuid4().hex[:12]}")
    people.bring("slices", store)
    return store, make_chain(store, tmp_path_factory.mktemp("chain"), real=False)


@pytest.fixture
def home(people: Stages, made: tuple[Store, Chain], tmp_path: Path) -> Path:
    """The local folder, with the key of the pseudonyms."""
    return Path(shutil.copytree(people.home, tmp_path / "home"))


@pytest.fixture
def delivery(people: Stages, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The private folder, not to be changed."""
    monkeypatch.setenv("CHESTGAN_FOLDER", str(people.folder / "delivery"))
    return people.folder / "delivery"


@pytest.fixture
def chain(made: tuple[Store, Chain], store: Store, home: Path, delivery: Path) -> Chain:
    """The chain in the store of the test."""
    original, chain = made
    for item in original.list():
        source = {"Bucket": original.bucket, "Key": f"{original.prefix}/{item.key}"}
        store.client.copy_object(Bucket=store.bucket, Key=f"{store.prefix}/{item.key}", CopySource=source)
    return chain
