"""Files of the store over HTTP: those that metadata names, and nothing else."""

import asyncio
import hashlib
import tempfile
from pathlib import Path
from typing import Any

import pytest

from chestgan_assets import metadata
from chestgan_assets.web.files import Files
from chestgan_core.store import keys
from chestgan_core.store.store import Store
from chestgan_web import stored_files
from chestgan_web.guard import Message, Receive, Scope, Send

PDF = b"%PDF-1.7 " + bytes(range(256)) * 3000
PAGE = b"<h1>report</h1><script>alert(1)</script>"
SECRET = b"raw private DICOM"


async def _dagster(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b"Dagster"})


def get(store: Store, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one request."""
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()], "extensions": {},
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> Message:
        await asyncio.sleep(3600)
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(dict(message))

    asyncio.run(Files(_dagster, lambda: store)(scope, receive, send))
    named = {name.decode(): value.decode() for name, value in sent[0].get("headers", [])}
    return sent[0]["status"], named, b"".join(message.get("body", b"") for message in sent[1:])


@pytest.fixture
def report(store: Store) -> Store:
    content = {"report.html": PAGE, "report.pdf": PDF, "figures/a.png": b"png", "weights.safetensors": SECRET}
    store.commit(keys.report_manifest("tiny", "run-1", "v1"), content, {"kind": "report"})
    return store


def test_a_link_of_the_metadata_opens_the_verified_file(
    report: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHESTGAN_STORE", report.uri().rstrip("/") + "/")
    link = metadata.beside(report.uri(keys.report_manifest("tiny", "run-1", "v1")), "report.pdf").url
    assert link == "/files/reports/tiny/run-1/v1/report.pdf"
    status, headers, body = get(report, link)
    assert (status, body) == (200, PDF)
    assert headers["content-type"] == "application/pdf"
    assert headers["content-disposition"].startswith("inline")
    assert headers["cache-control"] == "no-store"
    assert get(report, link, "HEAD")[::2] == (200, b"")
    status, headers, body = get(report, link, range="bytes=9-12")
    assert (status, body) == (206, PDF[9:13])


def test_a_page_gets_neither_scripts_nor_our_origin(report: Store) -> None:
    status, headers, body = get(report, "/files/reports/tiny/run-1/v1/report.html")
    assert (status, body) == (200, PAGE)
    policy = headers["content-security-policy"]
    assert policy.startswith("sandbox;")
    assert "default-src 'none'" in policy
    assert "allow-scripts" not in policy
    assert "script-src" not in policy


@pytest.mark.parametrize(
    ("key", "content"),
    [
        (keys.comparison_manifest("architecture", "v"), {"comparison.pdf": PDF}),
        (keys.month_manifest("2026-01", "v"), {"month.html": PAGE}),
        (keys.study_manifest("tiny", "s", "v"), {"report.html": PAGE}),
        (keys.run_manifest("tiny", "run"), {"progress.gif": b"GIF89a"}),
        (keys.set_manifest("tiny", "v"), {"README.md": b"# <b>card</b>", "images-0.tar": b"tar"}),
    ],
)
def test_every_kind_that_the_ui_names_is_shown(store: Store, key: str, content: dict[str, bytes]) -> None:
    store.commit(key, content, {"kind": "test"})
    for name, data in content.items():
        status, headers, body = get(store, f"/files/{key.rpartition('/')[0]}/{name}")
        assert (status, body) == (200, data)
        if name.endswith(".md"):
            assert headers["content-type"].startswith("text/plain")
        if name.endswith(".tar"):
            assert headers["content-disposition"].startswith("attachment")


def test_nothing_else_is_shown(report: Store) -> None:
    raw = keys.raw_manifest("folder", "p-1", "v1")
    report.commit(raw, {"series.zip": SECRET, "page.html": SECRET}, {"kind": "raw"})
    report.commit(keys.training_set_manifest("folder", "v1"), {"rows.json": SECRET}, {"kind": "set"})
    report.put_bytes(SECRET, "reports/tiny/run-1/v1/unlisted.png")
    report.put_bytes(SECRET, keys.run_checkpoint("tiny", "run-1"))
    base = "reports/tiny/run-1/v1"
    for path in (
        "raw/folder/p-1/series.zip", "raw/folder/p-1/v1.json", "raw/folder/p-1/page.html",
        "raw/folder/p-1/v1/page.html", "reports/tiny/run-1/v2/a.html", f"{base}/report.HTML",
        "training-sets/folder/v1/rows.json", "experiments/tiny/run-1/checkpoint.pt",
        f"{base}/weights.safetensors", f"{base}/unlisted.png", f"{base}/manifest.json", f"{base}/", base, "reports", "",
        f"{base}/../../../../raw/folder/p-1/page.html", "reports/../raw/folder/p-1/v1/page.html",
        "reports//run-1/v1/report.html", "/etc/passwd", "identities.json", f"{base}/report.html\n",
        "s3://chestgan/reports/tiny/run-1/v1/report.html", "%2e%2e/raw/folder/p-1/page.html",
    ):  # fmt: skip
        status, _, body = get(report, f"/files/{path}")
        assert (status, SECRET in body) == (404, False), path
    assert get(report, "/files/reports/tiny/run-1/v1/report.pdf", "DELETE")[0] == 405
    assert get(report, "/elsewhere")[0] == 299


def test_a_damaged_file_is_not_shown_and_nothing_is_left(
    report: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    artefact = report.read_manifest(keys.report_manifest("tiny", "run-1", "v1"))
    report.put_bytes(b"%PDF other", artefact.find("report.pdf").key)
    status, _, body = get(report, "/files/reports/tiny/run-1/v1/report.pdf")
    assert status == 502
    assert b"%PDF" not in body
    assert hashlib.sha256(get(report, "/files/reports/tiny/run-1/v1/report.html")[2]).digest()
    assert not list(tmp_path.iterdir())


def test_the_closed_list_has_nothing_that_runs_or_holds_slices() -> None:
    closed = {".html", ".pdf", ".png", ".jpg", ".gif", ".webp", ".md", ".txt", ".json", ".yaml"}
    assert set(stored_files.SHOWN) == closed
    assert not {".dcm", ".zip", ".safetensors", ".pt", ".svg", ".js", ".xml"} & (
        stored_files.SHOWN.keys() | stored_files.SAVED.keys()
    )
    assert (
        not {"raw", "slices", "images", "catalog", "annotations", "features", "training-sets", "reading"}
        & stored_files.FAMILIES.keys()
    )
