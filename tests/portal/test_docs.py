"""docs/portal.md says what the portal does."""

import re
from pathlib import Path

from chestgan_portal import settings
from chestgan_portal.app import ROUTERS

ROOT = Path(__file__).parent.parent.parent
GUIDE = (ROOT / "docs" / "portal.md").read_text()


def test_the_table_of_settings_has_every_setting_and_no_other() -> None:
    source = Path(settings.__file__).read_text()
    read = set(re.findall(r'"(CHESTGAN_PORTAL_[A-Z_]+)"', source)) | {settings.SECRET}
    assert len(read) > 8
    assert set(re.findall(r"^\| `(CHESTGAN_[A-Z_]+)`", GUIDE, re.MULTILINE)) == read


def test_every_picture_of_the_guide_is_there_and_small() -> None:
    named = re.findall(r"!\[[^]]+\]\((portal-[a-z]+\.png)\)", GUIDE)
    assert len(named) > 4
    for name in named:
        assert (ROOT / "docs" / name).stat().st_size < 400_000, name
    assert {path.name for path in (ROOT / "docs").glob("portal-*.png")} == set(named)


def test_the_addresses_for_programs_exist() -> None:
    paths = {getattr(route, "path", "") for router in ROUTERS for route in router.routes} | {"/openapi.json"}
    for address in ("/api/sets", "/openapi.json", "/health", "/ready", "/notify", "/news/feed.xml"):
        assert f"`{address}`" in GUIDE
        assert address in paths
