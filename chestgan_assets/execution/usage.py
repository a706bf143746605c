"""What a step used: hours of GPUs and processors, bytes between it and the store, and their price where one is set.

In: the work inside a `with`; $CHESTGAN_PRICE_GPU_HOUR, $CHESTGAN_PRICE_CPU_HOUR, $CHESTGAN_PRICE_CURRENCY. Out: numbers
for the metadata of a materialization, which plot themselves over time, and their sums over a month.
An attempt that failed made no materialization and is in no sum, but in the log of its step.
"""

import logging
import os
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from chestgan_assets.execution.executor import on_kubernetes
from chestgan_assets.resources import StoreResource, Workplace
from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput
from chestgan_core.local.environment import number_from_environment
from chestgan_core.store.store import Store

log = logging.getLogger(__name__)

MEASURED = (
    "generator_checkpoint",
    "metric_report",
    "hyperparameter_study",
    "synthetic_image_set",
    "raw_dicom",
)
GPU_HOURS, CPU_HOURS, COST, CURRENCY = "GPU hours", "processor hours", "cost", "currency"
_GPU_PRICE, _CPU_PRICE = "CHESTGAN_PRICE_GPU_HOUR", "CHESTGAN_PRICE_CPU_HOUR"
_CURRENCY = "CHESTGAN_PRICE_CURRENCY"
_PAGE = 500  # materializations, with their pictures, in memory at once


@dataclass(frozen=True)
class Prices:
    """Of an hour of one GPU and of one processor core. currency: as a person wrote it, "" where nothing has a price."""

    gpu_hour: float = 0.0
    cpu_hour: float = 0.0
    currency: str = ""

    @classmethod
    def of_environment(cls) -> "Prices":
        """Raises BadInput: not a number, or no currency."""
        gpu_hour, cpu_hour = number_from_environment(_GPU_PRICE, 0), number_from_environment(_CPU_PRICE, 0)
        currency = os.environ.get(_CURRENCY, "").strip()
        if gpu_hour is None and cpu_hour is None:
            return cls()
        if not currency:
            raise BadInput(_CURRENCY, "is not set, and a price is", f"set {_CURRENCY}, such as EUR")
        return cls(gpu_hour or 0.0, cpu_hour or 0.0, currency)


@dataclass(frozen=True)
class Use:
    """seconds: of a clock on the wall. device: name of the GPU, or "processor"."""

    seconds: float
    gpu_hours: float
    cpu_hours: float
    bytes_read: int
    bytes_written: int
    device: str

    def metadata(self, images: int | None = None) -> dict[str, float | int | str]:
        """For a materialization. images: that the step made or looked at, where they are what it is there for."""
        prices = Prices.of_environment()
        cost = self.gpu_hours * prices.gpu_hour + self.cpu_hours * prices.cpu_hour
        return {
            "computed on": self.device,
            GPU_HOURS: self.gpu_hours,
            CPU_HOURS: self.cpu_hours,
            "bytes read": self.bytes_read,
            "bytes written": self.bytes_written,
            **({} if images is None else {"images per second of the step": images / self.seconds}),
            **({COST: cost, CURRENCY: prices.currency} if prices.currency else {}),
        }


class Meter:
    """Counts from its beginning. store: for the work, whose traffic is counted. gpus: how many the step holds."""

    def __init__(self, store: Store, device: str, gpus: int) -> None:
        self.store = store
        self._device, self._gpus = device, gpus
        self._began, self._processor = time.monotonic(), _processor_seconds()

    def read(self) -> Use:
        """What was used until now."""
        seconds = time.monotonic() - self._began
        return Use(
            seconds=seconds,
            gpu_hours=seconds * self._gpus / 3600,
            cpu_hours=(_processor_seconds() - self._processor) / 3600,
            bytes_read=self.store.traffic.bytes_read,
            bytes_written=self.store.traffic.bytes_written,
            device=self._device,
        )


@contextmanager
def metered(
    store: StoreResource, workplace: Workplace | None = None, experiment: Experiment | None = None
) -> Iterator[Meter]:
    """A meter for the work inside. workplace: of work that computes where it says; without it on the processor.
    experiment: whose training it is, as that may take several GPUs.

    Raises BadInput for a wrong price, before the work begins.
    """
    Prices.of_environment()
    meter = Meter(store.open(), *(_held(workplace.device, experiment) if workplace else ("processor", 0)))
    try:
        yield meter
    except BaseException:
        used = meter.read()
        log.info(f"used until it failed: GPU hours {used.gpu_hours:.4f}, CPU hours {used.cpu_hours:.4f}")
        raise


def together(uses: Sequence[Use]) -> Use:
    """The sum of what several steps used."""
    names = {use.device for use in uses}
    # Beside a GPU, the processor of the steps around it is no news.
    devices = sorted(names - {"processor"} or names)
    return Use(
        seconds=sum(use.seconds for use in uses),
        gpu_hours=sum(use.gpu_hours for use in uses),
        cpu_hours=sum(use.cpu_hours for use in uses),
        bytes_read=sum(use.bytes_read for use in uses),
        bytes_written=sum(use.bytes_written for use in uses),
        device=", ".join(devices) or "processor",
    )


@dataclass
class Sums:
    """Of all materializations of an asset in a month."""

    materializations: int = 0
    gpu_hours: float = 0.0
    cpu_hours: float = 0.0


def month_sums(instance: dg.DagsterInstance, month: str) -> tuple[dict[str, Sums], dict[str, float]]:
    """By asset, and costs by currency, of one month (YYYY-MM, UTC), from the history of the instance."""
    begin = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    end = (begin + timedelta(days=31)).replace(day=1)
    sums, costs = {name: Sums() for name in MEASURED}, dict[str, float]()
    for name, sum_of in sums.items():
        for told in _metadata(instance, name, begin.timestamp(), end.timestamp()):
            if GPU_HOURS not in told:
                continue
            sum_of.materializations += 1
            sum_of.gpu_hours += _number(told, GPU_HOURS)
            sum_of.cpu_hours += _number(told, CPU_HOURS)
            if COST in told:
                currency = str(told[CURRENCY].value)
                costs[currency] = costs.get(currency, 0.0) + _number(told, COST)
    return sums, costs


def _metadata(
    instance: dg.DagsterInstance, asset: str, begin: float, end: float
) -> Iterator[Mapping[str, dg.MetadataValue]]:
    asked = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), after_timestamp=begin, before_timestamp=end)
    cursor, more = None, True
    while more:
        page = instance.fetch_materializations(asked, limit=_PAGE, cursor=cursor)
        cursor, more = page.cursor, page.has_more
        for record in page.records:
            if record.asset_materialization:
                yield record.asset_materialization.metadata


def _number(told: Mapping[str, dg.MetadataValue], name: str) -> float:
    return float(str(told[name].value))


def _held(device: str, experiment: Experiment | None) -> tuple[str, int]:
    """Name and number of the GPUs that a step keeps from others: where it has a pod for itself, all that it sees."""
    import torch

    from chestgan_core.training.devices import pick_device
    from chestgan_core.training.gpu_workers import process_count

    chosen = pick_device(device)
    if chosen.type == "cuda":
        team = process_count(experiment, chosen) if experiment else 1
        return torch.cuda.get_device_name(chosen), torch.cuda.device_count() if on_kubernetes() else team
    return (chosen.type, 1) if chosen.type != "cpu" else ("processor", 0)


def _processor_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
