"""Dagster's webserver with the guard around it: `python -m chestgan_assets.web.server`, with its own options.

Input: the options of dagster-webserver; $CHESTGAN_UI_HOSTS, names under which browsers reach it besides localhost, with
commas; $CHESTGAN_UI_OWN_ACCOUNT=yes, which refuses other accounts of this machine. Output: the UI, and the files of the
store that it names below /files/.
"""

import os
from collections.abc import Mapping
from typing import Any

from dagster_webserver import cli
from dagster_webserver.app import create_app_from_workspace_process_context

from chestgan_assets.web.files import Files
from chestgan_assets.web.forms import wrong_form
from chestgan_core.local.environment import choice_from_environment
from chestgan_web.guard import App, Guard

HOSTS, OWN_ACCOUNT = "CHESTGAN_UI_HOSTS", "CHESTGAN_UI_OWN_ACCOUNT"


def guarded(app: App, environment: Mapping[str, str] = os.environ) -> Guard:
    """The application with files and guard, as the environment sets them."""
    return Guard(
        Files(app),
        environment.get(HOSTS, "").split(","),
        setting=HOSTS,
        refuses=wrong_form,
        own_account=environment.get(OWN_ACCOUNT) == "yes",
    )


def _create_app(*args: Any, **options: Any) -> Guard:
    return guarded(create_app_from_workspace_process_context(*args, **options))


def main() -> None:
    """Run until a signal arrives."""
    choice_from_environment(OWN_ACCOUNT, ("yes", "no"))
    # uvicorn would let local programs say who they are, by X-Forwarded-For, and the guard would believe them.
    os.environ["FORWARDED_ALLOW_IPS"] = ""
    # Dagster's command has no option for a layer around its application, and makes it by this name.
    if (
        vars(cli)["create_app_from_workspace_process_context"]
        is not create_app_from_workspace_process_context
    ):
        raise RuntimeError("this version of dagster-webserver cannot be guarded")
    vars(cli)["create_app_from_workspace_process_context"] = _create_app
    cli.cli(auto_envvar_prefix="DAGSTER_WEBSERVER")


if __name__ == "__main__":
    main()
