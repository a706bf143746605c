"""The page of all experiments in Dagster: what its materialization shows, and that it follows each new report once."""

from pathlib import Path

import dagster as dg
import pytest

from chestgan_assets.assets.leaderboard import leaderboard
from chestgan_assets.definitions import defs
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_core.store import keys
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from tests.evaluation.reports import ALIEN, COUSIN, commit_report, near, whole

TARGET = dg.AssetSelection.assets("leaderboard")


@pytest.fixture
def resources(
    store: Store, embedded: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> dict[str, object]:
    for name, value in {**embedded.environment, "CHESTGAN_STORE": store.uri()}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))
    return {"store": StoreResource(), "machine": MachineResource()}


def test_a_materialization_shows_table_strip_and_links(store: Store, resources: dict[str, object]) -> None:
    for name, away in (("near", 0.0), ("far", 0.4)):
        commit_report(store, whole(name, near(away=away), near(COUSIN, away), near(ALIEN, away)))
    commit_report(store, whole("broken", near()), data=b"{}")
    made = dg.materialize([leaderboard], resources=resources)
    (event,) = made.asset_materializations_for_node("leaderboard")
    metadata = event.metadata
    (version,) = store.read_pointer(keys.leaderboard_latest(), "version")
    assert metadata["dagster/uri"].value == store.uri(keys.leaderboard_manifest(version))
    assert metadata["page"].value == f"/files/leaderboards/all/{version}/leaderboard.html"
    assert metadata["table 1"].value == "Nearest to held-out patients: near"
    assert "data:image/" in str(metadata["table 1, images"].value)
    table = metadata["experiments"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [(line.data["rank"], line.data["experiment"]) for line in table.records] == [
        ("1", "near"),
        ("2", "far"),
    ]
    unreadable = metadata["cannot be read"]
    assert isinstance(unreadable, dg.TableMetadataValue)
    assert [line.data["experiment"] for line in unreadable.records] == ["broken"]
    again = dg.materialize([leaderboard], resources=resources)
    (event,) = again.asset_materializations_for_node("leaderboard")
    assert event.metadata["new"].value is False


def test_it_follows_reports_once_and_reports_that_were_refused_too() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        cursor, ticks = None, []
        for tick in range(12):
            if tick == 3:
                for name in ("demo", "lung-r3-64"):
                    made = dg.AssetMaterialization("metric_report", partition=name)
                    instance.report_runless_asset_event(made)
            result = dg.evaluate_automation_conditions(
                defs, instance=instance, cursor=cursor, asset_selection=TARGET
            )
            cursor = result.cursor
            if result.total_requested:
                ticks.append((tick, result.total_requested))
    assert ticks == [(3, 1)]
