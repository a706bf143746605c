"""A published set, and a study of it that is frozen."""

import pytest

from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.reading.images.frozen_study import FrozenStudy, freeze_study
from chestgan_core.store.store import Store
from tests.reading.published import design_of, publish, write_small_set


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> SetFolder:
    """A set of 60 images on disk, half of class A, half of class G."""
    return write_small_set(tmp_path_factory.mktemp("small-set"))


@pytest.fixture
def published(store: Store, ready: SetFolder) -> SetFolder:
    """The set in the store, with 60 real images of 6 patients to compare it with."""
    publish(store, ready)
    return ready


@pytest.fixture
def study(store: Store, published: SetFolder) -> FrozenStudy:
    """20 real and 20 synthetic images, and 6 to warm up; everything is asked."""
    return freeze_study(store, design_of(published, ask_tumour=True))
