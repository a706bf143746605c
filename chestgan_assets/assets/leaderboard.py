"""leaderboard: the newest report of every experiment, in tables of those that can be compared."""

from typing import TYPE_CHECKING

import dagster as dg

from chestgan_assets.assets.evaluation import metric_report
from chestgan_assets.conditions import FOLLOWS_ANY
from chestgan_assets.execution.executor import OWNERS, RETRY
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.metadata import URI, Cell, beside, compact_table, picture
from chestgan_assets.partitions import EXPERIMENTS
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import SYNTHETIC_IMAGES
from chestgan_core.evaluation.version import VERSION

if TYPE_CHECKING:
    from chestgan_core.evaluation.leaderboard.board import Leaderboard

SHOWN = 2  # pictures, of the largest tables; all of them are on the page
COLUMNS = ("table", "rank", "experiment", "KID x 1000", "low", "high", "floor", "release gate", "report of")


@dg.asset(
    deps=[dg.AssetDep(metric_report, partition_mapping=dg.AllPartitionMapping())],
    group_name="evaluation",
    kinds={"html", "s3"},
    tags=SYNTHETIC_IMAGES,
    owners=OWNERS,
    code_version=str(VERSION),
    retry_policy=RETRY,
    automation_condition=FOLLOWS_ANY,
)
def leaderboard(store: StoreResource, machine: MachineResource) -> dg.MaterializeResult:
    """All experiments at a glance: distances with intervals, ranks with ties, gate, cost and synthetic images."""
    from chestgan_core.evaluation.leaderboard.board import read_leaderboard
    from chestgan_core.evaluation.leaderboard.page import DATA, PAGE, PDF, TEXT, commit_leaderboard
    from chestgan_core.evaluation.pages.nearest import nearest_notice
    from chestgan_core.local.prices import Prices

    with one_line_failures(), machine.scratch() as folder:
        opened = store.open()
        board = read_leaderboard(opened, EXPERIMENTS, Prices.from_environment())
        stored = commit_leaderboard(opened, board, folder)
    headlines = {
        f"table {group.number}": nearest_notice(group.entries).title
        for group in board.groups
        if len(group.places) > 1
    }
    pictures = {
        name.removesuffix(".png").replace("-", " ").replace(" 0", " "): png
        for name, png in list(stored.pictures.items())[:SHOWN]
    }
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.version),
        metadata={
            URI: stored.uri,
            "page": beside(stored.uri, PAGE),
            "page, PDF": beside(stored.uri, PDF),
            "page, Markdown": beside(stored.uri, TEXT),
            "page, JSON": beside(stored.uri, DATA),
            **{f"{name}, images": picture(png, name) for name, png in pictures.items()},
            **headlines,
            "experiments": compact_table(COLUMNS, _lines(board)),
            "experiments with a report": len(board.entries),
            "tables": len(board.groups),
            "refused or not judged": sum(not one.payload.gate.passed for one in board.entries),
            "cannot be read": compact_table(
                ("experiment", "reason"), [(one.experiment, one.reason) for one in board.unreadable]
            ),
            "trained, without a report": ", ".join(board.trained) or "none",
            "new": stored.new,
        },
    )


def _lines(board: "Leaderboard") -> list[tuple[Cell, ...]]:
    from chestgan_core.evaluation.leaderboard.tables import gate_of, marked, rank_of
    from chestgan_core.evaluation.scoring.standing import counted

    lines: list[tuple[Cell, ...]] = []
    for group in board.groups:
        for place in group.places:
            one = place.report
            row = counted(one.payload, "KID")
            numbers = (row.value, *(row.ends or (None, None)), row.floor) if row else (None,) * 4
            lines.append(
                (
                    *(group.number, rank_of(place), marked(one)),
                    *(None if value is None else round(1000 * value, 1) for value in numbers),
                    *(gate_of(one.payload.gate), one.day),
                )
            )
    return lines
