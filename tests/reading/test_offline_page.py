"""The offline file in a browser: opened from the disk, answered by keyboard alone, and scored."""

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.reading.images.frozen_study import FrozenStudy, freeze_study
from chestgan_core.reading.offline.pack import make_pack
from chestgan_core.reading.offline.returned import collect_answers
from chestgan_core.store.store import Store
from tests.reading.published import design_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()


@pytest.fixture
def short(store: Store, published: SetFolder) -> FrozenStudy:
    """4 real and 4 synthetic images, 2 to warm up, one of them a second time; everything is asked."""
    return freeze_study(
        store, design_of(published, images_per_side=4, warm_up=2, repeats=0.125, ask_tumour=True)
    )


@pytest.fixture
def file(store: Store, short: FrozenStudy, tmp_path: Path) -> Path:
    path = tmp_path / "study.html"
    path.write_text(make_pack(store, short).html, encoding="utf-8")
    return path


@pytest.fixture
def context(browser: "Browser") -> Iterator["BrowserContext"]:
    """A browser profile without a network."""
    context = browser.new_context(accept_downloads=True, offline=True)
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def page(context: "BrowserContext", file: Path) -> Iterator["Page"]:
    """The opened file. It may ask for nothing but itself and the pictures inside, and report no error."""
    page = context.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda line: trouble.append(line.text))
    # Without the bytes of a picture.
    page.on("request", lambda request: trouble.append(request.url.partition(",")[0]))
    page.goto(file.as_uri())
    yield page
    assert [line for line in trouble if not line.startswith((file.as_uri(), "data:", "blob:"))] == []


def press(page: "Page", keys: str) -> None:
    for key in keys.split():
        page.keyboard.press(key)


def start(page: "Page") -> None:
    """By Tab to the button, and Enter."""
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "begin":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("#reading:not([hidden])")


def save(page: "Page", path: Path, button: str = "#save") -> Path:
    with page.expect_download() as download:
        page.focus(button)
        page.keyboard.press("Enter")
    download.value.save_as(path)
    return path


def test_a_reader_answers_everything_by_keyboard_and_the_file_is_scored(
    page: "Page", store: Store, short: FrozenStudy, tmp_path: Path
) -> None:
    page.focus("#years")
    page.keyboard.type("12")
    start(page)
    assert page.inner_text("#place") == "Image 1 of 11 (to warm up)"
    assert page.evaluate("document.getElementById('image').naturalWidth") == 32
    press(page, "7 r 4 ArrowLeft ArrowLeft ArrowUp Space 2 Enter")
    press(page, "0 s 5 n Enter")
    assert page.inner_text("#place") == "Image 3 of 11"
    while page.is_visible("#reading"):
        press(page, "3 s 1 n Enter")
    assert page.evaluate("document.activeElement.id") == "save-end"
    saved = save(page, tmp_path / "answers.json", "#save-end")
    collected = collect_answers(store, short, [saved])
    (reader,) = collected.readers
    assert (reader.finished, reader.years, reader.presentations) == (True, 12, 11)
    first, second, *others = collected.answers
    assert (first.rating, first.verdict, first.confidence, first.part) == (7, "real", 4, "warm-up")
    assert (first.tumour_seen, first.tumour_x, first.tumour_y, first.conspicuity) == (True, 0.46, 0.48, 2)
    assert (second.rating, second.verdict, second.tumour_seen) == (10, "synthetic", False)
    assert {(one.rating, one.verdict, one.confidence) for one in others} == {(3, "synthetic", 1)}
    assert [one.part for one in collected.answers].count("repeat") == 1
    assert all(0 < one.seconds < 60 for one in collected.answers)


def test_an_answer_is_complete_and_final(page: "Page") -> None:
    start(page)
    press(page, "7 r Enter")
    assert page.inner_text("#fault") == "Please answer the marked question first."
    assert page.locator("fieldset.now legend").inner_text() == "How sure are you?"
    press(page, "Backspace s 2 n")  # another verdict, before it is final
    assert page.is_checked("input[name=verdict][value=synthetic]")
    press(page, "Enter")
    assert page.inner_text("#place").startswith("Image 2 ")
    assert page.locator("input:checked").count() == 0
    press(page, "Backspace Backspace ArrowLeft")
    assert page.inner_text("#place").startswith("Image 2 ")


def test_progress_is_kept_in_the_browser_and_in_a_file_for_another(
    page: "Page", browser: "Browser", file: Path, tmp_path: Path
) -> None:
    start(page)
    press(page, "7 r 4 n Enter 8 r 4 n Enter")
    saved = save(page, tmp_path / "half.json")
    page.reload()
    start(page)
    assert page.inner_text("#place") == "Image 3 of 11"

    elsewhere = browser.new_context(offline=True).new_page()
    elsewhere.goto(file.as_uri())
    assert elsewhere.inner_text("#begin") == "Start"
    elsewhere.set_input_files("#load", saved)
    elsewhere.wait_for_function("document.getElementById('begin').textContent === 'Continue'")
    start(elsewhere)
    assert elsewhere.inner_text("#place") == "Image 3 of 11"
    elsewhere.context.close()


def test_two_tabs_of_one_reader_lose_no_answer(page: "Page", context: "BrowserContext", file: Path) -> None:
    start(page)
    press(page, "7 r 4 n Enter")
    other = context.new_page()
    other.goto(file.as_uri())
    start(other)
    press(other, "8 r 4 n Enter 8 r 4 n Enter")
    assert other.inner_text("#place") == "Image 4 of 11"
    press(page, "1 s 1 n Enter")  # to an image that is answered: it is final
    assert page.inner_text("#place") == "Image 4 of 11"
    press(page, "2 s 1 n Enter")
    kept = json.loads(page.evaluate("Object.values(localStorage)[0]"))["answers"]
    assert [answer["rating"] for answer in kept] == [7, 8, 8, 2]


def test_a_saved_file_of_another_page_or_with_a_gap_is_not_continued(page: "Page", tmp_path: Path) -> None:
    start(page)
    press(page, "7 r 4 n Enter 8 r 4 n Enter")
    saved = json.loads(save(page, tmp_path / "half.json").read_text())
    page.reload()
    for number, change in enumerate(
        ({"seal": "0" * 64}, {"answers": saved["answers"][1:]}, {"answers": saved["answers"][:1]})
    ):
        path = tmp_path / f"wrong-{number}.json"
        path.write_text(json.dumps({**saved, **change}))
        page.set_input_files("#load", path)
        page.wait_for_function("document.getElementById('load-fault').textContent !== ''")
    start(page)
    assert page.inner_text("#place") == "Image 3 of 11"


def test_a_tumour_is_marked_where_it_was_clicked_also_when_the_image_is_enlarged(
    page: "Page", tmp_path: Path
) -> None:
    start(page)
    press(page, "7 r 4 + +")
    box = page.locator("#frame").bounding_box()
    assert box
    # Twice enlarged about its middle: the frame shows 0.25 to 0.75 of the image.
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.25)
    press(page, "5 Enter")
    (answer,) = json.loads(save(page, tmp_path / "one.json").read_text())["answers"]
    assert answer["tumour_x"] == pytest.approx(0.5, abs=0.005)
    assert answer["tumour_y"] == pytest.approx(0.375, abs=0.005)


def test_it_speaks_spanish_and_fits_a_phone(browser: "Browser", file: Path) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark", offline=True)
    page = context.new_page()
    page.goto(file.as_uri())
    page.select_option("#language", "es")
    assert page.inner_text("#begin") == "Empezar"
    assert page.evaluate("document.documentElement.lang") == "es"
    start(page)
    assert page.inner_text("#place") == "Imagen 1 de 11 (de prueba)"
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(wide)
    assert page.locator("#frame").bounding_box()["width"] > 300  # type: ignore[index]
    context.close()


def test_it_begins_in_the_language_of_the_browser_and_keeps_the_one_that_was_chosen(
    browser: "Browser", file: Path
) -> None:
    context = browser.new_context(locale="es-MX", offline=True)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.inner_text("#begin") == "Empezar"
    page.select_option("#language", "en")
    page.reload()
    assert page.inner_text("#begin") == "Start"
    context.close()


def test_it_begins_in_the_language_that_was_asked_for_whatever_the_browser_says(
    browser: "Browser", store: Store, short: FrozenStudy, tmp_path: Path
) -> None:
    path = tmp_path / "spanish.html"
    path.write_text(make_pack(store, short, "es").html, encoding="utf-8")
    context = browser.new_context(locale="en-GB", offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    assert page.inner_text("#begin") == "Empezar"
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_of_its_pages(scheme: str, browser: "Browser", file: Path) -> None:
    context = browser.new_context(color_scheme=scheme, offline=True)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(file.as_uri())
    found = {"start": violations(page)}
    start(page)
    press(page, "7 r 4 n")
    found["reading"] = violations(page)
    press(page, "Enter")
    while page.is_visible("#reading"):
        press(page, "3 s 1 n Enter")
    found["end"] = violations(page)
    assert found == {"start": [], "reading": [], "end": []}
    context.close()


def violations(page: "Page") -> list[str]:
    page.evaluate(AXE)
    answer = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {node['html'][:120]} {node['failureSummary'][:200]}"
        for rule in answer["violations"]
        for node in rule["nodes"]
    ]


def test_a_study_that_asks_only_for_realism_shows_only_that(
    browser: "Browser", store: Store, published: SetFolder, tmp_path: Path
) -> None:
    asked = {"ask_verdict": False, "zoom": False, "window": False}
    design = design_of(published, images_per_side=4, warm_up=0, repeats=0, **asked)
    study = freeze_study(store, design)
    path = tmp_path / "plain.html"
    path.write_text(make_pack(store, study).html, encoding="utf-8")
    context = browser.new_context(offline=True, accept_downloads=True)
    page = context.new_page()
    page.goto(path.as_uri())
    start(page)
    assert page.locator("fieldset:visible").count() == 1
    assert page.locator("input[type=range]:visible").count() == 0
    for _ in range(8):
        press(page, "r + c 6 Enter")
    collected = collect_answers(store, study, [save(page, tmp_path / "plain.json", "#save-end")])
    assert [(one.rating, one.verdict, one.tumour_seen) for one in collected.answers] == [(6, None, None)] * 8
    context.close()
