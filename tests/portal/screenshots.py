"""The pictures of docs/portal.md: a portal on the set that `make demo` made, filled and photographed.

    CHESTGAN_HOME=/tmp/pictures make demo
    .venv/bin/python -m tests.portal.screenshots /tmp/pictures

In: a home folder in which `make demo` has run; its images are phantoms, so nobody's CT comes into the pictures. Out:
docs/portal-*.png. The store is copied to a prefix of its own before anything is added, and the copy is removed.
"""

import argparse
import io
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from chestgan_core.store import keys
from chestgan_core.store.embedded import open_store
from chestgan_core.store.store import Store
from chestgan_portal.app import create_pages
from chestgan_portal.database.tables import Account
from chestgan_portal.settings import Settings
from tests.portal.clients import Portal
from tests.portal.filled import fill
from tests.standins.ports import free_port

DOCS = Path(__file__).parent.parent.parent / "docs"
DESKTOP, PHONE = {"width": 1200, "height": 750}, {"width": 360, "height": 740}
_COLOURS = 256  # of a PNG
_PREFIXES = ("synthetic/", "reports/", "experiments/", "reading/", "training-sets/", "catalog/")


@contextmanager
def copy_of(store: Store) -> Iterator[Store]:
    """The same objects under another prefix of the bucket, until the block ends."""
    copied = Store(store.client, store.bucket, f"screenshots-{uuid.uuid4().hex[:8]}")
    found = [item.key for item in store.list() if item.key.startswith(_PREFIXES)]
    for key in found:
        source = {"Bucket": store.bucket, "Key": f"{store.prefix}/{key}" if store.prefix else key}
        store.client.copy_object(Bucket=store.bucket, Key=f"{copied.prefix}/{key}", CopySource=source)
    try:
        yield copied
    finally:
        for item in list(copied.list()):
            store.client.delete_object(Bucket=store.bucket, Key=f"{copied.prefix}/{item.key}")


class Photographer:
    """Opens pages as somebody, and keeps what is seen."""

    def __init__(self, browser: Browser, address: str, portal: Portal) -> None:
        self.browser, self.address, self.portal = browser, address, portal

    @contextmanager
    def page(
        self, account: Account | None, size: dict[str, int], theme: str, locale: str = "en"
    ) -> Iterator[Page]:
        context = self.browser.new_context(
            base_url=self.address, viewport=size, color_scheme=theme, locale=locale, reduced_motion="reduce",  # type: ignore[arg-type]
        )  # fmt: skip
        if account:
            cookie = {"name": "chestgan-login", "value": self.portal.cookie_of(account), "url": self.address}
            context.add_cookies([cookie])  # type: ignore[list-item]
        yield context.new_page()
        context.close()

    def shoot(
        self,
        path: str,
        account: Account | None,
        size: dict[str, int],
        theme: str,
        locale: str = "en",
        act: str = "",
    ) -> Image.Image:
        """One page as it is seen first. act: a selector to be clicked before."""
        with self.page(account, size, theme, locale) as page:
            page.goto(path)
            page.wait_for_load_state("networkidle")
            if act:
                page.locator(act).first.click()
            page.mouse.move(0, 0)
            return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def beside(*images: Image.Image) -> Image.Image:
    """In a row, with a gap."""
    gap, height = 24, max(image.height for image in images)
    row = Image.new("RGB", (sum(image.width + gap for image in images) - gap, height), "#808890")
    left = 0
    for image in images:
        row.paste(image, (left, 0))
        left += image.width + gap
    return row


def keep(image: Image.Image, name: str) -> None:
    """Write it with few colours: a page has few."""
    path = DOCS / f"portal-{name}.png"
    image.quantize(_COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name} {path.stat().st_size / 1024:.0f} kB")


def take(camera: Photographer, accounts: dict[str, Account], set_page: str) -> None:
    """All pictures."""
    ana, lopez = accounts["ana.ruiz"], accounts["lopez"]
    keep(camera.shoot("/", None, DESKTOP, "light"), "home")
    keep(camera.shoot(set_page, None, {"width": 1200, "height": 1000}, "light"), "set")
    keep(camera.shoot("/studies/realism-2/reading", ana, DESKTOP, "dark"), "rating")
    phone = [
        camera.shoot("/sets", None, PHONE, "light", act=".menu > summary"),
        camera.shoot("/studies", ana, PHONE, "light", "es"),
        camera.shoot("/studies/realism-2/reading", ana, PHONE, "dark"),
    ]
    keep(beside(*phone), "phone")
    keep(
        camera.shoot("/admin/studies/realism-1/result", lopez, {"width": 1200, "height": 1000}, "light"),
        "result",
    )
    keep(camera.shoot("/admin/statistics", lopez, {"width": 1200, "height": 900}, "dark"), "statistics")


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("home", type=Path)
    home = parser.parse_args().home
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with (
        tempfile.TemporaryDirectory() as folder,
        open_store(home) as original,
        copy_of(original) as store,
        sync_playwright() as playwright,
    ):
        (version,) = store.read_pointer(keys.set_latest("demo"), "version")
        settings = Settings(
            database=f"sqlite:///{folder}/portal.sqlite", own_account=False, hosts=("testserver",),
            pipeline="http://127.0.0.1:3000", webhook_secret="a secret of the pictures",
        )  # fmt: skip
        pages = create_pages(settings, lambda: store)
        portal = Portal(pages, settings)
        accounts = fill(portal, store, "demo", version, images_per_side=12)
        port = free_port()
        server = uvicorn.Server(uvicorn.Config(portal.app, port=port, log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.05)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        take(Photographer(browser, f"http://127.0.0.1:{port}", portal), accounts, f"/sets/demo/{version}")
        browser.close()
        server.should_exit = True
        thread.join(timeout=20)
        pages.state.engine.dispose()


if __name__ == "__main__":
    main()
