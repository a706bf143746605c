"""What every response says to the browser, and how much a request may send.

Pages load nothing from another host and run no script but ours: no inline script, no inline style, no frame. Nothing is
kept by browsers and proxies but the files in static/, which a browser asks for again each time.
"""

import re

from starlette.datastructures import MutableHeaders

from chestgan_web.guard import App, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
HTTPS = {"strict-transport-security": "max-age=31536000"}
MAX_BODY = 1 << 20  # bytes of a form or a notification
_OTHER_CHARSET = re.compile(rb";\s*charset\s*=\s*\"?(?!utf-?8\b)", re.IGNORECASE)


class Headers:
    """An ASGI application around another one. Headers that a route sets itself stay."""

    def __init__(self, app: App, *, https: bool) -> None:
        self._app = app
        self._headers = HEADERS | (HTTPS if https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI calls it."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if scope["path"].startswith("/static/") and message["status"] in (200, 206, 304):
                    headers.setdefault("cache-control", "no-cache")
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, sent)


class MaxBody:
    """An ASGI application around another one, which refuses what no page of ours sends.

    A larger body (413), whatever its header says; text in another character set (415), which could hold what is no
    text; the character NUL in an address (400), which no database takes.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI calls it. The body is read here, as all of them are small."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if b"%00" in scope["query_string"] or "\0" in scope["path"]:
            await _refuse(send, 400, "the address holds a character that no text has")
            return
        if any(name == b"content-type" and _OTHER_CHARSET.search(value) for name, value in scope["headers"]):
            await _refuse(send, 415, "send text in UTF-8")
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return  # the client has gone
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MAX_BODY:
                await _refuse(send, 413, "too large")
                return
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def received() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, received, send)


async def _refuse(send: Send, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"chestgan: {text}\n".encode()})
