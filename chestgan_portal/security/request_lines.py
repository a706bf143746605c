"""One line in the log for each request that was refused or failed; none for the others.

In: requests and responses. Out: lines such as `POST /login: 429 in 3 ms`. An address may hold the secret of a link or
the opaque name of an image, and a body what a person wrote. So the line has the pattern of the route, not the address;
and nothing about who sent it.
"""

import logging
import time
import traceback
from pathlib import Path

from chestgan_web.guard import App, Message, Receive, Scope, Send

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_CRASHED = b"chestgan: this failed here; the log says why\n"
_CALLS = 8  # of a failure that are named

_log = logging.getLogger(__name__)


class RequestLines:
    """An ASGI application around another one, the outermost."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI calls it. What no handler of the application took is answered here with 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started = 0, time.monotonic()

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception as error:
            # Not raised again: uvicorn would write it again, with what the error says. Where the response had begun,
            # uvicorn ends the connection, so that nobody takes half of it for the whole.
            _log.error("%s: %s", _request(scope), _where(error))
            if not status:
                headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
                await send({"type": "http.response.start", "status": 500, "headers": headers})
                await send({"type": "http.response.body", "body": _CRASHED})
            return
        if status >= 400:
            level = logging.WARNING if status >= 500 else logging.INFO
            _log.log(level, "%s: %d in %.0f ms", _request(scope), status, 1000 * (time.monotonic() - started))


def _request(scope: Scope) -> str:
    method = scope["method"] if scope["method"] in _METHODS else "another method"
    # Of a refusal by the guard, and of an address that no route has: unknown.
    return f"{method} {getattr(scope.get('route'), 'path', 'unknown page')}"


def _where(error: BaseException) -> str:
    """The class of an error and the calls that led to it, the last first; not its text: it may hold what was sent."""
    calls = traceback.extract_tb(error.__traceback__)[: -_CALLS - 1 : -1]
    steps = [f"{'/'.join(Path(call.filename).parts[-2:])}:{call.lineno} in {call.name}" for call in calls]
    cause = f", of {type(error.__cause__).__name__}" if error.__cause__ else ""
    return f"{type(error).__name__}{cause}; {' < '.join(steps)}"
