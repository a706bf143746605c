"""Who may send a request to a web server of ours: a layer around its ASGI application.

In: every request and WebSocket. Out: those of the server's own pages and of programs of this machine, unchanged; for
all others 403 with one line that says why.

What is refused, and what it would be:

- a Host that is not ours: DNS rebinding, by which a foreign page becomes "the same origin"
- an Origin or Sec-Fetch-Site that is not ours: a foreign page, also by WebSocket, to which browsers apply no rule
- where `own_account` is set, connections of other accounts of this machine
- what the server itself refuses, by `refuses`
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from chestgan_web.peer import is_own_account

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
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

    hosts: names under which the server is reached, besides those of this machine: of a proxy, of a cluster's ingress.
    setting: the environment variable that holds these names, for the refusal. refuses: what else is refused, by the
    server itself. own_account: whether only processes of the account of this one (and of root) may connect, over
    loopback.
    """

    def __init__(
        self,
        app: App,
        hosts: Iterable[str] = (),
        *,
        setting: str,
        refuses: Callable[[Scope, "Headers"], Refusal | None] = lambda scope, headers: None,
        own_account: bool = False,
    ) -> None:
        self._app = app
        self._setting = setting
        self._refuses = refuses
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
                403, "this server belongs to another account of this machine; start your own: make dev"
            )
        headers = Headers(scope["headers"])
        return self._foreign(scope, headers) or self._refuses(scope, headers)

    def _foreign(self, scope: Scope, headers: "Headers") -> Refusal | None:
        hosts = headers.all(b"host")
        here = _name_and_port(hosts[0], scope["scheme"]) if len(hosts) == 1 else None
        if here is None or not self._is_ours(here[0], scope):
            return Refusal(403, f"this host name is not ours; add it to {self._setting} if it should be")
        origins = headers.all(b"origin")
        if origins and not (len(origins) == 1 and self._is_same(origins[0], here)):
            return Refusal(403, "a page of another site may not send requests here; open the address itself")
        site = headers.first(b"sec-fetch-site")
        if site in ("", "same-origin", "none") or _is_link(scope, headers):
            return None
        return Refusal(403, "a page of another site may not send requests here; open the address itself")

    def _is_ours(self, name: str, scope: Scope) -> bool:
        # The address at which the connection arrived: probes of Kubernetes name it, and no foreign page has it.
        at = (scope.get("server") or ("",))[0]
        return name in LOOPBACK or name in self._hosts or name == at

    def _is_same(self, origin: str, here: tuple[str, int]) -> bool:
        scheme, _, host = origin.partition("://")
        there = _name_and_port(host, scheme) if scheme in _DEFAULT_PORTS else None
        # A proxy may ask for us under another name than its own, and ends TLS: we see another scheme and port.
        return there is not None and (there[0] in self._hosts or (scheme, there) == ("http", here))


class Headers:
    """The headers of a request, names in lower case."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._raw = [(name.lower(), value.decode("latin-1").strip()) for name, value in raw]

    def all(self, name: bytes) -> list[str]:
        """Every value of a header."""
        return [value for found, value in self._raw if found == name]

    def first(self, name: bytes) -> str:
        """The first value of a header in lower case, "" where there is none."""
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


def _is_link(scope: Scope, headers: Headers) -> bool:
    """Whether a person followed a link of another page, to a page of ours: reading, in a tab of its own."""
    return (
        scope["type"] == "http"
        and scope["method"] in ("GET", "HEAD")
        and headers.first(b"sec-fetch-mode") == "navigate"
        and headers.first(b"sec-fetch-dest") == "document"
    )


async def _refuse(kind: str, refusal: Refusal, send: Send) -> None:
    if kind == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": refusal.text})
        return
    body = f"chestgan: {refusal.text}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await _with_headers(send)({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    """What a response says besides: what the server sets itself stays, and a second policy only makes it stricter."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            there = {name.lower() for name, _ in headers}
            headers += [(name, value) for name, value in _HEADERS.items() if name not in there]
            message = {**message, "headers": [*headers, _NO_FRAMES]}
        await send(message)

    return sent
