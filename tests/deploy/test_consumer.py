"""Keys of somebody who uses published sets, on a real server: they read sets, and nothing else."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

from chestgan_core.config.experiment import parse_experiment
from chestgan_core.errors import NotInStore, StoreError
from chestgan_core.networks.registry import build_generator
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.transfer.fetching import fetch_set
from chestgan_core.publishing.transfer.links import link_set
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.transfer.verifying import verify_set, with_status
from chestgan_core.publishing.versions.listing import list_sets, search_sets, show_set
from chestgan_core.publishing.versions.withdrawal import withdraw_set
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.store.client import Access, s3_client
from chestgan_core.store.embedded import BUCKET, EmbeddedStore
from chestgan_core.store.identities import CONSUMER_READS, identities
from chestgan_core.store.seaweedfs import IDENTITIES
from chestgan_core.store.store import Store
from chestgan_core.training.weights import load_generator, save_generator
from tests.deploy.files import DEPLOY

PREFIX = "production"
KEYS = {
    "CHESTGAN_STORE": f"s3://{BUCKET}/{PREFIX}",
    "AWS_ACCESS_KEY_ID": "the-pipeline",
    "AWS_SECRET_ACCESS_KEY": "0123456789abcdef of the pipeline",
    "CHESTGAN_CONSUMER_ACCESS_KEY_ID": "a-reader",
    "CHESTGAN_CONSUMER_SECRET_ACCESS_KEY": "0123456789abcdef of a reader",
}
OTHERS = (
    "slices/lung/patient/v1.safetensors",
    "raw/lung/patient/series/0-1.zip",
    "experiments/dcgan/run/0123456789abcdef/generator.safetensors",
    "reading/studies/s/v1/0123456789abcdef/key.json",
    "synthetic-not-published/x",
)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Store, SetFolder]]:
    """The store with the keys of the pipeline and with those of a consumer, and a set in it."""
    folder = tmp_path_factory.mktemp("consumer")
    settings: dict[str, Any] = {"network": {"latent_dim": 8, "generator_width": 4, "discriminator_width": 4}}
    settings = {"dataset": "phantom", "training": {"images": 100}, **settings}
    experiment = parse_experiment(settings, "tiny", "a test")
    torch.manual_seed(0)
    save_generator(folder, build_generator(experiment), experiment)
    facts = {"source": "generated phantom images", "source_licence": "none needed"}
    ready = write_set(load_generator(folder), experiment, 3, 0, folder / "set", facts)
    server = EmbeddedStore(folder / "home")
    server.folder.mkdir(parents=True)
    (server.folder / IDENTITIES).write_text(json.dumps(identities(KEYS)))
    with server:
        assert server.access is not None
        pipeline = Store(s3_client(server.access), BUCKET, PREFIX)
        own = (KEYS["CHESTGAN_CONSUMER_ACCESS_KEY_ID"], KEYS["CHESTGAN_CONSUMER_SECRET_ACCESS_KEY"])
        consumer = Store(s3_client(Access(server.access.endpoint, *own), attempts=1), BUCKET, PREFIX)
        publish_set(pipeline, ready)
        for key in OTHERS:
            pipeline.put_bytes(b"not for everybody", key)
        yield pipeline, consumer, ready


def test_a_consumer_finds_fetches_verifies_and_passes_on_a_set(
    stores: tuple[Store, Store, SetFolder], tmp_path: Path
) -> None:
    _, consumer, ready = stores
    assert [entry.version for entry in list_sets(consumer)] == [ready.version]
    assert len(search_sets(consumer, ["phantom"])) == 1
    assert "synthetic images" in show_set(consumer, "tiny")["card"]
    fetched = fetch_set(consumer, "tiny", None, tmp_path / "set")
    assert with_status(verify_set(fetched.path), consumer).as_json()["exit_status"] == 0
    assert link_set(consumer, "tiny", None, timedelta(hours=1), tmp_path / "links.txt").files > 0
    with pytest.raises(NotInStore, match=r"did you mean tiny\?"):
        fetch_set(consumer, "tyny", None, tmp_path / "x")
    with pytest.raises(NotInStore, match="has no version 0000000000000000"):
        fetch_set(consumer, "tiny", "0" * 16, tmp_path / "x")


@pytest.mark.parametrize("key", OTHERS)
def test_a_consumer_reads_nothing_else_and_the_line_names_the_key(
    stores: tuple[Store, Store, SetFolder], key: str
) -> None:
    _, consumer, _ = stores
    uses: tuple[Callable[[str], object], ...] = (
        consumer.get_bytes,
        lambda key: consumer.get_range(key, 0, 1),
        consumer.head,
    )
    for use in uses:
        with pytest.raises(StoreError, match="the store refused the key"):
            use(key)


def test_a_consumer_changes_nothing(stores: tuple[Store, Store, SetFolder]) -> None:
    pipeline, consumer, ready = stores
    uses: tuple[Callable[[], object], ...] = (
        lambda: consumer.put_bytes(b"mine", "synthetic/tiny/mine"),
        lambda: consumer.delete(ready.manifest_key),
        lambda: withdraw_set(consumer, "tiny", ready.version, "because"),
        lambda: list(consumer.list("")),
        lambda: list(consumer.list("slices/")),
    )
    for use in uses:
        with pytest.raises(StoreError) as caught:
            use()
        assert "the store refused the key" in str(caught.value)
    assert pipeline.is_complete(ready.manifest_key)
    assert [entry.state for entry in list_sets(pipeline)] == ["published"]


def test_the_policy_for_aws_gives_the_same_rights() -> None:
    policy = json.loads((DEPLOY / "aws" / "consumer-policy.json").read_text())
    [statement] = policy["Statement"]
    root = "arn:aws:s3:::chestgan-example/production/"
    assert statement["Resource"] == [root + one for one in CONSUMER_READS]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "s3:GetObject")
