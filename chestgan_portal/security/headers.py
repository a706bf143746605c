"""What every response says to the browser.

Pages load nothing from another host and run no script but ours: no inline script, no inline style, no frame. Nothing is
kept by browsers and proxies but the files in static/, which a browser asks for again each time.
"""

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
