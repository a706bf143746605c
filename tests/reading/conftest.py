"""A published set, and a study of it that is frozen."""

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from chestgan_core.publishing.set_folder import SetFolder
from chestgan_core.reading.images.frozen_study import FrozenStudy, freeze_study
from chestgan_core.store.store import Store
from tests.reading.published import design_of, publish, write_small_set

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


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


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Chromium. In CI it must be there."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("no chromium here; apt-get install chromium")
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
