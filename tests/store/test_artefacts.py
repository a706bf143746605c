"""Artefacts: committed by their manifest, never changed, never half there."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field

from chestgan_core.errors import BadInput, DamagedObject, NotInStore, StoreError
from chestgan_core.store.artefacts import canonical_json, content_version, parse_manifest
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.objects import PART_BYTES
from chestgan_core.store.store import Store
from tests.store.access import port_of
from tests.store.proxy import Proxy

KEY = "synthetic/chest/v1/manifest.json"
UPLOAD = """
import os, sys
from pathlib import Path
from chestgan_core.store.store import Store
Store.open().commit(sys.argv[1], {"small.txt": b"small", "large.bin": Path(sys.argv[2])}, {"kind": "test"})
"""


def test_a_committed_artefact_is_read_back_with_all_it_has(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "labels.parquet"
    source.write_bytes(b"rows")
    files: dict[str, Path | bytes] = {"labels.parquet": source, "figures/grid.png": b"picture", "empty": b""}
    committed = store.commit(KEY, files, {"kind": "set", "images": 2})
    read = store.read_manifest(KEY)
    assert read == committed
    assert (read.manifest["kind"], read.manifest["images"], read.bytes) == ("set", 2, 11)
    fetched = store.fetch(KEY, tmp_path / "fetched")
    assert {name: path.read_bytes() for name, path in fetched.items()} == {
        "labels.parquet": b"rows",
        "figures/grid.png": b"picture",
        "empty": b"",
    }
    with pytest.raises(BadInput, match=r"has no object nothing; choose one of empty, figures/grid\.png"):
        read.find("nothing")


def test_the_same_content_gives_the_same_manifest_bytes_and_is_sent_once(store: Store) -> None:
    first = store.commit(KEY, {"b": b"2", "a": b"1"}, {"kind": "test", "name": "Öl", "n": 1})
    before = store.client.head_object(Bucket=store.bucket, Key=f"{store.prefix}/{KEY}")
    second = store.commit(KEY, {"a": b"1", "b": b"2"}, {"n": 1, "name": "Öl", "kind": "test"})
    after = store.client.head_object(Bucket=store.bucket, Key=f"{store.prefix}/{KEY}")
    assert first == second
    assert before["LastModified"] == after["LastModified"]
    written = store.get_bytes(KEY)
    assert written == canonical_json(json.loads(written))


def test_an_artefact_never_changes(store: Store) -> None:
    first = store.commit(KEY, {"a": b"1"}, {"kind": "test"})
    with pytest.raises(StoreError, match="holds a different artefact already; commit under a new version"):
        store.commit(KEY, {"a": b"2"}, {"kind": "test"})
    assert store.read(first, "a") == b"1"


def test_what_an_artefact_lost_comes_back_whatever_else_a_newer_manifest_would_say(store: Store) -> None:
    first = store.commit(KEY, {"a": b"1", "b": b"2"}, {"kind": "test", "citation": "old"})
    assert store.is_complete(KEY)
    store.delete(first.find("a").key)
    assert not store.is_complete(KEY)
    assert store.commit(KEY, {"a": b"1", "b": b"2"}, {"kind": "test", "citation": "new"}) == first
    assert store.is_complete(KEY)
    assert not store.is_complete("synthetic/chest/v2/manifest.json")
    store.delete(first.find("a").key)
    with pytest.raises(StoreError, match="holds a different artefact already"):
        store.commit(KEY, {"a": b"other bytes"}, {"kind": "test"})


def test_of_many_writers_of_one_version_exactly_one_wins(store: Store) -> None:
    won: list[int] = []
    lost: list[str] = []

    def write(k: int) -> None:
        try:
            store.commit("a/manifest.json", {f"part-{k}": b"%d" % k}, {"kind": "test", "writer": k})
            won.append(k)
        except StoreError as error:
            lost.append(error.cause)

    threads = [threading.Thread(target=write, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [store.read_manifest("a/manifest.json").manifest["writer"]]
    assert lost == 7 * ["holds a different artefact already"]


@pytest.mark.parametrize("size", [10, 3 * PART_BYTES])
def test_writers_of_one_version_with_different_content_leave_the_winner_whole(
    store: Store, tmp_path: Path, size: int
) -> None:
    won: list[int] = []
    lost: list[str] = []
    ready = threading.Barrier(4)

    def write(k: int) -> None:
        path = tmp_path / f"{k}.bin"
        path.write_bytes(bytes([k]) * size)
        ready.wait()
        try:
            store.commit("a/manifest.json", {"weights.bin": path}, {"kind": "test"})
            won.append(k)
        except StoreError as error:
            lost.append(error.cause)

    threads = [threading.Thread(target=write, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), lost) == (1, 3 * ["holds a different artefact already"])
    fetched = store.fetch("a/manifest.json", tmp_path / "got")
    assert fetched["weights.bin"].read_bytes() == bytes([won[0]]) * size


def test_an_interrupted_commit_with_other_content_is_in_nobodys_way(store: Store) -> None:
    (left,) = store.commit("a/manifest.json", {"x": b"of the killed writer"}, {"kind": "test"}).objects
    store.delete("a/manifest.json")
    again = store.commit("a/manifest.json", {"x": b"of the next one"}, {"kind": "test"})
    assert store.read(again, "x") == b"of the next one"
    assert store.get_bytes(left.key) == b"of the killed writer"


def test_plain_keys_are_for_what_is_named_by_its_content(store: Store) -> None:
    artefact = store.commit("a/manifest.json", {"x.tar": b"1"}, {"kind": "test"}, plain_keys=True)
    assert [item.key for item in artefact.objects] == ["a/x.tar"]


def test_two_objects_of_one_name_are_refused() -> None:
    objects = [{"key": f"a/{digit * 16}/x", "bytes": 1, "sha256": digit * 64} for digit in "01"]
    data = canonical_json({"kind": "test", "objects": objects})
    with pytest.raises(DamagedObject, match="lists two objects of one name"):
        parse_manifest("a/manifest.json", data, "here")


def test_a_damaged_object_is_named_by_a_fetch_and_healed_by_the_next_commit(
    store: Store, tmp_path: Path
) -> None:
    files: dict[str, Path | bytes] = {f"{k}.bin": random.Random(k).randbytes(1000) for k in range(20)}
    artefact = store.commit(KEY, files, {"kind": "test"})
    seventh = artefact.find("7.bin").key
    store.put_bytes(random.Random(99).randbytes(1000), seventh)
    with pytest.raises(DamagedObject, match=f"{store.uri(seventh)}: sha256 is"):
        store.fetch(KEY, tmp_path / "got")
    assert not (tmp_path / "got" / "7.bin").exists()
    store.delete(artefact.find("3.bin").key)
    store.commit(KEY, files, {"kind": "test"})
    fetched = store.fetch(KEY, tmp_path / "got")
    assert {name: path.read_bytes() for name, path in fetched.items()} == files
    assert not list((tmp_path / "got").glob(".*"))


def test_an_object_that_is_gone_is_damage_and_a_manifest_that_is_gone_is_not_in_the_store(
    store: Store, tmp_path: Path
) -> None:
    artefact = store.commit(KEY, {"a": b"1"}, {"kind": "test"})
    store.delete(artefact.find("a").key)
    with pytest.raises(DamagedObject, match="is listed in a manifest but not in the store"):
        store.fetch(artefact, tmp_path)
    store.delete(KEY)
    with pytest.raises(NotInStore):
        store.fetch(KEY, tmp_path)


def test_a_fetch_keeps_what_is_right_already(store: Store, tmp_path: Path) -> None:
    store.commit(KEY, {"a": b"1", "b": b"2"}, {"kind": "test"})
    store.fetch(KEY, tmp_path)
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    (tmp_path / "b").write_bytes(b"x")
    store.fetch(KEY, tmp_path)
    assert (tmp_path / "a").stat().st_mtime_ns == times["a"]
    assert (tmp_path / "b").read_bytes() == b"2"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["../x", "/etc/x", "a/../../x", "a//b", "", ".", "b/..", "a\\..\\x"])
    | st.text(max_size=12).map(lambda text: f"../{text}")
)
def test_a_manifest_that_points_outside_of_its_folder_is_refused(name: str) -> None:
    for key in (name, f"synthetic/chest/v1/{name}"):
        written = {"kind": "x", "objects": [{"key": key, "bytes": 1, "sha256": "0" * 64}]}
        with pytest.raises(DamagedObject, match="outside of its folder"):
            parse_manifest(KEY, canonical_json(written), "where")


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"{}", b'{"objects":[{}]}', b'{"objects":7}', b"\xff"])
def test_bytes_that_are_not_a_manifest_are_refused_in_one_line(store: Store, data: bytes) -> None:
    store.put_bytes(data, KEY)
    with pytest.raises(DamagedObject, match=store.uri(KEY)):
        store.read_manifest(KEY)


def test_a_killed_upload_leaves_nothing_that_a_reader_can_open_and_the_next_commit_completes_it(
    embedded: EmbeddedStore, store: Store, tmp_path: Path
) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(random.Random(1).randbytes(3 * PART_BYTES))
    with Proxy(port_of(embedded), cut_up=PART_BYTES // 2, stall=True) as proxy:
        environment = {
            **os.environ,
            **embedded.environment,
            "CHESTGAN_STORE": store.uri(),
            "AWS_ENDPOINT_URL": proxy.url,
            "AWS_ENDPOINT_URL_S3": proxy.url,
        }
        child = subprocess.Popen([sys.executable, "-c", UPLOAD, KEY, str(large)], env=environment)
        assert proxy.reached.wait(60)  # half of a part is on its way
        child.send_signal(signal.SIGKILL)
        child.wait()
    with pytest.raises(NotInStore):
        store.read_manifest(KEY)
    assert store.head("synthetic/chest/v1/large.bin") is None
    files: dict[str, Path | bytes] = {"small.txt": b"small", "large.bin": large}
    store.commit(KEY, files, {"kind": "test"})
    fetched = store.fetch(KEY, tmp_path / "got")
    assert fetched["large.bin"].read_bytes() == large.read_bytes()


def test_a_manifest_may_list_objects_that_another_one_brought(store: Store, tmp_path: Path) -> None:
    part = store.commit("a/parts/one.json", {"one.bin": b"one"}, {"kind": "part"})
    whole = store.commit("a/whole.json", {"two.bin": b"two"}, {"kind": "whole"}, existing=part.objects)
    assert store.read_manifest("a/whole.json") == whole
    fetched = store.fetch(whole, tmp_path)
    assert {name: path.read_bytes() for name, path in fetched.items()} == {
        "parts/one.bin": b"one",
        "two.bin": b"two",
    }


def test_a_manifest_never_lists_an_object_that_is_not_there(store: Store) -> None:
    part = store.commit("a/parts/one.json", {"one.bin": b"one"}, {"kind": "part"})
    store.delete(part.objects[0].key)
    with pytest.raises(DamagedObject, match=r"/one\.bin: is not in the store as its manifest says"):
        store.commit("a/whole.json", {"two.bin": b"two"}, {"kind": "whole"}, existing=part.objects)
    assert [item.key for item in store.list("a/")] == ["a/parts/one.json"]


def test_content_has_one_version_of_16_digits_however_its_mappings_are_ordered() -> None:
    version = content_version("lung", {"size": 64, "trim": 0.1}, [1, 2])
    assert re.fullmatch("[0-9a-f]{16}", version)
    assert content_version("lung", {"trim": 0.1, "size": 64}, (1, 2)) == version
    assert content_version("lung", {"size": 64, "trim": 0.1}, [2, 1]) != version
    assert content_version("a", "b") != content_version("ab")
    assert content_version("lung", length=8) == content_version("lung")[:8]


def test_bytes_count_by_their_sha256_and_what_json_cannot_hold_is_refused() -> None:
    assert content_version(b"ab", b"c") != content_version(b"a", b"bc")
    with pytest.raises(ValueError, match="Out of range"):
        content_version(float("nan"))


@dataclass(frozen=True)
class Report:
    images: Annotated[int, Field(ge=1)]
    kid: float | None
    gate: dict[str, bool] = field(default_factory=dict)


def test_a_manifest_is_read_with_the_types_that_its_reader_relies_on(store: Store) -> None:
    store.commit(KEY, {"a": b"1"}, {"kind": "report", "images": 8, "kid": None, "of_a_later_version": 1})
    artefact, report = store.read_typed(KEY, Report)
    assert artefact == store.read_manifest(KEY)
    assert report == Report(images=8, kid=None)


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (
            {"images": 0, "kid": None},
            r"is not a report \(images: Input should be greater than or equal to 1\)",
        ),
        ({"images": 8}, r"is not a report \(kid: Field required\)"),
        ({"images": 8, "kid": None, "gate": {"floor": "maybe"}}, r"is not a report \(gate\.floor: "),
    ],
)
def test_a_manifest_without_them_is_damage_that_names_key_field_and_remedy(
    store: Store, manifest: dict[str, Any], said: str
) -> None:
    store.commit(KEY, {"a": b"1"}, manifest)
    with pytest.raises(DamagedObject, match=rf"{KEY}: {said}.*; score it again$"):
        store.read_typed(KEY, Report, "score it again", "a report")
