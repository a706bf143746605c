"""Links for people without keys: curl fetches the whole set with them, nobody else sees them, and they end."""

import logging
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chestgan_core.cli.main import main
from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.transfer.links import link_set, parse_duration
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.transfer.verifying import verify_set
from chestgan_core.publishing.versions.status import SetWithdrawn
from chestgan_core.publishing.versions.withdrawal import withdraw_set
from chestgan_core.store.client import s3_client
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store

DAY = timedelta(days=1)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_fetches_the_whole_set_with_the_file_and_nothing_but_it(
    ready: SetFolder, store: Store, tmp_path: Path
) -> None:
    publish_set(store, ready)
    made = link_set(store, "tiny", None, DAY, tmp_path / "links.txt")
    assert made.files == len(ready.objects) + 1
    assert abs(made.until - datetime.now(UTC) - DAY) < timedelta(minutes=1)
    subprocess.run(
        ["curl", "--config", "links.txt", "--silent", "--show-error"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        check=True,
    )
    checked = verify_set(tmp_path / "tiny")
    assert (checked.version, checked.broken) == (ready.version, {})


def test_the_links_are_for_the_owner_of_the_file_alone_and_are_never_printed(
    ready: SetFolder,
    store_of_the_environment: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    publish_set(store_of_the_environment, ready)
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)
    for options in (["--json"], ["--out", "other.txt", "--expires", "90m"]):
        assert main(["sets", "link", "tiny", *options]) == 0
    captured = capsys.readouterr()
    assert "Signature" not in captured.out + captured.err
    assert "X-Amz-Signature=" not in "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("chestgan")
    )
    for name, seconds in (("tiny-links.txt", 7 * 86_400), ("other.txt", 90 * 60)):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
        assert set(re.findall(r"X-Amz-Expires=(\d+)", (tmp_path / name).read_text())) == {str(seconds)}
    assert (
        "The store is on this machine: the links work only here, and only while it runs (make dev)."
        in captured.err
    )


def test_a_withdrawn_or_unknown_version_and_an_existing_file_get_no_links(
    ready: SetFolder, store: Store, tmp_path: Path
) -> None:
    publish_set(store, ready)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="is there already"):
        link_set(store, "tiny", None, DAY, tmp_path / "mine.txt")
    with pytest.raises(NotInStore, match=r"did you mean tiny\?"):
        link_set(store, "tinny", None, DAY, tmp_path / "links.txt")
    withdraw_set(store, "tiny", ready.version, "a patient withdrew")
    with pytest.raises(SetWithdrawn, match="a patient withdrew"):
        link_set(store, "tiny", None, DAY, tmp_path / "links.txt")
    assert not (tmp_path / "links.txt").exists()


def test_links_of_temporary_keys_say_that_they_may_end_sooner(
    ready: SetFolder, store: Store, embedded: EmbeddedStore, tmp_path: Path
) -> None:
    publish_set(store, ready)
    lasting = link_set(store, "tiny", None, DAY, tmp_path / "lasting.txt")
    client = s3_client(embedded.access)
    credentials = client._request_signer._credentials  # type: ignore[attr-defined]
    credentials.token = "of a session"

    class Temporary(Store):
        def get_bytes(self, key: str, sha256: str | None = None) -> bytes:
            return store.get_bytes(key, sha256)

        def get_pointer(self, key: str) -> tuple[dict[str, object], str]:
            return store.get_pointer(key)

    made = link_set(Temporary(client, store.bucket, store.prefix), "tiny", None, DAY, tmp_path / "links.txt")
    assert "AWS_SESSION_TOKEN" in made.limits[0]
    assert "AWS_SESSION_TOKEN" not in "".join(lasting.limits)
    assert "# The keys that signed them are temporary" in (tmp_path / "links.txt").read_text()


@pytest.mark.parametrize(("text", "hours"), [("90m", 1.5), ("12h", 12), ("7d", 168)])
def test_a_time_is_a_number_and_a_unit(text: str, hours: float) -> None:
    assert parse_duration(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["8d", "0m", "7", "7 days", "-1d", "1e3m", "9999999d", ""])
def test_a_time_that_no_link_can_have_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="7d"):
        parse_duration(text)


def test_links_need_a_key(ready: SetFolder, store: Store, embedded: EmbeddedStore, tmp_path: Path) -> None:
    publish_set(store, ready)
    nobody = Store(s3_client(embedded.access, anonymous=True), store.bucket, store.prefix)
    with pytest.raises(BadInput, match="are made with a key"):
        link_set(nobody, "tiny", None, DAY, tmp_path / "links.txt")
