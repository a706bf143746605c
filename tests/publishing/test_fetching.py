"""Publishing to a real S3 server and back: verified, resumed, nothing half-written, no entry lost."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.publishing import open_set
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.transfer.fetching import fetch_set
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.transfer.verifying import verify_set
from chestgan_core.publishing.versions.finding import newest
from chestgan_core.publishing.versions.index import SetEntry, add_to_index, replace_index
from chestgan_core.publishing.versions.index_rebuild import rebuild_index
from chestgan_core.publishing.versions.listing import list_sets, show_set
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.store import keys
from chestgan_core.store.store import Store
from chestgan_core.training.weights import LoadedGenerator


def test_what_is_fetched_is_what_was_published(ready: SetFolder, store: Store, tmp_path: Path) -> None:
    published = publish_set(store, ready)
    fetched = fetch_set(store, "tiny", None, tmp_path / "fetched")
    assert fetched.version == published.version == ready.version
    for path in ready.path.iterdir():
        assert (fetched.path / path.name).read_bytes() == path.read_bytes()
    assert verify_set(fetched.path).broken == {}


def test_publishing_again_changes_nothing(ready: SetFolder, store: Store) -> None:
    assert publish_set(store, ready) == publish_set(store, ready)
    assert len(list_sets(store)) == 1


def test_a_set_is_listed_and_shown_with_its_card(ready: SetFolder, store: Store) -> None:
    published = publish_set(store, ready)
    [entry] = list_sets(store)
    assert (entry.name, entry.version, entry.images, entry.bytes) == ("tiny", ready.version, 20, ready.bytes)
    shown = show_set(store, "tiny")
    assert shown["uri"] == published.uri
    assert shown["set"]["source_title"] == "generated phantom images"
    assert "20 synthetic images" in shown["card"]


def test_an_unknown_set_is_answered_with_the_known_ones(
    ready: SetFolder, store: Store, tmp_path: Path
) -> None:
    with pytest.raises(NotInStore, match="there is none yet"):
        fetch_set(store, "tiny", None, tmp_path / "x")
    publish_set(store, ready)
    with pytest.raises(NotInStore, match="choose one of tiny"):
        fetch_set(store, "other", None, tmp_path / "x")
    with pytest.raises(NotInStore, match=r"did you mean tiny\?"):
        fetch_set(store, "tyny", "v1", tmp_path / "x")
    with pytest.raises(NotInStore, match=rf"set tiny: has no version v1; choose one of {ready.version}"):
        show_set(store, "tiny", "v1")
    assert not (tmp_path / "x").exists()


def test_an_upload_without_manifest_cannot_be_fetched_or_listed(
    ready: SetFolder, store: Store, tmp_path: Path
) -> None:
    # What a publisher that was killed before the last step leaves behind.
    for item in ready.objects:
        store.put_file(ready.file(item), item.key)
    assert list_sets(store) == []
    with pytest.raises(NotInStore):
        fetch_set(store, "tiny", ready.version, tmp_path / "x")


def test_a_fetch_resumes_where_it_stopped_and_replaces_what_is_wrong(
    ready: SetFolder, store: Store, tmp_path: Path
) -> None:
    publish_set(store, ready)
    folder = tmp_path / "fetched"
    fetch_set(store, "tiny", None, folder)
    (folder / "manifest.json").unlink()
    (folder / "labels.parquet").write_bytes(b"half")
    before = (folder / "images-0000.tar").stat()
    fetch_set(store, "tiny", None, folder)
    assert verify_set(folder).broken == {}
    assert (folder / "images-0000.tar").stat().st_ino == before.st_ino


def test_a_damaged_object_stops_the_fetch_before_there_is_a_set(
    ready: SetFolder, store: Store, tmp_path: Path
) -> None:
    publish_set(store, ready)
    tar = next(item for item in ready.objects if item.key.endswith(".tar"))
    store.put_bytes(b"damaged", tar.key)
    folder = tmp_path / "fetched"
    with pytest.raises(DamagedObject, match=r"images-0000\.tar"):
        fetch_set(store, "tiny", None, folder)
    assert not (folder / "manifest.json").exists()
    assert not (folder / "images-0000.tar").exists()
    assert not [path for path in folder.iterdir() if path.name.endswith(".part")]
    with pytest.raises(BadInput, match="not a complete set"):
        open_set(folder)


def test_a_folder_with_another_set_is_left_alone(
    ready: SetFolder,
    store: Store,
    generator: LoadedGenerator,
    experiment: Experiment,
    tmp_path: Path,
    provenance: dict[str, str],
) -> None:
    publish_set(store, ready)
    other = write_set(generator, experiment, 5, 0, tmp_path / "other", provenance)
    with pytest.raises(BadInput, match="holds files that are not of the set; give an empty folder"):
        fetch_set(store, "tiny", ready.version, other.path)
    assert verify_set(other.path).broken == {}
    fetched = fetch_set(store, "tiny", None, tmp_path / "fetched")
    newer = publish_set(store, other)
    with pytest.raises(
        BadInput, match=f"holds the set tiny {ready.version}, not the set tiny {newer.version}"
    ):
        fetch_set(store, "tiny", None, fetched.path)


def test_a_folder_of_somebodys_own_files_is_left_alone(
    ready: SetFolder, store: Store, tmp_path: Path
) -> None:
    publish_set(store, ready)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("my notes")
    with pytest.raises(BadInput, match="holds files that are not of the set"):
        fetch_set(store, "tiny", None, tmp_path / "mine")
    assert (tmp_path / "mine" / "README.md").read_text() == "my notes"
    assert len(list((tmp_path / "mine").iterdir())) == 1


def test_the_newest_version_is_the_one_published_last(
    ready: SetFolder,
    store: Store,
    generator: LoadedGenerator,
    experiment: Experiment,
    tmp_path: Path,
    provenance: dict[str, str],
) -> None:
    newer = write_set(generator, experiment, 5, 0, tmp_path / "newer", provenance)
    publish_set(store, ready)
    publish_set(store, newer)
    assert [entry.version for entry in list_sets(store)] == [ready.version, newer.version]
    assert fetch_set(store, "tiny", None, tmp_path / "a").version == newer.version
    assert fetch_set(store, "tiny", ready.version, tmp_path / "b").version == ready.version
    publish_set(store, ready)
    assert [entry.version for entry in list_sets(store)] == [ready.version, newer.version]
    assert newest(store, "tiny") == list_sets(store)[0]
    with pytest.raises(NotInStore, match="choose one of tiny"):
        newest(store, "other")


def test_publishers_at_the_same_time_lose_no_entry(ready: SetFolder, store: Store) -> None:
    publish_set(store, ready)
    [first] = list_sets(store)
    entries = [replace(first, name=f"set-{number}", version=f"{number:016x}") for number in range(16)]
    together = threading.Barrier(len(entries))
    failed: list[Exception] = []

    def publish(entry: object) -> None:
        together.wait()
        try:
            add_to_index(store, entry)  # type: ignore[arg-type]
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=publish, args=(entry,)) for entry in entries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert set(list_sets(store)) == {first, *entries}


def test_verify_names_each_broken_file_and_each_image_that_is_not_as_labelled(ready: SetFolder) -> None:
    (ready.path / "README.md").unlink()
    tar = ready.path / "images-0000.tar"
    data = bytearray(tar.read_bytes())
    data[512 + 60] ^= 1
    tar.write_bytes(data)
    (ready.path / "samples.png").write_bytes(b"")
    found = verify_set(ready.path)
    assert found.broken.keys() == {"README.md", "images-0000.tar", "samples.png"}
    assert found.broken["README.md"] == "is missing"
    assert found.as_json()["exit_status"] == 1
    assert "3 files are broken" in found.line()


def test_an_altered_file_is_not_published(ready: SetFolder, store: Store) -> None:
    (ready.path / "README.md").write_text("other words", encoding="utf-8")
    with pytest.raises(DamagedObject, match=r"README\.md"):
        publish_set(store, ready)
    assert store.head(keys.set_manifest("tiny", ready.version)) is None


def test_a_set_opens_from_its_address_and_is_fetched_once(
    ready: SetFolder, store_of_the_environment: Store, tmp_path: Path
) -> None:
    published = publish_set(store_of_the_environment, ready)
    images = open_set(published.uri, tmp_path / "cache")
    assert len(images) == 20
    newest = open_set(published.uri.rpartition("/")[0], tmp_path / "cache")
    assert newest.version == images.version
    tars = list((tmp_path / "cache").rglob("images-0000.tar"))
    assert len(tars) == 1


def test_a_set_that_is_published_while_the_index_is_made_anew_stays_listed(
    ready: SetFolder, store: Store
) -> None:
    publish_set(store, ready)
    [first] = list_sets(store)
    second = replace(first, version="0" * 16)
    add_to_index(store, replace(first, version="f" * 16))  # one that was deleted: the index has to change
    looked: list[int] = []

    def find() -> list[SetEntry]:
        looked.append(1)
        if len(looked) == 1:  # the other publisher comes in after the look into the store
            add_to_index(store, second)
            return [first]
        return [first, second]

    assert replace_index(store, find) == [first, second]
    assert list_sets(store) == [first, second]
    assert len(looked) == 2


@pytest.mark.parametrize("damage", [b"{", b'{"objects": []}'])
def test_a_damaged_manifest_is_named_and_does_not_keep_others_out_of_the_index(
    damage: bytes, ready: SetFolder, store: Store
) -> None:
    publish_set(store, ready)
    before = list_sets(store)
    key = keys.set_manifest("other", "v1")
    store.put_bytes(damage, key)
    moved = keys.set_manifest("moved", ready.version)
    store.put_bytes((ready.path / "manifest.json").read_bytes(), moved)
    store.delete(keys.set_index())
    rebuilt = rebuild_index(store)
    assert rebuilt.damaged == (store.uri(moved), store.uri(key))
    assert list(rebuilt.entries) == list_sets(store) == before


def test_a_damaged_manifest_is_named_by_its_address(ready: SetFolder, store: Store, tmp_path: Path) -> None:
    key = keys.set_manifest("tiny", "v1")
    store.put_bytes(b'{"objects": []}', key)
    with pytest.raises(DamagedObject, match=store.uri(key)):
        fetch_set(store, "tiny", "v1", tmp_path / "fetched")
