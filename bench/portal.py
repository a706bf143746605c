"""The portal with 50 readers at once: from an answer to the next image.

In: nothing; a study of a small set in the embedded store, accounts in SQLite. Out: rows for the 95th percentile and the
median of a request. `chestgan portal` runs as people run it, in a process of its own; the readers share its two cores.
Each pauses about two seconds between image and answer, faster than a person can judge. What is measured is what a
browser waits: the way, the queue and the work. In turns with it, as many readers load the same PNG from a bare FastAPI
route.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.ratio import Ratio
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_portal.app import create_pages
from chestgan_portal.settings import Settings
from tests.portal.clients import Portal
from tests.portal.crowd import Times, crowd, load_pictures, read_study, share
from tests.portal.reading_studies import logged_in_readers, open_study
from tests.standins.ports import free_port

READERS, ROUNDS, SECONDS, PAUSE = 50, 3, 12.0, 2.0
JOINING = 8.0  # seconds until all have joined, which is not measured
MAX_MS = 50.0
BARE = """
import sys
from pathlib import Path
import uvicorn
from fastapi import FastAPI
from starlette.responses import Response
picture, app = Path(sys.argv[1]).read_bytes(), FastAPI()
@app.get("/picture.png")
def show():
    return Response(picture, media_type="image/png")
uvicorn.run(app, port=int(sys.argv[2]), log_config=None, access_log=False)
"""


def measure() -> list[Ratio]:
    """About a minute and a half."""
    with tempfile.TemporaryDirectory(prefix="chestgan-bench-") as scratch, ExitStack() as stack:
        folder = Path(scratch)
        embedded = stack.enter_context(EmbeddedStore(folder / "home"))
        settings = Settings(database=f"sqlite:///{folder / 'portal.sqlite'}", registration="open")
        store = embedded.store()
        portal = Portal(create_pages(settings, lambda: store), settings)
        study = open_study(portal, store, images_per_side=20)
        cookies = logged_in_readers(portal, READERS * ROUNDS)
        picture = portal.pages.state.frozen.get(study).pictures[0]
        (folder / "picture.png").write_bytes(picture)
        ours, bare = free_port(), free_port()
        environment = {
            **os.environ,
            **embedded.environment,
            "CHESTGAN_HOME": str(folder / "home"),
            "CHESTGAN_PORTAL_DATABASE": settings.database,
            "CHESTGAN_PORTAL_PORT": str(ours),
        }
        chestgan = str(Path(sys.executable).with_name("chestgan"))
        stack.enter_context(_serving([chestgan, "portal"], ours, environment))
        told = [sys.executable, "-c", BARE, str(folder / "picture.png"), str(bare)]
        stack.enter_context(_serving(told, bare, environment))
        reading, plain = Times(), Times()
        for turn in range(ROUNDS):
            mine, until = cookies[turn * READERS : (turn + 1) * READERS], time.monotonic() + JOINING + SECONDS
            _merge(reading, _read(f"http://127.0.0.1:{ours}", mine, study.name, until))
            until = time.monotonic() + SECONDS
            _merge(plain, _load(f"http://127.0.0.1:{bare}", until))
        portal.engine.dispose()
    return _rows(reading, plain, len(picture))


def _read(address: str, cookies: list[str], study: str, until: float) -> Times:
    async def one(number: int, times: Times) -> int:
        return await read_study(address, cookies[number], study, times, PAUSE, until - SECONDS, until)

    return crowd(one, READERS)[1]


def _load(address: str, until: float) -> Times:
    async def one(number: int, times: Times) -> int:
        return await load_pictures(address, "/picture.png", times, PAUSE, until)

    return crowd(one, READERS)[1]


def _rows(reading: Times, plain: Times, size: int) -> list[Ratio]:
    for times in (reading, plain):
        if times.errors:
            raise SystemExit(f"{len(times.errors)} errors, the first: {times.errors[0]}")
    bare = plain.all()
    rows = []
    for kinds, what in ((("answer",), "an answer, committed, with the next page"), (("image",), "its image")):
        mine = reading.all(*kinds)
        p50, p95 = (1000 * share(mine, part) for part in (0.5, 0.95))
        bare50, bare95 = (1000 * share(bare, part) for part in (0.5, 0.95))
        note = (
            f"p50 {p50:.1f} ms of {len(mine)} requests; a bare FastAPI route with the same PNG of {size} bytes: p50 "
            f"{bare50:.1f}, p95 {bare95:.1f} ms, ratios {p50 / bare50:.1f} and {p95 / bare95:.1f}; "
            "the baseline is the limit"
        )
        rows.append(
            Ratio(f"portal, {READERS} readers: {what}, p95", p95, MAX_MS, "ms", 1.0, note, at_most=True)
        )
    return rows


def _merge(into: Times, other: Times) -> None:
    for kind, values in other.seconds.items():
        into.seconds[kind] += values
    into.errors += other.errors


@contextmanager
def _serving(command: list[str], port: int, environment: dict[str, str]) -> Iterator[None]:
    import urllib.error
    import urllib.request

    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
            except urllib.error.HTTPError:
                break  # it answers
            except OSError:
                time.sleep(0.1)
            else:
                break
        else:
            raise SystemExit(f"{command[0]} does not answer")
        yield
    finally:
        process.terminate()
        process.wait(20)
