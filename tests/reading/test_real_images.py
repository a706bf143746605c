"""Real images for reader studies: of held-out patients of the run that made the set, in its look, without names."""

from pathlib import Path

import numpy as np
import pytest

from chestgan_core.config.conditions import Conditions, TumourCondition
from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.imaging.pictures import to_grey
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.reading.images import collecting
from chestgan_core.reading.images.real_images import collect_real_images, read_real_images
from chestgan_core.slices.shards import SliceRow
from chestgan_core.slices.training_set import open_training_set
from chestgan_core.store import keys
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_core.training.data import load_slices
from chestgan_core.training.run import fetch_generator, newest_run
from tests.pipeline.conftest import deliver
from tests.pipeline.stages import Stages, tiny
from tests.reading.published import real_slices


@pytest.fixture(scope="session")
def stages(embedded: EmbeddedStore, phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Stages:
    folder = tmp_path_factory.mktemp("stages")
    deliver(phantom_folder, folder / "delivery")
    return Stages(embedded, folder)


@pytest.fixture
def of_a_run(stages: Stages, store: Store, tmp_path: Path) -> SetFolder:
    """Three patients treated as people, a run that was trained on two of them, and its published set."""
    import torch

    stages.bring("trained", store)
    _, run = newest_run(store, tiny())
    generator = fetch_generator(store, run, tmp_path / "model", torch.device("cpu"))
    facts = {"source": "phantoms", "source_licence": "none needed"}
    ready = write_set(generator, tiny(), 6, 0, tmp_path / "set", facts)
    publish_set(store, ready)
    return ready


def test_they_are_the_held_out_slices_as_the_training_would_see_them(
    of_a_run: SetFolder, store: Store, tmp_path: Path
) -> None:
    collect_real_images(store, "tiny")
    pool = read_real_images(store, "tiny")
    training_set = open_training_set(store, "folder")
    loaded = load_slices(training_set.fetch(store, "held-out", tmp_path / "held-out"), tiny())
    expected = to_grey(loaded.images)
    assert pool.pictures.shape == expected.shape
    assert {picture.tobytes() for picture in pool.pictures} == {picture.tobytes() for picture in expected}
    assert (pool.set_version, pool.training_set) == (of_a_run.version, training_set.version)
    assert pool.patients == len(set(loaded.patients)) == 1
    levels = [row.level for row in pool.rows if row.level is not None]
    assert len(levels) == len(pool)
    assert (min(levels), max(levels)) == (0, 1)


def test_no_name_of_a_patient_series_or_slice_leaves_with_them(of_a_run: SetFolder, store: Store) -> None:
    artefact = collect_real_images(store, "tiny")
    written = b"".join(store.get_bytes(item.key) for item in artefact.objects)
    written += store.get_bytes(artefact.manifest_key)
    training_set = open_training_set(store, "folder")
    names = set()
    for shard in training_set.shards:
        for row in shard.stored.rows(store):
            names |= {row.patient, row.series_uid, row.sop_uid, row.phash}
    assert len(names) > 10
    assert not [name for name in names if name and name.encode() in written]


def test_collecting_again_gives_the_same_version(of_a_run: SetFolder, store: Store) -> None:
    assert collect_real_images(store, "tiny") == collect_real_images(store, "tiny", of_a_run.version)


def test_a_patient_with_many_slices_gives_some_from_all_heights(of_a_run: SetFolder, store: Store) -> None:
    artefact = collect_real_images(store, "tiny", max_per_patient=4)
    pool = read_real_images(store, "tiny")
    assert artefact.manifest["held_out"] > len(pool) == 4
    levels = [row.level or 0 for row in pool.rows]
    assert min(levels) < 0.3
    assert max(levels) > 0.7


@pytest.mark.parametrize(
    ("counts", "most", "of_each", "expected"),
    [([100, 100], 1_000, 64, 64), ([100, 3], 50, 64, 47), ([9] * 9, 5, 64, 1), ([2, 2], 4, 64, 64)],
)
def test_the_limit_per_patient_falls_until_all_fit(
    counts: list[int], most: int, of_each: int, expected: int
) -> None:
    assert collecting._limit(counts, most, of_each) == expected


def test_a_level_is_within_the_lungs_of_its_own_series() -> None:
    def row(series: str, position: float) -> SliceRow:
        return SliceRow("P1", "A", series, f"{series}.{position}", position, 0.3, 5.0)

    levels = collecting._levels([row("1", -50), row("1", 50), row("2", 100), row("1", 0), row("2", 300)])
    assert levels == {0: 0, 1: 1, 2: 0, 3: 0.5, 4: 1}
    assert collecting._levels([row("1", 7)]) == {}  # one position: nothing is known


def test_boxes_are_shares_of_the_image() -> None:
    box = {"left": 64, "top": 128, "right": 96, "bottom": 260, "width_mm": 9, "height_mm": 9}
    real = collecting._row({"histology": "A", "index": 0, "boxes": [box]}, 1, {0: 0.5}, 256)
    (found,) = real.boxes
    assert (found.left, found.top, found.right, found.bottom) == (0.25, 0.5, 0.375, 1)


def test_a_set_whose_run_is_not_in_the_store_is_refused(ready: SetFolder, store: Store) -> None:
    publish_set(store, ready)
    with pytest.raises(NotInStore, match="is that of no run of small in this store"):
        collect_real_images(store, "small")


def test_a_split_that_is_broken_is_refused(
    of_a_run: SetFolder, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the rows of the training set said that the held-out patient was trained on, too."""
    (held_out,) = {shard.name for shard in open_training_set(store, "folder").side("held-out")}
    monkeypatch.setattr(collecting, "patients_of", lambda data, side: {held_out})
    with pytest.raises(BadInput, match=r"has 1 patient\(s\) on both sides"):
        collect_real_images(store, "tiny")


def test_rows_or_pictures_of_another_number_are_damaged(store: Store, published: SetFolder) -> None:
    (version,) = store.read_pointer(keys.real_images_latest("small", published.version), "version")
    key = keys.real_images_manifest("small", published.version, version)
    artefact = store.read_manifest(key)
    store.put_pointer(key, {**artefact.manifest, "images": 59}, store.get_pointer(key)[1])
    with pytest.raises(DamagedObject, match="has 60 rows for 59 images"):
        read_real_images(store, "small")


def test_what_was_collected_is_read_back(store: Store, published: SetFolder) -> None:
    pool, given = read_real_images(store, "small"), real_slices(published)
    np.testing.assert_array_equal(pool.pictures, given.pictures)
    assert pool.rows == given.rows
    assert (pool.patients, pool.classes) == (6, {"A": 30, "G": 30})


def test_pictures_need_no_annotation_where_the_generator_was_told_of_tumours(
    of_a_run: SetFolder, store: Store, tmp_path: Path
) -> None:
    shard = open_training_set(store, "folder").shards[0]
    told = tiny().model_copy(update={"conditions": Conditions(position=True, tumour=TumourCondition())})
    rows = [{"index": 0}, {"index": 2}]
    pictures = [collecting._pictures(store, shard, rows, one, tmp_path) for one in (tiny(), told)]
    assert pictures[0].shape == (2, 32, 32)
    assert np.array_equal(*pictures)
