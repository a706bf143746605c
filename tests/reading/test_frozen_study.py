"""A frozen study: what is chosen stays, and whoever shows it does not know the truth."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.reader.set_reader import SetReader
from chestgan_core.publishing.versions.status import SetWithdrawn
from chestgan_core.publishing.versions.withdrawal import withdraw_set
from chestgan_core.reading.images.frozen_study import (
    FrozenStudy,
    freeze_study,
    newest_study,
    open_study,
    read_key,
    require_published,
)
from chestgan_core.reading.images.real_images import read_real_images
from chestgan_core.store import keys
from chestgan_core.store.store import Store
from tests.reading.published import design_of
from tests.reading.telltale import chance_margin, held_out_accuracy


def test_a_study_opens_as_it_was_frozen_and_freezing_it_again_changes_nothing(
    store: Store, study: FrozenStudy
) -> None:
    opened = open_study(store, "study", study.version)
    assert opened == study
    before = [item.key for item in store.list()]
    assert freeze_study(store, study.design) == study
    assert [item.key for item in store.list()] == before
    assert (study.count, len(study.main), len(study.warm_up)) == (46, 40, 6)
    assert newest_study(store, "study") == study.version


def test_half_of_each_part_is_real_and_both_halves_show_the_same_classes(
    store: Store, study: FrozenStudy
) -> None:
    rows = read_key(store, study).rows
    for warm_up, count in ((False, 20), (True, 3)):
        part = [row for row in rows if row.warm_up == warm_up]
        assert (
            sum(row.truth == "real" for row in part) == sum(row.truth == "synthetic" for row in part) == count
        )
    classes = {
        truth: sorted(row.image_class for row in rows if row.truth == truth and not row.warm_up)
        for truth in ("real", "synthetic")
    }
    assert classes["real"] == classes["synthetic"] == ["A"] * 10 + ["G"] * 10


def test_each_picture_is_the_one_that_the_key_says(
    store: Store, study: FrozenStudy, published: SetFolder
) -> None:
    pool, reader = read_real_images(store, "small"), SetReader(published)
    real = {hashlib.sha256(picture.tobytes()).digest() for picture in pool.pictures}
    synthetic = {hashlib.sha256(reader.grey(k).tobytes()).digest() for k in range(len(reader))}
    for row in read_key(store, study).rows:
        grey = np.array(Image.open(io.BytesIO(study.picture(row.item))))
        digest = hashlib.sha256(grey.tobytes()).digest()
        assert digest in (real if row.truth == "real" else synthetic)
        assert (row.patient is not None, row.level is not None) == ((row.truth == "real"),) * 2
    with pytest.raises(IndexError):
        study.picture(study.count)
    with pytest.raises(IndexError):
        study.picture(-1)


def test_a_server_needs_no_key_and_nothing_beyond_reading(store: Store, study: FrozenStudy) -> None:
    for item in list(store.list()):
        if not item.key.startswith("reading/studies/") or item.key.endswith("/key.json"):
            store.delete(item.key)
    opened = open_study(store, "study", study.version)
    assert opened.picture(0) == study.picture(0)
    with pytest.raises(NotInStore):
        read_key(store, opened)


def test_the_manifest_that_a_server_reads_says_nothing_about_the_truth(
    store: Store, study: FrozenStudy
) -> None:
    manifest = store.get_bytes(keys.reader_study_manifest("study", study.version)).decode()
    for word in ('"real"', '"synthetic"', "truth", '"patient"', "level", "box"):
        assert word not in manifest, word


def test_another_seed_chooses_other_images_in_another_order(store: Store, published: SetFolder) -> None:
    one, other = (freeze_study(store, design_of(published, seed=seed)) for seed in (0, 1))
    assert one.version != other.version
    assert [row.truth for row in read_key(store, one).rows] != [
        row.truth for row in read_key(store, other).rows
    ]


def test_numbers_of_images_say_nothing_over_many_studies(store: Store, published: SetFolder) -> None:
    features, real = [], []
    for seed in range(12):
        study = freeze_study(store, design_of(published, images_per_side=20, warm_up=0, seed=seed))
        for row in read_key(store, study).rows:
            features.append([row.item, row.item % 2, row.item % 3, (row.item - 20) ** 2])
            real.append(row.truth == "real")
    assert sum(real) * 2 == len(real) == 480
    accuracy = held_out_accuracy(np.array(features, np.float64), np.array(real))
    assert abs(accuracy - 0.5) < chance_margin(len(real))


def test_a_version_that_was_withdrawn_or_never_published_is_refused(
    store: Store, study: FrozenStudy, published: SetFolder
) -> None:
    require_published(store, study.design)
    withdraw_set(store, "small", published.version, "a patient asked for it")
    with pytest.raises(SetWithdrawn, match="a patient asked for it"):
        require_published(store, study.design)
    with pytest.raises(SetWithdrawn, match="a patient asked for it"):
        freeze_study(store, design_of(published, name="later"))
    unknown = design_of(published, set_version="0" * 16)
    with pytest.raises(NotInStore, match="there is no version 0000000000000000 of the set small"):
        freeze_study(store, unknown)


def test_a_set_without_real_images_says_how_to_collect_them(store: Store, published: SetFolder) -> None:
    store.delete(keys.real_images_latest("small", published.version))
    with pytest.raises(NotInStore, match="run chestgan reading images small"):
        freeze_study(store, design_of(published))


def test_a_study_larger_than_its_pool_is_not_frozen(store: Store, published: SetFolder) -> None:
    with pytest.raises(BadInput, match=r"has 60 real images of 6 patient.*; 63 are needed"):
        freeze_study(store, design_of(published, images_per_side=60))
    assert not list(store.list("reading/studies/"))


def test_pictures_that_were_exchanged_are_not_shown(store: Store, study: FrozenStudy) -> None:
    (pictures,) = [item for item in store.list("reading/studies/") if item.key.endswith(".safetensors")]
    data = bytearray(store.get_bytes(pictures.key))
    data[-1] ^= 255
    store.put_bytes(bytes(data), pictures.key)
    with pytest.raises(DamagedObject):
        open_study(store, "study", study.version)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"warm_up": [1, 2]}, "another warm-up than its design"),
        ({"count": 47}, "another number of images than its design"),
        ({"version": "v2"}, "of another study or version"),
        ({"resolution": 64}, "holds pictures uint8"),
        ({"design": {"name": "study"}}, "is not a reader study"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_damaged(
    fields: dict[str, object], said: str, store: Store, study: FrozenStudy
) -> None:
    artefact = store.read_manifest(keys.reader_study_manifest("study", study.version))
    written = {**artefact.manifest, **fields}
    store.put_pointer(artefact.manifest_key, written, store.get_pointer(artefact.manifest_key)[1])
    with pytest.raises(DamagedObject, match=said):
        open_study(store, "study", study.version)
