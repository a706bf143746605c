"""Many readers at once, over connections of their own, as cheap as can be: they share the cores with the server.

In: the address of a server, and what each reader does. Out: how long each answer took, by kind of request, as a browser
on this machine sees it: with the way there, the queue, and the work.
"""

import asyncio
import math
import random
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

_IMAGE = re.compile(rb"/reading/images/([A-Za-z0-9_-]+)\.png")
_TOKEN = re.compile(rb'"x-csrf-token": "([0-9a-f]{64})"')
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_BEGIN = re.compile(rb"begin=(warm-up|main)")


@dataclass
class Times:
    """Seconds by kind of request; errors: what was not as it should be."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)

    def all(self, *kinds: str) -> list[float]:
        """Sorted; of some kinds, or of all."""
        return sorted(
            one for kind, values in self.seconds.items() if not kinds or kind in kinds for one in values
        )


def share(values: Sequence[float], part: float) -> float:
    """A quantile of sorted values."""
    return values[min(int(part * len(values)), len(values) - 1)]


class Connection:
    """One kept-alive connection of HTTP/1.1."""

    def __init__(self, address: str, times: Times, cookie: str = "") -> None:
        parts = urlsplit(address)
        self._host, self._port = str(parts.hostname), int(parts.port or 80)
        self._times = times
        self._fixed = f"host: {self._host}:{self._port}\r\n"
        if cookie:
            self._fixed += f"cookie: chestgan-login={cookie}\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self,
        kind: str,
        path: str,
        form: dict[str, object] | None = None,
        headers: str = "",
        wanted: int = 200,
    ) -> bytes:
        """The body of the answer; what has another status is noted as an error."""
        body = urlencode(form).encode() if form is not None else b""
        method = "GET" if form is None else "POST"
        head = f"{method} {path} HTTP/1.1\r\n{self._fixed}{headers}"
        if form is not None:
            head += f"content-type: application/x-www-form-urlencoded\r\ncontent-length: {len(body)}\r\n"
        started = time.perf_counter()
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port, limit=1 << 22)
        reader, writer = self._streams
        writer.write(head.encode() + b"\r\n" + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(answer)
        content = await reader.readexactly(int(length[1])) if length else b""
        self._times.seconds[kind].append(time.perf_counter() - started)
        status = int(answer.split(b" ", 2)[1])
        if status != wanted:
            self._times.errors.append(f"{kind}: {status} {answer[:80]!r} {content[:200]!r}")
        if b"connection: close" in answer.lower():
            self.close()
        return content

    def close(self) -> None:
        """End it; the next request opens another one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def read_study(
    address: str,
    cookie: str,
    study: str,
    times: Times,
    pause: float = 0.0,
    begin: float = 0.0,
    until: float = math.inf,
) -> int:
    """Join and answer every image as htmx sends it; returns how many. pause: mean seconds between image and answer.

    begin, until: of time.monotonic(): the readers look at their first images in the seconds after begin, not all at
    once, and begin none after until.
    """
    connection, path, answered = Connection(address, times, cookie), f"/studies/{study}", 0
    page = await connection.ask("page", path)
    if not (token := _TOKEN.search(page)):
        times.errors.append(f"no token in {page[:200]!r}")
        return 0
    sent = f"x-csrf-token: {token[1].decode()}\r\n"
    await connection.ask("join", f"{path}/join", {"agreed": "yes"}, sent, wanted=303)
    page = await connection.ask("page", f"{path}/reading")
    await asyncio.sleep(max(begin - time.monotonic(), 0) + random.uniform(0, pause))
    while time.monotonic() < until:
        if begins := _BEGIN.search(page):
            page = await connection.ask("page", f"{path}/reading?begin={begins[1].decode()}")
        found = _IMAGE.search(page)
        if found is None:
            break
        image = found[1].decode()
        picture = await connection.ask("image", f"/reading/images/{image}.png")
        if not picture.startswith(b"\x89PNG"):
            times.errors.append(f"no picture: {picture[:100]!r}")
        if pause:
            await asyncio.sleep(random.uniform(0.5, 1.5) * pause)
        answer = {
            "token": image,
            "rating": random.randint(1, 10),
            "verdict": "real",
            "confidence": 3,
            "seconds": "1",
        }
        page = await connection.ask("answer", f"{path}/answers", answer, f"{sent}hx-request: true\r\n")
        answered += 1
    connection.close()
    return answered


async def load_pictures(address: str, path: str, times: Times, pause: float, until: float) -> int:
    """The same number of requests of one path: what a server costs that does nothing else."""
    connection, count = Connection(address, times), 0
    while time.monotonic() < until:
        await connection.ask("image", path)
        await asyncio.sleep(
            random.uniform(0.5, 1.5) * pause / 2
        )  # a reader sends two requests for each image
        count += 1
    connection.close()
    return count


def crowd(one: Callable[[int, Times], Awaitable[int]], many: int) -> tuple[list[int], Times]:
    """Run one(number, times) for so many at once; what each returned, and all times."""
    times = Times()

    async def together() -> list[int]:
        return list(await asyncio.gather(*(one(number, times) for number in range(many))))

    return asyncio.run(together()), times
