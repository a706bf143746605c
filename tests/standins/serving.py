"""A handler of requests on a free port of loopback, in a thread of its own.

In: a handler. Out: the server that runs it, until it is stopped.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class QuietServer(ThreadingHTTPServer):
    """Says nothing of clients that went away, and does not wait for those that are still there."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        pass

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"http://127.0.0.1:{self.server_address[1]}"


def serve(handler: type[BaseHTTPRequestHandler]) -> QuietServer:
    """Start serving."""
    server = QuietServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


def stop(server: QuietServer) -> None:
    """Stop serving; the port is free afterwards."""
    server.shutdown()
    server.server_close()
