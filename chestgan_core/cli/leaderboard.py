"""`chestgan leaderboard`: all experiments at a glance, as far as they have a report in the store."""

import argparse
from pathlib import Path

from chestgan_core.cli.parser import Answer, Commands, add_command, add_out
from chestgan_core.escaping import escaped
from chestgan_core.local.home import home
from chestgan_core.local.output import output_folder, require_output_folder

LEADERBOARD = "a leaderboard"


def add_to(commands: Commands) -> None:
    """The command and its options."""
    parser = add_command(
        commands,
        "leaderboard",
        leaderboard,
        "Show the newest report of every experiment, in tables of those that can be compared.",
        "What is not shown to differ has the same rank; what the release gate refused has none.",
    )
    add_out(
        parser, "folder for the page as HTML and PDF, its pictures and JSON (default: none)", required=False
    )


def leaderboard(args: argparse.Namespace) -> Answer:
    """The newest reports of all experiments."""
    from chestgan_core.config.names import experiment_files
    from chestgan_core.evaluation.leaderboard.board import read_leaderboard
    from chestgan_core.evaluation.leaderboard.page import as_text, write_leaderboard
    from chestgan_core.local.prices import Prices
    from chestgan_core.store.embedded import open_store

    if args.out:
        require_output_folder(args.out, LEADERBOARD)
    known, prices = experiment_files(), Prices.from_environment()
    with open_store(home()) as store:
        board = read_leaderboard(store, known, prices)
    data, text = board.as_json(), as_text(board)
    if args.out:
        with output_folder(args.out, LEADERBOARD):
            files: list[Path] = write_leaderboard(board, args.out)
        data = {**data, "files": [str(path) for path in files]}
        text += f"\nwritten to {escaped(args.out)}: {', '.join(path.name for path in files)}"
    return Answer(data, text)
