"""reader_study_images: real slices that people may be shown beside those of a published set."""

import dagster as dg

from chestgan_assets.assets.publication import synthetic_image_set
from chestgan_assets.conditions import FOLLOWS
from chestgan_assets.execution.executor import GO_FIRST, OWNERS, RETRY
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.metadata import ROW_COUNT, SIZE, URI, counts, picture
from chestgan_assets.partitions import experiments
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import PATIENT_IMAGES
from chestgan_core.config.experiment import load_experiment

SHOWN = 24  # images on the sheet


@dg.asset(
    partitions_def=experiments,
    deps=[synthetic_image_set],
    group_name="publication",
    kinds={"json", "s3"},
    tags=PATIENT_IMAGES,
    owners=OWNERS,
    code_version="1",
    op_tags=GO_FIRST,
    retry_policy=RETRY,
    automation_condition=FOLLOWS,
)
def reader_study_images(
    context: dg.AssetExecutionContext, store: StoreResource, machine: MachineResource
) -> dg.MaterializeResult:
    """Held-out real slices in the look of the set, without names: what reader studies choose from."""
    from chestgan_core.imaging.pictures import from_grey, image_grid, png_of
    from chestgan_core.reading.real_images import collect_real_images, read_real_images

    with one_line_failures(), machine.scratch() as folder:
        opened = store.open()
        name = load_experiment(context.partition_key).name
        artefact = collect_real_images(opened, name, folder=folder)
        pool = read_real_images(opened, name)
    sheet = image_grid(from_grey(pool.pictures[:: max(1, len(pool) // SHOWN)][:SHOWN]))
    return dg.MaterializeResult(
        data_version=dg.DataVersion(pool.version),
        metadata={
            URI: opened.uri(artefact.manifest_key),
            ROW_COUNT: len(pool),
            SIZE: artefact.bytes,
            "images": len(pool),
            "patients": pool.patients,
            "held out": artefact.manifest["held_out"],
            "set version": pool.set_version,
            "training set": pool.training_set,
            "classes": counts(
                {name or "unknown": count for name, count in pool.classes.items()}, "images", "class"
            ),
            "real images": picture(png_of(sheet), "held-out images"),
        },
    )
