"""generator_checkpoint in one process: what it says before it trains and meanwhile, and what stands beside it then."""

import base64
import re
from io import BytesIO
from pathlib import Path

import dagster as dg
import pytest
from PIL import Image

from chestgan_assets.assets.training import generator_checkpoint
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_core.slices.training_set import build_training_set
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from tests.pipeline.stages import Stages, tiny

NAME = "demo-folder"  # partitions are those that were known when the module was loaded


@pytest.fixture
def resources(
    store: Store, embedded: EmbeddedStore, stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, object]:
    """A training set in a store, the experiment `tiny`, and a price."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / f"{NAME}.yaml").write_text(tiny().model_dump_json(exclude={"name"}))
    for name, value in embedded.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CHESTGAN_EXPERIMENTS", str(folder))
    monkeypatch.setenv("CHESTGAN_PRICE_CPU_HOUR", "0.5")
    monkeypatch.setenv("CHESTGAN_PRICE_CURRENCY", "EUR")
    stages.bring("slices", store)
    build_training_set(store, "folder")
    return {"store": StoreResource(uri=store.uri()), "machine": MachineResource(device="cpu")}


def materialized(resources: dict[str, object], instance: dg.DagsterInstance) -> dict[str, dg.MetadataValue]:
    result = dg.materialize(
        [generator_checkpoint], instance=instance, resources=resources, partition_key=NAME
    )
    [event] = result.asset_materializations_for_node("generator_checkpoint")
    return dict(event.metadata)


def test_it_says_what_it_expects_and_shows_curves_while_it_trains(resources: dict[str, object]) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        metadata = materialized(resources, instance)
        found = instance.fetch_observations(dg.AssetKey("generator_checkpoint"), limit=50, ascending=True)
        again = materialized(resources, instance)
    observed = [record.asset_observation.metadata for record in found.records if record.asset_observation]
    expected = observed[0]
    assert expected["expected images seen"].value == 64 == metadata["images seen"].value
    for name in ("expected minutes", "expected images per second", "expected cost"):
        assert float(str(expected[name].value)) >= 0
        assert metadata[name] == expected[name]
    assert expected["currency"].value == metadata["currency"].value == "EUR"
    [curves] = [str(one["curves"].value) for one in observed if "curves" in one]
    match = re.search(r"data:image/png;base64,([^)]+)\)", curves)
    assert match is not None
    png = base64.b64decode(match[1])
    assert len(png) < 30_000
    assert Image.open(BytesIO(png)).size == (774, 206)
    # A run that is in the store is not trained again, and nothing is expected of it.
    assert again["reused"].value is True
    assert "expected minutes" not in again
