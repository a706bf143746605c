"""architecture_comparison, tuning_comparison and monthly_report: reports on several experiments."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from chestgan_assets.assets.evaluation import metric_report
from chestgan_assets.assets.publication import synthetic_image_set
from chestgan_assets.execution.executor import OWNERS, RETRY
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.execution.usage import CPU_HOURS, GPU_HOURS, month_sums
from chestgan_assets.metadata import URI, beside, check, check_spec, picture, refused_by_checks, table
from chestgan_assets.partitions import EXPERIMENT_DATASETS, EXPERIMENTS, NO_PARTITION, months
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import REPORT
from chestgan_core.errors import BadInput, nearest
from chestgan_core.evaluation.version import VERSION

if TYPE_CHECKING:
    from chestgan_core.store.store import Store

THESIS_PAIR = ("thesis-dcgan-initial", "thesis-dcgan-final")
COMPARABLE = "The reports are of the same dataset, snapshot, extractor and number of images."


class ArchitectureComparisonConfig(dg.Config):
    """Which experiments to compare."""

    experiments: list[str] = Field(
        default=[],
        description="Two to twelve experiments. Empty: the largest group whose reports can be compared.",
    )
    dataset: str = Field(
        default="", description="Where no experiments are named: only those on this dataset. Empty: on any."
    )


class TuningComparisonConfig(dg.Config):
    """Which two experiments to compare."""

    initial: str = Field(
        default="",
        description="The experiment before tuning. Empty: the first with a report whose tuned one has a report too.",
    )
    final: str = Field(default="", description="The experiment after tuning. Empty: `<initial>-tuned`.")


@dg.asset(
    deps=[dg.AssetDep(metric_report, partition_mapping=dg.AllPartitionMapping())],
    group_name="evaluation",
    kinds={"html", "s3"},
    tags=REPORT,
    owners=OWNERS,
    code_version=str(VERSION),
    retry_policy=RETRY,
    check_specs=[check_spec("comparable", "architecture_comparison", COMPARABLE)],
)
def architecture_comparison(
    config: ArchitectureComparisonConfig, store: StoreResource, machine: MachineResource
) -> Iterator[dg.MaterializeResult]:
    """Samples, metrics with their floors, curves and scores of several experiments, side by side."""
    from chestgan_core.evaluation.comparison.comparison import comparable_experiments

    with one_line_failures():
        opened = store.open()
        if config.experiments:
            names = _known(opened, config.experiments)
        else:
            names = comparable_experiments(opened, _experiments_of(config.dataset))
        result = _compared(opened, machine, "architecture", "Comparison of architectures", names)
    yield from refused_by_checks(result)


@dg.asset(
    deps=[dg.AssetDep(metric_report, partition_mapping=dg.AllPartitionMapping())],
    group_name="evaluation",
    kinds={"html", "s3"},
    tags=REPORT,
    owners=OWNERS,
    code_version=str(VERSION),
    retry_policy=RETRY,
    check_specs=[check_spec("comparable", "tuning_comparison", COMPARABLE)],
)
def tuning_comparison(
    config: TuningComparisonConfig, store: StoreResource, machine: MachineResource
) -> Iterator[dg.MaterializeResult]:
    """An experiment before and after tuning: which settings differ, and how the metrics changed."""
    with one_line_failures():
        opened = store.open()
        names = _known(opened, _tuned_pair(opened, config))
        result = _compared(opened, machine, "tuning", "Before and after tuning", names)
    yield from refused_by_checks(result)


@dg.asset(
    partitions_def=months,
    deps=[
        dg.AssetDep(metric_report, partition_mapping=NO_PARTITION),
        dg.AssetDep(synthetic_image_set, partition_mapping=NO_PARTITION),
    ],
    group_name="publication",
    kinds={"html", "s3"},
    tags=REPORT,
    owners=OWNERS,
    code_version=str(VERSION),
    retry_policy=RETRY,
    check_specs=[
        check_spec(
            "artefacts_readable",
            "monthly_report",
            "All artefacts of the month can be read.",
            months,
            blocking=False,
        )
    ],
)
def monthly_report(
    context: dg.AssetExecutionContext, store: StoreResource, machine: MachineResource
) -> Iterator[dg.MaterializeResult]:
    """What was trained, evaluated, refused and published in a month, compared with the month before."""
    from chestgan_core.evaluation.monthly.page import PAGE, PDF, TEXT, report_month

    with one_line_failures(), machine.scratch() as folder:
        stored = report_month(store.open(), context.partition_key, folder)
        sums, costs = month_sums(context.instance, context.partition_key)
    month = stored.month
    pictures = (
        {"newest images": picture(stored.picture_png, "KID x 1000, before and now")}
        if stored.picture_png
        else {}
    )
    yield from refused_by_checks(
        dg.MaterializeResult(
            data_version=dg.DataVersion(stored.version),
            metadata={
                URI: stored.uri,
                "report": beside(stored.uri, PAGE),
                "report, PDF": beside(stored.uri, PDF),
                "report, Markdown": beside(stored.uri, TEXT),
                **pictures,
                **month.counts,
                "gates passed": sum(report.payload.gate.passed for _, report in month.gates),
                "gates refused": sum(not report.payload.gate.passed for _, report in month.gates),
                GPU_HOURS: round(sum(one.gpu_hours for one in sums.values()), 2),
                CPU_HOURS: round(sum(one.cpu_hours for one in sums.values()), 2),
                "usage by asset": table(
                    ("asset", "materializations", GPU_HOURS, CPU_HOURS),
                    [
                        (name, one.materializations, round(one.gpu_hours, 2), round(one.cpu_hours, 2))
                        for name, one in sums.items()
                    ],
                ),
                **{f"cost in {currency}": round(cost, 2) for currency, cost in costs.items()},
            },
            check_results=[
                check(
                    "artefacts_readable",
                    not month.unreadable,
                    f"{len(month.unreadable)} artefacts cannot be read: {month.unreadable[0]}"
                    if month.unreadable
                    else "All artefacts of the month can be read.",
                    warn=True,
                )
            ],
        )
    )


def _experiments_of(dataset: str) -> list[str]:
    """The experiments on the dataset; all where none is named."""
    from chestgan_core.config.dataset import dataset_named

    if dataset:
        dataset_named(dataset)  # an unknown one is answered with the nearest
    return sorted(name for name, of in EXPERIMENT_DATASETS.items() if not dataset or of == dataset)


def _tuned_pair(store: "Store", config: TuningComparisonConfig) -> list[str]:
    """The experiments before and after tuning. Raises BadInput: none are named, and no pair has reports."""
    from chestgan_core.config.names import tuned_name
    from chestgan_core.evaluation.comparison.comparison import with_report

    if config.initial:
        return [config.initial, config.final or tuned_name(config.initial)]
    if config.final:
        _known(store, [config.final])
        provenance = EXPERIMENTS[config.final].provenance if config.final in EXPERIMENTS else None
        if provenance is None:
            cause = f"is not set, and {config.final} does not come from a study"
            raise BadInput("initial", cause, "name the experiment before tuning")
        return [provenance.experiment, config.final]
    reported = set(with_report(store, sorted(EXPERIMENTS)))
    pairs = [(name, tuned_name(name)) for name in sorted(EXPERIMENTS)]
    found = [pair for pair in (*pairs, THESIS_PAIR) if pair[0] != pair[1] and reported.issuperset(pair)]
    if not found:
        raise BadInput(
            "the comparison",
            "no experiment has a report beside that of its tuned one",
            "materialize hyperparameter_study and then metric_report of both, or name two experiments",
        )
    return list(found[0])


def _known(store: "Store", names: Sequence[str]) -> Sequence[str]:
    """The names. Raises BadInput: an experiment that neither has a report nor a file."""
    from chestgan_core.evaluation.comparison.comparison import with_report

    for name in set(names).difference(with_report(store, names), EXPERIMENTS):
        raise BadInput(f"experiment {name}", "is not a known experiment", nearest(name, EXPERIMENTS))
    return names


def _compared(
    store: "Store", machine: MachineResource, kind: str, title: str, names: Sequence[str]
) -> dg.MaterializeResult:
    from chestgan_core.evaluation.comparison.comparison import compare
    from chestgan_core.evaluation.comparison.page import PAGE, PDF, TEXT, commit_comparison
    from chestgan_core.evaluation.pages.nearest import RANKED

    with machine.scratch() as folder:
        stored = commit_comparison(store, kind, title, compare(store, names), folder)
    found = stored.comparison
    rows = [[one.row(measure) for measure in RANKED] for one in found.experiments]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.version),
        metadata={
            URI: stored.uri,
            "report": beside(stored.uri, PAGE),
            "report, PDF": beside(stored.uri, PDF),
            "report, Markdown": beside(stored.uri, TEXT),
            "samples and measures": picture(stored.picture_png, title),
            "measures": table(
                ("experiment", *RANKED),
                [
                    (one.name, *(row.number(row.value, row.sd) if row else "none" for row in of_one))
                    for one, of_one in zip(found.experiments, rows, strict=True)
                ],
            ),
        },
        check_results=[
            check("comparable", not found.reasons, " ".join(found.reasons) or "The numbers are comparable.")
        ],
    )
