"""tumour_annotations: where the tumours are, as experts drew them."""

import dagster as dg

from chestgan_assets.assets.acquisition import series_catalog
from chestgan_assets.execution.executor import DOWNLOAD_POOL, OWNERS, RETRY
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.metadata import counts
from chestgan_assets.partitions import ANNOTATED, DICOM, annotated_datasets, same_dataset
from chestgan_assets.resources import StoreResource, Workplace


@dg.asset(
    partitions_def=annotated_datasets,
    deps=[dg.AssetDep(series_catalog, partition_mapping=same_dataset(DICOM, ANNOTATED))],
    group_name="acquisition",
    kinds={"dicom", "xml", "parquet", "s3"},
    owners=OWNERS,
    code_version="1",
    pool=DOWNLOAD_POOL,
    retry_policy=RETRY,
)
def tumour_annotations(
    context: dg.AssetExecutionContext, store: StoreResource, workplace: Workplace
) -> dg.MaterializeResult:
    """Tumour boxes by SOP instance, from structured reports and PASCAL VOC files; what is defect is counted."""
    from chestgan_core.sources.annotations.gather import gather_annotations

    with one_line_failures():
        stored = gather_annotations(store.open(), context.partition_key, workplace.home)
    boxes = stored.annotations.boxes
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.version),
        metadata={
            "uri": stored.uri,
            "boxes": len(boxes),
            "slices": len({box.sop_uid for box in boxes}),
            "patients": len({box.patient for box in boxes}),
            "defects": counts(stored.annotations.defects, "files or boxes"),
        },
    )
