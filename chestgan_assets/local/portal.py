"""The portal beside the UI in `make dev`: its address, its command, and the secret of the pipeline's messages to it.

In: the local folder, $CHESTGAN_PORTAL_PORT (8080), $CHESTGAN_WEBHOOK and its secret where somebody has set them. Out:
variables for all servers, by which the webhook sensors are on and the portal takes what they send; more variables for
the portal alone. It is started as a command: the pipeline knows nothing of what is in it.
"""

import os
import secrets
import sys
from pathlib import Path

from chestgan_core.errors import BadInput
from chestgan_core.local.files import create_secret, file_error
from chestgan_core.local.home import home
from chestgan_core.local.webhook import ADDRESS as WEBHOOK
from chestgan_core.local.webhook import SECRET

VARIABLE = "CHESTGAN_PORTAL_PORT"
PORT = os.environ.get(VARIABLE) or "8080"
ADDRESS = f"http://127.0.0.1:{PORT}"
COMMAND = [str(Path(sys.executable).with_name("chestgan")), "portal"]
_SECRET_FILE = "webhook-secret"  # noqa: S105 (the name of the file)


def webhook_variables() -> dict[str, str]:
    """Address and secret of the webhook, for pipeline and portal: those of the environment, else the portal's own.

    Where somebody has set another address, messages go there and not to the portal. The secret is made once per local
    folder and only this account reads it. Raises BadInput.
    """
    if os.environ.get(WEBHOOK):
        return {}
    return {WEBHOOK: f"{ADDRESS}/notify", SECRET: os.environ.get(SECRET) or _secret(home() / _SECRET_FILE)}


def portal_variables(pipeline: str) -> dict[str, str]:
    """What the portal needs besides. pipeline: address of the UI, for links."""
    return {
        "CHESTGAN_PORTAL_HOST": "127.0.0.1",
        VARIABLE: PORT,
        "CHESTGAN_PORTAL_PIPELINE": os.environ.get("CHESTGAN_PORTAL_PIPELINE") or pipeline,
    }


def _secret(path: Path) -> str:
    try:
        create_secret(path, secrets.token_urlsafe(32))
        found = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError):
            raise file_error(path, error) from error
        found = ""
    if not found:
        raise BadInput(path, "holds no secret", "delete this file: a new one is made")
    return found
