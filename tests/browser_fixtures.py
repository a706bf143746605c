"""Chromium for the tests of a file."""

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """In CI it must be there. Not for longer than a file: until it ends, its driver's event loop runs in this thread,
    in which asyncio.run then fails.
    """
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("no chromium here; apt-get install chromium")
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
