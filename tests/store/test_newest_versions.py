"""Versions from lists of the store: the same as from its pointers, with few requests, whatever a server's ETags are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chestgan_core.errors import DamagedObject, Forgotten, NotInStore
from chestgan_core.store import kept_manifests, keys, newest_versions
from chestgan_core.store.forgotten import put_artefact_tombstone
from chestgan_core.store.kept_manifests import drop_kept, kept_file, read_manifests
from chestgan_core.store.store import Store

# Names that servers list in different orders, that begin alike, and that are as short as others' beginnings.
PATIENTS = ("A", "A-1", "A.1", "A1", "B-1", "B-10", "B-2", "Lung_Dx-A0001", "Lung_Dx-G0001", "a")


def commit(store: Store, patient: str, text: str, *, newest: bool = True) -> str:
    version = f"v{text}"
    key = keys.slices_manifest("cohort", patient, version)
    store.commit(key, {f"{version}.parquet": text.encode()}, {"kind": "slices", "text": text})
    if newest:
        store.update_pointer(keys.slices_latest("cohort", patient), {"version": version})
    return key


@contextmanager
def requests_of(store: Store) -> Iterator[list[str]]:
    """The keys of all objects that are read meanwhile."""
    asked: list[str] = []

    def note(params: dict[str, str], **_: object) -> None:
        asked.append(params["Key"].removeprefix(f"{store.prefix}/"))

    store.client.meta.events.register("provide-client-params.s3.GetObject", note)
    try:
        yield asked
    finally:
        store.client.meta.events.unregister("provide-client-params.s3.GetObject", note)


def versions(store: Store) -> dict[str, str]:
    found = newest_versions.newest_versions(store, keys.slices_prefix, "cohort", PATIENTS)
    return {patient: one.version for patient, one in found.items()}


@pytest.mark.parametrize("in_a_part", [500, 1])
def test_lists_say_what_the_pointers_say_and_no_pointer_is_read(
    store: Store, monkeypatch: pytest.MonkeyPatch, in_a_part: int
) -> None:
    monkeypatch.setattr(newest_versions, "_IN_A_PART", in_a_part)
    for number, patient in enumerate(PATIENTS):
        # The pointer names the one in the middle, as if the last one had been taken back.
        for version in range(3):
            commit(store, patient, f"{number}-{version}", newest=version != 2)
    commit(store, "of-no-catalog", "9")
    commit(store, "A2", "8", newest=False)
    store.put_bytes(b"{}", keys.slices_latest("cohort", "A") + ".old")
    with requests_of(store) as asked:
        assert versions(store) == {patient: f"v{at}-1" for at, patient in enumerate(PATIENTS)}
    assert asked == []


def test_a_patient_without_a_pointer_has_no_version(store: Store) -> None:
    assert versions(store) == {}
    commit(store, "A1", "1", newest=False)
    assert versions(store) == {}


def test_where_the_etag_says_nothing_the_pointer_is_read(store: Store) -> None:
    commit(store, "A", "1")
    pointer = keys.slices_latest("cohort", "A")
    store.put_bytes(b'{"version": "v1", "more": true}', pointer)  # as a later version may write it
    with requests_of(store) as asked:
        assert versions(store) == {"A": "v1"}
    assert asked == [pointer]
    store.put_bytes(b'{"version": 7}', pointer)
    with pytest.raises(DamagedObject, match="version"):
        versions(store)


def test_the_listed_tag_changes_with_the_content(store: Store) -> None:
    commit(store, "A", "1")
    (before,) = newest_versions.newest_versions(store, keys.slices_prefix, "cohort", ["A"]).values()
    put_artefact_tombstone(store, keys.slices_manifest("cohort", "A", "v1"), "slices", {})
    (after,) = newest_versions.newest_versions(store, keys.slices_prefix, "cohort", ["A"]).values()
    assert before.version == after.version
    assert before.etag != after.etag


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: Store) -> Path:
    monkeypatch.setattr(kept_manifests, "WORTH_KEEPING", 3)
    return kept_file(tmp_path, store, "cohort")


def listed(store: Store) -> dict[str, str]:
    tagged = store.list_tagged("slices/cohort/")
    return {
        item.key: etag for item, etag in tagged if item.key.endswith(".json") and "latest" not in item.key
    }


def test_a_manifest_is_read_once(store: Store, kept: Path) -> None:
    names = [commit(store, patient, patient) for patient in PATIENTS]
    with requests_of(store) as asked:
        first = read_manifests(store, listed(store), kept, "slices")
    assert sorted(asked) == sorted(names)
    assert kept.stat().st_mode & 0o077 == 0 or kept.parent.stat().st_mode & 0o077 == 0
    new = commit(store, "C", "new")
    with requests_of(store) as asked:
        second = read_manifests(store, listed(store), kept, "slices")
    assert asked == [new]
    assert {key: second[key] for key in first} == first
    assert second == {key: store.read_manifest(key) for key in second}


def test_what_is_not_listed_any_more_is_not_kept(store: Store, kept: Path) -> None:
    for patient in PATIENTS:
        commit(store, patient, patient)
    read_manifests(store, listed(store), kept, "slices")
    gone = keys.slices_manifest("cohort", "B-1", "vB-1")
    store.delete(gone)
    found = read_manifests(store, listed(store), kept, "slices")
    assert gone not in found
    assert gone not in kept_manifests._read_kept(kept)
    drop_kept(kept.parent.parent, store, "cohort")
    assert not kept.exists()


def test_a_tombstone_counts_though_its_manifest_is_kept(store: Store, kept: Path) -> None:
    names = [commit(store, patient, patient) for patient in PATIENTS]
    read_manifests(store, listed(store), kept, "slices")
    put_artefact_tombstone(store, names[0], "slices", {})
    with pytest.raises(Forgotten):
        read_manifests(store, listed(store), kept, "slices")
    store.delete(names[0])
    with pytest.raises(NotInStore):
        read_manifests(store, {names[0]: "of before", **listed(store)}, kept, "slices")


@pytest.mark.parametrize("damage", [b"", b"no digest", b"0" * 64 + b"\n{}"])
def test_a_damaged_file_is_written_anew(store: Store, kept: Path, damage: bytes) -> None:
    for patient in PATIENTS:
        commit(store, patient, patient)
    first = read_manifests(store, listed(store), kept, "slices")
    whole = kept.read_bytes()
    kept.write_bytes(damage or whole[:-20])
    assert read_manifests(store, listed(store), kept, "slices") == first
    assert kept_manifests._read_kept(kept).keys() == first.keys()


def test_a_home_that_cannot_be_written_only_costs_time(store: Store, kept: Path, tmp_path: Path) -> None:
    (tmp_path / "manifests").write_text("a file where the folder would be")
    names = {commit(store, patient, patient) for patient in PATIENTS}
    assert read_manifests(store, listed(store), kept, "slices").keys() == names
