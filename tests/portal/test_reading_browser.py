"""Both paths in a real browser: a reader with nothing but a keyboard, and an administrator from draft to result."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, update

from chestgan_core.store.store import Store
from chestgan_portal.accounts import passwords
from chestgan_portal.database.tables import Account, Answer, Study
from tests.portal.clients import PASSWORD, Portal
from tests.portal.reading_studies import answers_of, open_study, publish
from tests.portal.test_reading_administration import study_of, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

LogIn = Callable[["Page", Account], None]


def answered(portal: Portal) -> int:
    with portal.session() as db:
        return db.scalar(select(func.count()).select_from(Answer)) or 0


def image(page: "Page", words: str) -> None:
    """Wait until the page is at an image that arrived, and its keys work: the first open question has the focus.

    An answer before the image has arrived is refused, and so is, rightly, that of a test that types faster.
    """
    from playwright.sync_api import expect

    expect(page.get_by_text(words, exact=True)).to_be_visible()
    expect(page.locator(".questions :focus")).to_have_count(1)
    expect(page.locator(".viewer img")).not_to_have_js_property("naturalWidth", 0)


def take_part(page: "Page", study: str) -> None:
    """Agree and join; the announcement of the first image follows."""
    page.goto(f"/studies/{study}")
    page.get_by_label("I have read this").check()
    page.get_by_role("button", name="Take part").click()


def begin(page: "Page") -> None:
    """Pass an announcement by the keyboard."""
    from playwright.sync_api import expect

    expect(page.get_by_role("link", name="Show the first image")).to_be_focused()
    page.keyboard.press("Enter")


def test_a_reader_reads_a_study_with_the_keyboard_alone_and_goes_on_on_another_device(
    portal: Portal, store: Store, page: "Page", browser: "Browser", live_portal: str
) -> None:
    from playwright.sync_api import expect

    assert passwords.HASHER.time_cost == 1
    study = open_study(portal, store, ask_tumour=True)
    portal.account("ana", profession="Radiologist", years=9)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))

    page.goto(f"/login?next=/studies/{study.name}")
    page.get_by_label(re.compile("user ?name", re.I)).first.focus()
    page.keyboard.type("ana")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="A short study")).to_be_visible()
    page.get_by_label("I have read this").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Warm-up")).to_be_visible()
    begin(page)
    image(page, "Warm-up Image 1 of 2, for practice")

    # A digit, a letter, a digit, N, Enter: one image. What lacks is said, and nothing is sent.
    page.keyboard.press("7")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Something is missing")).to_be_visible()
    assert answered(portal) == 0
    for key in ("r", "4", "n", "Enter"):
        page.keyboard.press(key)
    image(page, "Warm-up Image 2 of 2, for practice")
    # A tumour by the arrow keys; 10 is the key 0.
    for key in ("0", "s", "1", "t", *["ArrowLeft"] * 10, *["ArrowDown"] * 5, "Tab", "Tab", "3", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name="Now the study begins")).to_be_visible()
    begin(page)
    for number in range(1, 5):
        image(page, f"Image {number} of 15")
        for key in (str(number), "s", "2", "n", "Enter"):
            page.keyboard.press(key)
    image(page, "Image 5 of 15")
    page.keyboard.press("8")
    address = page.locator(".viewer img").get_attribute("src")
    page.get_by_role("link", name="Pause").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("6 of 17 images answered")).to_be_visible()

    context = browser.new_context(base_url=live_portal, locale="en-GB")
    phone = context.new_page()
    phone.context.add_cookies(page.context.cookies())  # type: ignore[arg-type]
    phone.goto(f"/studies/{study.name}")
    phone.get_by_role("link", name="Go on").focus()
    phone.keyboard.press("Enter")
    image(phone, "Image 5 of 15")
    assert phone.locator(".viewer img").get_attribute("src") == address
    for number in range(5, 16):
        image(phone, f"Image {number} of 15")
        for key in ("6", "r", "5", "n", "Enter"):
            phone.keyboard.press(key)
    expect(phone.get_by_role("heading", name="Thank you")).to_be_visible()
    context.close()
    with portal.session() as db:
        rows = [answer for _, _, answer in answers_of(db, study)]
        assert [row.rating for row in rows] == [7, 10, 1, 2, 3, 4, *[6] * 11]
        assert (rows[1].tumour_x, rows[1].tumour_y, rows[1].conspicuity) == (0.4, 0.55, 3)
        assert answers_of(db, study)[0][0].years == 9
    assert hosts == {live_portal.split("/")[2]}
    assert faults == []


def test_a_click_marks_the_tumour_also_in_a_zoomed_image(
    portal: Portal, store: Store, page: "Page", log_in_page: LogIn
) -> None:
    study = open_study(portal, store, ask_tumour=True, warm_up=0)
    log_in_page(page, portal.account("ana"))
    take_part(page, study.name)
    page.get_by_role("link", name="Show the first image").click()
    image(page, "Image 1 of 15")
    stage = page.locator(".stage")
    box = stage.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.75)
    left, top = page.get_by_label("From the left"), page.get_by_label("From the top")
    assert float(left.input_value()) == pytest.approx(25, abs=0.5)
    assert float(top.input_value()) == pytest.approx(75, abs=0.5)
    # Twice as large around the middle: a quarter of the stage is three eighths of the image.
    for _ in range(3):
        page.get_by_role("button", name="Zoom in").click()
    scale = 1.25**3
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.5)
    assert float(left.input_value()) == pytest.approx(50 - 25 / scale, abs=0.6)
    assert float(top.input_value()) == pytest.approx(50, abs=0.6)
    # Window: brighter makes the filter lift the grey levels.
    page.locator("legend").first.click()
    page.keyboard.press("b")
    assert float(page.locator("feFuncR").get_attribute("intercept") or 0) > 0
    page.keyboard.press("z")
    assert float(page.locator("feFuncR").get_attribute("intercept") or 1) == 0


def test_what_was_typed_survives_a_server_that_is_down_a_reload_and_the_end_of_a_login(
    portal: Portal, store: Store, page: "Page", log_in_page: LogIn
) -> None:
    from playwright.sync_api import expect

    # One handler from before the first page. A route that is added later reaches a page that is open already only some
    # time after `route` returned, and then an answer slips past it.
    meets: dict[str, Callable[[Route], None]] = {
        "no server": lambda route: route.abort(),
        "a server that is down": lambda route: route.fulfill(status=503, body="down"),
        "the portal": lambda route: route.continue_(),
    }
    an_answer = "no server"
    page.route("**/answers", lambda route: meets[an_answer](route))
    study = open_study(portal, store, warm_up=0)
    account = portal.account("ana")
    log_in_page(page, account)
    take_part(page, study.name)
    page.get_by_role("link", name="Show the first image").click()
    image(page, "Image 1 of 15")
    for key in ("9", "s", "5"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Not sent: the server does not answer")).to_be_visible()
    expect(page.get_by_role("radio", name="9")).to_be_checked()
    an_answer = "a server that is down"
    page.keyboard.press("Enter")
    expect(page.get_by_text("Not sent: the server cannot take it now")).to_be_visible()
    an_answer = "the portal"
    page.reload()
    expect(page.get_by_role("radio", name="9")).to_be_checked()
    page.context.clear_cookies()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/login?next=/studies/{study.name}/reading")
    log_in_page(page, account)
    page.goto(f"/studies/{study.name}/reading")
    expect(page.get_by_role("radio", name="9")).to_be_checked()
    expect(page.get_by_role("radio", name="Synthetic")).to_be_checked()
    page.keyboard.press("Enter")
    image(page, "Image 2 of 15")
    expect(page.get_by_role("radio", name="9")).not_to_be_checked()
    with portal.session() as db:
        ((_, _, answer),) = answers_of(db, study)
    assert (answer.rating, answer.verdict, answer.confidence) == (9, "synthetic", 5)


def test_two_tabs_and_the_back_button_change_nothing_that_was_sent(
    portal: Portal, store: Store, page: "Page", log_in_page: LogIn
) -> None:
    from playwright.sync_api import expect

    study = open_study(portal, store, warm_up=0)
    log_in_page(page, portal.account("ana"))
    take_part(page, study.name)
    page.goto(f"/studies/{study.name}/reading?begin=main")
    other = page.context.new_page()
    other.goto(f"/studies/{study.name}/reading?begin=main")
    expect(other.locator(".viewer img")).to_be_visible()
    for key in ("3", "r", "1", "Enter"):
        page.keyboard.press(key)
    image(page, "Image 2 of 15")
    for key in ("9", "s", "5", "Enter"):
        other.keyboard.press(key)
    expect(other.get_by_text("the first answer counts")).to_be_visible()
    image(other, "Image 2 of 15")
    page.goto(f"/studies/{study.name}")
    page.go_back()
    image(page, "Image 2 of 15")
    with portal.session() as db:
        assert [answer.rating for _, _, answer in answers_of(db, study)] == [3]
        db.execute(update(Study).values(state="paused"))
        db.commit()
    for key in ("4", "r", "1", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name="The study is paused")).to_be_visible()


def test_time_counts_only_while_the_page_is_in_sight(
    portal: Portal, store: Store, page: "Page", log_in_page: LogIn
) -> None:

    study = open_study(portal, store, warm_up=0)
    log_in_page(page, portal.account("ana"))
    take_part(page, study.name)
    page.goto(f"/studies/{study.name}/reading?begin=main")
    image(page, "Image 1 of 15")
    hide = """state => { Object.defineProperty(document, "visibilityState", {value: state, configurable: true});
               document.dispatchEvent(new Event("visibilitychange")); }"""
    page.evaluate(hide, "hidden")
    page.wait_for_timeout(2000)
    page.evaluate(hide, "visible")
    for key in ("3", "r", "1", "Enter"):
        page.keyboard.press(key)
    image(page, "Image 2 of 15")
    with portal.session() as db:
        ((_, shown, answer),) = answers_of(db, study)
    assert shown.shown_at is not None
    assert 0 < answer.seconds < (answer.answered_at - shown.shown_at).total_seconds() - 1.9


def test_an_administrator_goes_from_a_draft_to_the_result(
    portal: Portal, store: Store, page: "Page", browser: "Browser", live_portal: str, log_in_page: LogIn
) -> None:
    from playwright.sync_api import expect

    name, version = publish(store)
    log_in_page(page, portal.account("boss", "administrator"))
    page.goto("/admin/studies")
    page.get_by_role("link", name="Draft a study").click()
    page.get_by_label("Name", exact=True).fill("first")
    page.get_by_label("Title").fill("The first study")
    page.get_by_label("Set and version").select_option(f"{name}/{version}")
    page.get_by_label(re.compile("Precision wanted")).fill("30")
    page.get_by_role("button", name="Compute the number of images").click()
    expect(page.get_by_label("Images of each side")).to_have_value("6")
    page.get_by_label("Images to warm up").fill("0")
    page.get_by_label("Images shown a second time").fill("0")
    page.get_by_role("button", name="Save the draft").click()
    expect(page.get_by_role("heading", name="What it would show")).to_be_visible()
    page.get_by_role("button", name="Open: freeze").click()
    expect(page.get_by_text("Nobody takes part yet")).to_be_visible(timeout=30_000)
    assert study_of(portal).state == "open"

    context = browser.new_context(base_url=live_portal, locale="en-GB")
    for username in ("ana", "ben"):
        context.clear_cookies()
        reader = context.new_page()
        log_in_page(reader, portal.account(username))
        take_part(reader, "first")
        reader.get_by_role("link", name="Show the first image").click()
        for number in range(1, 13):
            image(reader, f"Image {number} of 12")
            for key in (str(1 + number % 9), "rs"[number % 2], "3", "Enter"):
                reader.keyboard.press(key)
        expect(reader.get_by_role("heading", name="Thank you")).to_be_visible()
        reader.close()
    context.close()

    page.reload()
    expect(page.get_by_text("2 take part, 2 have finished")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("paused", exact=True)).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("Close the study").click()
    page.get_by_role("button", name="Close for good").click()
    wait_for(portal, "first", "result_version", seconds=120)
    page.goto("/admin/studies/first")
    page.get_by_role("link", name="Look at the result").click()
    expect(page.get_by_role("heading", name="Reader study: The first study")).to_be_visible()
    for chart in page.locator("figure img").all():
        assert chart.evaluate("one => one.decode().then(() => one.naturalWidth)") > 100
