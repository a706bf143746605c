"""A TCP proxy that damages connections: what a bad network does to a store, or to the API server of a cluster."""

import socket
import ssl
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Proxy:
    """Forwards to a port, of this machine or of target.

    cut_up, cut_down: bytes from the client or from the server after which a connection is cut, None: never. cuts: how
    many connections are cut before the network is well again, None: all of them. stall: instead of cutting, forward no
    more and say nothing. host: where it listens. tls: clients speak TLS, the server does not. `cut` counts the cut
    ones, `reached` is set by the first. `requests`: the start of each piece that clients sent, hence requests with
    headers. Between go_away() and come_back() every connection is cut at once; `cut` counts them too.
    """

    def __init__(
        self,
        port: int,
        cut_up: int | None = None,
        cut_down: int | None = None,
        cuts: int | None = None,
        stall: bool = False,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        target: str = "127.0.0.1",
    ) -> None:
        self._port, self._cut_up, self._cut_down, self._cuts = port, cut_up, cut_down, cuts
        self._stall, self._tls, self._target = stall, tls, target
        self._away = False
        self.requests: list[bytes] = []
        self.cut = 0
        self.reached = threading.Event()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server((host, 0))
        self.url = f"http{'s' if tls else ''}://{host}:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for opened in [self._listener, *self._sockets]:
            self._end(opened)

    def go_away(self) -> None:
        """Cut what is open, and all that comes."""
        self._away = True
        for opened in self._sockets:
            self._end(opened)

    def come_back(self) -> None:
        """Forward again."""
        self._away = False

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._away:
                    self.cut += 1
                    self._end(client)
                    continue
                if self._tls:
                    try:
                        client = self._tls.wrap_socket(client, server_side=True)
                    except ssl.SSLError:
                        continue  # a client that does not trust us
                self._sockets.append(client)
                server = socket.create_connection((self._target, self._port))
                self._sockets.append(server)
                ways = (client, server, self._cut_up, True), (server, client, self._cut_down, False)
                for way in ways:
                    threading.Thread(target=self._pump, args=way, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, limit: int | None, way_up: bool) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(65536):
                passed += len(data)
                if way_up:
                    self.requests.append(data[:4096])
                if limit is not None and passed > limit and self._may_cut():
                    if self._stall:
                        return
                    break
                target.sendall(data)
        self._end(source)
        self._end(target)

    def _may_cut(self) -> bool:
        with self._lock:
            if self._cuts is not None and self.cut >= self._cuts:
                return False
            self.cut += 1
            self.reached.set()
            return True

    @staticmethod
    def _end(opened: socket.socket) -> None:
        with suppress(OSError):
            opened.shutdown(socket.SHUT_RDWR)
        opened.close()
