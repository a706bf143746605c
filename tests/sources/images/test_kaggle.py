"""Downloads from Kaggle, against a server on loopback that requires credentials and redirects to another one."""

import base64
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from chestgan_core.errors import BadInput, SourceRefused
from chestgan_core.sources.images.collection import collect_images
from chestgan_core.sources.images.kaggle import find_credentials
from tests.sources.images.pictures import declare, drawn, encoded
from tests.standins.faults import Fault, Faults
from tests.standins.server import Answer, StandInServer

PATH = "/datasets/download/somebody/chest-pictures"
BASIC = "Basic " + base64.b64encode(b"me:s3cret").decode()
SIGNATURE = "X-Goog-Signature=f00d"


@dataclass
class Kaggle:
    """site: requires credentials and redirects to storage, which sends body."""

    site: StandInServer
    storage: StandInServer
    body: bytes


@cache
def delivery() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for seed in range(40):
            split = "test" if seed % 4 == 0 else "train"
            archive.writestr(f"Data/{split}/a/{seed} - Copy (2).png", encoded(drawn(seed, 600, 400)))
    return buffer.getvalue()


@contextmanager
def kaggle(accepted: str = BASIC, faults: Faults | None = None) -> Iterator[Kaggle]:
    def stored(path: str, headers: Mapping[str, str]) -> Answer:
        if "authorization" in headers:
            return Answer(400, {}, iter([b"credentials"]), 11)
        if SIGNATURE not in path:
            return Answer(403, {}, iter([b""]), 0)
        etag = {"ETag": '"one"', "Accept-Ranges": "bytes"}
        start = int(headers.get("range", "bytes=0-")[len("bytes=") : -1])
        body = found.body[start:]
        if start:
            etag["Content-Range"] = f"bytes {start}-{len(found.body) - 1}/{len(found.body)}"
        return Answer(206 if start else 200, etag, iter([body]), len(body), "zip")

    def site(path: str, headers: Mapping[str, str]) -> Answer:
        if headers.get("authorization") != accepted:
            return Answer(401, {}, iter([b"who?"]), 4)
        if path != f"/api/v1{PATH}":
            return Answer(404, {}, iter([b""]), 0)
        return Answer(302, {"Location": f"{found.storage.url}/bundle.zip?{SIGNATURE}"}, iter([b""]), 0)

    with (
        StandInServer(stored, faults or Faults(), lambda answer, _: answer) as storage,
        StandInServer(site, Faults(), lambda answer, _: answer, "/api/v1") as front,
    ):
        found = Kaggle(front, storage, delivery())
        yield found


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without credentials; the folder of datasets."""
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "TEST_IMAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "kaggle-config"))
    (tmp_path / "kaggle-config").mkdir()
    declare_at(tmp_path / "datasets", monkeypatch, "http://127.0.0.1:9")
    return tmp_path / "datasets"


def declare_at(folder: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    lines = [
        "splits: {train: train, test: held-out}",
        "kaggle: somebody/chest-pictures",
        f"kaggle_endpoint: {endpoint}",
    ]
    declare(folder, monkeypatch, "\n".join(f"  {line}" for line in lines))


def log_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    monkeypatch.setenv("KAGGLE_KEY", "s3cret")


def test_a_dataset_comes_from_kaggle_once(dataset, store, tmp_path, monkeypatch):
    log_in(monkeypatch)
    with kaggle() as server:
        declare_at(dataset, monkeypatch, server.site.url)
        first = collect_images(store, "pictures", tmp_path / "home")
        again = collect_images(store, "pictures", tmp_path / "home")
    assert (first.images, again.version) == (40, first.version)
    assert (len(server.site.log), len(server.storage.log)) == (1, 1)


def test_credentials_do_not_follow_the_redirect(dataset, store, tmp_path, monkeypatch):
    log_in(monkeypatch)
    with kaggle() as server:
        declare_at(dataset, monkeypatch, server.site.url)
        collect_images(store, "pictures", tmp_path / "home")
    assert [request.headers["authorization"] for request in server.site.log] == [BASIC]
    assert all("authorization" not in request.headers for request in server.storage.log)


def test_an_interrupted_download_resumes(dataset, store, tmp_path, monkeypatch):
    log_in(monkeypatch)
    with kaggle(faults=Faults({"zip": [Fault.FAILED, Fault.TRUNCATED]})) as server:
        declare_at(dataset, monkeypatch, server.site.url)
        assert collect_images(store, "pictures", tmp_path / "home").images == 40
    assert any("range" in request.headers and request.status == 206 for request in server.storage.log)


def test_wrong_credentials_are_refused_and_never_shown(dataset, store, tmp_path, monkeypatch, capfd):
    log_in(monkeypatch)
    with kaggle("Bearer something else") as server:
        declare_at(dataset, monkeypatch, server.site.url)
        with pytest.raises(SourceRefused, match="KAGGLE_API_TOKEN") as refused:
            collect_images(store, "pictures", tmp_path / "home")
    shown = str(refused.value) + "".join(capfd.readouterr())
    assert "TEST_IMAGES" in shown
    assert not any(secret in shown for secret in ("s3cret", BASIC, BASIC.split()[1], SIGNATURE))


@pytest.mark.parametrize("body", [b"<html>please log in</html>", delivery()[:-500], b""])
def test_an_answer_that_is_not_a_zip_is_refused_and_not_kept(dataset, store, tmp_path, monkeypatch, body):
    log_in(monkeypatch)
    with kaggle() as server:
        server.body = body
        declare_at(dataset, monkeypatch, server.site.url)
        with pytest.raises(SourceRefused, match="not a zip"):
            collect_images(store, "pictures", tmp_path / "home")
        server.body = delivery()
        assert collect_images(store, "pictures", tmp_path / "home").images == 40
    assert [path.name for path in (tmp_path / "home" / "kaggle").iterdir()] == [
        "somebody--chest-pictures.zip"
    ]


def test_without_folder_and_credentials_the_error_names_both_ways(dataset, store, tmp_path):
    with pytest.raises(BadInput) as refused:
        collect_images(store, "pictures", tmp_path)
    assert all(
        way in str(refused.value) for way in ("TEST_IMAGES", "KAGGLE_USERNAME", "somebody/chest-pictures")
    )


def test_credentials_are_found_where_the_tools_of_kaggle_look(dataset, tmp_path, monkeypatch):
    folder = tmp_path / "kaggle-config"
    assert find_credentials() is None
    (folder / "kaggle.json").write_text(json.dumps({"username": "me", "key": "s3cret"}))
    assert find_credentials().authorization == BASIC
    (folder / "access_token").write_text("KGAT_1\n")
    assert find_credentials().authorization == "Bearer KGAT_1"
    log_in(monkeypatch)
    assert find_credentials().authorization == BASIC
    monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_2")
    assert find_credentials().authorization == "Bearer KGAT_2"
    assert "KGAT_2" not in repr(find_credentials())


@pytest.mark.parametrize(
    "content", ["{", '{"username": "me"}', "[]", '{"username": "me", "key": "two\\nlines"}']
)
def test_an_invalid_kaggle_json_is_named_without_its_content(dataset, tmp_path, content):
    (tmp_path / "kaggle-config" / "kaggle.json").write_text(content)
    with pytest.raises(BadInput, match=r"kaggle\.json") as refused:
        find_credentials()
    assert "lines" not in str(refused.value)
