"""Conditions downstream of training: one request for one update, whether it works or fails, over many ticks."""

from pathlib import Path

import dagster as dg
import pytest

from chestgan_assets.conditions import FOLLOWS, FOLLOWS_ANY
from chestgan_assets.definitions import defs
from chestgan_assets.partitions import NO_PARTITION
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store

TARGET = dg.AssetSelection.assets("metric_report", "synthetic_image_set", "synthetic_set_index")


def requested(result: dg.EvaluateAutomationConditionsResult) -> list[str]:
    names = ("metric_report", "synthetic_image_set", "synthetic_set_index")
    return [name for name in names if result.get_num_requested(dg.AssetKey(name))]


def test_a_report_that_fails_is_requested_once_and_again_only_after_the_next_training(
    store: Store, embedded: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {**embedded.environment, "CHESTGAN_STORE": store.uri()}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path))
    job = defs.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        cursor, requests = None, []
        for tick in range(40):
            if tick in (3, 25):
                trained = dg.AssetMaterialization("generator_checkpoint", partition="demo")
                instance.report_runless_asset_event(trained)
            result = dg.evaluate_automation_conditions(
                defs, instance=instance, cursor=cursor, asset_selection=TARGET
            )
            cursor = result.cursor
            if names := requested(result):
                requests.append((tick, names[0]))
                failed = job.execute_in_process(
                    instance=instance,
                    partition_key="demo",
                    asset_selection=[dg.AssetKey("metric_report")],
                    raise_on_error=False,
                )
                assert not failed.success  # the store has no training
    assert requests == [(3, "metric_report"), (25, "metric_report")]


@pytest.mark.parametrize("whole_chain", [True, False])
def test_a_job_that_makes_the_whole_chain_requests_nothing_again(whole_chain: bool) -> None:
    parts = dg.StaticPartitionsDefinition(["a", "b"])

    @dg.asset(partitions_def=parts)
    def generator_checkpoint() -> None: ...

    @dg.asset(partitions_def=parts, deps=[generator_checkpoint], automation_condition=FOLLOWS)
    def metric_report() -> None: ...

    @dg.asset(partitions_def=parts, deps=[generator_checkpoint, metric_report], automation_condition=FOLLOWS)
    def synthetic_image_set() -> None: ...

    @dg.asset(
        deps=[dg.AssetDep(synthetic_image_set, partition_mapping=dg.AllPartitionMapping())],
        automation_condition=FOLLOWS_ANY,
    )
    def synthetic_set_index() -> None: ...

    chain = [generator_checkpoint, metric_report, synthetic_image_set, synthetic_set_index]
    small = dg.Definitions(assets=chain)
    with dg.DagsterInstance.ephemeral() as instance:
        first = dg.evaluate_automation_conditions(small, instance=instance)
        assert first.total_requested == 0
        made = chain if whole_chain else chain[:1]
        assert dg.materialize(made, instance=instance, partition_key="a").success
        cursor, totals = first.cursor, []
        for _ in range(10):
            result = dg.evaluate_automation_conditions(small, instance=instance, cursor=cursor)
            cursor = result.cursor
            totals.append(result.total_requested)
            for name in requested(result):
                part = None if name == "synthetic_set_index" else "a"
                done = dg.materialize(chain, instance=instance, partition_key=part, selection=[name])
                assert done.success
    assert totals == ([0] * 10 if whole_chain else [2, 1] + [0] * 8)


def test_a_catalog_or_a_patient_of_one_dataset_leaves_the_others_in_sync() -> None:
    graph = defs.resolve_asset_graph()
    for asset, upstream in (("raw_dicom", "series_catalog"), ("training_set", "slice_tensors")):
        mapping = graph.get_partition_mapping(dg.AssetKey(asset), dg.AssetKey(upstream))
        assert mapping == NO_PARTITION
