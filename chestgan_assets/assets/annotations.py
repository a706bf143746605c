"""tumour_annotations: where the tumours are, as drawn by experts."""

import dagster as dg

from chestgan_assets.assets.acquisition import series_catalog
from chestgan_assets.execution.executor import DOWNLOAD_POOL, OWNERS, RETRY
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.metadata import COLUMNS, ROW_COUNT, URI, columns_of_parquet, counts
from chestgan_assets.partitions import ANNOTATED, DICOM, annotated_datasets, same_dataset
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import PATIENT_DATA
from chestgan_core.reasons import meanings


@dg.asset(
    partitions_def=annotated_datasets,
    deps=[dg.AssetDep(series_catalog, partition_mapping=same_dataset(DICOM, ANNOTATED))],
    group_name="acquisition",
    kinds={"dicom", "xml", "parquet", "s3"},
    tags=PATIENT_DATA,
    owners=OWNERS,
    code_version="2",
    pool=DOWNLOAD_POOL,
    retry_policy=RETRY,
)
def tumour_annotations(
    context: dg.AssetExecutionContext, store: StoreResource, machine: MachineResource
) -> dg.MaterializeResult:
    """Tumour boxes and masks by SOP instance, from all origins that the dataset names; defects are counted."""
    from chestgan_core.sources.annotations.boxes import Defect
    from chestgan_core.sources.annotations.gather import gather_annotations
    from chestgan_core.sources.annotations.stored import facts_of, schema

    with one_line_failures():
        stored = gather_annotations(store.open(), context.partition_key, machine.home)
    facts = facts_of(stored.annotations)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.version),
        metadata={
            URI: stored.uri,
            ROW_COUNT: facts["boxes"] + facts["annotated_series"] + facts["unsure_slices"],
            COLUMNS: columns_of_parquet(schema()),
            **{
                name: facts[name]
                for name in ("boxes", "masks", "slices", "patients", "annotated_series", "unsure_slices")
            },
            "defects": counts(
                stored.annotations.defects,
                "files or boxes",
                "defect",
                meanings(Defect),
            ),
        },
    )
