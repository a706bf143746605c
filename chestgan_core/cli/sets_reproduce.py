"""`chestgan sets reproduce`: the numbers of a card computed again."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from chestgan_core.cli.parser import Answer, Commands, add_command, add_device
from chestgan_core.escaping import escaped
from chestgan_core.local.home import home

if TYPE_CHECKING:
    from chestgan_core.publishing.reproducing.reproduce import Reproduction
    from chestgan_core.publishing.reproducing.verdicts import Comparison

_SHOWN_PROBLEMS = 20


def add_to(commands: Commands) -> None:
    """The command and its options."""
    parser = add_command(
        commands,
        "reproduce",
        run,
        "Compute the numbers of a set's card again, from the set and the source of its training data.",
        "Fetches the series of split.csv, normalizes them and scores the set's images against them. An interrupted run "
        "resumes. The exit status is 0 if KID was recomputed and no number differs, 3 if KID could not be "
        "recomputed, 4 if a number differs.",
    )
    parser.add_argument("set", metavar="SET", help="name of a set, or the folder of a fetched one")
    parser.add_argument("--version", metavar="VERSION", help="version of the set (default: the newest)")
    parser.add_argument(
        "--work", type=Path, metavar="FOLDER", help="folder for what is fetched (default: SET-reproduction)"
    )
    parser.add_argument(
        "--source",
        type=Path,
        metavar="FOLDER",
        help="DICOM files (or pictures) of the dataset, in place of a download; for private datasets the only way",
    )
    parser.add_argument(
        "--endpoint", metavar="URL", help="another server of the Imaging Data Commons or of NBIA than its own"
    )
    parser.add_argument(
        "--anonymous", action="store_true", help="use no key: the bucket of $CHESTGAN_STORE is public"
    )
    add_device(parser)


def run(args: argparse.Namespace) -> Answer:
    """One line for each number, and what was missing."""
    from chestgan_core.publishing.reader.set_folder import MANIFEST, read_set_folder
    from chestgan_core.publishing.reproducing.reproduce import reproduce
    from chestgan_core.publishing.transfer.cache import fetch_into_cache
    from chestgan_core.store.embedded import open_store

    place = Path(args.set)
    if place.is_dir() and (place / MANIFEST).exists():
        folder = read_set_folder(place)
    else:
        with open_store(home(), anonymous=args.anonymous) as store:
            folder = fetch_into_cache(store, args.set, args.version)
    work = args.work or Path(f"{folder.facts.name}-reproduction")
    done = reproduce(folder, work, home(), args.source, args.endpoint, args.device)
    return Answer(done.as_json(), _text(done))


def _text(done: "Reproduction") -> str:
    lines = [
        escaped(f"{done.name} {done.version}: {_verdict(done)}"),
        f"real side: {done.slices[0]:,} of {done.slices[1]:,} slices of "
        f"{done.patients[0]:,} of {done.patients[1]:,} patients",
    ]
    lines += [escaped(f"note: {one}") for one in done.cautions]
    lines += [escaped(f"{one.kind}: {one.series} {one.cause}") for one in done.problems[:_SHOWN_PROBLEMS]]
    if len(done.problems) > _SHOWN_PROBLEMS:
        lines.append(f"... and {len(done.problems) - _SHOWN_PROBLEMS:,} more")
    lines += ["", f"{'number':28} {'card':>16} {'again':>16}  {'interval':26} verdict"]
    lines += [_line(one) for one in done.numbers]
    counts = ", ".join(f"{count} {verdict}" for verdict, count in done.counts.items() if count)
    return "\n".join([*lines, "", counts])


def _line(one: "Comparison") -> str:
    name = one.measure if one.part == "value" else f"  {one.part} of {one.measure}"
    card, again, interval = one.shown
    why = f" ({one.why})" if one.why else ""
    return escaped(f"{name:28} {card:>16} {again:>16}  {interval:26} {one.verdict}{why}")


def _verdict(done: "Reproduction") -> str:
    from chestgan_core.publishing.reproducing.reproduce import DIFFERS, REPRODUCED

    if done.exit_status == REPRODUCED:
        return "reproduced"
    return "a number differs" if done.exit_status == DIFFERS else "could not be recomputed"
