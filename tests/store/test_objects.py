"""Objects: whole, verified, in parallel parts; what a person reads when the store is not well."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chestgan_core.errors import BadInput, DamagedObject, NotInStore, StoreError
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.objects import PART_BYTES
from chestgan_core.store.store import Store
from tests.store.access import seen_through


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=5000))
def test_what_is_put_is_what_is_got(store: Store, tmp_path: Path, data: bytes) -> None:
    put = store.put_bytes(data, "some/object.bin")
    assert store.get_bytes("some/object.bin") == data
    assert store.head("some/object.bin") == put
    store.get_file("some/object.bin", tmp_path / "back.bin", put.sha256)
    assert (tmp_path / "back.bin").read_bytes() == data


def test_a_large_file_travels_in_parts_and_comes_back_whole(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "large.bin"
    source.write_bytes(random.Random(3).randbytes(5 * PART_BYTES + 17))
    put = store.put_file(source, "large.bin")
    head = store.client.head_object(Bucket=store.bucket, Key=f"{store.prefix}/large.bin")
    assert head["ETag"].strip('"').endswith("-6")  # how S3 marks an object of six parts
    assert head["Metadata"]["sha256"] == put.sha256
    assert store.get_file("large.bin", tmp_path / "new" / "folder" / "back.bin") == put
    assert (tmp_path / "new" / "folder" / "back.bin").read_bytes() == source.read_bytes()


def test_listing_tells_keys_and_sizes_below_the_prefix_only(store: Store) -> None:
    for key in ("b/2", "b/1", "a"):
        store.put_bytes(key.encode(), key)
    assert [(item.key, item.bytes) for item in store.list("b/")] == [("b/1", 3), ("b/2", 3)]
    assert [item.key for item in store.list()] == ["a", "b/1", "b/2"]
    store.delete("b/1")
    store.delete("never/was")
    assert [item.key for item in store.list("b/")] == ["b/2"]


def test_an_object_that_is_not_there_is_named_and_none_for_head(store: Store, tmp_path: Path) -> None:
    assert store.head("nothing") is None
    for read in (lambda: store.get_bytes("nothing"), lambda: store.get_file("nothing", tmp_path / "x")):
        with pytest.raises(NotInStore, match=f"{store.uri('nothing')}: is not in the store; "):
            read()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_object_is_named_and_leaves_no_file(store: Store, tmp_path: Path) -> None:
    put = store.put_bytes(b"as it was", "object")
    store.client.put_object(
        Bucket=store.bucket, Key=f"{store.prefix}/object", Body=b"as it is!", Metadata={"sha256": put.sha256}
    )
    with pytest.raises(DamagedObject, match=f"{store.uri('object')}: sha256 is .*: the object is damaged; "):
        store.get_bytes("object")
    with pytest.raises(DamagedObject, match="damaged"):
        store.get_file("object", tmp_path / "file", put.sha256)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_read_or_written_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"missing\.bin: there is no such file"):
        store.put_file(tmp_path / "missing.bin", "key")
    store.put_bytes(b"x", "key")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInput, match="cannot be read or written"):
        store.get_file("key", tmp_path / "file" / "below")


def _every_use(store: Store, folder: Path) -> list[StoreError]:
    """The error of each operation on a store that does not work."""
    source = folder / "source"
    source.write_bytes(b"content")
    uses: list[Callable[[], object]] = [
        store.check,
        lambda: store.put_bytes(b"x", "an/object"),
        lambda: store.put_file(source, "an/object"),
        lambda: store.get_bytes("an/object"),
        lambda: store.get_file("an/object", folder / "got"),
        lambda: store.head("an/object"),
        lambda: list(store.list("an/")),
        lambda: store.commit("an/manifest.json", {"object": b"x"}, {"kind": "test"}),
        lambda: store.update_pointer("an/object", {"version": "1"}),
    ]
    errors = []
    for use in uses:
        with pytest.raises(StoreError) as caught:
            use()
        errors.append(caught.value)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(f"s3://{store.bucket}/{store.prefix}")
        assert not isinstance(caught.value, NotInStore)
    assert not (folder / "got").exists()
    return errors


def test_a_store_that_is_down_is_reported_soon(embedded: EmbeddedStore, store: Store) -> None:
    down = seen_through(embedded, store, endpoint="http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(StoreError, match=r"the store at http://127\.0\.0\.1:9 does not answer; start it, or"):
        down.check()
    assert time.monotonic() - started < 12
    down = seen_through(embedded, store, endpoint="http://user:password@127.0.0.1:9")
    with pytest.raises(StoreError, match=r"the store at http://127\.0\.0\.1:9 does not answer") as caught:
        down.check()
    assert "password" not in str(caught.value)


@pytest.mark.parametrize("wrong", ["key", "secret"])
def test_a_store_that_refuses_the_key_is_named_without_the_key(
    embedded: EmbeddedStore, store: Store, tmp_path: Path, wrong: str
) -> None:
    refused = seen_through(embedded, store, **{wrong: "WRONG" + 20 * "x"})
    assert embedded.access is not None
    for error in _every_use(refused, tmp_path):
        assert "the store refused the key" in str(error)
        assert "AWS_ACCESS_KEY_ID" in error.remedy
        for part in ("WRONG", embedded.access.key, embedded.access.secret):
            assert part not in repr(error) + str(error) + repr(error.__cause__)
    assert embedded.access.secret not in repr(embedded.access)


def test_a_missing_bucket_is_named_by_every_operation(
    embedded: EmbeddedStore, store: Store, tmp_path: Path
) -> None:
    for error in _every_use(seen_through(embedded, store, bucket="no-such-bucket"), tmp_path):
        assert "there is no such bucket; create it" in str(error)


def test_many_threads_share_one_store(store: Store, tmp_path: Path) -> None:
    def work(k: int) -> None:
        source = tmp_path / f"{k}.bin"
        source.write_bytes(random.Random(k).randbytes(100_000))
        put = store.put_file(source, f"{k}.bin")
        store.get_file(f"{k}.bin", tmp_path / f"{k}.back", put.sha256)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(
        (tmp_path / f"{k}.back").read_bytes() == (tmp_path / f"{k}.bin").read_bytes() for k in range(12)
    )


@pytest.mark.parametrize(
    ("uri", "cause"),
    [
        ("", "is not set"),
        ("/a/folder", "is not the address"),
        ("s3://", "is not the address"),
        ("https://user:secret@host/bucket", "is not the address"),
        ("s3://user:secret@host/b", "is not the address"),
    ],
)
def test_an_address_that_is_not_a_bucket_is_refused_without_repeating_it(uri: str, cause: str) -> None:
    with pytest.raises(BadInput, match=f"CHESTGAN_STORE: {cause}") as caught:
        Store.open(uri)
    assert "secret" not in str(caught.value)


def test_a_store_is_opened_from_the_environment(
    embedded: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in embedded.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(
        "HTTP_PROXY", "http://127.0.0.1:9"
    )  # the proxy of a company does not reach this machine
    monkeypatch.setenv("CHESTGAN_STORE", "s3://chestgan/team/a/")
    store = Store.open()
    assert store.uri("key") == "s3://chestgan/team/a/key"
    assert store.uri() == "s3://chestgan/team/a"
    store.check()


def test_a_store_without_credentials_says_which_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(
        StoreError, match="s3://bucket: no usable credentials were found; check AWS_ACCESS_KEY"
    ):
        Store.open("s3://bucket").check()
    monkeypatch.setenv("AWS_PROFILE", "absent")
    with pytest.raises(StoreError, match="no usable credentials"):
        Store.open("s3://bucket")
