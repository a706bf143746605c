"""`chestgan ...`: every step without Dagster.

In: files and names. Out: JSON on standard output (with --json, and nothing else there), everything for people on
standard error. Exit status: 0 done, 1 failed, 2 wrong use. An error is one line; --debug adds the traceback.
"""

import json
import logging
import sys
from collections.abc import Sequence

from chestgan_core import __version__
from chestgan_core.cli import (
    catalog,
    data,
    doctor,
    evaluate,
    experiments,
    generate,
    sets,
    study,
    train,
)
from chestgan_core.cli.parser import Parser
from chestgan_core.errors import BadExperiment, ChestganError
from chestgan_core.local.log_lines import as_json_lines, print_error

GROUPS = (catalog, data, train, generate, evaluate, experiments, study, sets, doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    args = parser().parse_args(arguments)
    try:
        as_json_lines()
    except ChestganError as error:
        return _failed(error, args.debug, status=2)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    for chatty in ("botocore", "boto3", "urllib3", "s3transfer", "matplotlib", "pydicom", "PIL"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    try:
        answer = args.run(args)
    except BadExperiment as error:
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
        print("interrupted; train, study run and sets fetch resume when they are run again", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(answer.data, indent=2, sort_keys=True, allow_nan=False))
    else:
        print(answer.text, file=sys.stderr)
    return int(answer.data.get("exit_status", 0))


def _failed(error: ChestganError, debug: bool, status: int) -> int:
    if debug:
        logging.getLogger("chestgan").error("", exc_info=error)
    print_error(f"chestgan: {error}")
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
    return parser
