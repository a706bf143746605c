"""The portal as a process: settings from the environment, uvicorn on one address, until a signal arrives."""

import uvicorn

from chestgan_core.local.home import home
from chestgan_core.store.embedded import open_store
from chestgan_portal.app import create_app
from chestgan_portal.settings import Settings


def serve(settings: Settings) -> None:
    """Run until a signal arrives. Raises BadInput: the database does not open, the port is in use."""
    with open_store(home()) as store:
        uvicorn.run(
            create_app(settings, lambda: store),
            host=settings.host,
            port=settings.port,
            # The guard decides by the address at the other end of the connection, which no header may change.
            proxy_headers=False,
            server_header=False,
            log_config=None,
            access_log=False,
        )
