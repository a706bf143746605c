"""What a step used: counted while it works, priced where there are prices, summed over a month."""

import json
import logging
import time
from datetime import UTC, datetime

import dagster as dg
import pytest

from chestgan_assets.execution.usage import (
    COST,
    CPU_HOURS,
    GPU_HOURS,
    Usage,
    metered,
    month_sums,
    total,
)
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_core.errors import BadInput
from chestgan_core.local.prices import Prices
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_core.training.devices import DEVICES
from tests.pipeline.stages import edited

PRICES = ("CHESTGAN_PRICE_GPU_HOUR", "CHESTGAN_PRICE_CPU_HOUR", "CHESTGAN_PRICE_CURRENCY")


@pytest.fixture(autouse=True)
def no_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PRICES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def resource(store: Store, embedded: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> StoreResource:
    for name, value in embedded.environment.items():
        monkeypatch.setenv(name, value)
    return StoreResource(uri=store.uri())


def use(gpu_hours: float = 0.0, cpu_hours: float = 0.0, device: str = "CPU") -> Usage:
    return Usage(10.0, gpu_hours, cpu_hours, 1, 2, device)


def test_work_without_a_gpu_has_cpu_hours_and_bytes_and_no_gpu_hours(resource: StoreResource) -> None:
    with metered(resource, MachineResource(device="cpu")) as meter:
        meter.store.put_bytes(bytes(3000), "written")
        meter.store.get_bytes("written")
        meter.store.get_bytes("written")
        begun = time.process_time()
        while time.process_time() - begun < 0.2:
            json.dumps(list(range(1000)))
        usage = meter.read().metadata(images=50)
    assert usage["hardware"] == "CPU"
    assert usage[GPU_HOURS] == 0
    assert float(usage[CPU_HOURS]) * 3600 >= 0.2
    assert (usage["bytes written"], usage["bytes read"]) == (3000, 6000)
    assert 0 < float(usage["images per second of the step"]) <= 50 / 0.2
    assert COST not in usage


@pytest.mark.parametrize(
    ("executor", "processes", "held"),
    [("k8s", 1, 3), ("multiprocess", 1, 1), ("multiprocess", 2, 2), ("multiprocess", 8, 3)],
)
def test_gpu_hours_count_every_gpu_that_no_other_step_can_use(
    executor: str, processes: int, held: int, resource: StoreResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pod of its own that is every GPU it sees, on a shared machine one per process. Three GPUs are pretended."""
    monkeypatch.setenv("CHESTGAN_EXECUTOR", executor)
    monkeypatch.setitem(DEVICES, "cuda", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "Pretended GPU")
    with metered(resource, MachineResource(device="cuda"), edited(compute={"gpus": processes})) as meter:
        time.sleep(0.05)
        usage = meter.read()
    assert usage.gpu_hours == pytest.approx(usage.seconds * held / 3600)
    assert usage.device == "Pretended GPU"


def test_a_cost_is_hours_times_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHESTGAN_PRICE_GPU_HOUR", "2.5")
    monkeypatch.setenv("CHESTGAN_PRICE_CURRENCY", "EUR")
    assert use(gpu_hours=4, cpu_hours=7).metadata()[COST] == 10.0
    monkeypatch.setenv("CHESTGAN_PRICE_CPU_HOUR", "0.5")
    usage = use(gpu_hours=4, cpu_hours=7).metadata()
    assert (usage[COST], usage["currency"]) == (13.5, "EUR")


@pytest.mark.parametrize("price", ["cheap", "-1", "inf", "nan", "1,5"])
def test_a_wrong_price_is_refused_before_the_work_begins(
    resource: StoreResource, monkeypatch: pytest.MonkeyPatch, price: str
) -> None:
    monkeypatch.setenv("CHESTGAN_PRICE_GPU_HOUR", price)
    monkeypatch.setenv("CHESTGAN_PRICE_CURRENCY", "EUR")
    began = False
    with pytest.raises(BadInput, match=r"CHESTGAN_PRICE_GPU_HOUR: .* is not a number"), metered(resource):
        began = True
    assert not began


def test_a_price_needs_a_currency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHESTGAN_PRICE_CPU_HOUR", "1")
    with pytest.raises(BadInput, match="CHESTGAN_PRICE_CURRENCY: is not set"):
        Prices.from_environment()


def test_work_that_fails_says_in_its_log_what_it_used(
    resource: StoreResource, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(RuntimeError, match="no"), metered(resource):
        raise RuntimeError("no")
    assert "used until it failed: GPU hours 0.0000, CPU hours" in caplog.text


def test_what_workers_used_is_added_and_the_gpu_of_some_is_named() -> None:
    summed = total([use(cpu_hours=1), use(2, 3, "a GPU"), use(4, 5, "a GPU")])
    assert (summed.gpu_hours, summed.cpu_hours, summed.bytes_written) == (6, 9, 6)
    assert summed.device == "a GPU"
    assert total([use(), use()]).device == "CPU"


def test_a_month_has_what_was_materialized_in_it_and_no_other() -> None:
    with dg.instance_for_test() as instance:
        for asset, gpu_hours, more in (
            ("generator_checkpoint", 2.0, {COST: 5.0, "currency": "EUR"}),
            ("generator_checkpoint", 1.0, {COST: 2.5, "currency": "EUR"}),
            ("metric_report", 0.5, {COST: 1.0, "currency": "USD"}),
            ("slice_tensors", 100.0, {}),  # not measured
        ):
            metadata = {GPU_HOURS: gpu_hours, CPU_HOURS: 1.0, **more}
            instance.report_runless_asset_event(dg.AssetMaterialization(asset, metadata=metadata))
        # of a version that did not measure
        instance.report_runless_asset_event(dg.AssetMaterialization("raw_dicom", metadata={"files": 1}))
        now = datetime.now(UTC)
        sums, costs = month_sums(instance, f"{now:%Y-%m}")
        trained = sums["generator_checkpoint"]
        assert (trained.materializations, trained.gpu_hours, trained.cpu_hours) == (2, 3.0, 2.0)
        assert sums["metric_report"].gpu_hours == 0.5
        assert sums["raw_dicom"].materializations == 0
        assert costs == {"EUR": 7.5, "USD": 1.0}
        sums, costs = month_sums(instance, f"{now.year - 1}-12" if now.month != 12 else f"{now.year}-01")
        assert sums["generator_checkpoint"].materializations == 0
        assert costs == {}
