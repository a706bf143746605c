"""What a step uses: GPU hours, CPU hours, bytes from and to the store, and their cost where a price is set.

Input: the work inside a `with`, and prices from the environment (chestgan_core/local/prices.py). Output: numbers for
the metadata of a materialization, which Dagster plots over time, and their sums over a month. A failed attempt
materializes nothing and is in no sum; its usage is in the log of its step.
"""

import logging
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from chestgan_assets.execution.executor import on_kubernetes
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_core.local.prices import Prices

if TYPE_CHECKING:
    from chestgan_core.config.experiment import Experiment
    from chestgan_core.store.objects import Traffic
    from chestgan_core.store.store import Store

_log = logging.getLogger(__name__)

MEASURED = (
    "generator_checkpoint",
    "metric_report",
    "hyperparameter_study",
    "synthetic_image_set",
    "raw_dicom",
    "slice_tensors",
)
GPU_HOURS, CPU_HOURS, COST, CURRENCY = "GPU hours", "CPU hours", "cost", "currency"
HARDWARE, READ, WRITTEN = "hardware", "bytes read", "bytes written"
# What says how much one attempt has used, and nothing of what it made.
USAGE_LABELS = frozenset({HARDWARE, GPU_HOURS, CPU_HOURS, READ, WRITTEN, COST, CURRENCY})
CPU = "CPU"  # the device of a step without a GPU
_PAGE = 500  # materializations, with their pictures, in memory at once


@dataclass(frozen=True)
class Usage:
    """seconds: wall time. device: name of the GPU, or "CPU"."""

    seconds: float
    gpu_hours: float
    cpu_hours: float
    bytes_read: int
    bytes_written: int
    device: str

    def metadata(self, images: int | None = None) -> dict[str, float | int | str]:
        """For a materialization. images: number of images that the step made, where that is its purpose."""
        prices = Prices.from_environment()
        cost = prices.of(self.gpu_hours, self.cpu_hours)
        return {
            HARDWARE: self.device,
            GPU_HOURS: round(self.gpu_hours, 5),
            CPU_HOURS: round(self.cpu_hours, 5),
            READ: self.bytes_read,
            WRITTEN: self.bytes_written,
            **({} if images is None else {"images per second of the step": round(images / self.seconds, 1)}),
            **({} if cost is None else {COST: round(cost, 5), CURRENCY: prices.currency}),
        }


class Meter:
    """Counts from its creation. store: for the work, whose traffic is counted. gpus: held by the step."""

    def __init__(self, store: "Store", device: str, gpus: int) -> None:
        self.store = store
        self._device, self._gpus = device, gpus
        self._started, self._cpu_seconds = time.monotonic(), _cpu_seconds()

    def read(self) -> Usage:
        """The usage until now."""
        seconds = time.monotonic() - self._started
        return Usage(
            seconds=seconds,
            gpu_hours=seconds * self._gpus / 3600,
            cpu_hours=(_cpu_seconds() - self._cpu_seconds) / 3600,
            bytes_read=self.store.traffic.bytes_read,
            bytes_written=self.store.traffic.bytes_written,
            device=self._device,
        )


class SharedCpu:
    """The CPU time of a step, divided among its patients without a second twice or lost.

    While one patient is normalized the next one is downloaded, in a thread that measures itself.
    """

    def __init__(self) -> None:
        self._started, self._given = _cpu_seconds(), 0.0

    def own(self, seconds: float) -> float:
        """What a thread has measured of its own work, in seconds."""
        self._given += seconds
        return seconds

    def rest(self) -> float:
        """What this process and its children have used since the last call, but for what threads have measured."""
        seconds = max(_cpu_seconds() - self._started - self._given, 0.0)
        self._given += seconds
        return seconds


def on_cpu(cpu_seconds: float, traffic: "Traffic") -> Usage:
    """The usage of work on the CPU."""
    return Usage(0.0, 0.0, cpu_seconds / 3600, traffic.bytes_read, traffic.bytes_written, CPU)


@contextmanager
def metered(
    store: StoreResource, machine: MachineResource | None = None, experiment: "Experiment | None" = None
) -> Iterator[Meter]:
    """A meter for the work inside. machine: for work on its device; without it, the work uses the CPU only.
    experiment: for its training, which may use several GPUs.

    Raises BadInput: an invalid price, before the work begins.
    """
    Prices.from_environment()
    meter = Meter(store.open(), *(_held_devices(machine.device, experiment) if machine else (CPU, 0)))
    try:
        yield meter
    except BaseException:
        usage = meter.read()
        _log.info("used until it failed: GPU hours %.4f, CPU hours %.4f", usage.gpu_hours, usage.cpu_hours)
        raise


def total(usages: Sequence[Usage]) -> Usage:
    """The sum over several steps."""
    names = {usage.device for usage in usages}
    # Where there is a GPU, that other steps used the CPU goes without saying.
    devices = sorted(names - {CPU} or names)
    return Usage(
        seconds=sum(usage.seconds for usage in usages),
        gpu_hours=sum(usage.gpu_hours for usage in usages),
        cpu_hours=sum(usage.cpu_hours for usage in usages),
        bytes_read=sum(usage.bytes_read for usage in usages),
        bytes_written=sum(usage.bytes_written for usage in usages),
        device=", ".join(devices) or CPU,
    )


@dataclass
class UsageTotals:
    """Over all materializations of an asset in a month."""

    materializations: int = 0
    gpu_hours: float = 0.0
    cpu_hours: float = 0.0


def month_sums(instance: dg.DagsterInstance, month: str) -> tuple[dict[str, UsageTotals], dict[str, float]]:
    """Totals by asset, and costs by currency, of one month (YYYY-MM, UTC), from the history of the instance."""
    begin = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    end = (begin + timedelta(days=31)).replace(day=1)
    totals, costs = {name: UsageTotals() for name in MEASURED}, dict[str, float]()
    for name, total_of in totals.items():
        for metadata in _metadata(instance, name, begin.timestamp(), end.timestamp()):
            if GPU_HOURS not in metadata:
                continue
            total_of.materializations += 1
            total_of.gpu_hours += _number(metadata, GPU_HOURS)
            total_of.cpu_hours += _number(metadata, CPU_HOURS)
            if COST in metadata:
                currency = str(metadata[CURRENCY].value)
                costs[currency] = costs.get(currency, 0.0) + _number(metadata, COST)
    return totals, costs


def _metadata(
    instance: dg.DagsterInstance, asset: str, begin: float, end: float
) -> Iterator[Mapping[str, dg.MetadataValue]]:
    records = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), after_timestamp=begin, before_timestamp=end)
    cursor, more = None, True
    while more:
        page = instance.fetch_materializations(records, limit=_PAGE, cursor=cursor)
        cursor, more = page.cursor, page.has_more
        for record in page.records:
            if record.asset_materialization:
                yield record.asset_materialization.metadata


def _number(metadata: Mapping[str, dg.MetadataValue], name: str) -> float:
    return float(str(metadata[name].value))


def _held_devices(device: str, experiment: "Experiment | None") -> tuple[str, int]:
    """Name and number of the GPUs that no other step can use meanwhile: in a pod of its own, all that it sees."""
    from chestgan_core.training.devices import GPUS, gpu_count, gpu_name, pick_device
    from chestgan_core.training.gpu_workers import process_count

    chosen = pick_device(device)
    if chosen.type in GPUS:
        processes = process_count(experiment, chosen) if experiment else 1
        return gpu_name(chosen), gpu_count(chosen) if on_kubernetes() else processes
    return (chosen.type, 1) if chosen.type != "cpu" else (CPU, 0)


def _cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usages)
