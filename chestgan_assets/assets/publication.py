"""synthetic_image_set and synthetic_set_index: what users download."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from chestgan_assets.assets.evaluation import metric_report
from chestgan_assets.assets.training import generator_checkpoint
from chestgan_assets.conditions import FOLLOWS, FOLLOWS_ANY
from chestgan_assets.execution.executor import GO_FIRST, OWNERS, RETRY, evaluation_pool
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.execution.usage import metered
from chestgan_assets.metadata import (
    COLUMNS,
    ROW_COUNT,
    SIZE,
    URI,
    beside,
    check,
    check_spec,
    columns_of_parquet,
    compact_table,
    picture,
    refused_by_checks,
)
from chestgan_assets.partitions import experiments
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import SYNTHETIC_IMAGES

if TYPE_CHECKING:
    from chestgan_core.publishing.writing.provenance import AskedCounts

LABELS = {
    "boxes": "JSON: [x0, y0, x1, y1] in pixels of each tumour asked for; [] for none; null: nothing was said",
    "position": "In the lungs, from 0 (base) to 1 (apex), as asked for; NaN: nothing was said",
    "class": "What the image was to show, not a diagnosis",
    "sha256": "Over the levels of the image",
    "offset": "Of the PNG in its tar, bytes",
}
"""What columns of labels.parquet mean that do not say it themselves."""


@dg.asset(
    partitions_def=experiments,
    deps=[generator_checkpoint, metric_report],
    group_name="publication",
    kinds={"pytorch", "parquet", "s3"},
    tags=SYNTHETIC_IMAGES,
    owners=OWNERS,
    code_version="4",
    pool=evaluation_pool(),
    op_tags=GO_FIRST,
    retry_policy=RETRY,
    automation_condition=FOLLOWS,
    check_specs=[
        check_spec(
            "complete",
            "synthetic_image_set",
            "The set has all images that the experiment requests, each with a label.",
            experiments,
        )
    ],
)
def synthetic_image_set(
    context: dg.AssetExecutionContext, store: StoreResource, machine: MachineResource
) -> Iterator[dg.MaterializeResult]:
    """Images from numbered seeds, with labels, card and manifest. An image depends on the model and its seed only."""
    from chestgan_core.publishing.reader.labels import schema
    from chestgan_core.publishing.release import release_experiment
    from chestgan_core.tuning.tuned import load_stored_experiment

    with one_line_failures(), metered(store, machine) as meter, machine.scratch() as folder:
        experiment = load_stored_experiment(meter.store, context.partition_key)
        released = release_experiment(meter.store, experiment, machine.device, folder)
    yield from refused_by_checks(
        dg.MaterializeResult(
            data_version=dg.DataVersion(released.version),
            metadata={
                URI: released.uri,
                ROW_COUNT: released.images,
                COLUMNS: columns_of_parquet(schema(), LABELS),
                SIZE: released.bytes,
                "card": dg.MetadataValue.md(released.summary),
                "whole card": beside(f"{released.uri}/", "card.html"),
                "samples": picture(released.samples_png, "the first synthetic images"),
                "images": released.images,
                "conditions": ", ".join(released.conditions) or "none",
                **_asked(released.asked),
                "download command": dg.MetadataValue.md(f"`chestgan sets fetch {experiment.name}`"),
                **meter.read().metadata(released.images),
            },
            check_results=[
                check(
                    "complete",
                    released.images == experiment.publication.images,
                    f"The set has {released.images:,} of {experiment.publication.images:,} images.",
                )
            ],
        )
    )


def _asked(counts: "AskedCounts | None") -> dict[str, int]:
    """Of a generator that is told of tumours: what its images were asked for."""
    if counts is None:
        return {}
    return {
        "images asked for tumours": counts.tumour,
        "images asked for none": counts.none,
        "images of which nothing was said": counts.unsaid,
        "tumours asked for": counts.boxes,
    }


@dg.asset(
    deps=[dg.AssetDep(synthetic_image_set, partition_mapping=dg.AllPartitionMapping())],
    group_name="publication",
    kinds={"json", "s3"},
    tags=SYNTHETIC_IMAGES,
    owners=OWNERS,
    code_version="1",
    retry_policy=RETRY,
    automation_condition=FOLLOWS_ANY,
)
def synthetic_set_index(store: StoreResource) -> dg.MaterializeResult:
    """The list of all published sets, rebuilt from the manifests in the store."""
    from chestgan_core.publishing.versions.index_rebuild import rebuild_index

    with one_line_failures():
        index = rebuild_index(store.open())
    return dg.MaterializeResult(
        data_version=dg.DataVersion(index.version),
        metadata={
            URI: index.uri,
            ROW_COUNT: len(index.entries),
            "sets": len(index.entries),
            "damaged manifests": len(index.damaged),
            "withdrawn": sum(bool(entry.withdrawn) for entry in index.entries),
            "deprecated": sum(bool(entry.deprecated) for entry in index.entries),
            "published sets": compact_table(
                (
                    *("set", "version", "images", "pixels", "bits", "bytes", "conditions"),
                    *("state", "reason", "use instead"),
                ),
                [
                    (
                        *(entry.name, entry.version, entry.images, entry.resolution, entry.bits, entry.bytes),
                        *(", ".join(entry.conditions), entry.state, entry.reason, entry.replacement),
                    )
                    for entry in index.entries
                ],
            ),
        },
    )
