"""series_catalog and raw_images: which series exist, and the collections of pictures in the store."""

from datetime import timedelta

import dagster as dg

from chestgan_assets.execution.executor import DOWNLOAD_POOL, OWNERS, RETRY
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.metadata import (
    COLUMNS,
    ROW_COUNT,
    URI,
    causes,
    columns_of_rows,
    compact_table,
    counts,
    picture,
    table,
)
from chestgan_assets.partitions import DATASETS, dicom_datasets, image_datasets
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import PATIENT_DATA, PATIENT_IMAGES
from chestgan_core.reasons import meanings

SHOWN = 50


@dg.asset(
    partitions_def=dicom_datasets,
    group_name="acquisition",
    kinds={"dicom", "parquet", "s3"},
    tags=PATIENT_DATA,
    owners=OWNERS,
    code_version="3",
    retry_policy=RETRY,
    # A schedule materializes it weekly; an older catalog hides revised and withdrawn series.
    freshness_policy=dg.FreshnessPolicy.time_window(
        fail_window=timedelta(days=15), warn_window=timedelta(days=8)
    ),
)
def series_catalog(
    context: dg.AssetExecutionContext, store: StoreResource, machine: MachineResource
) -> dg.MaterializeResult:
    """The series of a collection, each with its status: selected, or the reason why it was excluded.

    patient_partitions_sensor registers one partition for every patient with a selected series.
    """
    from chestgan_core.dicom.left_out import LeftOut
    from chestgan_core.sources.catalog.series_selection import SeriesStatus
    from chestgan_core.sources.catalog.stored_catalog import catalog_series
    from chestgan_core.sources.series_rows import SeriesRow

    dataset = context.partition_key
    with one_line_failures():
        catalog, stored = catalog_series(store.open(), dataset, machine.home)
    summary = catalog.summary()
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.version),
        metadata={
            URI: stored.uri,
            ROW_COUNT: len(catalog.rows),
            COLUMNS: columns_of_rows(SeriesRow),
            "patients": summary.selected.patients,
            "selected series": summary.selected.series,
            "summary": table(
                ("part", "series", "patients", "images", "GB"),
                [
                    (name, part.series, part.patients, part.images, round(part.bytes / 1e9, 2))
                    for name, part in (
                        ("listed", summary.all),
                        ("meets every rule", summary.clean),
                        ("selected", summary.selected),
                        *(
                            (f"selected, histology {letter or 'unknown'}", part)
                            for letter, part in summary.histology.items()
                        ),
                    )
                ],
            ),
            "left out": counts(
                summary.left_out_series,
                "series",
                meanings=meanings(SeriesStatus),
            ),
            "left out files": counts(catalog.left_out, meanings=meanings(LeftOut)),
            **({"causes of exclusion": causes(catalog.causes)} if catalog.causes else {}),
            **({"warnings": causes(catalog.doubts, "warning")} if catalog.doubts else {}),
            f"first {SHOWN} selected series": compact_table(
                ("patient", "histology", "images", "kernel", "thickness, mm", "description"),
                [
                    (r.patient, r.histology, r.images, r.kernel, r.thickness_mm or "", r.description)
                    for r in catalog.selected[:SHOWN]
                ],
            ),
            "licence": DATASETS[dataset].licence,
            **({"citation": DATASETS[dataset].citation} if DATASETS[dataset].citation else {}),
        },
    )


@dg.asset(
    partitions_def=image_datasets,
    group_name="acquisition",
    kinds={"parquet", "s3"},
    tags=PATIENT_IMAGES,
    owners=OWNERS,
    code_version="2",
    pool=DOWNLOAD_POOL,
    retry_policy=RETRY,
)
def raw_images(
    context: dg.AssetExecutionContext, store: StoreResource, machine: MachineResource
) -> dg.MaterializeResult:
    """The images of a collection, unchanged, each with its status; duplicates and near-duplicates are found."""
    from chestgan_core.sources.images.collection import collect_images
    from chestgan_core.sources.images.image_rows import ImageRow, ImageStatus

    with one_line_failures():
        stored = collect_images(store.open(), context.partition_key, machine.home)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.version),
        metadata={
            URI: stored.uri,
            ROW_COUNT: stored.images,
            COLUMNS: columns_of_rows(ImageRow),
            "contact sheet": picture(stored.contact_sheet_png, "images of each class"),
            "images": stored.images,
            "selected images": stored.selected,
            "left out": counts(stored.left_out, meanings=meanings(ImageStatus)),
            "groups of near-duplicates": stored.summary.near_groups,
            "duplicates across splits": stored.across_splits,
            "groups in two classes": stored.summary.two_classes,
            "patients in several splits": stored.summary.patients_across_splits,
            "classes": table(("class", "split", "images", "selected"), stored.by_class),
            "licence": DATASETS[context.partition_key].licence,
        },
    )
