"""slice_tensors and training_set: what networks are trained on."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from chestgan_assets.assets.acquisition import raw_dicom, raw_images
from chestgan_assets.assets.annotations import tumour_annotations
from chestgan_assets.execution.executor import OWNERS, RETRY
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.metadata import (
    COLUMNS,
    ROW_COUNT,
    SIZE,
    URI,
    causes,
    check,
    check_spec,
    columns_of_parquet,
    columns_of_rows,
    counts,
    picture,
    refused_by_checks,
    table,
)
from chestgan_assets.partitions import (
    ANNOTATED,
    DATASETS,
    IMAGES,
    NO_PARTITION,
    datasets,
    patients,
    same_dataset,
)
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import PATIENT_IMAGES
from chestgan_core.config.names import parse_patient_partition
from chestgan_core.reasons import meanings
from chestgan_core.slices import recipe

SHOWN = 50

# Counts of slices by what is known of them: how pages of assets name them.
KNOWN = {
    "with_tumour": "slices with a tumour",
    "without_tumour": "slices surely without a tumour",
    "unknown_tumour": "slices of which nobody knows",
    "with_position": "slices with a position",
    "without_position": "slices without a position",
}


@dg.asset(
    partitions_def=patients,
    deps=[raw_dicom],
    group_name="slices",
    kinds={"dicom", "safetensors", "parquet", "s3"},
    tags=PATIENT_IMAGES,
    owners=OWNERS,
    code_version=str(recipe.VERSION),
    retry_policy=RETRY,
    automation_condition=dg.AutomationCondition.eager(),
    check_specs=[
        check_spec("hounsfield_range", "slice_tensors", "All values are in [-1024, 3071] HU.", patients),
        check_spec(
            "lung_fraction",
            "slice_tensors",
            "Lungs fill at least the recipe's minimum fraction of the body, in the slice with the most lung.",
            patients,
        ),
    ],
)
def slice_tensors(
    context: dg.AssetExecutionContext, store: StoreResource, machine: MachineResource
) -> Iterator[dg.MaterializeResult]:
    """The slices of one patient that show lung, in Hounsfield units. Training sets are made of them."""
    from chestgan_core.dicom.left_out import LeftOut
    from chestgan_core.slices.patient_slices import normalize_patient
    from chestgan_core.slices.shards import SliceRow
    from chestgan_core.slices.training_rows import MEANINGS

    with one_line_failures():
        dataset, patient = parse_patient_partition(context.partition_key)
        slices = normalize_patient(store.open(), dataset, patient, machine.home)
    report = slices.report
    yield from refused_by_checks(
        dg.MaterializeResult(
            data_version=dg.DataVersion(slices.sha256),
            metadata={
                URI: slices.uri,
                ROW_COUNT: report.kept,
                COLUMNS: columns_of_rows(SliceRow, MEANINGS),
                SIZE: slices.bytes,
                "preview": picture(slices.preview_png, "slices from feet to head, lung window"),
                **(
                    {"slices to check": picture(slices.doubtful_png, "slices near the ends of the lungs")}
                    if slices.doubtful_png
                    else {}
                ),
                "slices": report.kept,
                "doubtful slices": f"{report.doubtful_kept} used, {report.doubtful_left_out} left out",
                "slices without a position": report.without_position,
                "series": report.series,
                "files": report.files,
                "left out": counts(
                    {str(reason): n for reason, n in report.left_out.items()}, meanings=meanings(LeftOut)
                ),
                **({"causes of exclusion": causes(report.causes)} if report.causes else {}),
                **({"warnings": causes(report.doubts, "warning")} if report.doubts else {}),
                "scans and reconstructions": report.stacks,
                "slices per second": round(report.slices_per_second, 1),
            },
            check_results=[
                check(
                    "hounsfield_range",
                    slices.lowest_hu >= -1024 and slices.highest_hu <= 3071,
                    f"All values are from {slices.lowest_hu} to {slices.highest_hu} HU.",
                ),
                check(
                    "lung_fraction",
                    slices.highest_lung_fraction >= slices.configured_lung_fraction,
                    f"Lungs fill {slices.lowest_lung_fraction:.1%} to {slices.highest_lung_fraction:.1%} of the body; "
                    f"at least {slices.configured_lung_fraction:.1%} is needed in the middle of the chest.",
                ),
            ],
        )
    )


@dg.asset(
    partitions_def=datasets,
    deps=[
        dg.AssetDep(slice_tensors, partition_mapping=NO_PARTITION),
        dg.AssetDep(raw_images, partition_mapping=same_dataset(IMAGES, sorted(DATASETS))),
        dg.AssetDep(tumour_annotations, partition_mapping=same_dataset(ANNOTATED, sorted(DATASETS))),
    ],
    group_name="slices",
    kinds={"safetensors", "parquet", "s3"},
    tags=PATIENT_IMAGES,
    owners=OWNERS,
    code_version="3",
    retry_policy=RETRY,
    check_specs=[
        check_spec(
            "patients_disjoint", "training_set", "No patient is on both sides of the split.", datasets
        ),
        check_spec(
            "both_sides_nonempty", "training_set", "There are training slices and held-out slices.", datasets
        ),
        check_spec(
            "all_slices_accounted_for",
            "training_set",
            "Every slice is used, or excluded for a reason.",
            datasets,
        ),
        check_spec(
            "annotations_agree_with_slices",
            "training_set",
            "Every tumour box lies on the slice that it names, and states no other size of its image.",
            datasets,
            blocking=False,
        ),
    ],
)
def training_set(context: dg.AssetExecutionContext, store: StoreResource) -> Iterator[dg.MaterializeResult]:
    """The slices of a dataset, split by patient. It is immutable, and the only data that a training reads."""
    from chestgan_core.dicom.left_out import LeftOut
    from chestgan_core.slices.selection import NotUsed
    from chestgan_core.slices.training_rows import MEANINGS, SCHEMA
    from chestgan_core.slices.training_set import build_training_set
    from chestgan_core.sources.images.image_rows import ImageStatus

    with one_line_failures():
        opened = store.open()
        built = build_training_set(opened, context.partition_key)
        sheets, card = built.contact_sheets(opened), built.card(opened)
        condition_sheets = built.condition_sheets(opened)
        on_both_sides = built.patients_on_both_sides(opened)
    manifest = built.manifest
    slices, patients_by_side = manifest["slices"], manifest["patients"]
    boxes = manifest["boxes"]
    disagreeing = boxes["beyond_slice"] + boxes["other_size"]
    yield from refused_by_checks(
        dg.MaterializeResult(
            data_version=dg.DataVersion(built.version),
            metadata={
                URI: built.uri,
                ROW_COUNT: sum(slices.values()),
                COLUMNS: columns_of_parquet(SCHEMA, MEANINGS),
                **{
                    f"contact sheet, {name}": picture(png, f"slices of class {name}")
                    for name, png in sheets.items()
                },
                **{
                    f"contact sheet, {what}": picture(png, f"slices {what}")
                    for what, png in condition_sheets.items()
                },
                "card": dg.MetadataValue.md(card),
                "training images": slices["train"],
                "held-out images": slices["held-out"],
                "training patients": patients_by_side["train"],
                "held-out patients": patients_by_side["held-out"],
                "patients without slices": len(built.missing),
                "left out": counts(
                    {**manifest["not_normalized"], **manifest["left_out"]},
                    "images",
                    meanings=meanings(NotUsed, LeftOut, ImageStatus),
                ),
                **(_conditions(manifest["conditions"], boxes["on_slices"]) if manifest["hounsfield"] else {}),
                **(
                    {"SOP instance UIDs of several patients": manifest["uids_of_several_patients"]}
                    if manifest["uids_of_several_patients"]
                    else {}
                ),
                f"first {SHOWN} shards": table(
                    ("shard", "class", "side", "patients", "slices"),
                    [(s.name, s.histology, s.side, s.patients, s.slices) for s in built.shards[:SHOWN]],
                ),
            },
            check_results=[
                check(
                    "patients_disjoint",
                    on_both_sides == 0,
                    f"{on_both_sides} patients are on both sides of the split.",
                ),
                check(
                    "both_sides_nonempty",
                    all(count > 0 for count in slices.values()),
                    f"{slices['train']:,} slices to train on, {slices['held-out']:,} held out.",
                ),
                check(
                    "all_slices_accounted_for",
                    sum(slices.values()) + sum(manifest["left_out"].values()) == manifest["in_shards"],
                    f"Of {manifest['in_shards']:,} slices, {sum(slices.values()):,} are used and "
                    f"{sum(manifest['left_out'].values()):,} are excluded with a reason.",
                ),
                check(
                    "annotations_agree_with_slices",
                    disagreeing == 0,
                    f"Of {boxes['boxes']:,} tumour boxes, {boxes['beyond_slice']:,} lie outside of their slice and "
                    f"{boxes['other_size']:,} state another size of their image.",
                    warn=True,
                ),
            ],
        )
    )


def _conditions(counts_of: Mapping[str, Mapping[str, int]], boxes: int) -> dict[str, Any]:
    """What images can be asked for: numbers that Dagster plots, and a table of the sides. counts_of: side -> counts."""
    return {
        "tumour boxes on slices": boxes,
        **{shown: sum(of_side[name] for of_side in counts_of.values()) for name, shown in KNOWN.items()},
        "conditions": table(
            ("side", *KNOWN.values()),
            [(side, *(of_side[name] for name in KNOWN)) for side, of_side in counts_of.items()],
            {
                KNOWN["without_tumour"]: "their series was annotated, and nobody marked a tumour there",
                KNOWN["with_position"]: "between base (0) and apex (1) of the lungs",
            },
        ),
    }
