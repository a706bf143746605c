"""The real side of a report, fetched and normalized again from each kind of source: bit for bit, in the same order."""

from pathlib import Path

import pytest

from chestgan_core.config.names import SHIPPED_DATASETS
from chestgan_core.publishing.reproducing.providers import provider_of
from chestgan_core.publishing.reproducing.real_images import picture_sides, real_sides
from chestgan_core.publishing.reproducing.series import MISSING, fetch_shards
from chestgan_core.publishing.split.table import split_csv
from chestgan_core.slices.training_set import build_training_set
from chestgan_core.sources.images.collection import collect_images
from chestgan_core.store.store import Store
from tests.publishing.real_sides import (
    as_a_report_loads_them,
    files_below,
    prepared,
    published,
    require_the_same,
)
from tests.sources.images.pictures import declare, drawn, put
from tests.standins.collection import StandInCollection
from tests.standins.nbia import nbia_stand_in


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of three small patients, which nobody changes."""
    folder = tmp_path_factory.mktemp("phantoms")
    StandInCollection(folder, patients=3, slices=16, size=64)
    return folder


@pytest.fixture
def collection(phantoms: Path, tmp_path: Path) -> StandInCollection:
    return StandInCollection.of_files(tmp_path / "collection", files_below(phantoms))


@pytest.mark.slow
def test_slices_fetched_again_from_nbia_are_those_of_the_report(
    collection: StandInCollection, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, datasets = tmp_path / "home", tmp_path / "datasets"
    monkeypatch.setenv("CHESTGAN_DATASETS", str(datasets))
    with nbia_stand_in(collection) as server:
        collection.write_nbia_dataset(datasets, "stand_in", server.url)
        training_set = prepared(store, "stand_in", home)
        rows, instructions, facts = published(store, training_set, tmp_path)
        provider = provider_of(instructions, tmp_path / "work", home, None, server.url)
        assert not isinstance(provider, str)
        shards, _ = fetch_shards(rows, instructions, provider, tmp_path / "work")
    sides, problems = real_sides(rows, shards, provider, facts)
    assert not problems
    require_the_same(sides, as_a_report_loads_them(store, training_set, tmp_path / "report"))


def test_only_the_owner_of_a_private_folder_finds_its_patients_again(
    phantoms: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("CHESTGAN_FOLDER", str(phantoms))
    training_set = prepared(store, "folder", home)
    rows, instructions, facts = published(store, training_set, tmp_path)
    names = {shard.name for shard in training_set.shards}
    assert not any(name in split_csv(rows).decode() for name in names)

    why = provider_of(instructions, tmp_path / "work", home, None, None)
    assert isinstance(why, str)
    assert "private" in why
    owner = provider_of(instructions, tmp_path / "work", home, phantoms, None)
    assert not isinstance(owner, str)
    shards, missing = fetch_shards(rows, instructions, owner, tmp_path / "work")
    assert not missing
    sides, problems = real_sides(rows, shards, owner, facts)
    assert not problems
    require_the_same(sides, as_a_report_loads_them(store, training_set, tmp_path / "report"))

    # Who has the files and not the key does not learn which of them are in the set.
    stranger = provider_of(instructions, tmp_path / "other", tmp_path / "other-home", phantoms, None)
    assert not isinstance(stranger, str)
    shards, missing = fetch_shards(rows, instructions, stranger, tmp_path / "other")
    assert not shards
    assert {problem.kind for problem in missing} == {MISSING}
    assert len(missing) == len(rows)


def test_pictures_are_found_again_by_their_sha256(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(tmp_path / "datasets", monkeypatch)
    monkeypatch.setenv("TEST_IMAGES", str(tmp_path / "delivery"))
    places = [(split, name, seed) for seed, split, name in [
        (1, "train", "a"), (2, "train", "a"), (3, "test", "a"), (4, "train", "b"), (5, "test", "b"), (6, "train", "b"),
    ]]  # fmt: skip
    root = put(
        tmp_path / "delivery", {f"{split}/{name}/{seed}.png": drawn(seed) for split, name, seed in places}
    )
    collect_images(store, "pictures", tmp_path / "home")
    training_set = build_training_set(store, "pictures")
    rows, instructions, facts = published(store, training_set, tmp_path)
    assert {row.location for row in rows} == {f"{split}/{name}/{seed}.png" for split, name, seed in places}
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for number, path in enumerate(sorted(root.rglob("*.png"), reverse=True)):
        (renamed / f"{number}.png").write_bytes(path.read_bytes())
    sides, problems = picture_sides(rows, renamed, facts, instructions.recipe.size)
    assert not problems
    require_the_same(sides, as_a_report_loads_them(store, training_set, tmp_path / "report"))

    (renamed / "0.png").unlink()
    _, problems = picture_sides(rows, renamed, facts, instructions.recipe.size)
    assert [problem.kind for problem in problems] == [MISSING]


@pytest.mark.slow
def test_phantoms_are_generated_again(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "datasets").mkdir()
    shipped = (SHIPPED_DATASETS / "phantom.yaml").read_text()
    few = shipped.replace("patients: 6, slices: 40", "patients: 3, slices: 12")
    assert few != shipped
    (tmp_path / "datasets" / "phantom.yaml").write_text(few)
    monkeypatch.setenv("CHESTGAN_DATASETS", str(tmp_path / "datasets"))
    training_set = prepared(store, "phantom", tmp_path / "home")
    rows, instructions, facts = published(store, training_set, tmp_path)
    provider = provider_of(instructions, tmp_path / "work", tmp_path / "other", None, None)
    assert not isinstance(provider, str)
    shards, _ = fetch_shards(rows, instructions, provider, tmp_path / "work")
    sides, problems = real_sides(rows, shards, provider, facts)
    assert not problems
    require_the_same(sides, as_a_report_loads_them(store, training_set, tmp_path / "report"))
