"""The portal as a process: settings from the environment, uvicorn on one address, until a signal arrives.

In: settings. Out: pages at an address; lines about refused and failed requests. A first SIGTERM or Ctrl-C lets running
requests end, for GRACE seconds; what was accepted until then is on the disk.
"""

import errno
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from chestgan_core.errors import BadInput
from chestgan_core.local.home import home
from chestgan_core.store.embedded import open_store
from chestgan_portal.security.request_lines import RequestLines
from chestgan_portal.security.slow_clients import MAX_HEAD, TimedProtocol
from chestgan_portal.settings import Settings
from chestgan_web.guard import App

GRACE = 10  # seconds
IDLE = 20  # seconds that a connection stays open between two requests
# Connections, idle ones too: six of each browser. Beyond them 503, before this process has no more descriptors.
MOST_CONNECTIONS = 800


def serve(settings: Settings) -> None:
    """Run until a signal arrives; prints its address as soon as it answers.

    Raises BadInput: the port is in use, the database does not open; StoreError, NotAvailable: the embedded store does
    not start.
    """
    # First of all, so that a port that is taken is said before a database is upgraded and seconds of imports have gone.
    with _listener(settings) as listener, open_store(home()) as store:
        from chestgan_portal.accounts.first_administrator import where_to_log_in
        from chestgan_portal.app import create_app

        config = server_config(create_app(settings, lambda: store))
        server = _Server(config, lambda: print(where_to_log_in(settings), flush=True))
        with _signals(server):
            server.run([listener])


def server_config(app: App) -> uvicorn.Config:
    """How uvicorn runs the portal; the address is that of the socket it is given."""
    return uvicorn.Config(
        RequestLines(app),
        http=TimedProtocol,
        ws="none",
        h11_max_incomplete_event_size=MAX_HEAD,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=GRACE,
        # The guard decides by the address at the other end of the connection, which no header may change.
        proxy_headers=False,
        server_header=False,
        log_config=None,
        access_log=False,
    )


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()


def _listener(settings: Settings) -> socket.socket:
    """A socket on the address of the settings, on which nobody is answered yet. Raises BadInput."""
    where, port = settings.host, settings.port
    try:
        found = socket.getaddrinfo(where, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            # As servers do: the last connections of a portal that has just ended do not hold the port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except BaseException:
            listener.close()
            raise
        return listener
    except socket.gaierror as error:
        remedy = "set CHESTGAN_PORTAL_HOST to an address of this machine"
        raise BadInput(f"address {where}", "is not known here", remedy) from error
    except OSError as error:
        cause = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise BadInput(f"port {port}", cause, "set CHESTGAN_PORTAL_PORT to another one") from error


@contextmanager
def _signals(server: uvicorn.Server) -> Iterator[None]:
    """uvicorn raises a signal again once it has ended by it; here the process then ends as by itself, with status 0."""

    def stop(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
