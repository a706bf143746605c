"""The public pages in a real browser: values under the pointer, keys, a film that stops; and without scripts."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.reader.set_reader import SetReader
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.store.store import Store
from tests.portal.public_store import FRAMES, commit_run, publish_all
from tests.publishing.boxed_sets import asking_experiment, asking_generator, write_boxed_set

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def sets(store: Store) -> dict[str, SetFolder]:
    made = publish_all(store)
    commit_run(store, made["second"])
    return made


def test_the_pointer_reads_hounsfield_units_also_through_another_window(
    sets: dict[str, SetFolder], page: "Page"
) -> None:
    made = sets["typed"]
    hounsfield = SetReader(made).hounsfield(2)
    for window in ("", "&window=bone"):
        page.goto(f"/sets/typed/{made.version}/images/2?scale=8{window}")
        page.wait_for_load_state("networkidle")
        for column, row in ((0, 0), (10, 20), (31, 31)):
            page.locator("#image").hover(position={"x": column * 8 + 4, "y": row * 8 + 4})
            value = int(hounsfield[row, column])
            said = page.locator("#value").inner_text()
            assert said.startswith(f"x {column}, y {row}: ")
            assert int(said.split()[4]) == pytest.approx(value, abs=1)


def test_keys_zoom_and_lead_to_the_neighbours(sets: dict[str, SetFolder], page: "Page") -> None:
    made = sets["typed"]
    page.goto(f"/sets/typed/{made.version}/images/2")
    page.keyboard.press("-")
    before = page.locator("#image").evaluate("one => one.width")
    page.keyboard.press("+")
    assert page.locator("#image").evaluate("one => one.width") > before
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/images/3?*")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**/images/2?*")
    page.keyboard.press("w")
    page.wait_for_url("**window=lung*")
    page.go_back()
    page.wait_for_url("**/images/2?*")


def test_an_image_fits_a_phone_at_first(sets: dict[str, SetFolder], page: "Page") -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"/sets/typed/{sets['typed'].version}/images/2")
    view, image = (page.locator(one).bounding_box() for one in (".view", "#image"))
    assert view is not None
    assert image is not None
    assert 0.4 * view["width"] < image["width"] <= view["width"]


def test_the_film_stands_still_plays_once_and_can_be_stopped(
    sets: dict[str, SetFolder], page: "Page"
) -> None:
    page.goto(f"/sets/plain/{sets['second'].version}")
    film = page.locator(".player")
    picture, last = film.locator("img"), re.compile(f"/film/{FRAMES - 1}\\.png$")
    page.wait_for_timeout(600)
    expect(picture).to_have_attribute("src", last)
    film.get_by_role("button", name="Play").click()
    expect(picture).not_to_have_attribute("src", last)
    film.get_by_role("button", name="Pause").click()
    stopped = picture.get_attribute("src")
    page.wait_for_timeout(900)
    assert picture.get_attribute("src") == stopped
    film.get_by_role("slider").fill("0")
    expect(picture).to_have_attribute("src", re.compile(r"/film/0\.png$"))
    film.get_by_role("button", name="Play").click()
    expect(picture).to_have_attribute("src", last)
    expect(film.get_by_role("button", name="Play")).to_be_visible()


def test_without_scripts_the_gallery_the_zoom_and_the_film_work(
    sets: dict[str, SetFolder], browser: "Browser", live_portal: str
) -> None:
    context = browser.new_context(base_url=live_portal, java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    page.goto("/sets")
    page.get_by_label("Class", exact=True).select_option("G")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="typed").click()
    page.get_by_label("Window", exact=True).select_option("bone")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="Image 1,").click()
    page.get_by_role("link", name=re.compile("^16")).click()
    assert page.locator("#image").bounding_box()["width"] == 512  # type: ignore[index]
    page.get_by_role("link", name="Next").click()
    assert "scale=16" in page.url
    assert "window=bone" in page.url
    page.goto(f"/sets/plain/{sets['second'].version}")
    page.get_by_role("link", name="1", exact=True).first.click()
    assert page.url.endswith("/film/0.png")
    context.close()


def test_frames_stay_on_their_tumours_at_every_zoom_and_leave_the_pointer_to_the_image(
    store: Store, page: "Page", tmp_path: Path
) -> None:
    generator = asking_generator(tmp_path / "model", asking_experiment())
    given = {"source": "generated phantom images", "source_licence": "none needed"}
    made = write_boxed_set(generator, tmp_path / "set", given)
    publish_set(store, made)
    page.goto(f"/sets/asking/{made.version}/images/1?scale=4")
    page.wait_for_load_state("networkidle")
    for scale in (4, 8):
        image = page.locator("#image").bounding_box()
        frame = page.locator(".boxes rect").bounding_box()
        assert image is not None
        assert frame is not None
        assert image["width"] == scale * 64
        # A line of two pixels lies half outside of its edge: [3.25, 10.3, 20.5, 31.75].
        assert frame["x"] - image["x"] == pytest.approx(3.25 * scale, abs=2)
        assert frame["y"] - image["y"] == pytest.approx(10.3 * scale, abs=2)
        assert frame["width"] == pytest.approx(17.25 * scale, abs=3)
        page.keyboard.press("+")
    page.locator("#image").hover(position={"x": 10 * 8, "y": 20 * 8})
    assert page.locator("#value").inner_text().startswith("x ")
