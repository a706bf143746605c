"""Who may send a request to Dagster's UI, and how: a layer around its ASGI application.

In: every request and WebSocket. Out: those of the UI itself and of programs of this machine, unchanged; for all others
403, 404, 405 or 415 with one line that says why. Dagster itself has no login, takes changes by GET, and looks at
neither Host nor Origin: any web page could start runs through the browser of somebody who may.

What is refused, and what it would be:

- a Host that is not ours: DNS rebinding, by which a foreign page becomes "the same origin"
- an Origin or Sec-Fetch-Site that is not ours: a foreign page, also by WebSocket, to which browsers apply no rule
- GraphQL by GET: `<img src="…/graphql?query=mutation…">`; a POST that is not JSON: a form
- methods and paths that the UI does not use
- where `own_account` is set, connections of other accounts of this machine
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from chestgan_assets.web.peer import is_own_account

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
# Dagster reads a file that the request names, of the machine of the code server; there are no notebooks here.
_CLOSED = ("/notebook", "/dagit/notebook")
_HEADERS = {
    # No frame of a foreign page, which could lay its own buttons over ours.
    b"x-frame-options": b"DENY",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
_NO_FRAMES = (b"content-security-policy", b"frame-ancestors 'none'")


@dataclass(frozen=True)
class Refusal:
    """status: of HTTP. text: one line for a person."""

    status: int
    text: str


class Guard:
    """An ASGI application around another one.

    hosts: names under which the UI is reached, besides those of this machine: of a proxy, of a cluster's ingress.
    own_account: whether only processes of the account of this one (and of root) may connect, over loopback.
    """

    def __init__(self, app: App, hosts: Iterable[str] = (), *, own_account: bool = False) -> None:
        self._app = app
        self._hosts = frozenset(host.strip().lower() for host in hosts if host.strip())
        self._own_account = own_account

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI calls it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif refusal := self.refusal(scope):
            await _refuse(scope["type"], refusal, send)
        else:
            await self._app(scope, receive, _with_headers(send))

    def refusal(self, scope: Scope) -> Refusal | None:
        """Why a request is refused; None: it is not."""
        if self._own_account and not is_own_account(scope.get("client"), scope.get("server")):
            return Refusal(
                403, "this UI belongs to another account of this machine; start your own: make dev"
            )
        headers = _Headers(scope["headers"])
        return self._foreign(scope, headers) or _wrong_form(scope, headers)

    def _foreign(self, scope: Scope, headers: "_Headers") -> Refusal | None:
        hosts = headers.all(b"host")
        here = _name_and_port(hosts[0], scope["scheme"]) if len(hosts) == 1 else None
        if here is None or not self._is_ours(here[0], scope):
            return Refusal(403, "this host name is not ours; add it to CHESTGAN_UI_HOSTS if it should be")
        origins = headers.all(b"origin")
        if origins and not (len(origins) == 1 and self._is_same(origins[0], here)):
            return Refusal(403, "a page of another site may not send requests here; open the UI itself")
        site = headers.first(b"sec-fetch-site")
        if site in ("", "same-origin", "none") or _is_link(scope, headers):
            return None
        return Refusal(403, "a page of another site may not send requests here; open the UI itself")

    def _is_ours(self, name: str, scope: Scope) -> bool:
        # The address at which the connection arrived: probes of Kubernetes name it, and no foreign page has it.
        at = (scope.get("server") or ("",))[0]
        return name in LOOPBACK or name in self._hosts or name == at

    def _is_same(self, origin: str, here: tuple[str, int]) -> bool:
        scheme, _, host = origin.partition("://")
        there = _name_and_port(host, scheme) if scheme in _DEFAULT_PORTS else None
        # A proxy may ask for us under another name than its own, and ends TLS: we see another scheme and port.
        return there is not None and (there[0] in self._hosts or (scheme, there) == ("http", here))


class _Headers:
    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._raw = [(name.lower(), value.decode("latin-1").strip()) for name, value in raw]

    def all(self, name: bytes) -> list[str]:
        return [value for found, value in self._raw if found == name]

    def first(self, name: bytes) -> str:
        return next(iter(self.all(name)), "").lower()


def _name_and_port(host: str, scheme: str) -> tuple[str, int] | None:
    """Of `name:port` or `[address]:port`; None where it is neither."""
    try:
        parts = urlsplit(f"//{host}")
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or parts.netloc != host or parts.username is not None or parts.path:
        return None
    return parts.hostname.lower(), port or _DEFAULT_PORTS.get(scheme.replace("ws", "http"), 0)


def _is_link(scope: Scope, headers: _Headers) -> bool:
    """Whether a person followed a link of another page, to a page of ours: reading, in a tab of its own."""
    return (
        scope["type"] == "http"
        and scope["method"] in ("GET", "HEAD")
        and headers.first(b"sec-fetch-mode") == "navigate"
        and headers.first(b"sec-fetch-dest") == "document"
    )


def _wrong_form(scope: Scope, headers: _Headers) -> Refusal | None:
    path = scope["path"].rstrip("/")
    if path.endswith(_CLOSED):
        return Refusal(404, "there are no notebooks here")
    if scope["type"] == "websocket":
        return None
    if scope["method"] in ("GET", "HEAD"):
        if path.endswith("/graphql") and scope.get("query_string"):
            return Refusal(405, "GraphQL is asked by POST, with the query as JSON")
        return None
    if scope["method"] != "POST":
        return Refusal(405, "only GET, HEAD and POST are used here")
    kinds = headers.all(b"content-type")
    if len(kinds) != 1 or kinds[0].partition(";")[0].strip().lower() != "application/json":
        return Refusal(415, "a POST needs the header Content-Type: application/json")
    return None


async def _refuse(kind: str, refusal: Refusal, send: Send) -> None:
    if kind == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": refusal.text})
        return
    body = f"chestgan: {refusal.text}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await _with_headers(send)({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    """What a response says besides: what Dagster sets itself stays, and a second policy only makes it stricter."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            there = {name.lower() for name, _ in headers}
            headers += [(name, value) for name, value in _HEADERS.items() if name not in there]
            message = {**message, "headers": [*headers, _NO_FRAMES]}
        await send(message)

    return sent
