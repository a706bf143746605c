"""`chestgan portal`: start the portal, or make its first administrator."""

import argparse

from chestgan_core.cli.parser import Answer, Commands, add_command


def add_to(commands: Commands) -> None:
    """The command and its options."""
    add_command(
        commands,
        "portal",
        run,
        "Start the portal: gallery, reader studies, administration.",
        "Settings are environment variables (docs/portal.md).",
    )


def run(args: argparse.Namespace) -> Answer:
    """Serve until a signal arrives."""
    from chestgan_portal.server import serve
    from chestgan_portal.settings import Settings

    settings = Settings.from_environment()
    serve(settings, lambda: print(f"portal  {settings.address}", flush=True))
    return Answer({}, "the portal has ended")
