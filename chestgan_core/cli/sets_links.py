"""`chestgan sets link`: links for people without keys."""

import argparse
from pathlib import Path

from chestgan_core.cli.parser import Answer, Commands, add_command, add_out
from chestgan_core.escaping import escaped
from chestgan_core.local.home import home


def add_to(group: Commands) -> None:
    """The command and its options."""
    parser = add_command(
        group,
        "link",
        link,
        "Write a file with links by which anybody fetches a set with curl, until they end.",
        "Whoever reads the file can read the set; the links themselves are not printed.",
    )
    parser.add_argument("name", metavar="SET", help="name of the set")
    parser.add_argument("--version", metavar="VERSION", help="version of the set (default: the newest)")
    parser.add_argument(
        "--expires",
        default="7d",
        metavar="TIME",
        help="90m, 12h or 7d, the most that S3 allows (default: 7d)",
    )
    add_out(parser, "file for the links (default: SET-links.txt)", metavar="FILE", required=False)


def link(args: argparse.Namespace) -> Answer:
    """Write the file, and say how to use it."""
    from chestgan_core.publishing.transfer.links import link_set, parse_duration
    from chestgan_core.store.embedded import open_store

    expires = parse_duration(args.expires)
    file = args.out or Path(f"{args.name}-links.txt")
    with open_store(home()) as store:
        done = link_set(store, args.name, args.version, expires, file)
    lines = [
        f"{done.file}: {done.files} links to {done.name} {done.version}, {done.bytes / 1e6:,.1f} MB",
        f"They end on {done.until:%Y-%m-%d at %H:%M} UTC. Whoever has the file can read the set.",
        *done.limits,
        f"Fetch it with: curl --config {done.file.name}",
    ]
    return Answer(done.as_json(), "\n".join(map(escaped, lines)))
