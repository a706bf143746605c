"""architecture_comparison, tuning_comparison and monthly_report: what people read over several experiments."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from chestgan_assets.assets.evaluation import metric_report
from chestgan_assets.assets.publication import synthetic_image_set
from chestgan_assets.execution.executor import OWNERS, RETRY
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.execution.usage import CPU_HOURS, GPU_HOURS, month_sums
from chestgan_assets.metadata import blocking, check, picture, table
from chestgan_assets.partitions import EXPERIMENTS, months
from chestgan_assets.resources import StoreResource, Workplace
from chestgan_core.evaluation.version import VERSION

if TYPE_CHECKING:
    from chestgan_core.store.store import Store

THESIS = "thesis-"
COMPARABLE = "The reports are of the same dataset, snapshot, extractor and number of images."


class Architectures(dg.Config):
    """Which experiments are compared."""

    experiments: list[str] = Field(
        default=[],
        description="Two to twelve. Empty: the thesis' experiments of the dataset that have a report.",
    )
    dataset: str = Field(
        default="chest_ct_scan_images",
        description="Where no experiments are named; all of it if none is the thesis'.",
    )


class Tuning(dg.Config):
    """Which two configurations are compared."""

    initial: str = Field(default="thesis-dcgan-initial", description="The experiment before tuning.")
    final: str = Field(default="thesis-dcgan-final", description="The experiment after tuning.")


@dg.asset(
    deps=[dg.AssetDep(metric_report, partition_mapping=dg.AllPartitionMapping())],
    group_name="evaluation",
    kinds={"html", "s3"},
    owners=OWNERS,
    code_version=str(VERSION),
    retry_policy=RETRY,
    check_specs=[blocking("comparable", "architecture_comparison", COMPARABLE)],
)
def architecture_comparison(
    config: Architectures, store: StoreResource, workplace: Workplace
) -> dg.MaterializeResult:
    """Samples, measures with their floors, curves and the thesis' scores of several experiments side by side."""
    from chestgan_core.evaluation.comparison.comparison import with_a_report

    with one_line_failures():
        opened = store.open()
        names = config.experiments or with_a_report(opened, _experiments_of(config.dataset))
        return _compared(opened, workplace, "architecture", "Architectures compared", names)


@dg.asset(
    deps=[dg.AssetDep(metric_report, partition_mapping=dg.AllPartitionMapping())],
    group_name="evaluation",
    kinds={"html", "s3"},
    owners=OWNERS,
    code_version=str(VERSION),
    retry_policy=RETRY,
    check_specs=[blocking("comparable", "tuning_comparison", COMPARABLE)],
)
def tuning_comparison(config: Tuning, store: StoreResource, workplace: Workplace) -> dg.MaterializeResult:
    """An experiment before and after tuning: what was changed, and what it changed."""
    with one_line_failures():
        names = [config.initial, config.final]
        return _compared(store.open(), workplace, "tuning", "Before and after tuning", names)


@dg.asset(
    partitions_def=months,
    deps=[
        dg.AssetDep(metric_report, partition_mapping=dg.AllPartitionMapping()),
        dg.AssetDep(synthetic_image_set, partition_mapping=dg.AllPartitionMapping()),
    ],
    group_name="publication",
    kinds={"html", "s3"},
    owners=OWNERS,
    code_version=str(VERSION),
    retry_policy=RETRY,
    check_specs=[
        dg.AssetCheckSpec(
            "readable", asset="monthly_report", description="All artefacts of the month could be read."
        )
    ],
)
def monthly_report(
    context: dg.AssetExecutionContext, store: StoreResource, workplace: Workplace
) -> dg.MaterializeResult:
    """What was trained, measured, refused and published in a month, beside the month before."""
    from chestgan_core.evaluation.monthly.page import PAGE, PDF, report_month

    with one_line_failures(), workplace.scratch() as folder:
        stored = report_month(store.open(), context.partition_key, folder)
        sums, costs = month_sums(context.instance, context.partition_key)
    month = stored.month
    where = stored.uri.rpartition("/")[0]
    drawn = (
        {"newest images": picture(stored.picture_png, "KID x 1000 then and now")}
        if stored.picture_png
        else {}
    )
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.version),
        metadata={
            "uri": stored.uri,
            "page": f"{where}/{PAGE}",
            "pdf": f"{where}/{PDF}",
            **drawn,
            **month.counts,
            "gates passed": sum(report.told["gate"]["passed"] for _, report in month.gates),
            "gates refused": sum(not report.told["gate"]["passed"] for _, report in month.gates),
            GPU_HOURS: sum(one.gpu_hours for one in sums.values()),
            CPU_HOURS: sum(one.cpu_hours for one in sums.values()),
            "used by asset": table(
                ("asset", "materializations", GPU_HOURS, CPU_HOURS),
                [
                    (name, one.materializations, f"{one.gpu_hours:.2f}", f"{one.cpu_hours:.2f}")
                    for name, one in sums.items()
                ],
            ),
            **{f"cost in {currency}": cost for currency, cost in costs.items()},
        },
        check_results=[check("readable", not month.unreadable, unreadable=len(month.unreadable))],
    )


def _experiments_of(dataset: str) -> list[str]:
    """Those of the thesis; all, where none of the dataset is."""
    names = sorted(name for name, experiment in EXPERIMENTS.items() if experiment.dataset == dataset)
    return [name for name in names if name.startswith(THESIS)] or names


def _compared(
    store: "Store", workplace: Workplace, kind: str, title: str, names: Sequence[str]
) -> dg.MaterializeResult:
    from chestgan_core.evaluation.comparison.comparison import compare
    from chestgan_core.evaluation.comparison.page import PAGE, PDF, RANKED, commit_comparison

    with workplace.scratch() as folder:
        stored = commit_comparison(store, kind, title, compare(store, names), folder)
    found = stored.comparison
    where = stored.uri.rpartition("/")[0]
    rows = [[one.row(measure) for measure in RANKED] for one in found.experiments]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.version),
        metadata={
            "uri": stored.uri,
            "page": f"{where}/{PAGE}",
            "pdf": f"{where}/{PDF}",
            "samples and measures": picture(stored.picture_png, title),
            "measures": table(
                ("experiment", *RANKED),
                [
                    (one.name, *(row.number(row.value, row.sd) if row else "none" for row in of_one))
                    for one, of_one in zip(found.experiments, rows, strict=True)
                ],
            ),
        },
        check_results=[check("comparable", not found.reasons, why=" ".join(found.reasons) or "they are")],
    )
