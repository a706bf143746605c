"""series_catalog, raw_dicom and raw_images: which images there are, and their files in the store."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from chestgan_assets.execution.executor import DOWNLOAD_POOL, OWNERS, RETRY
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.execution.usage import metered
from chestgan_assets.metadata import blocking, check, counts, filled, picture, table
from chestgan_assets.partitions import DATASETS, dicom_datasets, image_datasets, patients
from chestgan_assets.resources import StoreResource, Workplace
from chestgan_core.config.dataset import parse_patient_partition
from chestgan_core.errors import IdentityFound

SHOWN = 50


@dg.asset(
    partitions_def=dicom_datasets,
    group_name="acquisition",
    kinds={"dicom", "parquet", "s3"},
    owners=OWNERS,
    code_version="3",
    retry_policy=RETRY,
    # The schedule makes it weekly; a catalog that is older than that hides revised and withdrawn series.
    freshness_policy=dg.FreshnessPolicy.time_window(
        fail_window=timedelta(days=15), warn_window=timedelta(days=8)
    ),
)
def series_catalog(
    context: dg.AssetExecutionContext, store: StoreResource, workplace: Workplace
) -> dg.MaterializeResult:
    """Every series of a collection with its status: selected, or the reason why not.

    The sensor patient_partitions registers one partition per patient with a selected series.
    """
    from chestgan_core.dicom.left_out import LeftOut
    from chestgan_core.sources.catalog.series_selection import SeriesStatus
    from chestgan_core.sources.catalog.stored_catalog import catalogue_source

    dataset = context.partition_key
    with one_line_failures():
        catalog, stored = catalogue_source(store.open(), dataset, workplace.home)
    told = catalog.summary()
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.version),
        metadata={
            "uri": stored.uri,
            "patients": told.selected.patients,
            "selected series": told.selected.series,
            "catalog": table(
                ("", "series", "patients", "images", "GB"),
                [
                    (name, part.series, part.patients, part.images, f"{part.bytes / 1e9:.2f}")
                    for name, part in (
                        ("listed", told.all),
                        ("clean (meet every rule)", told.clean),
                        ("selected", told.selected),
                        *((f"of these {letter or 'unknown'}", n) for letter, n in told.histology.items()),
                    )
                ],
            ),
            "series left out": counts(
                told.left_out_series, "series", meanings={str(status): status.meaning for status in SeriesStatus}
            ),
            "files left out": counts(
                catalog.left_out, meanings={str(reason): reason.meaning for reason in LeftOut}
            ),
            f"the first {SHOWN} selected": filled(
                ("patient", "histology", "images", "kernel", "thickness, mm", "description"),
                [
                    (r.patient, r.histology, r.images, r.kernel, r.thickness_mm or "", r.description)
                    for r in catalog.selected[:SHOWN]
                ],
            ),
            "licence": DATASETS[dataset].licence,
            "citation": DATASETS[dataset].citation,
        },
    )


@dg.asset(
    partitions_def=patients,
    deps=[dg.AssetDep(series_catalog, partition_mapping=dg.AllPartitionMapping())],
    group_name="acquisition",
    kinds={"dicom", "s3"},
    owners=OWNERS,
    code_version="2",
    pool=DOWNLOAD_POOL,
    retry_policy=RETRY,
    check_specs=[
        blocking("files_complete", "raw_dicom", "Every file of the catalog is in the archive."),
        blocking("deidentified", "raw_dicom", "The files of a private folder name no person."),
    ],
)
def raw_dicom(
    context: dg.AssetExecutionContext, store: StoreResource, workplace: Workplace
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """The DICOM files of one patient, unchanged, one zip per series. What is there already is not fetched again."""
    from chestgan_core.sources.archive.raw_archive import archive_patient

    with one_line_failures(), metered(store) as meter:
        dataset, patient = parse_patient_partition(context.partition_key)
        try:
            archive = archive_patient(meter.store, dataset, patient, workplace.home)
        except IdentityFound as found:
            yield check("deidentified", False, found=found.cause)
            raise
    audit = archive.audit
    # The files of a public collection were made public by others: there the audit reports.
    stops = audit.stopping(DATASETS[dataset].accepted_findings)
    yield dg.MaterializeResult(
        data_version=dg.DataVersion(archive.version),
        metadata={
            "uri": archive.uri,
            "series": archive.series,
            "files": archive.files,
            "bytes": archive.bytes,
            "series fetched": archive.fetched_series,
            "already there": archive.reused,
            "de-identification": counts(
                {str(finding): n for finding, n in audit.findings.items()},
                what="finding",
                meanings={str(finding): finding.meaning for finding in audit.findings},
            ),
            "licence": archive.licence,
            **({"doi": archive.doi} if archive.doi else {}),
            **meter.read().metadata(),
        },
        check_results=[
            check("files_complete", archive.files == archive.expected, expected=archive.expected),
            dg.AssetCheckResult(
                check_name="deidentified",
                passed=not stops,
                severity=dg.AssetCheckSeverity.ERROR
                if DATASETS[dataset].private
                else dg.AssetCheckSeverity.WARN,
                metadata={str(finding): audit.findings[finding] for finding in stops},
            ),
        ],
    )


@dg.asset(
    partitions_def=image_datasets,
    group_name="acquisition",
    kinds={"parquet", "s3"},
    owners=OWNERS,
    code_version="1",
    pool=DOWNLOAD_POOL,
    retry_policy=RETRY,
)
def raw_images(
    context: dg.AssetExecutionContext, store: StoreResource, workplace: Workplace
) -> dg.MaterializeResult:
    """The pictures of a collection, unchanged, each with its status: what is there twice is found and told."""
    from chestgan_core.sources.images.collection import collect_images

    with one_line_failures():
        stored = collect_images(store.open(), context.partition_key, workplace.home)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.version),
        metadata={
            "uri": stored.uri,
            "contact sheet": picture(stored.contact_sheet_png, "pictures of each class"),
            "images": stored.images,
            "selected": stored.selected,
            "left out": counts(stored.left_out),
            "near-duplicates": stored.summary.near_groups,
            "duplicates across splits": stored.across_splits,
            "groups with two classes": stored.summary.two_classes,
            "patients in several splits": stored.summary.patients_across_splits,
            "classes": table(("class", "split", "images", "selected"), stored.by_class),
            "licence": DATASETS[context.partition_key].licence,
        },
    )
