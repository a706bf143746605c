"""The parser of `chestgan`, and the options that several commands share.

In: the command line. Out: parsed arguments, or one line on standard error that names the nearest option, command or
choice, with exit status 2.
"""

import argparse
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeAlias, TypeVar

from chestgan_core.errors import nearest

log = logging.getLogger(__name__)

Number = TypeVar("Number", int, float)
DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")
EXPERIMENT = "name of an experiment, or path of a YAML file"


class Answer(NamedTuple):
    """What a command answers. data: for programs, printed as JSON; `exit_status` in it is that of the process, else 0.
    text: for people.
    """

    data: dict[str, Any]
    text: str


Run: TypeAlias = Callable[[argparse.Namespace], Answer]


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, and which does not guess abbreviated options."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As in argparse, but an argument that no command knows is an error of the command that got it."""
        self._refuse_unknown_options(sys.argv[1:] if args is None else args)
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unexpected argument {' '.join(unknown)}")
        return known, unknown

    def error(self, message: str) -> NoReturn:
        """One line and exit status 2."""
        remedy = "" if ";" in message else f"; see {self.prog} --help"
        log.error(f"{self.prog}: {message}{remedy}")
        sys.exit(2)

    def _refuse_unknown_options(self, arguments: list[str]) -> None:
        """Before argparse looks for required arguments: it would report the mistyped option as missing."""
        for argument in arguments:
            if argument == "--" or (self._subparsers is not None and not argument.startswith("-")):
                return
            option = argument.partition("=")[0]
            if re.match(r"--?[A-Za-z]", argument) and option not in self._option_string_actions:
                options = [name for name in self._option_string_actions if name.startswith("--")]
                self.error(f"unknown option {option}; {nearest(option, options)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        # argparse would list every choice; nearest answers as it does for experiments and sets.
        if action.choices is None or value in action.choices:
            return
        remedy = nearest(str(value), map(str, action.choices))
        if isinstance(action, argparse._SubParsersAction):
            self.error(f"unknown command {value}; {remedy}")
        raise argparse.ArgumentError(action, f"{value} is not a valid choice; {remedy}")


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def add_command(commands: Commands, name: str, run: Run, about: str, more: str = "") -> Parser:
    """A command that runs `run`. about: one sentence, for the list of commands too. more: only for its own help."""
    parser = commands.add_parser(name, help=about, description=f"{about} {more}".strip())
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print the answer as JSON on standard output")
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    return parser


def add_group(commands: Commands, name: str, about: str) -> Commands:
    """A command that consists of others, such as `sets list`."""
    return commands.add_parser(name, help=about, description=about).add_subparsers(
        required=True, metavar="COMMAND", title="commands"
    )


def add_experiment(parser: Parser) -> None:
    """The experiment that a command reads."""
    parser.add_argument("experiment", metavar="EXPERIMENT", help=EXPERIMENT)


def add_files(parser: Parser, option: str, about: str, required: bool = False) -> None:
    """An option that takes one file or more, and may be given again."""
    parser.add_argument(
        option, required=required, nargs="+", action="extend", type=Path, metavar="FILE", help=about
    )


def add_marks(parser: Parser) -> None:
    """Where the tumours of the slices are."""
    parser.add_argument(
        "--marks",
        type=Path,
        metavar="FILE",
        help="slices.parquet of the training set that the slices are of (chestgan get --slices): where their tumours "
        "are; experiments need it that can be asked for tumours",
    )


def add_out(parser: Parser, about: str, metavar: str = "FOLDER", required: bool = True) -> None:
    """Where a command writes."""
    parser.add_argument("--out", required=required, type=Path, metavar=metavar, help=about)


def add_device(parser: Parser) -> None:
    """Where tensors are computed."""
    parser.add_argument(
        "--device",
        choices=DEVICES,
        default="auto",
        metavar="DEVICE",
        help="cpu, cuda, mps, xpu (Intel), or auto for the fastest one available (default: auto)",
    )


def add_seed(parser: Parser, about: str) -> None:
    """The seed of what is drawn."""
    parser.add_argument("--seed", type=non_negative, default=0, metavar="N", help=f"{about} (default: 0)")


def add_threads(parser: Parser, about: str) -> None:
    """How many threads PyTorch uses on the CPU."""
    parser.add_argument("--threads", type=positive, metavar="N", help=about)


def add_phantom(parser: Parser) -> None:
    """Whether images that are not synthetic are phantoms."""
    parser.add_argument(
        "--phantom",
        action="store_true",
        help="the slices are generated phantoms; the report does not call them real",
    )


def add_budget(parser: Parser, stop: str, default: str, more: str = "") -> None:
    """What ends a training. stop: "stop a trial". more: what the numbers include."""
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument(
        "--max-minutes",
        type=minutes,
        metavar="MINUTES",
        help=f"{stop} after this many minutes{more} (default: {default})",
    )
    budget.add_argument(
        "--max-images", type=positive, metavar="N", help=f"{stop} after this many images seen{more}"
    )


def _number(kind: type[Number], fits: Callable[[Number], bool], meaning: str) -> Callable[[str], Number]:
    def parse(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {meaning}")
        return value

    return parse


positive = _number(int, lambda value: 1 <= value <= sys.maxsize, "a positive whole number")
non_negative = _number(int, lambda value: value >= 0, "a whole number from 0")
minutes = _number(float, lambda value: 0 < value < float("inf"), "a positive number of minutes")
price = _number(float, lambda value: 0 < value < float("inf"), "a positive price")
fraction = _number(float, lambda value: 0 <= value <= 1, "a number from 0 to 1")
millimetres = _number(float, lambda value: 0 < value < float("inf"), "a positive number of mm")
trim_fraction = _number(float, lambda value: 0 <= value < 0.5, "a fraction from 0 to below 0.5")
