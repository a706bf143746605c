"""reader_study_images and reader_study_result: what reader studies are made of, and what they found."""

from typing import TYPE_CHECKING

import dagster as dg

from chestgan_assets.assets.publication import synthetic_image_set
from chestgan_assets.conditions import FOLLOWS
from chestgan_assets.execution.executor import GO_FIRST, OWNERS, RETRY
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.metadata import ROW_COUNT, SIZE, URI, Cell, beside, counts, picture, table
from chestgan_assets.partitions import experiments
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import PATIENT_IMAGES, REPORT

if TYPE_CHECKING:
    from chestgan_core.reading.stored_result import StoredResult

SHOWN = 24  # images on the sheet


@dg.asset(
    partitions_def=experiments,
    deps=[synthetic_image_set],
    group_name="publication",
    kinds={"json", "s3"},
    tags=PATIENT_IMAGES,
    owners=OWNERS,
    code_version="1",
    op_tags=GO_FIRST,
    retry_policy=RETRY,
    automation_condition=FOLLOWS,
)
def reader_study_images(
    context: dg.AssetExecutionContext, store: StoreResource, machine: MachineResource
) -> dg.MaterializeResult:
    """Held-out real slices in the look of the set, without names: what reader studies choose from."""
    from chestgan_core.imaging.pictures import from_grey, image_grid, png_of
    from chestgan_core.reading.images.real_images import collect_real_images, read_real_images
    from chestgan_core.tuning.tuned import load_stored_experiment

    with one_line_failures(), machine.scratch() as folder:
        opened = store.open()
        name = load_stored_experiment(opened, context.partition_key).name
        artefact = collect_real_images(opened, name, folder=folder)
        pool = read_real_images(opened, name)
    sheet = image_grid(from_grey(pool.pictures[:: max(1, len(pool) // SHOWN)][:SHOWN]))
    return dg.MaterializeResult(
        data_version=dg.DataVersion(pool.version),
        metadata={
            URI: opened.uri(artefact.manifest_key),
            ROW_COUNT: len(pool),
            SIZE: artefact.bytes,
            "images": len(pool),
            "patients": pool.patients,
            "held out": artefact.manifest["held_out"],
            "set version": pool.set_version,
            "training set": pool.training_set,
            "classes": counts(
                {name or "unknown": count for name, count in pool.classes.items()}, "images", "class"
            ),
            "real images": picture(png_of(sheet), "held-out images"),
        },
    )


@dg.asset(
    partitions_def=experiments,
    deps=[synthetic_image_set],
    group_name="evaluation",
    kinds={"html", "s3"},
    tags=REPORT,
    owners=OWNERS,
    code_version="1",
    retry_policy=RETRY,
)
def reader_study_result(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    """Whether readers could tell synthetic from real images: the analysis of the study that was closed last.

    metric_report shows it once it is materialized again. No study about the set has closed: the step fails and says so.
    """
    from chestgan_core.reading.stored_result import PAGE, PDF, report_study

    with one_line_failures():
        stored = report_study(store.open(), context.partition_key)
    result = stored.result
    charts = [(name.removesuffix(".png"), png) for name, png in stored.charts.items()]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.version),
        metadata={
            "finding": result.finding.title,
            URI: stored.uri,
            "report": beside(stored.uri, PAGE),
            "report, PDF": beside(stored.uri, PDF),
            **_numbers(stored),
            "readers": result.started,
            "readers who finished": result.finished,
            "answers": result.answers,
            "study": f"{result.design.name} {result.version}",
            "set version": result.design.set_version,
            "verdicts by reader": table(
                ("reader", "answered", "of", "accuracy", "sensitivity", "specificity"), _verdicts(stored)
            ),
            **{f"chart: {title}": picture(png, title) for title, png in charts},
        },
    )


def _numbers(stored: "StoredResult") -> dict[str, float]:
    """Numbers, which Dagster plots over the materializations; what the study could not measure is left out."""
    summary = stored.summary
    low, high = summary.area_ends or (None, None)
    numbers = {"AUC": summary.area, "AUC, low": low, "AUC, high": high, "accuracy": summary.accuracy}
    return {name: round(value, 3) for name, value in numbers.items() if value is not None}


def _verdicts(stored: "StoredResult") -> list[tuple[Cell, ...]]:
    known = {one.label: one for one in stored.result.confusion_by_reader}
    rows: list[tuple[Cell, ...]] = []
    for row in stored.result.readers:
        found = known.get(f"reader {row.reader}")
        shares = [found.accuracy, found.sensitivity, found.specificity] if found else []
        values = [None if one.value is None else round(one.value, 3) for one in shares] or [None] * 3
        rows.append((f"reader {row.reader}", row.answered, row.of, *values))
    return rows
