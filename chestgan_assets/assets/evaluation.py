"""metric_report: how far the generated images are from real ones of patients that were not trained on."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from chestgan_assets.assets.slices import training_set
from chestgan_assets.assets.training import generator_checkpoint
from chestgan_assets.conditions import FOLLOWS
from chestgan_assets.execution.executor import GPU_POOL, OWNERS, RETRY
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.execution.usage import metered
from chestgan_assets.metadata import blocking, check, picture, table
from chestgan_assets.partitions import dataset_to_experiments, experiments
from chestgan_assets.resources import StoreResource, Workplace
from chestgan_core.config.experiment import load_experiment
from chestgan_core.evaluation.version import VERSION

SHOWN = (
    "measure",
    "value",
    "low",
    "high",
    "floor",
    "better",
    "n_real",
    "n_fake",
    "floor_n",
    "extractor",
    "split",
    "note",
)

# The release gate (chestgan_core/evaluation/scoring/gate.py): each rule is a check that stops the publication.
RULES = {
    "finite": "Every number of the report is finite.",
    "distance": "KID is near enough to that between real patients (release.max_kid_above_floor).",
    "coverage": "Real images are covered as far as real patients cover each other (release.min_coverage_of_floor).",
    "memorization": "Images are not copies of training images (release.max_memorized_fraction).",
    "plausibility": "Hounsfield units or grey levels are distributed like real ones (release.grey_levels).",
}


@dg.asset(
    partitions_def=experiments,
    deps=[generator_checkpoint, dg.AssetDep(training_set, partition_mapping=dataset_to_experiments)],
    group_name="evaluation",
    kinds={"pytorch", "html", "s3"},
    owners=OWNERS,
    code_version=str(VERSION),
    pool=GPU_POOL,
    retry_policy=RETRY,
    automation_condition=FOLLOWS,
    check_specs=[
        dg.AssetCheckSpec("measured", asset="metric_report", description="The extractor could be had."),
        blocking("images_vary", "metric_report", "The generated images are not all the same."),
        *(blocking(name, "metric_report", description) for name, description in RULES.items()),
    ],
)
def metric_report(
    context: dg.AssetExecutionContext, store: StoreResource, workplace: Workplace
) -> dg.MaterializeResult:
    """Distances, overlap, variety, plausibility, usefulness and memorization, each beside the same on real patients."""
    from chestgan_core.evaluation.stored_report import report_experiment

    with one_line_failures(), metered(store, workplace) as meter, workplace.scratch() as folder:
        experiment = load_experiment(context.partition_key)
        stored = report_experiment(meter.store, experiment, workplace.device, folder)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.version),
        metadata={
            "uri": stored.uri,
            "page": f"{stored.uri.rpartition('/')[0]}/report.html",
            "pdf": f"{stored.uri.rpartition('/')[0]}/report.pdf",
            "contact sheet": picture(stored.contact_sheet_png, "held-out beside synthetic"),
            "measures": table(SHOWN, [tuple(_short(row[name]) for name in SHOWN) for row in stored.rows]),
            **_numbers(stored.rows),
            **meter.read().metadata(),
        },
        check_results=[
            check(
                "measured", all(row["value"] is not None for row in stored.rows if row["measure"] == "KID")
            ),
            check("images_vary", stored.spread > 0, mean_standard_deviation=stored.spread),
            *_verdicts(stored.told["gate"]["rules"]),
        ],
    )


def _verdicts(rules: list[dict[str, Any]]) -> Iterator[dg.AssetCheckResult]:
    """The release gate, a check a rule; a rule that the experiment turned off passes and says so."""
    known = {rule["check"]: rule for rule in rules}
    for name in RULES:
        if rule := known.get(name):
            told = {key: rule[key] for key in ("value", "bound", "by") if rule[key] is not None}
            yield check(name, rule["passed"], note=rule["note"], measure=rule["measure"], **told)
        else:
            yield check(name, True, note="the experiment has no such rule")


def _numbers(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Numbers plot themselves over the materializations; what could not be measured is left out."""
    numbers = {}
    for row in rows:
        # As in the report: KID is told times 1000.
        name, factor = (f"{row['measure']} x 1000", 1000) if row["measure"] == "KID" else (row["measure"], 1)
        for label, value in ((name, row["value"]), (f"{name}, floor", row["floor"])):
            if value is not None:
                numbers[label] = round(factor * value, 3)
    return numbers


def _short(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else value
