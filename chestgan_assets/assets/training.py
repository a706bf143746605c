"""generator_checkpoint: a generator trained on a training set."""

import math
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from chestgan_assets.assets.slices import KNOWN, training_set
from chestgan_assets.execution.executor import OWNERS, RETRY, training_pool
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.execution.usage import metered
from chestgan_assets.metadata import (
    URI,
    beside,
    check_spec,
    images_vary,
    picture,
    refused_by_checks,
    where_to_look,
)
from chestgan_assets.partitions import dataset_to_experiments, experiments
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import MODEL_WEIGHTS
from chestgan_core.training.version import VERSION

if TYPE_CHECKING:
    from torch import Tensor

    from chestgan_core.planning.before_training import Expected
    from chestgan_core.training.run import TrainedRun

# Observations stay in the event log for ever, so long trainings have them less often: see Interval.
PICTURE_SECONDS, PROGRESS_SECONDS, MAX_PROGRESS_SECONDS = 20.0, 10.0, 60.0


# Numbers of a training: how the page of the asset names them, as in the materialization, and their digits.
NUMBERS = {
    "images_seen": ("images seen", 0),
    "seconds": ("seconds", 0),
    "images_per_second": ("images per second", 1),
    "loss_g": ("generator loss", 3),
    "loss_d": ("discriminator loss", 3),
    "d_real": ("D(x)", 3),
    "d_fake": ("D(G(z))", 3),
    "spread": ("standard deviation between images", 3),
}


def shown(row: Mapping[str, float | None]) -> dict[str, float | int]:
    """The numbers of a row, rounded, by the names that people read."""
    return {
        name: round(value, digits) if digits else round(value)
        for key, (name, digits) in NUMBERS.items()
        if (value := row.get(key)) is not None
    }


class Interval:
    """Whether it is time for another observation: after `shortest` seconds at first, later after a fiftieth of the time
    that has passed, but not more than `longest`.
    """

    def __init__(self, shortest: float, longest: float = math.inf) -> None:
        self._shortest, self._longest = shortest, longest
        self._began, self._last = time.monotonic(), -math.inf

    def is_over(self) -> bool:
        """If so, the next interval begins."""
        now = time.monotonic()
        wait = min(max(self._shortest, (now - self._began) / 50), self._longest)
        if now - self._last < wait:
            return False
        self._last = now
        return True


@dg.asset(
    partitions_def=experiments,
    deps=[dg.AssetDep(training_set, partition_mapping=dataset_to_experiments)],
    group_name="training",
    kinds={"pytorch", "safetensors", "s3"},
    tags=MODEL_WEIGHTS,
    owners=OWNERS,
    code_version=str(VERSION),
    pool=training_pool(),
    retry_policy=RETRY,
    check_specs=[
        check_spec(
            "images_vary",
            "generator_checkpoint",
            "The generator makes different images from different seeds.",
            experiments,
        )
    ],
)
def generator_checkpoint(
    context: dg.AssetExecutionContext, store: StoreResource, machine: MachineResource
) -> Iterator[dg.MaterializeResult]:
    """A trained generator. An interrupted training resumes from its last checkpoint in the store."""
    from chestgan_core.evaluation.scoring.provenance import duration
    from chestgan_core.imaging.pictures import image_grid, png_of
    from chestgan_core.local.prices import Prices
    from chestgan_core.planning.before_training import expected_training
    from chestgan_core.publishing.writing.asked import conditions_of
    from chestgan_core.training.curves import live_curves_png
    from chestgan_core.training.devices import pick_device
    from chestgan_core.training.loop import TrainingCallbacks, TrainingStart
    from chestgan_core.training.losses import build_loss
    from chestgan_core.training.run import train_experiment
    from chestgan_core.tuning.tuned import load_stored_experiment

    where = where_to_look(
        "generator_checkpoint", context.partition_key, context.run_id, "generator_checkpoint"
    )
    pictures, numbers = Interval(PICTURE_SECONDS), Interval(PROGRESS_SECONDS, MAX_PROGRESS_SECONDS)

    def observe(metadata: Mapping[str, Any]) -> None:
        """Show the progress on the page of the asset."""
        context.log_event(
            dg.AssetObservation(
                context.asset_key,
                partition=context.partition_key,
                metadata={**metadata, "where to look": where},
            )
        )

    rows: list[dict[str, float | None]] = []
    validations: list[dict[str, float]] = []

    def on_start(start: TrainingStart) -> None:
        rows.extend(start.history)
        validations.extend(start.validations)

    def on_row(row: dict[str, float | None], images: "Tensor") -> None:
        rows.append(row)
        if pictures.is_over():
            curves = live_curves_png(rows, validations, build_loss(experiment.training.loss).as_probability)
            observe(
                {
                    "samples": picture(png_of(image_grid(images, 8)), "the first 16 seeds"),
                    "curves": picture(
                        curves, "until now: losses, discriminator outputs, and KID if validated"
                    ),
                    **shown(row),
                }
            )

    def on_progress(progress: dict[str, float]) -> None:
        if numbers.is_over():
            done = progress["fraction"]
            left = f", about {duration(progress['seconds'] * (1 - done) / done)} left" if done else ""
            observe({"progress": f"{done:.1%}{left}", **shown(progress)})

    with one_line_failures():
        experiment = load_stored_experiment(store.open(), context.partition_key)
        with metered(store, machine, experiment) as meter, machine.scratch() as folder:
            device = pick_device(machine.device)
            expected = expected_training(meter.store, experiment, device, Prices.from_environment())
            if expected is not None:
                observe(_expected(expected))
            callbacks = TrainingCallbacks(
                on_start=on_start, on_row=on_row, on_progress=on_progress, on_validation=validations.append
            )
            run = train_experiment(meter.store, experiment, machine.device, folder, callbacks)
    yield from refused_by_checks(
        dg.MaterializeResult(
            data_version=dg.DataVersion(run.sha256),
            metadata={
                URI: run.uri,
                "samples": picture(run.samples_png, "fixed seeds, the published weights"),
                "progress": picture(run.progress_png, "the same seeds during training"),
                "curves": picture(
                    run.curves_png, "losses, discriminator outputs, and KID where it is validated"
                ),
                "animation": beside(run.uri, "progress.gif"),
                "conditions": ", ".join(conditions_of(experiment)) or "none",
                **_told(run),
                **({} if run.best_kid is None else {"best KID x 1000": round(1000 * run.best_kid, 1)}),
                **({} if run.best_at is None else {"best KID at images seen": run.best_at}),
                "run": run.name,
                "training set": run.training_set,
                "images seen": run.images_seen,
                "resumed at images seen": run.resumed_at,
                "minutes": round(run.minutes, 2),
                "images per second": round(run.images_per_second, 1),
                "generator loss": round(run.loss_g, 3),
                "discriminator loss": round(run.loss_d, 3),
                "device": run.device,
                "slices": "read from a mapped file" if run.slices == "mapped" else "in memory",
                "reused": run.reused,
                **meter.read().metadata(),
                **({} if expected is None else _expected(expected)),
            },
            check_results=[images_vary(run.spread)],
        )
    )


def _expected(expected: "Expected") -> dict[str, float | int | str]:
    """What the training was estimated to take, from some steps of it on noise: before it, and beside what it took."""
    time = expected.time
    return {
        "expected minutes": round(60 * time.hours, 2),
        "expected images seen": time.images,
        "expected images per second": round(expected.speed.images_per_second, 1),
        **(
            {} if time.cost is None else {"expected cost": round(time.cost, 5), "currency": expected.currency}
        ),
    }


def _told(run: "TrainedRun") -> dict[str, Any]:
    """Of a generator that is told of tumours or positions: what it learned them from, and what it makes of them."""
    from chestgan_core.training.asked_pictures import PATIENT_FILE

    shown: dict[str, Any] = {f"training {KNOWN[name]}": count for name, count in run.told.items()}
    if run.layouts:
        shown |= {"layouts in its file": run.layouts, "of these with a tumour": run.tumour_layouts}
    if run.pairs_png is not None:
        title = "the same seeds with a tumour in the frame, without it, and the difference"
        shown["pairs"] = picture(run.pairs_png, title)
    if run.has_patient:
        shown["synthetic patient"] = beside(run.uri, PATIENT_FILE)
    return shown
