"""What a request may be: no larger, and of no other text, than any page of ours sends."""

import re

from chestgan_web.guard import App, Message, Receive, Scope, Send

MAX_BODY = 1 << 20  # bytes of a form or a notification
_OTHER_CHARSET = re.compile(rb";\s*charset\s*=\s*\"?(?!utf-?8\b)", re.IGNORECASE)


class RequestLimits:
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
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return  # the client has gone
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MAX_BODY:
                await _refuse(send, 413, "too large")
                return
        waiting: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def received() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, received, send)


async def _refuse(send: Send, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"chestgan: {text}\n".encode()})
