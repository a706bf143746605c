"""series_catalog, raw_dicom and raw_images: which images exist, and their files in the store."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from chestgan_assets.execution.executor import DOWNLOAD_POOL, OWNERS, RETRY
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.execution.usage import metered
from chestgan_assets.metadata import (
    COLUMNS,
    ROW_COUNT,
    SIZE,
    URI,
    causes,
    check,
    check_spec,
    columns_of_rows,
    compact_table,
    counts,
    picture,
    refused_by_checks,
    table,
)
from chestgan_assets.partitions import DATASETS, NO_PARTITION, dicom_datasets, image_datasets, patients
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import PATIENT_DATA, PATIENT_IMAGES
from chestgan_core.config.names import parse_patient_partition
from chestgan_core.errors import IdentityFound
from chestgan_core.reasons import meanings

if TYPE_CHECKING:
    from chestgan_core.dicom.audit_report import Finding

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
    partitions_def=patients,
    deps=[dg.AssetDep(series_catalog, partition_mapping=NO_PARTITION)],
    group_name="acquisition",
    kinds={"dicom", "s3"},
    tags=PATIENT_IMAGES,
    owners=OWNERS,
    code_version="2",
    pool=DOWNLOAD_POOL,
    retry_policy=RETRY,
    check_specs=[
        check_spec("files_complete", "raw_dicom", "Every file in the catalog is in the archive.", patients),
        check_spec("deidentified", "raw_dicom", "No file of a private folder names a person.", patients),
    ],
)
def raw_dicom(
    context: dg.AssetExecutionContext, store: StoreResource, machine: MachineResource
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """The DICOM files of one patient, unchanged, one zip per series. Series in the store are not downloaded again."""
    from chestgan_core.sources.archive.raw_archive import archive_patient

    with one_line_failures(), metered(store) as meter:
        dataset, patient = parse_patient_partition(context.partition_key)
        try:
            archive = archive_patient(meter.store, dataset, patient, machine.home)
        except IdentityFound as found:
            yield check("deidentified", False, f"Refused, nothing was stored: {found.cause}; {found.remedy}.")
            raise
    audit = archive.audit
    # The files of a public collection have been published by others: their audit is a warning.
    blocking_findings = audit.blocking(DATASETS[dataset].accepted_findings)
    result: dg.MaterializeResult[None] = dg.MaterializeResult(
        data_version=dg.DataVersion(archive.version),
        metadata={
            URI: archive.uri,
            SIZE: archive.bytes,
            "series": archive.series,
            "files": archive.files,
            "downloaded series": archive.fetched_series,
            "reused": archive.reused,
            "de-identification": counts(
                {str(finding): n for finding, n in audit.findings.items()},
                what="finding",
                meanings=meanings(audit.findings),
            ),
            "licence": archive.licence,
            **({"doi": archive.doi} if archive.doi else {}),
            **meter.read().metadata(),
        },
        check_results=[
            check(
                "files_complete",
                archive.files == archive.expected,
                f"{archive.files:,} of {archive.expected:,} files are in the archive.",
            ),
            check(
                "deidentified",
                not blocking_findings,
                _audited(blocking_findings, archive.files),
                warn=not DATASETS[dataset].private,
                metadata={str(finding): audit.findings[finding] for finding in blocking_findings},
            ),
        ],
    )
    yield from refused_by_checks(result)


def _audited(findings: Sequence["Finding"], files: int) -> str:
    """The result of the de-identification audit in words."""
    if not findings:
        return f"No finding that stops a private folder in {files:,} files, or their owner accepted it."
    return f"Found in files that are to be de-identified: {', '.join(map(str, findings))}."


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
