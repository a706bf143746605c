"""`chestgan sets whose`: which set, model and seed an image is of, and whether the model makes it again."""

import argparse
from pathlib import Path

from chestgan_core.cli.parser import Answer, Commands, add_command, add_device
from chestgan_core.local.home import home


def add_to(group: Commands) -> None:
    """The command and its options."""
    parser = add_command(
        group,
        "whose",
        whose,
        "Say which set, model and seed an image is of, and whether the model makes it again.",
        "The exit status is 1 where nobody knows it, where its model makes another image, and where the store does not "
        "have the model.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="PNG of a set, or exported DICOM file")
    add_device(parser)
    parser.add_argument(
        "--anonymous", action="store_true", help="use no key: the bucket of $CHESTGAN_STORE is public"
    )


def whose(args: argparse.Namespace) -> Answer:
    """Look one file up."""
    from chestgan_core.publishing.whose.given import read_given
    from chestgan_core.publishing.whose.whose import whose as find
    from chestgan_core.store.embedded import open_store

    read_given(args.file)  # before the store is opened: it may be another file
    with open_store(home(), anonymous=args.anonymous) as store:
        found = find(store, args.file, args.device)
    return Answer(found.as_json(), found.line())
