"""`chestgan get` and `chestgan month`: what the pipeline stored and names by its address, on this machine."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from chestgan_core.cli.parser import Answer, Commands, add_command, add_out
from chestgan_core.escaping import escaped
from chestgan_core.local.home import home
from chestgan_core.local.output import output_folder, require_output_folder

MONTH = "a month"
_LISTED = 12


def add_to(commands: Commands) -> None:
    """The commands and their options."""
    parser = add_command(
        commands,
        "get",
        get,
        "Download a report, a picture, weights or anything else that the pipeline names by an s3:// address.",
        "The address of a folder with a manifest downloads all its files. Each file is verified.",
    )
    parser.add_argument("uri", metavar="s3://BUCKET/KEY", help="address, as Dagster or a command shows it")
    add_out(
        parser, "file or folder to write (default: the name of what is downloaded)", "PATH", required=False
    )
    parser.add_argument(
        "--slices",
        action="store_true",
        help="of a training set: its slices as well, in the folders train and held-out, as chestgan train takes them",
    )
    parser = add_command(
        commands, "month", month, "Print what was trained, reported, refused and published in a month (UTC)."
    )
    parser.add_argument(
        "month", nargs="?", metavar="YYYY-MM", help="the month (default: the one that is not over yet)"
    )
    add_out(
        parser,
        "folder for the report as HTML, PDF, Markdown, JSON and picture (default: none)",
        required=False,
    )


def get(args: argparse.Namespace) -> Answer:
    """Download what an address names."""
    from chestgan_core.store.download import download, open_address

    with open_address(args.uri, home()) as (store, key):
        if args.slices:
            from chestgan_core.slices.local_copy import copy_training_set

            done = copy_training_set(store, key, args.out)
        else:
            done = download(store, key, args.out)
    data = {"uri": done.uri, "files": [str(path) for path in done.files], "bytes": done.bytes}
    lines = [escaped(path) for path in done.files[:_LISTED]]
    if more := len(done.files) - len(lines):
        lines.append(f"... and {more} more")
    return Answer(data, "\n".join([*lines, f"{done.bytes:,} bytes downloaded and verified"]))


def month(args: argparse.Namespace) -> Answer:
    """What was committed in a month."""
    from chestgan_core.evaluation.monthly.month import first_day, read_month
    from chestgan_core.evaluation.monthly.page import as_text, write_month
    from chestgan_core.store.embedded import open_store

    name = args.month or f"{datetime.now(UTC):%Y-%m}"
    first_day(name)  # before the store is opened: it may be mistyped
    if args.out:
        require_output_folder(args.out, MONTH, name)
    with open_store(home()) as store:
        found = read_month(store, name)
    data, text = found.as_json(), as_text(found)
    if args.out:
        with output_folder(args.out, MONTH, name):
            files: list[Path] = write_month(found, args.out)
        data = {**data, "files": [str(path) for path in files]}
        text += f"\nwritten to {escaped(args.out)}: {', '.join(path.name for path in files)}"
    return Answer(data, text)
