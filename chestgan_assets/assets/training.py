"""generator_checkpoint: a generator trained on a training set."""

import time
from typing import TYPE_CHECKING

import dagster as dg

from chestgan_assets.assets.slices import training_set
from chestgan_assets.execution.executor import GPU_POOL, OWNERS, RETRY
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.execution.usage import metered
from chestgan_assets.metadata import blocking, check, picture
from chestgan_assets.partitions import dataset_to_experiments, experiments
from chestgan_assets.resources import StoreResource, Workplace
from chestgan_core.config.experiment import load_experiment
from chestgan_core.training.version import VERSION

if TYPE_CHECKING:
    from torch import Tensor

TELL_EVERY = 20.0  # seconds: an observation is a row in the event log for ever


@dg.asset(
    partitions_def=experiments,
    deps=[dg.AssetDep(training_set, partition_mapping=dataset_to_experiments)],
    group_name="training",
    kinds={"pytorch", "safetensors", "s3"},
    owners=OWNERS,
    code_version=str(VERSION),
    pool=GPU_POOL,
    retry_policy=RETRY,
    check_specs=[
        blocking(
            "images_vary",
            "generator_checkpoint",
            "The stored generator makes different images from different seeds.",
        )
    ],
)
def generator_checkpoint(
    context: dg.AssetExecutionContext, store: StoreResource, workplace: Workplace
) -> dg.MaterializeResult:
    """A trained generator. An interrupted training goes on from its last checkpoint in the store."""
    from chestgan_core.imaging.pictures import image_grid, png_of
    from chestgan_core.training.run import train_experiment

    def tell(row: dict[str, float | None], pictures: "Tensor") -> None:
        """What the asset's page shows while the training goes on."""
        if time.monotonic() - told[0] < TELL_EVERY:
            return
        told[0] = time.monotonic()
        context.log_event(
            dg.AssetObservation(
                context.asset_key,
                partition=context.partition_key,
                metadata={
                    "samples so far": picture(png_of(image_grid(pictures, 8)), "the first 16 seeds"),
                    **{name: round(value, 4) for name, value in row.items() if value is not None},
                },
            )
        )

    told = [time.monotonic() - TELL_EVERY]
    with one_line_failures():
        experiment = load_experiment(context.partition_key)
        with metered(store, workplace, experiment) as meter, workplace.scratch() as folder:
            run = train_experiment(meter.store, experiment, workplace.device, folder, tell)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(run.sha256),
        metadata={
            "uri": run.uri,
            "samples": picture(run.samples_png, "fixed seeds, the weights that are kept"),
            "progress": picture(run.progress_png, "the same seeds over time"),
            "curves": picture(
                run.curves_png, "losses, what the discriminator says, and KID where the plan selects"
            ),
            "film": dg.MetadataValue.text(f"{run.uri.rpartition('/')[0]}/progress.gif"),
            **({} if run.best_kid is None else {"KID x 1000, selected": round(1000 * run.best_kid, 1)}),
            **({} if run.best_at is None else {"selected at images seen": run.best_at}),
            "run": run.name,
            "training set": run.training_set,
            "images seen": run.images_seen,
            "resumed at": run.resumed_at,
            "minutes": round(run.minutes, 2),
            "images per second": round(run.images_per_second, 1),
            "generator loss": round(run.loss_g, 3),
            "discriminator loss": round(run.loss_d, 3),
            "device": run.device,
            "already trained": run.reused,
            **meter.read().metadata(),
        },
        check_results=[check("images_vary", run.spread > 0, mean_standard_deviation=run.spread)],
    )
