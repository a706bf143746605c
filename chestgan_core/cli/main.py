"""`chestgan ...`: every step without Dagster.

In: files and names. Out: JSON on standard output (with --json, and nothing else there), everything for people on
standard error. Exit status: 0 done, 1 failed, 2 wrong use; what else `sets reproduce`
ends with, its help says. An error is one line; --debug adds the traceback.
"""

import json
import logging
from collections.abc import Sequence
from importlib.metadata import entry_points

from chestgan_core import __version__
from chestgan_core.cli import (
    catalog,
    dicom,
    doctor,
    evaluate,
    experiments,
    forget,
    generate,
    get,
    leaderboard,
    plan,
    reading,
    sets,
    study,
    train,
)
from chestgan_core.cli.parser import Parser
from chestgan_core.errors import BadExperiment, ChestganError, UnknownName
from chestgan_core.local.log_lines import LINES, configure_logging

log = logging.getLogger(__name__)

GROUPS = (
    catalog,
    dicom,
    plan,
    train,
    generate,
    evaluate,
    leaderboard,
    experiments,
    study,
    sets,
    reading,
    forget,
    get,
    doctor,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    try:
        configure_logging()  # before the arguments: what is wrong with them is a message, too
    except ChestganError as error:
        return _failed(error, debug=False, status=2)
    args = parser().parse_args(arguments)
    try:
        answer = args.run(args)
    except (BadExperiment, UnknownName) as error:
        return _failed(error, args.debug, status=2)
    except ChestganError as error:
        return _failed(error, args.debug, status=1)
    except OSError as error:
        what = ChestganError(
            error.filename or "this machine",
            (error.strerror or type(error).__name__).lower(),
            "check the path, its permissions and the space on the disk",
        )
        return _failed(what, args.debug, status=1)
    except KeyboardInterrupt:
        log.warning(
            "interrupted; train, study run, sets fetch and sets convert resume when they are run again"
        )
        return 1
    if args.json:
        print(json.dumps(answer.data, indent=2, sort_keys=True, allow_nan=False))
    else:
        log.info(answer.text, extra=LINES)
    return int(answer.data.get("exit_status", 0))


def _failed(error: ChestganError, debug: bool, status: int) -> int:
    if debug:
        log.error("", exc_info=error)
    log.error(f"chestgan: {error}")
    return status


def parser() -> Parser:
    """The command line. Each command sets `run`, a function of the parsed arguments."""
    parser = Parser(
        prog="chestgan", description="Synthetic chest CT image sets, from DICOM to a published set."
    )
    parser.add_argument("--version", action="version", version=f"chestgan {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for group in GROUPS:
        group.add_to(commands)
    # Those of other rooms, which core does not know: a module with `add_to`, as those above.
    for entry in entry_points(group="chestgan.commands"):
        entry.load().add_to(commands)
    return parser
