"""`chestgan sets`: published synthetic sets."""

import argparse
from pathlib import Path

from chestgan_core.cli.parser import Answer, Commands, Parser, add_command, add_group, add_out
from chestgan_core.escaping import escaped, escaped_lines
from chestgan_core.local.home import home


def add_to(commands: Commands) -> None:
    """The commands and their options."""
    group = add_group(commands, "sets", "List, show, fetch, verify and withdraw published synthetic sets.")
    add_command(group, "list", list_all, "List every published version of every set.")
    _add_set(add_command(group, "show", show, "Print the card of a set, and with --json its manifest too."))
    parser = add_command(
        group, "fetch", fetch, "Download a set and verify it.", "An interrupted download is resumed."
    )
    _add_set(parser)
    add_out(parser, "folder for the set (default: its name)", required=False)
    parser = add_command(
        group,
        "verify",
        verify,
        "Check the files of a fetched set against its manifest.",
        "The exit status is 1 if one is missing or damaged.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder that chestgan sets fetch wrote")
    parser = add_command(
        group,
        "withdraw",
        withdraw,
        "Withdraw a version of a set: it stays, and nobody is given it any more.",
        "Doing it again corrects the reason and the replacement.",
    )
    parser.add_argument("name", metavar="SET", help="name of the set")
    parser.add_argument("version", metavar="VERSION", help="version of the set, 16 digits")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; everybody can read it")
    parser.add_argument(
        "--replacement", default="", metavar="VERSION", help="what to use instead: VERSION, or SET/VERSION"
    )


def _add_set(parser: Parser) -> None:
    parser.add_argument("name", metavar="SET", help="name of the set")
    parser.add_argument("--version", metavar="VERSION", help="version of the set (default: the newest)")


def list_all(args: argparse.Namespace) -> Answer:
    """Name, version and size of each."""
    from chestgan_core.publishing.transfer.fetching import list_sets
    from chestgan_core.store.embedded import open_store

    with open_store(home()) as store:
        entries = list_sets(store)
    lines = [
        escaped(
            f"{one.name:20} {one.version}  {one.images} images  {one.bytes:,} bytes"
            + (f"  WITHDRAWN: {one.withdrawn}" if one.withdrawn else "")
        )
        for one in entries
    ]
    text = "\n".join(lines) or "no set has been published yet"
    return Answer({"sets": [one.as_json() for one in entries]}, text)


def show(args: argparse.Namespace) -> Answer:
    """The card of one set and its address; its manifest as data."""
    from chestgan_core.publishing.transfer.fetching import show_set
    from chestgan_core.store.embedded import open_store

    with open_store(home()) as store:
        manifest = show_set(store, args.name, args.version)
    title = escaped(f"{args.name}, version {manifest['version']}, {manifest['uri']}")
    if gone := manifest["withdrawn"]:
        instead = f"; use {gone['replacement']} instead" if gone["replacement"] else ""
        title += "\n" + escaped(f"WITHDRAWN on {gone['at'][:10]}: {gone['reason']}{instead}")
    return Answer(manifest, f"{title}\n\n{escaped_lines(manifest['card']).rstrip()}")


def fetch(args: argparse.Namespace) -> Answer:
    """Download one set."""
    from chestgan_core.publishing.transfer.fetching import fetch_set
    from chestgan_core.store.embedded import open_store

    with open_store(home()) as store:
        fetched = fetch_set(store, args.name, args.version, args.out or Path(args.name))
    data = {"folder": str(fetched.path), "version": fetched.version, "images": fetched.images}
    return Answer(data, f"{fetched.images} images downloaded and verified: {escaped(fetched.path)}")


def verify(args: argparse.Namespace) -> Answer:
    """What is missing or damaged in a folder; exit status 1 where anything is."""
    from chestgan_core.publishing.transfer.fetching import verify_set

    checked = verify_set(args.folder)
    return Answer(checked.as_json(), checked.line())


def withdraw(args: argparse.Namespace) -> Answer:
    """Withdraw one version."""
    from chestgan_core.publishing.versions.withdrawal import withdraw_set
    from chestgan_core.store.embedded import open_store

    with open_store(home()) as store:
        done = withdraw_set(store, args.name, args.version, args.reason, args.replacement)
    instead = f"; use {done.replacement} instead" if done.replacement else ""
    return Answer(done.as_json(), escaped(f"{done.name} {done.version} is withdrawn: {done.reason}{instead}"))
