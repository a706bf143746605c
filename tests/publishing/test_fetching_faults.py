"""A fetch that something goes wrong with: killed, cut off, refused, lied to, or disturbed by another process."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chestgan_core.cli.main import main
from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import DamagedObject, DiskFull, NotInStore, StoreError
from chestgan_core.local.progress import ByteProgress
from chestgan_core.publishing import open_set
from chestgan_core.publishing.reader.manifest import FORMAT
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.transfer.fetching import fetch_set
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.transfer.verifying import verify_set
from chestgan_core.publishing.versions.listing import list_sets
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.store.client import s3_client
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.objects import PART_BYTES
from chestgan_core.store.store import Store
from chestgan_core.training.weights import LoadedGenerator
from tests.standins.s3 import BadS3, Rule
from tests.store.access import port_of, seen_through
from tests.store.proxy import Proxy

PARTS = 4
LARGE = "large.bin"


@pytest.fixture
def large(
    generator: LoadedGenerator, experiment: Experiment, provenance: dict[str, str], tmp_path: Path
) -> SetFolder:
    """A set with a file of four parts."""
    data = random.Random(0).randbytes(PARTS * PART_BYTES - 1000)
    folder = tmp_path / "large"
    return write_set(generator, experiment, 2, 0, folder, provenance, extra_files={LARGE: lambda _: data})


def fetching(embedded: EmbeddedStore, store: Store, out: Path, endpoint: str = "") -> list[str]:
    """The command in a process of its own, by another address of the store."""
    environment = {**embedded.environment, "CHESTGAN_STORE": store.uri()}
    if endpoint:
        environment |= {"AWS_ENDPOINT_URL": endpoint, "AWS_ENDPOINT_URL_S3": endpoint}
    settings = [f"{name}={value}" for name, value in environment.items()]
    command = [sys.executable, "-m", "chestgan_core.cli", "sets", "fetch", "tiny", "--out", str(out)]
    return ["env", *settings, *command]


# Killed


def test_a_killed_fetch_is_taken_over_by_the_one_that_waits_and_loses_no_part(
    large: SetFolder, embedded: EmbeddedStore, store: Store, tmp_path: Path
) -> None:
    publish_set(store, large)
    out = tmp_path / "cache"
    journal = out / f".{LARGE}.parts"
    # One connection falls silent in the middle of a part, the others go on.
    with Proxy(port_of(embedded), cut_down=PART_BYTES // 2, cuts=1, stall=True) as proxy:
        killed = subprocess.Popen(fetching(embedded, store, out, proxy.url), stderr=subprocess.DEVNULL)
        waited_for(lambda: journal.exists() and len(journal.read_text().splitlines()) == PARTS - 1)
        second = seen_through(embedded, store)
        waiting = threading.Thread(target=fetch_set, args=(second, "tiny", None, out))
        waiting.start()
        time.sleep(0.3)
        assert waiting.is_alive()
        assert not (out / "manifest.json").exists()
        killed.send_signal(signal.SIGKILL)
        killed.wait(10)
        waiting.join(30)
    assert not waiting.is_alive()
    assert verify_set(out).broken == {}
    assert second.traffic.bytes_read < 1.5 * PART_BYTES
    assert not [path.name for path in out.iterdir() if path.name.startswith(f".{LARGE}")]


def test_what_a_killed_fetch_left_is_trusted_for_nothing(
    large: SetFolder, store: Store, tmp_path: Path
) -> None:
    publish_set(store, large)
    out = tmp_path / "out"
    fetch_set(store, "tiny", None, out)
    (out / "manifest.json").unlink()
    data = bytearray((out / LARGE).read_bytes())
    data[PART_BYTES + 5] ^= 1
    (out / LARGE).unlink()
    (out / f".{LARGE}.fetching").write_bytes(data)
    (out / f".{LARGE}.parts").write_text("0\n1\nx\n99\n3\n2")  # the last line is half, one part is damaged
    assert verify_set(fetch_set(store, "tiny", None, out).path).broken == {}


def test_a_connection_that_is_cut_now_and_then_costs_nothing_but_time(
    large: SetFolder, embedded: EmbeddedStore, store: Store, tmp_path: Path
) -> None:
    publish_set(store, large)
    with Proxy(port_of(embedded), cut_down=PART_BYTES // 2, cuts=3) as proxy:
        fetch_set(seen_through(embedded, store, endpoint=proxy.url), "tiny", None, tmp_path / "out")
        assert proxy.cut == 3
    assert verify_set(tmp_path / "out").broken == {}


# Disturbed


def test_a_version_published_meanwhile_does_not_get_into_the_folder(
    ready: SetFolder,
    generator: LoadedGenerator,
    experiment: Experiment,
    provenance: dict[str, str],
    store: Store,
    tmp_path: Path,
) -> None:
    publish_set(store, ready)
    other = write_set(generator, experiment, 3, 0, tmp_path / "other", provenance)

    class Moving(Store):
        moved = threading.Event()

        def range_in_chunks(self, key: str, start: int, length: int) -> Iterator[bytes]:
            if not self.moved.is_set():
                self.moved.set()
                publish_set(store, other)
            return super().range_in_chunks(key, start, length)

    moving = Moving(store.client, store.bucket, store.prefix)
    fetched = fetch_set(moving, "tiny", None, tmp_path / "out")
    assert moving.moved.is_set()
    assert fetched.version == ready.version
    assert verify_set(fetched.path).broken == {}
    assert fetch_set(store, "tiny", None, tmp_path / "next").version == other.version


# Refused and lied to

CASES: dict[str, tuple[dict[str, str], str]] = {
    "wrong key": ({"key": "nobody"}, "the store refused the key.*check AWS_ACCESS_KEY_ID"),
    "wrong secret": ({"secret": "wrong"}, "the store refused the key.*check AWS_ACCESS_KEY_ID"),
    "nothing there": (
        {"endpoint": "http://127.0.0.1:9"},
        "127.0.0.1:9 does not answer; start it, or correct",
    ),
    "no such bucket": (
        {"bucket": "no-such-bucket"},
        "there is no such bucket; create it, or correct CHESTGAN",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_wrong_settings_are_one_line_that_names_the_setting(
    case: str, ready: SetFolder, embedded: EmbeddedStore, store: Store, tmp_path: Path
) -> None:
    publish_set(store, ready)
    access, said = CASES[case]
    with pytest.raises(StoreError, match=said) as caught:
        fetch_set(seen_through(embedded, store, **access), "tiny", None, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_clock_that_is_wrong_and_a_console_in_place_of_the_store_are_named(tmp_path: Path) -> None:
    for rule, said in (
        (Rule(".", 403, "RequestTimeTooSkewed"), "set the clock of this machine"),
        (Rule(".", html=True), "is not an S3 server; correct AWS_ENDPOINT_URL"),
    ):
        with BadS3([rule]) as server, pytest.raises(StoreError, match=said):
            fetch_set(server.store(), "tiny", None, tmp_path / "out")


def test_keys_that_may_not_list_are_told_what_is_missing_as_all_others_are(
    ready: SetFolder, tmp_path: Path
) -> None:
    """AWS answers 403, not 404, for what is not there to whoever may not list."""
    with BadS3() as server:
        store = server.store()
        publish_set(store, ready)
        assert fetch_set(store, "tiny", None, tmp_path / "out").version == ready.version
        server.rules = [Rule(r"/p/synthetic/(tyny/|tiny/0)", 403, "AccessDenied")]
        with pytest.raises(NotInStore, match=r"set tyny: has not been published; did you mean tiny\?"):
            fetch_set(store, "tyny", None, tmp_path / "x")
        with pytest.raises(NotInStore, match="has no version 0000000000000000"):
            fetch_set(store, "tiny", "0" * 16, tmp_path / "x")
        server.rules = [Rule(r"/p/synthetic/tiny/", 403, "AccessDenied")]
        with pytest.raises(StoreError, match="the store refused the key"):
            fetch_set(store, "tiny", None, tmp_path / "x")


def test_a_set_of_a_newer_format_says_to_upgrade(ready: SetFolder, store: Store, tmp_path: Path) -> None:
    publish_set(store, ready)
    later = json.dumps({**ready.manifest, "format": FORMAT + 1}).encode()
    store.put_bytes(later, ready.manifest_key)
    with pytest.raises(
        DamagedObject, match=f"is of format {FORMAT + 1}, which a newer version of chestgan writes"
    ):
        fetch_set(store, "tiny", None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_card_that_was_changed_is_found_in_the_store_and_in_the_folder(
    ready: SetFolder, store: Store, tmp_path: Path
) -> None:
    publish_set(store, ready)
    fetched = fetch_set(store, "tiny", None, tmp_path / "mine")
    (fetched.path / "README.md").write_text("the best set there is")
    assert list(verify_set(fetched.path).broken) == ["README.md"]
    key = ready.manifest_key.replace("manifest.json", "README.md")
    size = len((ready.path / "README.md").read_bytes())
    store.put_bytes(b"x" * size, key)
    with pytest.raises(DamagedObject, match=r"README\.md: sha256 is .*: the object is damaged"):
        fetch_set(store, "tiny", None, tmp_path / "out")
    store.put_bytes(b"short", key)
    with pytest.raises(DamagedObject, match=r"README\.md: has 5 bytes"):
        fetch_set(store, "tiny", None, tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_file_that_the_store_has_lost_is_named(ready: SetFolder, store: Store, tmp_path: Path) -> None:
    publish_set(store, ready)
    store.delete(ready.manifest_key.replace("manifest.json", "labels.parquet"))
    with pytest.raises(DamagedObject, match=r"labels\.parquet: is listed in a manifest but not in the store"):
        fetch_set(store, "tiny", None, tmp_path / "out")


def test_a_bit_flip_anywhere_is_found(ready: SetFolder, store: Store, tmp_path: Path) -> None:
    publish_set(store, ready)
    chance = random.Random(1)
    fetched = fetch_set(store, "tiny", None, tmp_path / "mine")
    for item in fetched.objects:
        path = fetched.file(item)
        whole = path.read_bytes()
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        assert list(verify_set(fetched.path).broken) == [path.name]
        assert list(verify_set(fetched.path, images=False).broken) == [path.name]
        path.write_bytes(whole)


def test_a_full_disk_is_one_line_and_the_next_fetch_goes_on(
    large: SetFolder, embedded: EmbeddedStore, store: Store, tmp_path: Path
) -> None:
    publish_set(store, large)

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (PART_BYTES, PART_BYTES))

    out = tmp_path / "out"
    ran = subprocess.run(
        fetching(embedded, store, out), preexec_fn=little_room, capture_output=True, text=True
    )
    assert ran.returncode == 1
    last = ran.stderr.strip().splitlines()[-1]
    assert f"{LARGE}: cannot be written (File too large); raise ulimit -f" in last
    assert "Traceback" not in ran.stderr
    assert not (out / "manifest.json").exists()
    assert verify_set(fetch_set(store, "tiny", None, out).path).broken == {}


def test_a_disk_without_room_for_the_set_is_refused_before_anything_is_downloaded(
    large: SetFolder, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_set(store, large)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(DiskFull, match=r"GB are needed.*give a folder on another disk"):
        fetch_set(store, "tiny", None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Without keys


@pytest.fixture
def public(embedded: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A bucket whose objects everybody may read and nobody may list, and no keys in the environment."""
    bucket = f"public-{uuid.uuid4().hex[:8]}"
    client = s3_client(embedded.access)
    client.create_bucket(Bucket=bucket)
    statement = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"]}
    policy = {
        "Version": "2012-10-17",
        "Statement": [{**statement, "Resource": [f"arn:aws:s3:::{bucket}/*"]}],
    }
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CHESTGAN_STORE", f"s3://{bucket}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", embedded.environment["AWS_ENDPOINT_URL"])
    return Store(client, bucket)


def test_a_public_set_is_found_fetched_and_opened_without_keys(
    ready: SetFolder,
    public: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    published = publish_set(public, ready)
    monkeypatch.chdir(tmp_path)
    for command in ("list", "search tiny", "show tiny", "fetch tiny", "verify tiny", "diff tiny tiny"):
        assert main(["sets", *command.split(), "--anonymous"]) == 0, capsys.readouterr().err
    assert verify_set(tmp_path / "tiny").broken == {}
    assert len(open_set(published.uri, tmp_path / "cache", anonymous=True)) == 20
    capsys.readouterr()
    assert main(["sets", "fetch", "tyny", "--anonymous"]) == 1
    assert "did you mean tiny?" in capsys.readouterr().err


def test_what_is_not_public_is_not_given_without_a_key_and_the_line_says_so(
    ready: SetFolder, embedded: EmbeddedStore, store: Store, tmp_path: Path
) -> None:
    publish_set(store, ready)
    nobody = Store(s3_client(embedded.access, anonymous=True), store.bucket, store.prefix)
    with pytest.raises(
        StoreError, match=r"the store gives this to nobody without a key.*leave out --anonymous"
    ):
        fetch_set(nobody, "tiny", None, tmp_path / "out")
    with pytest.raises(StoreError, match="nobody without a key"):
        list_sets(nobody)


# Progress


def test_progress_is_in_megabytes_with_speed_and_time_left(
    ready: SetFolder, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish_set(store, ready)
    caplog.set_level("INFO")
    fetch_set(store, "tiny", None, tmp_path / "out")
    total = f"{ready.bytes / 1e6:.1f}"
    line = next(line for line in caplog.messages if line.startswith("fetch  tiny"))
    assert f"  {total}/{total} MB  " in line
    assert line.endswith("MB/s")
    again = ByteProgress("fetch", 2_000_000)
    again.present(2_000_000)
    assert again.line() == "fetch  2.0/2.0 MB  was there already"
    progress = ByteProgress("fetch", 100_000_000)
    progress.present(50_000_000)  # was there: no speed
    progress._started -= 2
    progress.step(20_000_000)
    assert progress.line() == "fetch  70.0/100.0 MB  10.0 MB/s  3 s left"


def waited_for(happened: Callable[[], bool]) -> None:
    """Wait until something is so, at most half a minute."""
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)
