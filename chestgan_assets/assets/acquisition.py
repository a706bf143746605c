"""series_catalog and raw_dicom: which series there are, and their DICOM files in the store."""

import dagster as dg

from chestgan_assets.failures import one_line_failures
from chestgan_assets.partitions import datasets, patients
from chestgan_assets.presentation import blocking, check, counts, table
from chestgan_assets.resources import StoreResource, Workplace
from chestgan_assets.running import OWNERS, RETRY
from chestgan_core.sources.datasets import parse_patient_partition, patient_partition


@dg.asset(
    partitions_def=datasets,
    group_name="acquisition",
    kinds={"dicom", "parquet", "s3"},
    owners=OWNERS,
    code_version="2",
    retry_policy=RETRY,
)
def series_catalog(
    context: dg.AssetExecutionContext, store: StoreResource, workplace: Workplace
) -> dg.MaterializeResult:
    """Every usable CT series of a dataset, and how many files were left out for which reason.

    Registers one partition per patient, so that the patients can be backfilled.
    """
    from chestgan_core.sources.catalog import catalogue_source

    dataset = context.partition_key
    with one_line_failures():
        catalog, stored = catalogue_source(store.open(), dataset, workplace.home)
    keys = [patient_partition(dataset, patient) for patient in catalog.patients]
    _register(context.instance, dataset, keys)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.sha256),
        metadata={
            "uri": stored.uri,
            "patients": len(keys),
            "series": len(catalog.rows),
            "images": sum(len(row.files) for row in catalog.rows),
            "left out": counts(catalog.left_out),
            "catalog": table(
                ("patient", "histology", "images", "kernel", "thickness, mm"),
                [(r.patient, r.histology, len(r.files), r.kernel, r.thickness_mm) for r in catalog.rows[:50]],
            ),
        },
    )


def _register(instance: dg.DagsterInstance, dataset: str, keys: list[str]) -> None:
    """Make the partitions of a dataset those of its catalog; what a patient who left had made stays in the history."""
    name = str(patients.name)
    for key in instance.get_dynamic_partitions(name):
        if key.startswith(patient_partition(dataset, "")) and key not in keys:
            instance.delete_dynamic_partition(name, key)
    instance.add_dynamic_partitions(name, keys)


@dg.asset(
    partitions_def=patients,
    deps=[dg.AssetDep(series_catalog, partition_mapping=dg.AllPartitionMapping())],
    group_name="acquisition",
    kinds={"dicom", "s3"},
    owners=OWNERS,
    code_version="1",
    retry_policy=RETRY,
    check_specs=[blocking("files_complete", "raw_dicom", "Every file of the catalog is in the archive.")],
)
def raw_dicom(
    context: dg.AssetExecutionContext, store: StoreResource, workplace: Workplace
) -> dg.MaterializeResult:
    """The DICOM files of one patient, unchanged, one zip per series."""
    from chestgan_core.sources.archive import archive_patient

    with one_line_failures():
        dataset, patient = parse_patient_partition(context.partition_key)
        archive = archive_patient(store.open(), dataset, patient, workplace.home)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(archive.version),
        metadata={
            "uri": archive.uri,
            "series": archive.series,
            "files": archive.files,
            "bytes": archive.bytes,
            "already there": archive.reused,
        },
        check_results=[check("files_complete", archive.files == archive.expected, expected=archive.expected)],
    )
