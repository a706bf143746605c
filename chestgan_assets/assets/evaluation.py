"""metric_report: how far generated images are from real images of patients that were not trained on."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from chestgan_assets.assets.slices import training_set
from chestgan_assets.assets.training import generator_checkpoint
from chestgan_assets.conditions import FOLLOWS
from chestgan_assets.execution.executor import GO_FIRST, OWNERS, RETRY, evaluation_pool
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.execution.usage import metered
from chestgan_assets.metadata import (
    URI,
    Cell,
    beside,
    check,
    check_spec,
    compact_table,
    images_vary,
    picture,
    refused_by_checks,
)
from chestgan_assets.partitions import dataset_to_experiments, experiments
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import REPORT
from chestgan_core.config.release_checks import RELEASE_CHECKS
from chestgan_core.evaluation.version import VERSION

if TYPE_CHECKING:
    from chestgan_core.evaluation.scoring.gate import GateResult
    from chestgan_core.evaluation.scoring.metric_rows import MetricRow
    from chestgan_core.evaluation.scoring.report_payload import ReportPayload

# Of a measure: name, unit by its numbers, and what it is compared with. Everything else is in the report.
COLUMNS = ("measure", "value", "low", "high", "floor", "best", "n", "floor n", "extractor", "note")


@dg.asset(
    partitions_def=experiments,
    deps=[generator_checkpoint, dg.AssetDep(training_set, partition_mapping=dataset_to_experiments)],
    group_name="evaluation",
    kinds={"pytorch", "html", "s3"},
    tags=REPORT,
    owners=OWNERS,
    code_version=str(VERSION),
    pool=evaluation_pool(),
    op_tags=GO_FIRST,
    retry_policy=RETRY,
    automation_condition=FOLLOWS,
    check_specs=[
        check_spec(
            "extractor_available",
            "metric_report",
            "All feature extractors are installed.",
            experiments,
            blocking=False,
        ),
        check_spec(
            "images_vary", "metric_report", "The generated images differ from each other.", experiments
        ),
        *(
            check_spec(name, "metric_report", description, experiments)
            for name, description in RELEASE_CHECKS.items()
        ),
    ],
)
def metric_report(
    context: dg.AssetExecutionContext, store: StoreResource, machine: MachineResource
) -> Iterator[dg.MaterializeResult]:
    """Distance, overlap, diversity, plausibility, usefulness and memorization, each next to that of real patients."""
    from chestgan_core.evaluation.stored_report import report_experiment
    from chestgan_core.tuning.tuned import load_stored_experiment

    with one_line_failures(), metered(store, machine) as meter, machine.scratch() as folder:
        experiment = load_stored_experiment(meter.store, context.partition_key)
        stored = report_experiment(meter.store, experiment, machine.device, folder)
    rows, gate = stored.payload.rows, stored.payload.gate
    kid = [row for row in rows if row.measure == "KID"]
    yield from refused_by_checks(
        dg.MaterializeResult(
            data_version=dg.DataVersion(stored.version),
            metadata={
                "release gate": f"{'passed' if gate.passed else 'refused'}: {gate.line()}",
                URI: stored.uri,
                "report": beside(stored.uri, "report.html"),
                "report, PDF": beside(stored.uri, "report.pdf"),
                "report, Markdown": beside(stored.uri, "report.md"),
                "contact sheet": picture(stored.contact_sheet_png, "held-out and synthetic images"),
                **_tumours(stored.tumours_png),
                **_attacks(stored.payload),
                **_groups(stored.payload),
                "measures": compact_table(COLUMNS, [_line(row) for row in rows]),
                **({"split": rows[0].split} if rows else {}),
                **_numbers(rows),
                **meter.read().metadata(),
            },
            check_results=[
                check(
                    "extractor_available",
                    all(row.value is not None for row in kid),
                    next(
                        (f"{row.extractor}: {row.note}" for row in kid if row.value is None),
                        "All feature extractors are installed.",
                    ),
                    warn=True,
                ),
                images_vary(stored.spread),
                *_rule_checks(gate),
            ],
        )
    )


def _rule_checks(gate: "GateResult") -> Iterator[dg.AssetCheckResult]:
    """The release gate, one check per rule. A rule that the experiment has turned off, or that is not asked for, is a
    warning, never green.
    """
    from chestgan_core.evaluation.scoring.gate import RULE_MEASURES

    known = {rule.check: rule for rule in gate.rules}
    not_asked = {one.check: one for one in gate.not_asked}
    for name in RELEASE_CHECKS:
        if rule := known.get(name):
            numbers = {"value": rule.value, "limit": rule.limit, "exceeded_by": rule.exceeded_by}
            present = {key: _rounded(one) for key, one in numbers.items() if one is not None}
            said = _sentence(rule.note)
            yield check(name, rule.passed, said, metadata={"result": rule.state, **present})
        elif apart := not_asked.get(name):
            said = f"Not judged: {apart.reason}."
            yield check(name, False, said, warn=True, metadata={"result": "not judged"})
        else:
            measure = RULE_MEASURES[name]
            said = f"No rule: the experiment publishes whatever {measure} is."
            yield check(name, False, said, warn=True, metadata={"result": "no rule"})


def _tumours(png: bytes | None) -> dict[str, dg.MetadataValue]:
    return {} if png is None else {"tumours": picture(png, "asked tumours, and what a detector finds")}


def _attacks(report: "ReportPayload") -> dict[str, dg.MetadataValue | str]:
    """What membership attacks found: a line, and every attack beside its control."""
    block = report.attacks
    if block is None:
        said = next((row.note for row in report.rows if row.group == "attack"), "not tried")
        return {"attacks": said}
    from chestgan_core.evaluation.pages.attack_tables import attack_table

    table = attack_table(block)
    return {"attacks": block.verdict, "attacks, each": compact_table(table.head, table.rows)}


def _groups(report: "ReportPayload") -> dict[str, dg.MetadataValue | str]:
    """The group of patients that is covered worse, and each group; single patients are in the report only."""
    if report.groups is None:
        return {}
    from chestgan_core.evaluation.pages.group_page import groups_table

    table = groups_table(report.groups)
    rows = {"groups of patients, each": compact_table(table.head, table.rows)} if table.rows else {}
    return {"groups of patients": report.groups.sentence, **rows}


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:]}."


def _line(row: "MetricRow") -> tuple[Cell, ...]:
    from chestgan_core.evaluation.scoring.report_payload import BETTER

    numbers = [_rounded(one) for one in (row.value, row.low, row.high, row.floor)]
    images = f"{row.n_real}+{row.n_fake}"
    note = "" if row.value is not None else row.note
    extractor = row.extractor.partition(":")[0]
    return (row.measure, *numbers, BETTER[row.better], images, row.floor_n, extractor, note)


def _numbers(rows: "Sequence[MetricRow]") -> dict[str, float]:
    """Numbers, which Dagster plots over the materializations; metrics without a value are left out. Those of further
    extractors carry their name.
    """
    from chestgan_core.evaluation.scoring.metric_rows import second_opinions

    further = {id(row) for row in second_opinions(rows)}
    numbers = {}
    for row in rows:
        # As in the report: KID is multiplied by 1000.
        name, factor = (f"{row.measure} x 1000", 1000) if row.measure == "KID" else (row.measure, 1)
        if id(row) in further:
            name += f", {row.extractor.partition(':')[0]}"
        for label, value in ((name, row.value), (f"{name}, floor", row.floor)):
            if value is not None:
                numbers[label] = round(factor * value, 3)
    return numbers


def _rounded(value: Cell) -> Cell:
    return float(f"{value:.4g}") if isinstance(value, float) else value
