"""slice_tensors and training_set: what the networks learn from."""

import dagster as dg

from chestgan_assets.assets.acquisition import raw_dicom, raw_images
from chestgan_assets.assets.annotations import tumour_annotations
from chestgan_assets.execution.executor import OWNERS, RETRY
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.metadata import blocking, check, counts, picture, table
from chestgan_assets.partitions import ANNOTATED, DATASETS, IMAGES, datasets, patients, same_dataset
from chestgan_assets.resources import StoreResource, Workplace
from chestgan_core.config.dataset import parse_patient_partition
from chestgan_core.slices import recipe

SHOWN = 50


@dg.asset(
    partitions_def=patients,
    deps=[raw_dicom],
    group_name="slices",
    kinds={"dicom", "safetensors", "s3"},
    owners=OWNERS,
    code_version=str(recipe.VERSION),
    retry_policy=RETRY,
    automation_condition=dg.AutomationCondition.eager(),
    check_specs=[
        blocking("hounsfield_range", "slice_tensors", "All values are Hounsfield units in [-1024, 3071]."),
        blocking("shows_lung", "slice_tensors", "Every slice has the lung share that the recipe asks for."),
    ],
)
def slice_tensors(
    context: dg.AssetExecutionContext, store: StoreResource, workplace: Workplace
) -> dg.MaterializeResult:
    """Slices of one patient that show lung, in Hounsfield units: what every training set is made of."""
    from chestgan_core.slices.patient_slices import normalize_patient

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
                slices.lowest_lung_fraction >= slices.configured_lung_fraction,
                lowest=slices.lowest_lung_fraction,
                wanted=slices.configured_lung_fraction,
            ),
        ],
    )


@dg.asset(
    partitions_def=datasets,
    deps=[
        dg.AssetDep(slice_tensors, partition_mapping=dg.AllPartitionMapping()),
        dg.AssetDep(raw_images, partition_mapping=same_dataset(IMAGES, sorted(DATASETS))),
        dg.AssetDep(tumour_annotations, partition_mapping=same_dataset(ANNOTATED, sorted(DATASETS))),
    ],
    group_name="slices",
    kinds={"json", "safetensors", "s3"},
    owners=OWNERS,
    code_version="2",
    retry_policy=RETRY,
    check_specs=[
        blocking("patients_disjoint", "training_set", "No patient is on both sides of the split."),
        blocking("both_sides_filled", "training_set", "There are slices to train on and slices to score on."),
        blocking("nothing_lost", "training_set", "Every normalized slice is used or left out for a reason."),
    ],
)
def training_set(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    """The slices of a dataset split by patient: immutable, and the only thing that training reads."""
    from chestgan_core.slices.training_set import build_training_set

    with one_line_failures():
        opened = store.open()
        built = build_training_set(opened, context.partition_key)
        sheets, card = built.contact_sheets(opened), built.card(opened)
        on_both_sides = built.patients_on_both_sides(opened)
    told = built.told
    slices, patients_by_side = told["slices"], told["patients"]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(built.version),
        metadata={
            "uri": built.uri,
            **{
                f"contact sheet, {name}": picture(png, f"slices of class {name}")
                for name, png in sheets.items()
            },
            "card": dg.MetadataValue.md(card),
            "images to train on": slices["train"],
            "held-out images": slices["held-out"],
            "training patients": patients_by_side["train"],
            "held-out patients": patients_by_side["held-out"],
            "patients without slices": len(built.missing),
            "left out": counts({**told["not_normalized"], **told["left_out"]}, "images"),
            **({"tumour boxes on slices": told["boxes"]["on_slices"]} if told["hounsfield"] else {}),
            f"the first {SHOWN} shards": table(
                ("shard", "class", "side", "patients", "slices"),
                [(s.name, s.histology, s.side, s.patients, s.slices) for s in built.shards[:SHOWN]],
            ),
        },
        check_results=[
            check("patients_disjoint", on_both_sides == 0, patients_on_both_sides=on_both_sides),
            check("both_sides_filled", all(count > 0 for count in slices.values())),
            check(
                "nothing_lost",
                sum(slices.values()) + sum(told["left_out"].values()) == told["in_shards"],
                in_shards=told["in_shards"],
            ),
        ],
    )
