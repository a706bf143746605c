"""The administration: who may open it, messages, posts, and the numbers in its tabs."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from chestgan_portal.administration.messages import reply_address
from chestgan_portal.database.tables import Account, ContactMessage, Deed, Post, Study, now
from chestgan_portal.pages.paging import ROWS
from tests.portal.clients import Portal, post

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAGES = (
    "/admin", "/admin/statistics", "/admin/statistics/ratings.png", "/admin/statistics/answers.csv", "/admin/messages",
    "/admin/posts", "/admin/posts/new", "/admin/posts/1", "/admin/notifications", "/admin/reports",
)  # fmt: skip
FORMS = (
    "/admin/messages/1/read",
    "/admin/messages/1/delete",
    "/admin/posts/new",
    "/admin/posts/1",
    "/admin/posts/1/delete",
)
HURT = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


@pytest.fixture
def message(portal: Portal) -> ContactMessage:
    with portal.session() as session:
        written = ContactMessage(
            name="Ana", email="ana@hospital.example", text="How do I\ntake part?", at=now()
        )
        session.add(written)
        session.commit()
        return written


@pytest.fixture
def news(portal: Portal) -> Post:
    with portal.session() as session:
        written = Post(title="Open", summary="The portal is open.", text="One.\n\nTwo.", author="boss")
        session.add(written)
        session.commit()
        return written


def deeds(portal: Portal) -> list[tuple[str, str]]:
    with portal.session() as session:
        return [(deed.deed, deed.subject) for deed in session.scalars(select(Deed).order_by(Deed.id))]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_for_administrators_and_for_nobody_else(
    client: Callable[[], TestClient], reader: TestClient, path: str
) -> None:
    """In the thesis' portal any account that was logged in passed."""
    stranger = client().get(path, follow_redirects=False)
    assert stranger.status_code == 303
    assert stranger.headers["location"].startswith("/login?next=")
    assert reader.get(path).status_code == 403


@pytest.mark.parametrize("path", FORMS)
def test_a_form_needs_an_administrator_and_the_token_of_a_page(
    portal: Portal,
    reader: TestClient,
    administrator: TestClient,
    message: ContactMessage,
    news: Post,
    path: str,
) -> None:
    assert post(reader, path, {"title": "a", "summary": "b", "text": "c"}).status_code == 403
    assert administrator.post(path, data={"title": "a", "summary": "b", "text": "c"}).status_code == 403
    assert deeds(portal) == []


def test_the_overview_counts_what_waits_and_says_which_study_is_paused(
    portal: Portal, administrator: TestClient, message: ContactMessage
) -> None:
    with portal.session() as session:
        design = {"set_name": "demo", "set_version": "v1"}
        session.add(
            Study(name="first", design=design, state="paused", paused_because="Withdrawn.", created_by="boss")
        )
        session.commit()
    page = administrator.get("/admin").text
    assert "Messages, 1 unread" in page
    assert re.search(
        r'<a href="/admin/studies/first">first</a>: The set demo, version v1, was withdrawn\.', page
    )


def test_messages_come_in_pages_the_newest_first(portal: Portal, administrator: TestClient) -> None:
    with portal.session() as session:
        for number in range(ROWS + 3):
            at = now() - timedelta(hours=number)
            session.add(ContactMessage(name=f"Person {number}", email="p@x.example", text="Hello", at=at))
        session.commit()
    first = administrator.get("/admin/messages").text
    assert "Person 0" in first
    assert f"Person {ROWS}" not in first
    assert 'href="/admin/messages?page=2"' in first
    last = administrator.get("/admin/messages?page=999").text
    assert f"Person {ROWS + 2}" in last
    assert "Page 2 of 2" in last
    for wrong in ("0", "-1", "x", "9" * 30):
        assert administrator.get(f"/admin/messages?page={wrong}").status_code == 422


def test_a_message_is_marked_as_read_and_deleted_and_the_audit_log_says_so_without_its_text(
    portal: Portal, administrator: TestClient, message: ContactMessage
) -> None:
    def read_at() -> object:
        with portal.session() as session:
            found = session.get(ContactMessage, message.id)
            return found and found.read_at

    assert read_at() is None
    assert "Saved." in post(administrator, f"/admin/messages/{message.id}/read", {"read": "true"}).text
    assert read_at() is not None
    post(administrator, f"/admin/messages/{message.id}/read", {"read": "false"})
    assert read_at() is None
    assert "Deleted." in post(administrator, f"/admin/messages/{message.id}/delete").text
    assert post(administrator, f"/admin/messages/{message.id}/delete").status_code == 404
    subjects = [("mark message as read", "1"), ("mark message as unread", "1"), ("delete message", "1")]
    assert deeds(portal) == subjects


@pytest.mark.parametrize("database_address", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("key", ["0", "-1", "x", str(2**31), str(2**70), "1%27%20or%201=1"])
def test_a_key_that_no_row_can_have_is_refused_by_both_databases(administrator: TestClient, key: str) -> None:
    assert post(administrator, f"/admin/messages/{key}/delete").status_code in (404, 422)
    assert administrator.get(f"/admin/posts/{key}").status_code in (404, 422)


def test_a_reply_quotes_the_message_and_can_hold_no_other_address_or_header() -> None:
    text = (
        "Dear all,\n&bcc=evil@x.example?cc=evil2@x.example\r\nBcc: third@x.example %0ABcc: fourth "
        + "x" * 5000
    )
    message = ContactMessage(name="Ana\r\nBcc: fifth", email="ana@hospital.example", text=text, at=now())
    address = reply_address(message)
    assert len(address) < 6000
    assert re.fullmatch(r"[!-~]+", address)
    parts = urlsplit(address)
    assert (parts.scheme, unquote(parts.path)) == ("mailto", "ana@hospital.example")
    fields = parse_qs(parts.query, strict_parsing=True)
    assert set(fields) == {"subject", "body"}
    assert (
        "> Dear all,\r\n> &bcc=evil@x.example?cc=evil2@x.example\r\n> Bcc: third@x.example"
        in fields["body"][0]
    )


@pytest.mark.parametrize(
    "email",
    ["a@b.example,c@d.example", "a@b.example?bcc=c@d.example", "a@b.example&cc=c@d", "<a@b.example>", "a@b@c", "a", "",
     "a b@c.example", "a%40b@c.example", "a@b.example\r\nBcc: c@d.example", "javascript:alert(1)@x"],
)  # fmt: skip
def test_to_what_is_not_one_plain_address_there_is_no_reply(email: str) -> None:
    assert reply_address(ContactMessage(name="A", email=email, text="t", at=now())) == ""


def test_what_a_stranger_wrote_is_text_on_the_page(portal: Portal, administrator: TestClient) -> None:
    with portal.session() as session:
        session.add(ContactMessage(name=HURT, email=f"{HURT}@x.example", text=HURT))
        session.commit()
    page = administrator.get("/admin/messages").text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert HURT in unescape(page)


def test_a_post_is_previewed_published_edited_and_deleted(portal: Portal, administrator: TestClient) -> None:
    """The portal of the thesis could only add posts."""
    written = {"title": "  Two   words ", "summary": "In short.", "text": "One.\r\n\r\nTwo <b>bold</b>."}
    preview = post(administrator, "/admin/posts/new", {**written, "preview": "true"}).text
    assert "not saved yet" in preview
    assert "<h2>Two words</h2>" in preview
    assert "Two &lt;b&gt;bold&lt;/b&gt;." in preview
    assert "Two words" not in administrator.get("/news").text

    assert "Saved." in post(administrator, "/admin/posts/new", written).text
    assert "Two words" in administrator.get("/news").text
    assert "Two &lt;b&gt;bold&lt;/b&gt;." in administrator.get("/news/1").text

    changed = {"title": "Three", "summary": "In short.", "text": "Other.", "edited": "never"}
    assert "Saved." in post(administrator, "/admin/posts/1", changed).text
    page = administrator.get("/news/1").text
    assert "Other." in page
    assert "edited" in page

    assert "Deleted." in post(administrator, "/admin/posts/1/delete").text
    assert administrator.get("/news/1").status_code == 404
    assert deeds(portal) == [
        ("add post", "1 Two words"),
        ("edit post", "1 Three"),
        ("delete post", "1 Three"),
    ]


@pytest.mark.parametrize("title", ["", "  \t ", "x" * 401])
def test_a_post_without_a_title_of_400_characters_at_most_is_not_saved_and_what_was_typed_stays(
    administrator: TestClient, title: str
) -> None:
    answer = post(
        administrator, "/admin/posts/new", {"title": title, "summary": "In short.", "text": "A long text."}
    )
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert "A long text." in answer.text
    assert "There is no post yet." in administrator.get("/admin/posts").text


def test_the_longest_post_is_saved_whole_and_a_longer_one_is_refused(
    portal: Portal, administrator: TestClient
) -> None:
    longest = {"title": "t" * 400, "summary": "s" * 800, "text": "é" * 20_000}
    assert "Saved." in post(administrator, "/admin/posts/new", longest).text
    with portal.session() as session:
        assert session.get_one(Post, 1).text == "é" * 20_000
    for name, length in (("summary", 801), ("text", 20_001), ("text", 50_000)):
        assert post(administrator, "/admin/posts/new", longest | {name: "x" * length}).status_code == 422


def test_of_two_administrators_who_edit_a_post_at_once_the_second_is_told(
    administrator: TestClient, news: Post
) -> None:
    sent = {"title": "Open", "summary": "The portal is open.", "text": "First.", "edited": "never"}
    assert "Saved." in post(administrator, f"/admin/posts/{news.id}", sent).text
    second = post(administrator, f"/admin/posts/{news.id}", {**sent, "text": "Second."})
    assert second.status_code == 422
    assert "Somebody else has changed this post meanwhile" in second.text
    assert "Second." in second.text
    assert "First." in administrator.get(f"/news/{news.id}").text


def test_an_administrator_writes_a_post_and_answers_a_message_in_a_browser_without_scripts(
    browser: object, live_portal: str, portal: Portal, administrator_account: Account, message: ContactMessage
) -> None:
    context = browser.new_context(base_url=live_portal, java_script_enabled=False)  # type: ignore[attr-defined]
    context.set_default_timeout(10_000)
    cookie = {"name": "chestgan-login", "value": portal.cookie_of(administrator_account), "url": live_portal}
    context.add_cookies([cookie])
    page: Page = context.new_page()
    page.goto("/admin")
    page.get_by_role("link", name="Messages, 1 unread").click()
    href = page.get_by_role("link", name="Reply by mail").get_attribute("href")
    assert (href or "").startswith("mailto:ana@hospital.example?subject=")
    page.get_by_role("button", name="Mark as read").click()
    page.get_by_role("link", name="Posts").click()
    page.get_by_role("link", name="Write a post").click()
    page.get_by_label("Title").fill("From a browser")
    page.get_by_label("Summary").fill("Short.")
    page.get_by_label("Text").fill("One.\n\nTwo.")
    page.get_by_role("button", name="Preview").click()
    assert page.get_by_role("heading", name="From a browser").is_visible()
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("link", name="From a browser").click()
    page.get_by_text("Delete", exact=True).click()
    page.get_by_role("button", name="Delete this post for good").click()
    assert page.get_by_text("There is no post yet.").is_visible()
    context.close()
