"""The commands of `chestgan sets` by which a publisher says what may be used, and how long it stays."""

import argparse
from collections.abc import Sequence

from chestgan_core.cli.parser import Answer, Commands, Parser, add_command, positive
from chestgan_core.escaping import escaped
from chestgan_core.local.home import home


def add_to(group: Commands) -> None:
    """The commands and their options."""
    parser = add_command(
        group,
        "withdraw",
        withdraw,
        "Withdraw a version of a set for good: it stays, and nobody is given it any more.",
        "Doing it again corrects the reason and the replacement.",
    )
    _add_reason(parser)
    parser = add_command(
        group,
        "deprecate",
        deprecate,
        "Say that a version should not be used for new work: it is given with a warning.",
        "Doing it again corrects the reason and the replacement; chestgan sets restore takes it back.",
    )
    _add_reason(parser)
    parser = add_command(
        group, "restore", restore, "Take a deprecation back.", "A withdrawal cannot be taken back."
    )
    _add_version(parser)
    parser = add_command(
        group,
        "keep",
        keep,
        "Exempt a version from the retention rule, because it is cited, for instance.",
        "With --end the rule applies to it again.",
    )
    _add_version(parser)
    reason = parser.add_mutually_exclusive_group(required=True)
    reason.add_argument("--reason", default="", metavar="TEXT", help="why; everybody can read it")
    reason.add_argument("--end", action="store_true", help="apply the rule to it again")
    parser = add_command(
        group,
        "prune",
        prune,
        "Show which versions the retention rule removes; with --apply, delete their images.",
        "It keeps the newest of each set, and what a reader study, a replacement or chestgan sets keep relies on.",
    )
    parser.add_argument("name", nargs="?", metavar="SET", help="name of the set (default: all)")
    parser.add_argument(
        "--keep", type=positive, default=5, metavar="N", help="versions of each set that stay (default: 5)"
    )
    parser.add_argument("--apply", action="store_true", help="do it: what is deleted cannot be brought back")


def _add_version(parser: Parser) -> None:
    parser.add_argument("name", metavar="SET", help="name of the set")
    parser.add_argument("version", metavar="VERSION", help="version of the set, 16 digits")


def _add_reason(parser: Parser) -> None:
    _add_version(parser)
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; everybody can read it")
    parser.add_argument(
        "--replacement", default="", metavar="VERSION", help="what to use instead: VERSION, or SET/VERSION"
    )


def withdraw(args: argparse.Namespace) -> Answer:
    """Withdraw one version."""
    from chestgan_core.publishing.versions.withdrawal import withdraw_set
    from chestgan_core.store.embedded import open_store

    with open_store(home()) as store:
        done = withdraw_set(store, args.name, args.version, args.reason, args.replacement)
    instead = f"; use {done.replacement} instead" if done.replacement else ""
    return Answer(done.as_json(), escaped(f"{done.name} {done.version} is withdrawn: {done.reason}{instead}"))


def deprecate(args: argparse.Namespace) -> Answer:
    """Deprecate one version."""
    from chestgan_core.publishing.versions.withdrawal import deprecate_set
    from chestgan_core.store.embedded import open_store

    with open_store(home()) as store:
        done = deprecate_set(store, args.name, args.version, args.reason, args.replacement)
    instead = f"; use {done.replacement} instead" if done.replacement else ""
    return Answer(
        done.as_json(), escaped(f"{done.name} {done.version} is deprecated: {done.reason}{instead}")
    )


def restore(args: argparse.Namespace) -> Answer:
    """Take a deprecation back."""
    from chestgan_core.publishing.versions.withdrawal import restore_set
    from chestgan_core.store.embedded import open_store

    with open_store(home()) as store:
        done = restore_set(store, args.name, args.version)
    return Answer(done.as_json(), escaped(f"{done.name} {done.version} is published, and not deprecated"))


def keep(args: argparse.Namespace) -> Answer:
    """Exempt one version from the rule."""
    from chestgan_core.publishing.versions.withdrawal import checked_reason, keep_set
    from chestgan_core.store.embedded import open_store

    if not args.end:
        checked_reason(args.reason)  # an empty one would end the exemption
    with open_store(home()) as store:
        done = keep_set(store, args.name, args.version, args.reason)
    said = f"is kept: {done.kept}" if done.kept else "is no longer exempt from the retention rule"
    return Answer(done.as_json(), escaped(f"{done.name} {done.version} {said}"))


def prune(args: argparse.Namespace) -> Answer:
    """What the rule removes, or has removed."""
    from chestgan_core.publishing.versions.retention import apply_retention, plan_retention
    from chestgan_core.store.embedded import open_store

    with open_store(home()) as store:
        plan = plan_retention(store, args.keep, args.name)
        done = apply_retention(store, plan) if args.apply else plan
    lines = [f"kept     {one.name} {one.version}: {one.because}" for one in done.kept]
    verb = "removed" if args.apply else "remove "
    lines += [
        f"{verb}  {one.name} {one.version}: {_counted(one.files)}, {one.bytes / 1e6:,.1f} MB"
        for one in done.removed
    ]
    total = sum(one.bytes for one in done.removed) / 1e6
    if not done.removed:
        lines.append("the rule removes nothing")
    elif args.apply:
        lines.append(f"{total:,.1f} MB were deleted; manifests, labels and cards stay")
    else:
        lines.append(
            f"nothing was changed; with --apply {total:,.1f} MB of images and weights are deleted for good"
        )
    return Answer({"applied": args.apply, **done.as_json()}, "\n".join(map(escaped, lines)))


def _counted(files: Sequence[str]) -> str:
    return "1 file" if len(files) == 1 else f"{len(files)} files"
