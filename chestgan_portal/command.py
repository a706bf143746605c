"""`chestgan portal`: start the portal, or make an administrator of it."""

import argparse

from chestgan_core.cli.parser import Answer, Commands, add_command


def add_to(commands: Commands) -> None:
    """The command and its options."""
    parser = add_command(
        commands,
        "portal",
        run,
        "Start the portal: gallery, reader studies, administration.",
        "Settings are environment variables (docs/portal.md).",
    )
    parser.add_argument(
        "--add-administrator",
        metavar="USERNAME",
        help="make an account that administers the portal, which may be running, and end; asks for name, e-mail and "
        "password, or reads them as three lines from standard input",
    )


def run(args: argparse.Namespace) -> Answer:
    """Serve until a signal arrives, or add an administrator."""
    from chestgan_portal.settings import Settings

    settings = Settings.from_environment()
    if args.add_administrator is not None:
        from chestgan_portal.accounts.first_administrator import add_administrator

        username = add_administrator(settings, args.add_administrator)
        return Answer({"username": username, "role": "administrator"}, f"{username} administers the portal")
    from chestgan_portal.server import serve

    serve(settings)
    return Answer({}, "the portal has ended")
