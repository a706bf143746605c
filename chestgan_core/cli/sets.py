"""`chestgan sets`: published synthetic sets."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chestgan_core.cli import sets_convert, sets_links, sets_reproduce, sets_send, sets_versions, sets_whose
from chestgan_core.cli.parser import Answer, Commands, Parser, add_command, add_group, add_out
from chestgan_core.escaping import escaped, escaped_lines
from chestgan_core.local.home import home

if TYPE_CHECKING:
    from chestgan_core.publishing.versions.index import SetEntry


def add_to(commands: Commands) -> None:
    """The commands and their options."""
    group = add_group(commands, "sets", "Find, fetch, verify, convert and withdraw published synthetic sets.")
    _add_anonymous(add_command(group, "list", list_all, "List every published version of every set."))
    parser = add_command(
        group,
        "search",
        search,
        "List the versions that fit all of some words, the best first.",
        "Looked through are names, source, dataset, network, classes, conditions, resolution and bits: search lung r3 "
        "boxes 256 16bit.",
    )
    parser.add_argument("words", nargs="+", metavar="WORD", help="a word, or part of one")
    _add_anonymous(parser)
    parser = add_command(group, "show", show, "Print the card of a set, and with --json its manifest too.")
    _add_set(parser)
    _add_anonymous(parser)
    parser = add_command(
        group,
        "diff",
        diff,
        "Compare two versions: facts, files, measures, images, split.",
        "Images are compared by the sha256 of their pixels; nothing large is downloaded.",
    )
    parser.add_argument("first", metavar="SET[/VERSION]", help="a version, by default the newest")
    parser.add_argument(
        "second", metavar="SET[/VERSION]", help="the other one; a VERSION alone is of the first set"
    )
    _add_anonymous(parser)
    parser = add_command(
        group, "fetch", fetch, "Download a set and verify it.", "An interrupted download is resumed."
    )
    _add_set(parser)
    _add_anonymous(parser)
    sets_convert.add_conversion(parser)
    add_out(parser, "folder for the set (default: its name)", required=False)
    parser = add_command(
        group,
        "verify",
        verify,
        "Check the files and images of a fetched set, and ask the store whether it was withdrawn.",
        "The exit status is 1 if a file is missing or damaged, an image is not as labelled, or the set was withdrawn.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder that chestgan sets fetch wrote")
    parser.add_argument(
        "--files-only", action="store_true", help="only the sha256 of each file, not each image"
    )
    parser.add_argument("--offline", action="store_true", help="do not ask the store")
    _add_anonymous(parser)
    sets_convert.add_to(group)
    sets_links.add_to(group)
    sets_reproduce.add_to(group)
    sets_send.add_to(group)
    sets_versions.add_to(group)
    sets_whose.add_to(group)


def _add_set(parser: Parser) -> None:
    parser.add_argument("name", metavar="SET", help="name of the set")
    parser.add_argument("--version", metavar="VERSION", help="version of the set (default: the newest)")


def _add_anonymous(parser: Parser) -> None:
    parser.add_argument(
        "--anonymous", action="store_true", help="use no key: the bucket of $CHESTGAN_STORE is public"
    )


def list_all(args: argparse.Namespace) -> Answer:
    """Name, version and size of each."""
    from chestgan_core.publishing.versions.listing import list_sets
    from chestgan_core.store.embedded import open_store

    with open_store(home(), anonymous=args.anonymous) as store:
        entries = list_sets(store)
    return _listed(entries)


def search(args: argparse.Namespace) -> Answer:
    """Those that fit."""
    from chestgan_core.publishing.versions.listing import search_sets
    from chestgan_core.store.embedded import open_store

    with open_store(home(), anonymous=args.anonymous) as store:
        entries = search_sets(store, args.words)
    return _listed(entries)


def _listed(entries: "Sequence[SetEntry]") -> Answer:
    width = max((len(one.name) for one in entries), default=0)
    lines = []
    for one in entries:
        classes = (
            "  " + ", ".join(f"{name}: {count:,}" for name, count in one.classes.items())
            if one.classes
            else ""
        )
        size = f"{one.images:>9,} images  {one.resolution} px  {one.bits} bit  {one.bytes / 1e6:>8,.1f} MB"
        boxes = "  boxes of tumours" if "tumour" in one.conditions else ""
        lines.append(escaped(f"{one.name:{width}}  {one.version}  {size}{classes}{boxes}"))
        if one.state != "published":
            instead = f"; use {one.replacement} instead" if one.replacement else ""
            lines.append(escaped(f"{'':{width}}  {one.state.upper()}: {one.reason}{instead}"))
    return Answer(
        {"sets": [one.as_json() for one in entries]}, "\n".join(lines) or "no set has been published yet"
    )


def show(args: argparse.Namespace) -> Answer:
    """The card of one set and its address; its manifest as data."""
    from chestgan_core.documents.front_matter import without_front_matter
    from chestgan_core.publishing.versions.listing import show_set
    from chestgan_core.publishing.versions.status import line_of
    from chestgan_core.store.embedded import open_store

    with open_store(home(), anonymous=args.anonymous) as store:
        manifest = show_set(store, args.name, args.version)
    title = escaped(f"{args.name}, version {manifest['version']}, {manifest['uri']}")
    if manifest["status"] and (said := line_of(manifest["status"])):
        title += "\n" + escaped(said)
    return Answer(manifest, f"{title}\n\n{escaped_lines(without_front_matter(manifest['card'])).rstrip()}")


def diff(args: argparse.Namespace) -> Answer:
    """What differs between two versions."""
    from chestgan_core.cli.sets_difference import lines_of
    from chestgan_core.publishing.versions.diff import diff_sets
    from chestgan_core.store.embedded import open_store

    name, _, version = args.first.partition("/")
    other, slash, its = args.second.partition("/")
    if not slash and re.fullmatch("[0-9a-f]{16}", other):
        other, its = name, other
    with open_store(home(), anonymous=args.anonymous) as store:
        found = diff_sets(store, (name, version or None), (other, its or None))
    return Answer(found.as_json(), "\n".join(map(escaped, lines_of(found))))


def fetch(args: argparse.Namespace) -> Answer:
    """Download one set; where it is converted, or images are chosen, through the cache."""
    from chestgan_core.publishing.transfer.cache import fetch_into_cache
    from chestgan_core.publishing.transfer.fetching import fetch_set
    from chestgan_core.store.embedded import open_store

    out = args.out or Path(args.name)
    chosen = args.form or args.classes or args.count
    with open_store(home(), anonymous=args.anonymous) as store:
        if chosen:
            fetched = fetch_into_cache(store, args.name, args.version)
        else:
            fetched = fetch_set(store, args.name, args.version, out)
    if chosen:
        return sets_convert.convert_folder(args, fetched.path, args.form or "tar", out)
    data = {"folder": str(fetched.path), "version": fetched.version, "images": fetched.images}
    return Answer(data, f"{fetched.images:,} images downloaded and verified: {escaped(fetched.path)}")


def verify(args: argparse.Namespace) -> Answer:
    """What is missing or damaged in a folder; exit status 1 where anything is, or where it was withdrawn."""
    from dataclasses import replace

    from chestgan_core.errors import BadInput, ChestganError
    from chestgan_core.publishing.forms.content import FORM_FILE
    from chestgan_core.publishing.transfer.verifying import verify_set, with_status
    from chestgan_core.store.embedded import known_store

    if (args.folder / FORM_FILE).is_file():
        remedy = "verify the set as it was fetched; chestgan sets convert checks each image of a form that it reads"
        raise BadInput(args.folder, "is a converted set, which has no sha256 of its files", remedy)
    checked = verify_set(args.folder, images=not args.files_only)
    if args.offline:
        checked = replace(checked, unknown="no store was asked")
    else:
        try:
            with known_store(home(), anonymous=args.anonymous) as store:
                checked = with_status(checked, store)
        except ChestganError as error:
            checked = replace(checked, unknown=str(error))
    return Answer(checked.as_json(), checked.line())
