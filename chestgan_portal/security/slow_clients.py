"""Clients that open connections and send nothing, or a byte at a time: without a limit they take every connection.

In: connections, as uvicorn makes them. Out: the same, closed where a request has not arrived in whole in time. uvicorn
itself limits only the time between two requests, and the size of their heads.

A body in chunks (Transfer-Encoding) is refused: each chunk is work of its own, and a mebibyte in chunks of one byte
would keep all others waiting for seconds. Browsers and the platform's webhook say the length of what they send.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

# Bytes of the request line and headers, beyond which h11 waits for no more of them. What arrives in one piece, 256 KiB
# at most, is read all the same.
MAX_HEAD = 32 << 10
ARRIVAL = 30.0  # seconds from the first byte of a request, or the opening of the connection, to its last byte


class _Connection(h11.Connection):
    def next_event(self) -> Any:
        """Raises RemoteProtocolError also for a body in chunks, before the first of them is looked at."""
        event = super().next_event()
        if isinstance(event, h11.Request) and any(name == b"transfer-encoding" for name, _ in event.headers):
            raise h11.RemoteProtocolError("a body in chunks", error_status_hint=411)
        return event


class TimedProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it. A WebSocket is no more than a request here: the portal has none."""

    _arrival: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn = _Connection(h11.SERVER, MAX_HEAD)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As asyncio calls it."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """As asyncio calls it."""
        super().data_received(data)
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._expect()  # part of a request is here
        else:
            self._arrived()

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio calls it."""
        self._arrived()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """From here on uvicorn's limit for idle connections counts, unless the next request has begun already."""
        super().on_response_complete()
        if not self.conn.trailing_data[0]:
            self._arrived()

    def _expect(self) -> None:
        if self._arrival is None:
            self._arrival = self.loop.call_later(ARRIVAL, self._too_slow)

    def _arrived(self) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _too_slow(self) -> None:
        self._arrival = None
        if not self.transport.is_closing():
            self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """It would be a line in the log for each request of a stranger."""
