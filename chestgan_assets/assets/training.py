"""generator_checkpoint: a generator trained on a training set."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from chestgan_assets.assets.slices import training_set
from chestgan_assets.execution.executor import GPU_POOL, OWNERS, RETRY
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.execution.usage import metered
from chestgan_assets.metadata import URI, beside, check_spec, images_vary, picture, refused_by_checks
from chestgan_assets.partitions import dataset_to_experiments, experiments
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import MODEL_WEIGHTS
from chestgan_core.config.experiment import load_experiment
from chestgan_core.training.version import VERSION

if TYPE_CHECKING:
    from torch import Tensor

OBSERVATION_INTERVAL = 20.0  # seconds; an observation stays in the event log for ever


@dg.asset(
    partitions_def=experiments,
    deps=[dg.AssetDep(training_set, partition_mapping=dataset_to_experiments)],
    group_name="training",
    kinds={"pytorch", "safetensors", "s3"},
    tags=MODEL_WEIGHTS,
    owners=OWNERS,
    code_version=str(VERSION),
    pool=GPU_POOL,
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
    from chestgan_core.imaging.pictures import image_grid, png_of
    from chestgan_core.training.run import train_experiment

    last_observation = -OBSERVATION_INTERVAL

    def observe(row: dict[str, float | None], pictures: "Tensor") -> None:
        """Show the progress on the page of the asset."""
        nonlocal last_observation
        if time.monotonic() - last_observation < OBSERVATION_INTERVAL:
            return
        last_observation = time.monotonic()
        context.log_event(
            dg.AssetObservation(
                context.asset_key,
                partition=context.partition_key,
                metadata={
                    "samples": picture(png_of(image_grid(pictures, 8)), "the first 16 seeds"),
                    **{name: round(value, 4) for name, value in row.items() if value is not None},
                },
            )
        )

    with one_line_failures():
        experiment = load_experiment(context.partition_key)
        with metered(store, machine, experiment) as meter, machine.scratch() as folder:
            run = train_experiment(meter.store, experiment, machine.device, folder, observe)
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
                "reused": run.reused,
                **meter.read().metadata(),
            },
            check_results=[images_vary(run.spread)],
        )
    )
