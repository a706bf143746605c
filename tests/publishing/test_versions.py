"""Versions of sets: deprecated and restored, found by words, compared, and removed by the retention rule."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chestgan_core.cli.main import main
from chestgan_core.cli.sets_difference import lines_of
from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.transfer.fetching import fetch_set
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.transfer.verifying import verify_set, with_status
from chestgan_core.publishing.versions.diff import diff_sets
from chestgan_core.publishing.versions.finding import newest_version
from chestgan_core.publishing.versions.index_rebuild import rebuild_index
from chestgan_core.publishing.versions.listing import list_sets, search_sets
from chestgan_core.publishing.versions.retention import REASON as RULE
from chestgan_core.publishing.versions.retention import Retention, apply_retention, plan_retention
from chestgan_core.publishing.versions.status import SetWithdrawn, status_of
from chestgan_core.publishing.versions.withdrawal import deprecate_set, keep_set, restore_set, withdraw_set
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.store import keys
from chestgan_core.store.store import Store
from chestgan_core.training.weights import LoadedGenerator
from tests.publishing.boxed_sets import write_boxed_set
from tests.publishing.card_facts import gathered, metrics_of, rows_of

REASON = "Windows were rounded; numbers change in the third digit."
Publish = Callable[..., SetFolder]


@pytest.fixture
def publish(
    store: Store,
    generator: LoadedGenerator,
    experiment: Experiment,
    provenance: dict[str, str],
    tmp_path: Path,
) -> Publish:
    """Publishes a small version of the set `tiny`."""

    def published(count: int = 2, first_seed: int = 0, name: str = "tiny") -> SetFolder:
        named = experiment.model_copy(update={"name": name})
        folder = tmp_path / f"{name}-{count}-{first_seed}"
        ready = write_set(generator, named, count, first_seed, folder, provenance)
        publish_set(store, ready)
        return ready

    return published


# Deprecated


def test_a_deprecated_version_is_given_with_a_warning_that_names_reason_and_replacement(
    publish: Publish, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = publish(2), publish(3)
    done = deprecate_set(store, "tiny", old.version, f" {REASON}\n", new.version)
    assert (done.state, done.reason, done.replacement) == ("deprecated", REASON, f"tiny/{new.version}")
    fetched = fetch_set(store, "tiny", old.version, tmp_path / "old")
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert [line for line in warned if REASON in line and f"use tiny/{new.version} instead" in line]
    checked = with_status(verify_set(fetched.path), store)
    assert checked.as_json()["exit_status"] == 0
    assert f"DEPRECATED since {done.at[:10]}: {REASON}" in checked.line()
    states = {entry.version: (entry.state, entry.reason) for entry in list_sets(store)}
    assert states == {old.version: ("deprecated", REASON), new.version: ("published", "")}
    assert list(rebuild_index(store).entries) == list_sets(store)


def test_a_deprecation_can_be_taken_back_and_a_withdrawal_cannot(publish: Publish, store: Store) -> None:
    old = publish(2)
    deprecate_set(store, "tiny", old.version, REASON)
    assert restore_set(store, "tiny", old.version).state == "published"
    assert [(entry.state, entry.reason) for entry in list_sets(store)] == [("published", "")]
    withdraw_set(store, "tiny", old.version, REASON)
    with pytest.raises(BadInput, match="which cannot be undone: those who had it were told so"):
        restore_set(store, "tiny", old.version)
    with pytest.raises(BadInput, match="is withdrawn"):
        deprecate_set(store, "tiny", old.version, REASON)
    found = status_of(store, "tiny", old.version)
    assert found is not None
    assert found.state == "withdrawn"


def test_two_versions_do_not_replace_each_other(publish: Publish, store: Store) -> None:
    one, two = publish(2), publish(3)
    deprecate_set(store, "tiny", one.version, REASON, two.version)
    with pytest.raises(BadInput, match="is itself replaced by this version"):
        deprecate_set(store, "tiny", two.version, REASON, one.version)


def test_publishing_again_does_not_change_what_is_said_of_a_version(publish: Publish, store: Store) -> None:
    old = publish(2)
    deprecate_set(store, "tiny", old.version, REASON)
    publish_set(store, old)
    found = status_of(store, "tiny", old.version)
    assert found is not None
    assert (found.state, found.reason) == ("deprecated", REASON)


# Verified


def test_a_copy_of_a_withdrawn_version_is_refused_where_the_store_can_be_asked(
    publish: Publish, store: Store, tmp_path: Path
) -> None:
    old, new = publish(2), publish(3)
    fetched = fetch_set(store, "tiny", old.version, tmp_path / "mine")
    withdraw_set(store, "tiny", old.version, REASON, new.version)
    checked = with_status(verify_set(fetched.path), store)
    assert checked.broken == {}
    assert checked.as_json()["exit_status"] == 1
    assert f"use tiny/{new.version} instead" in checked.line()
    assert "do not use this copy" in checked.line()


def test_where_no_store_knows_the_set_nothing_is_claimed(ready: SetFolder, store: Store) -> None:
    checked = with_status(verify_set(ready.path), store)
    assert checked.as_json()["exit_status"] == 0
    assert checked.as_json()["status"] is None
    assert "whether it was withdrawn is not known" in checked.line()


# Found


def test_sets_are_found_by_words_the_best_first(
    publish: Publish, store: Store, asking: LoadedGenerator, provenance: dict[str, str], tmp_path: Path
) -> None:
    lung = publish(2, name="lung-64")
    other = publish(2, name="chest")
    assert [entry.version for entry in search_sets(store, ["LUNG"])] == [lung.version]
    assert len(search_sets(store, ["phantom", "64px", "8bit"])) == 2
    assert [entry.name for entry in search_sets(store, [other.version[:6]])] == ["chest"]
    publish_set(store, write_boxed_set(asking, tmp_path / "boxed", provenance))
    assert [entry.name for entry in search_sets(store, ["tumour"])] == ["asking"]
    assert [entry.name for entry in search_sets(store, ["boxes", "position"])] == ["asking"]
    with pytest.raises(NotInStore, match=r"found no set with lnug.*did you mean lung"):
        search_sets(store, ["lnug"])
    with pytest.raises(NotInStore, match="leave out a word"):
        search_sets(store, ["lung", "chest"])


def test_the_index_counts_images_per_class(ready: SetFolder, store: Store) -> None:
    publish_set(store, ready)
    [entry] = list_sets(store)
    assert (entry.bits, entry.experiment, entry.classes) == (8, "tiny", {})


# Compared


def test_two_versions_are_compared_by_facts_files_and_pixels(publish: Publish, store: Store) -> None:
    first, second = publish(4, 10), publish(6, 10)
    found = diff_sets(store, ("tiny", first.version), ("tiny", None))
    assert (found.first, found.second) == (f"tiny/{first.version}", f"tiny/{second.version}")
    assert {change.name: (change.first, change.second) for change in found.facts} == {"images": (4, 6)}
    assert (found.images.equal, found.images.same_place) == (4, 4)
    assert "images-0000.tar" in found.files["changed"]
    assert found.split is None
    shifted = publish(4, 11)
    moved = diff_sets(store, ("tiny", first.version), ("tiny", shifted.version)).images
    assert (moved.equal, moved.same_place) == (3, 0)
    same = diff_sets(store, ("tiny", first.version), ("tiny", first.version))
    assert same.facts == same.measures == same.provenance == ()
    assert set(same.files.values()) == {()}


def test_measures_are_compared_as_the_card_prints_them_and_the_training_too(
    store: Store, generator: LoadedGenerator, experiment: Experiment, tmp_path: Path
) -> None:
    def version(kid: float | None, seed: int, seen: int) -> str:
        run = {"experiment": experiment.model_dump(mode="json"), "run": "r1", "images_seen": seen}
        run |= {
            "seconds": 1.0,
            "resumed_at": 0,
            "device": "cpu",
            "precision": "fp32",
            "best_kid": None,
            "best_at": None,
        }
        metrics = metrics_of(rows_of({"KID": kid, "coverage": 0.4})) | {"run": run}
        folder = tmp_path / str(seed)
        ready = write_set(generator, experiment, 2, seed, folder, gathered(metrics=metrics))
        publish_set(store, ready)
        return ready.version

    first, second, third = version(0.0123, 0, 100), version(0.5, 10, 200), version(None, 20, 100)
    found = diff_sets(store, ("tiny", first), ("tiny", second))
    assert found.measures is not None
    assert [(one.name, one.first, one.second) for one in found.measures] == [("KID", 0.0123, 0.5)]
    lines = list(lines_of(found))
    assert "  KID: 12.3 x 1000 -> 500.0 x 1000" in lines
    assert "  run.images_seen: 100 -> 200" in lines
    unmeasured = lines_of(diff_sets(store, ("tiny", second), ("tiny", third)))
    assert "  KID: 500.0 x 1000 -> not measured" in unmeasured


def test_a_version_that_lost_files_with_a_patient_can_still_be_compared(
    publish: Publish, store: Store
) -> None:
    gone, there = publish(2), publish(3)
    withdraw_set(store, "tiny", gone.version, "a patient whose images trained the model has withdrawn")
    manifest = store.read_manifest(keys.set_manifest("tiny", gone.version))
    for name in ("provenance.json", "images-0000.tar"):
        store.delete(manifest.find(name).key)
    found = diff_sets(store, ("tiny", gone.version), ("tiny", there.version))
    assert (found.images.equal, found.measures) == (2, None)
    assert "measures: not known of both versions" in lines_of(found)
    # Nor does the rule count as its own what the withdrawal deleted.
    assert removed(plan_retention(store, 1)) == []
    withdraw_set(store, "tiny", there.version, REASON)
    manifest = store.read_manifest(keys.set_manifest("tiny", there.version))
    store.delete(manifest.find("labels.parquet").key)
    with pytest.raises(NotInStore, match=r"labels\.parquet: is not in the store"):
        diff_sets(store, ("tiny", there.version), ("tiny", gone.version))


# Removed by the retention rule


def test_a_withdrawn_version_cannot_be_exempted_and_an_empty_reason_ends_nothing(
    publish: Publish, store_of_the_environment: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store = store_of_the_environment
    old, new = publish(2), publish(3)
    keep_set(store, "tiny", old.version, "cited")
    assert main(["sets", "keep", "tiny", old.version, "--reason", " "]) == 1
    found = status_of(store, "tiny", old.version)
    assert found is not None
    assert found.kept == "cited"
    withdraw_set(store, "tiny", new.version, REASON)
    assert main(["sets", "keep", "tiny", new.version, "--reason", "cited"]) == 1
    assert "the retention rule removes images of withdrawn versions" in capsys.readouterr().err
    assert keep_set(store, "tiny", new.version, "").kept == ""


def removed(plan: Retention) -> list[str]:
    return [one.version for one in plan.removed]


def test_the_rule_keeps_the_newest_and_what_something_relies_on(publish: Publish, store: Store) -> None:
    cited, replacing, shown, plain, newest = (publish(2, seed) for seed in range(5))
    assert removed(plan_retention(store, 5)) == []
    keep_set(store, "tiny", cited.version, "cited by doi:10.1/x")
    gone = publish(2, 9, name="other")
    withdraw_set(store, "other", gone.version, REASON, f"tiny/{replacing.version}")
    design = {"set_name": "tiny", "set_version": shown.version}
    store.commit(keys.reader_study_manifest("s", "v1"), {"x": b"x"}, {"kind": "x", "design": design})
    plan = plan_retention(store, 1)
    assert {one.version: one.because for one in plan.kept} == {
        cited.version: "cited by doi:10.1/x",
        replacing.version: "it replaces another version",
        shown.version: "a reader study shows it",
        newest.version: "the newest",
    }
    # A withdrawn version is given to nobody, so its images need not stay.
    assert removed(plan) == [gone.version, plain.version]
    assert store.head(keys.set_manifest("tiny", plain.version).replace("manifest.json", "images-0000.tar"))


def test_the_rule_deletes_images_behind_a_tombstone_and_leaves_what_explains_them(
    publish: Publish, store: Store, tmp_path: Path
) -> None:
    old, new = publish(2, 0), publish(2, 1)
    plan = plan_retention(store, 1)
    done = apply_retention(store, plan)
    assert removed(done) == [old.version]
    found = status_of(store, "tiny", old.version)
    assert found is not None
    assert (found.state, found.reason, found.removed) == ("withdrawn", RULE, ("images-0000.tar",))
    place = keys.set_manifest("tiny", old.version).removesuffix("manifest.json")
    left = {item.key.removeprefix(place) for item in store.list(place)}
    assert {"manifest.json", "labels.parquet", "README.md", "status.json"} <= left
    assert "images-0000.tar" not in left
    with pytest.raises(SetWithdrawn, match=f"{RULE}.*not withdrawn is {new.version}"):
        fetch_set(store, "tiny", old.version, tmp_path / "x")
    assert removed(apply_retention(store, plan)) == []
    assert newest_version(store, "tiny") == new.version


def test_a_run_of_the_rule_that_was_killed_is_completed_by_the_next(publish: Publish, store: Store) -> None:
    old, _ = publish(2, 0), publish(2, 1)
    apply_retention(store, plan_retention(store, 1))
    tar = keys.set_manifest("tiny", old.version).replace("manifest.json", "images-0000.tar")
    store.put_file(old.path / "images-0000.tar", tar)  # as if it had been killed behind the tombstone
    assert removed(apply_retention(store, plan_retention(store, 1))) == [old.version]
    assert store.head(tar) is None


def test_a_version_that_somebody_came_to_rely_on_since_the_plan_stays(publish: Publish, store: Store) -> None:
    old, _ = publish(2, 0), publish(2, 1)
    plan = plan_retention(store, 1)
    keep_set(store, "tiny", old.version, "cited meanwhile")
    assert removed(apply_retention(store, plan)) == []
    keep_set(store, "tiny", old.version, "")
    assert removed(apply_retention(store, plan)) == [old.version]


# As commands


def test_the_commands_say_what_they_did_and_what_it_means(
    publish: Publish,
    store_of_the_environment: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    old, new = publish(2), publish(3)

    def said(*command: str, status: int = 0) -> str:
        assert main(["sets", *command]) == status
        captured = capsys.readouterr()
        return captured.out + captured.err

    assert f"is deprecated: {REASON}" in said("deprecate", "tiny", old.version, "--reason", REASON)
    assert f"DEPRECATED: {REASON}" in said("list")
    assert f"tiny/{old.version} -> tiny/{new.version}" in said("diff", f"tiny/{old.version}", "tiny")
    fetched = said("fetch", "tiny", "--version", old.version)
    assert "DEPRECATED since" in fetched
    assert "2 images downloaded and verified" in fetched
    assert "and not deprecated" in said("restore", "tiny", old.version)
    assert "nothing was changed; with --apply" in said("prune", "--keep", "1")
    assert "is kept: cited" in said("keep", "tiny", old.version, "--reason", "cited")
    assert "the rule removes nothing" in said("prune", "--keep", "1", "--apply")
    said("keep", "tiny", old.version, "--end")
    assert "were deleted" in said("prune", "--keep", "1", "--apply")
    assert "WITHDRAWN since" in said("verify", "tiny", status=1)
    assert "no store was asked" in said("verify", "tiny", "--offline")
    said("convert", "tiny", "--to", "png", "--out", "pictures")
    assert "is a converted set" in said("verify", "pictures", status=1)
