"""slice_tensors and training_set: what the networks learn from."""

import dagster as dg

from chestgan_assets.assets.acquisition import raw_dicom
from chestgan_assets.failures import one_line_failures
from chestgan_assets.partitions import datasets, patients
from chestgan_assets.presentation import blocking, check, counts, picture, table
from chestgan_assets.resources import StoreResource, Workplace
from chestgan_assets.running import OWNERS, RETRY
from chestgan_core.slices import recipe
from chestgan_core.sources.datasets import parse_patient_partition


@dg.asset(
    partitions_def=patients,
    deps=[raw_dicom],
    group_name="slices",
    kinds={"dicom", "safetensors", "s3"},
    owners=OWNERS,
    code_version=str(recipe.VERSION),
    retry_policy=RETRY,
    check_specs=[
        blocking("hounsfield_range", "slice_tensors", "All values are Hounsfield units in [-1024, 3071]."),
        blocking("shows_lung", "slice_tensors", "Every slice has the lung share that the recipe asks for."),
    ],
)
def slice_tensors(
    context: dg.AssetExecutionContext, store: StoreResource, workplace: Workplace
) -> dg.MaterializeResult:
    """Slices of one patient that show lung, in Hounsfield units: what every training set is made of."""
    from chestgan_core.slices.patient import normalize_patient

    with one_line_failures():
        dataset, patient = parse_patient_partition(context.partition_key)
        slices = normalize_patient(store.open(), dataset, patient, workplace.home)
    report = slices.report
    return dg.MaterializeResult(
        data_version=dg.DataVersion(slices.sha256),
        metadata={
            "uri": slices.uri,
            "preview": picture(slices.preview_png, "every nth slice, lung window"),
            "slices": report.kept,
            "series": report.series,
            "files": report.files,
            "left out": counts({str(reason): n for reason, n in report.left_out.items()}),
            "slices per second": round(report.slices_per_second, 1),
            "bytes": slices.bytes,
        },
        check_results=[
            check(
                "hounsfield_range",
                slices.lowest_hu >= -1024 and slices.highest_hu <= 3071,
                lowest_hu=slices.lowest_hu,
                highest_hu=slices.highest_hu,
            ),
            check(
                "shows_lung",
                slices.lowest_lung_share >= slices.wanted_lung_share,
                lowest=slices.lowest_lung_share,
                wanted=slices.wanted_lung_share,
            ),
        ],
    )


@dg.asset(
    partitions_def=datasets,
    deps=[dg.AssetDep(slice_tensors, partition_mapping=dg.AllPartitionMapping())],
    group_name="slices",
    kinds={"json", "safetensors", "s3"},
    owners=OWNERS,
    code_version="1",
    retry_policy=RETRY,
    check_specs=[
        blocking("patients_disjoint", "training_set", "No patient is on both sides of the split."),
        blocking("both_sides_filled", "training_set", "There are slices to train on and slices to score on."),
    ],
)
def training_set(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    """The slices of a dataset split by patient: immutable, and the only thing that training reads."""
    from chestgan_core.slices.training_set import build_training_set

    with one_line_failures():
        built = build_training_set(store.open(), context.partition_key)
    train, held_out = built.side("train"), built.side("held-out")
    return dg.MaterializeResult(
        data_version=dg.DataVersion(built.version),
        metadata={
            "uri": built.uri,
            "contact sheet": picture(built.contact_sheet_png, "slices of every patient"),
            "training slices": sum(shard.slices for shard in train),
            "held-out slices": sum(shard.slices for shard in held_out),
            "patients": len(built.shards),
            "patients without slices": len(built.missing),
            "split": table(
                ("patient", "histology", "side", "slices"),
                [(shard.patient, shard.histology, shard.side, shard.slices) for shard in built.shards],
            ),
        },
        check_results=[
            check(
                "patients_disjoint",
                not {shard.patient for shard in train} & {shard.patient for shard in held_out},
                training_patients=len(train),
                held_out_patients=len(held_out),
            ),
            check(
                "both_sides_filled",
                all(sum(shard.slices for shard in side) > 0 for side in (train, held_out)),
            ),
        ],
    )
