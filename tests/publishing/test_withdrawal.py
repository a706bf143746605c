"""A withdrawn version stays in the store, says why, and is given to nobody."""

import threading
from pathlib import Path

import pytest

from chestgan_core.cli.main import main
from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.publishing import open_set
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.transfer.fetching import fetch_set
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.transfer.verifying import verify_set
from chestgan_core.publishing.versions.finding import newest
from chestgan_core.publishing.versions.index_rebuild import rebuild_index
from chestgan_core.publishing.versions.listing import list_sets, show_set
from chestgan_core.publishing.versions.status import SetWithdrawn, withdrawal_of
from chestgan_core.publishing.versions.withdrawal import withdraw_set
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.store import keys
from chestgan_core.store.store import Store
from chestgan_core.training.weights import LoadedGenerator

REASON = "Image 7 is nearly a training image."


@pytest.fixture
def other(
    generator: LoadedGenerator, experiment: Experiment, provenance: dict[str, str], tmp_path: Path
) -> SetFolder:
    """Another version of the same set."""
    return write_set(generator, experiment, 5, 0, tmp_path / "other", provenance)


def test_a_version_that_was_not_withdrawn_has_no_withdrawal(ready: SetFolder, store: Store) -> None:
    publish_set(store, ready)
    assert withdrawal_of(store, "tiny", ready.version) is None
    assert show_set(store, "tiny")["status"]["state"] == "published"


def test_a_withdrawn_version_cannot_be_fetched_and_says_why_and_what_to_use_instead(
    ready: SetFolder, other: SetFolder, store: Store, tmp_path: Path
) -> None:
    publish_set(store, ready)
    publish_set(store, other)
    done = withdraw_set(store, "tiny", ready.version, f"  {REASON}\n", replacement=other.version)
    assert (done.reason, done.replacement) == (REASON, f"tiny/{other.version}")
    assert withdrawal_of(store, "tiny", ready.version) == done
    with pytest.raises(SetWithdrawn, match=rf"nearly a training image.*use tiny/{other.version} instead"):
        fetch_set(store, "tiny", ready.version, tmp_path / "x")
    assert not (tmp_path / "x").exists()
    assert fetch_set(store, "tiny", None, tmp_path / "y").version == other.version


def test_open_set_from_the_store_refuses_it_although_it_is_in_the_cache(
    ready: SetFolder, store_of_the_environment: Store, tmp_path: Path
) -> None:
    store = store_of_the_environment
    published = publish_set(store, ready)
    assert len(open_set(published.uri, tmp_path / "cache")) == 20
    withdraw_set(store, "tiny", ready.version, REASON)
    with pytest.raises(SetWithdrawn, match="nearly a training image"):
        open_set(published.uri, tmp_path / "cache")


def test_without_a_version_the_newest_is_meant_and_the_refusal_names_one_that_is_not_withdrawn(
    ready: SetFolder, other: SetFolder, store: Store, tmp_path: Path
) -> None:
    publish_set(store, ready)
    publish_set(store, other)
    withdraw_set(store, "tiny", other.version, REASON)
    with pytest.raises(SetWithdrawn, match=f"newest version that is not withdrawn is {ready.version}"):
        fetch_set(store, "tiny", None, tmp_path / "x")
    withdraw_set(store, "tiny", ready.version, REASON)
    with pytest.raises(SetWithdrawn, match="there is no other version of it"):
        fetch_set(store, "tiny", None, tmp_path / "x")


def test_a_copy_that_was_fetched_before_stays_a_valid_set(
    ready: SetFolder, store: Store, tmp_path: Path
) -> None:
    publish_set(store, ready)
    fetched = fetch_set(store, "tiny", None, tmp_path / "mine")
    withdraw_set(store, "tiny", ready.version, REASON)
    assert verify_set(fetched.path).broken == {}
    assert show_set(store, "tiny")["status"]["reason"] == REASON


def test_the_index_says_that_it_is_withdrawn_also_after_it_was_rebuilt_or_lost(
    ready: SetFolder, other: SetFolder, store: Store
) -> None:
    publish_set(store, ready)
    publish_set(store, other)
    withdraw_set(store, "tiny", ready.version, REASON, other.version)
    listed = list_sets(store)
    said = [(one.version, one.withdrawn, one.replacement) for one in listed]
    assert said == [(ready.version, REASON, f"tiny/{other.version}"), (other.version, "", "")]
    assert list(rebuild_index(store).entries) == listed
    store.delete(keys.set_index())
    assert sorted(rebuild_index(store).entries, key=str) == sorted(listed, key=str)
    assert newest(store, "tiny").withdrawn == ""


def test_a_withdrawn_version_cannot_be_published_again(ready: SetFolder, store: Store) -> None:
    publish_set(store, ready)
    withdraw_set(store, "tiny", ready.version, REASON)
    before = list_sets(store)
    with pytest.raises(SetWithdrawn):
        publish_set(store, ready)
    assert list_sets(store) == before


def test_withdrawing_again_corrects_the_reason_and_keeps_the_time(
    ready: SetFolder, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_set(store, ready)
    key = keys.set_status("tiny", ready.version)
    first = withdraw_set(store, "tiny", ready.version, "a first reason")
    store.update_pointer(key, first.as_json() | {"at": "2026-01-02T03:04:05Z"})
    second = withdraw_set(store, "tiny", ready.version, REASON)
    assert (second.reason, second.at) == (REASON, "2026-01-02T03:04:05Z")
    assert [one.withdrawn for one in list_sets(store)] == [REASON]


def test_several_who_withdraw_at_once_leave_the_object_and_the_index_alike(
    ready: SetFolder, store: Store
) -> None:
    publish_set(store, ready)
    reasons = [f"reason {number}" for number in range(4)]
    threads = [
        threading.Thread(target=withdraw_set, args=(store, "tiny", ready.version, reason))
        for reason in reasons
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = withdrawal_of(store, "tiny", ready.version)
    assert found is not None
    assert found.reason in reasons
    assert [one.withdrawn for one in list_sets(store)] == [found.reason]


@pytest.mark.parametrize("reason", ["", " \n ", "x" * 1001])
def test_a_reason_is_one_line_of_bounded_length(ready: SetFolder, store: Store, reason: str) -> None:
    publish_set(store, ready)
    with pytest.raises(BadInput, match="the reason"):
        withdraw_set(store, "tiny", ready.version, reason)
    assert withdrawal_of(store, "tiny", ready.version) is None


def test_a_replacement_is_another_version_that_is_published_and_not_withdrawn(
    ready: SetFolder, other: SetFolder, store: Store
) -> None:
    publish_set(store, ready)
    with pytest.raises(NotInStore, match="has no version v9"):
        withdraw_set(store, "tiny", "v9", REASON)
    with pytest.raises(NotInStore, match="set else: has not been published"):
        withdraw_set(store, "tiny", ready.version, REASON, "else/v1")
    with pytest.raises(BadInput, match="is the version itself"):
        withdraw_set(store, "tiny", ready.version, REASON, ready.version)
    with pytest.raises(BadInput, match="cannot be part of a key"):
        withdraw_set(store, "tiny", ready.version, REASON, "../x")
    publish_set(store, other)
    withdraw_set(store, "tiny", other.version, REASON)
    with pytest.raises(BadInput, match="is withdrawn too"):
        withdraw_set(store, "tiny", ready.version, REASON, other.version)
    assert withdrawal_of(store, "tiny", ready.version) is None


@pytest.mark.parametrize("value", [{}, {"state": "fine"}, {"reason": "x" * 5000}, {"at": "yesterday"}])
def test_a_withdrawal_that_is_none_is_an_error_and_not_a_permission(
    ready: SetFolder, store: Store, tmp_path: Path, value: dict[str, str]
) -> None:
    publish_set(store, ready)
    good = withdraw_set(store, "tiny", ready.version, REASON).as_json()
    store.update_pointer(keys.set_status("tiny", ready.version), (good | value) if value else {"a": 1})
    with pytest.raises(DamagedObject, match="is not the status of a set"):
        fetch_set(store, "tiny", ready.version, tmp_path / "x")


def test_the_command_withdraws_and_the_list_says_so(
    ready: SetFolder, store_of_the_environment: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_set(store_of_the_environment, ready)
    assert main(["sets", "withdraw", "tiny", ready.version, "--reason", REASON]) == 0
    assert f"tiny {ready.version} is withdrawn: {REASON}" in capsys.readouterr().err
    assert main(["sets", "list"]) == 0
    assert f"WITHDRAWN: {REASON}" in capsys.readouterr().err
    assert main(["sets", "show", "tiny"]) == 0
    assert f": {REASON}\n" in capsys.readouterr().err
    assert main(["sets", "fetch", "tiny"]) == 1
    assert "was withdrawn" in capsys.readouterr().err
