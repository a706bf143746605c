"""Home, news and contact: what anybody reads and may send, with and without a store."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from chestgan_core.store.store import Store
from chestgan_portal.database.tables import ContactMessage, Post, now
from chestgan_portal.public import contact
from chestgan_portal.public.news import paragraphs
from chestgan_portal.settings import Settings
from tests.portal.clients import Portal, post
from tests.portal.public_store import publish_all

MESSAGE = {
    "name": "Ingrid Solberg",
    "email": "ingrid@hospital.example",
    "text": "May we use it?\n\nThank you.",
}


@pytest.fixture
def visitor(client: Callable[[], TestClient]) -> TestClient:
    return client()


def messages(portal: Portal) -> list[ContactMessage]:
    with portal.session() as db:
        return list(db.scalars(select(ContactMessage)))


def write_posts(portal: Portal, count: int, **fields: str) -> None:
    with portal.session() as db:
        for number in range(count):
            db.add(
                Post(
                    title=fields.get("title", f"Post {number}"), summary=fields.get("summary", "In short."),
                    text=fields.get("text", "One.\n\nTwo."), author="boss",
                    published_at=now() - timedelta(days=count - number),
                )
            )  # fmt: skip
        db.commit()


def test_the_first_page_counts_what_can_be_used(store: Store, visitor: TestClient) -> None:
    sets = publish_all(store)
    page = visitor.get("/").text
    numbers = {"published sets": 3, "versions": 3, "synthetic images": 12 + 9 + 6}
    for name, number in numbers.items():
        assert f"<dt>{name}</dt><dd>{number}</dd>" in page
    shown = [
        one for one in sets.values() if f'src="/sets/{one.facts.name}/{one.version}/images/0.png"' in page
    ]
    assert len(shown) == 1  # the newest
    assert shown[0] is not sets["first"]
    assert "Not anonymous by construction" in page
    for path in ("/sets", "/results", "/studies", "/admin"):
        assert f'href="{path}"' in page


def test_without_a_store_only_the_numbers_are_missing(visitor: TestClient) -> None:
    answer = visitor.get("/")
    assert answer.status_code == 200
    assert "The store does not answer at the moment" in answer.text
    assert "How it works" in answer.text
    for path in ("/news", "/contact", "/news/feed.xml"):
        assert visitor.get(path).status_code == 200


def test_an_empty_store_says_how_a_set_is_published(store: Store, visitor: TestClient) -> None:
    assert "No set has been published yet" in visitor.get("/").text


def test_the_news_are_in_pages_the_newest_first(portal: Portal, visitor: TestClient) -> None:
    write_posts(portal, 13)
    first, second = visitor.get("/news").text, visitor.get("/news?page=2").text
    assert [number for number in range(12, -1, -1) if f">Post {number}<" in first] == list(range(12, 2, -1))
    assert first.index("Post 12") < first.index("Post 3")
    assert [number for number in range(13) if f">Post {number}<" in second] == [0, 1, 2]


def test_a_post_is_paragraphs_of_text_and_no_markup(portal: Portal, visitor: TestClient) -> None:
    text = "<script>alert(1)</script>\n\nSee https://example.org/a?b=1&c=2. Not javascript:alert(1)."
    write_posts(portal, 1, title="<b>bold</b>", text=text)
    page = visitor.get("/news/1").text.split("<main")[1]
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert '<a href="https://example.org/a?b=1&amp;c=2" rel="nofollow noopener noreferrer">' in page
    assert page.count("<a href=") == 2  # this one and the way back
    assert page.count('<p class="lines">') == 2


def test_links_are_http_and_end_before_the_full_stop() -> None:
    assert paragraphs("a http://x.org/y). b") == [
        [("a ", ""), ("http://x.org/y", "http://x.org/y"), ("). b", "")]
    ]
    assert paragraphs("ftp://x.org javascript:x") == [[("ftp://x.org javascript:x", "")]]
    assert paragraphs(" \n\n ") == []


@pytest.mark.parametrize("key", ["2", "0", "99999999999999999999", "x"])
def test_a_post_that_does_not_exist_is_not_found(portal: Portal, visitor: TestClient, key: str) -> None:
    write_posts(portal, 1)
    assert visitor.get(f"/news/{key}").status_code == 404


def test_the_feed_leads_to_https_behind_a_proxy_that_ends_it(portal: Portal, visitor: TestClient) -> None:
    assert 'href="http://testserver/news/feed.xml"' in visitor.get("/news/feed.xml").text
    portal.pages.state.settings = replace(portal.settings, https=True)
    text = visitor.get("/news/feed.xml").text
    assert 'href="https://testserver/news/feed.xml"' in text
    assert "http://testserver" not in text


def test_the_feed_is_well_formed_whatever_a_post_says(portal: Portal, visitor: TestClient) -> None:
    write_posts(portal, 11, title="A & <b>\x0b", summary="]]> & 'x'")
    answer = visitor.get("/news/feed.xml")
    assert answer.headers["content-type"].startswith("application/atom+xml")
    space = "{http://www.w3.org/2005/Atom}"
    feed = ElementTree.fromstring(answer.content)
    entries = feed.findall(f"{space}entry")
    assert len(entries) == 10
    assert entries[0].findtext(f"{space}title") == "A & <b>"
    assert entries[0].findtext(f"{space}id") == "http://testserver/news/11"


def test_a_message_is_kept_as_it_was_written(portal: Portal, visitor: TestClient) -> None:
    answer = post(visitor, "/contact", MESSAGE)
    assert "Sent. Thank you." in answer.text
    [kept] = messages(portal)
    assert (kept.name, kept.email, kept.text) == tuple(MESSAGE.values())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": " "}, "Fill this in."),
        ({"text": ""}, "Fill this in."),
        ({"name": "x" * 401}, "At most 400 characters."),
        ({"text": "x" * 5001}, "At most 5000 characters."),
        ({"email": "nobody"}, "This is not an e-mail address."),
        ({"email": "a@b.example\nbcc: c@d.example"}, "This is not an e-mail address."),
        ({"email": "<a@b.example>"}, "This is not an e-mail address."),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays(
    portal: Portal, visitor: TestClient, change: dict[str, str], sentence: str
) -> None:
    answer = post(visitor, "/contact", MESSAGE | change)
    assert answer.status_code == 422
    assert sentence in answer.text
    if "text" not in change:
        assert "May we use it?" in answer.text
    assert messages(portal) == []


def test_a_message_without_the_token_of_the_form_is_refused(portal: Portal, visitor: TestClient) -> None:
    assert visitor.post("/contact", data=MESSAGE).status_code == 403
    assert messages(portal) == []


def test_a_program_that_fills_in_everything_is_thanked_and_not_heard(
    portal: Portal, visitor: TestClient
) -> None:
    answer = post(visitor, "/contact", MESSAGE | {"website": "https://spam.example"})
    assert "Sent. Thank you." in answer.text
    assert messages(portal) == []


def test_one_address_sends_a_few_messages_an_hour(portal: Portal, visitor: TestClient) -> None:
    for _ in range(contact.PER_CLIENT):
        assert post(visitor, "/contact", MESSAGE).status_code == 200
    answer = post(visitor, "/contact", MESSAGE)
    assert (answer.status_code, len(messages(portal))) == (429, contact.PER_CLIENT)
    assert answer.headers["retry-after"] in ("3599", "3600")  # a second may pass


def test_all_addresses_together_send_a_bounded_number_a_day(
    portal: Portal, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contact, "IN_ALL", 3)
    clients = [portal.client(client=(f"198.51.100.{number}", 1)) for number in range(5)]
    statuses = [post(one, "/contact", MESSAGE).status_code for one in clients]
    assert statuses == [200, 200, 200, 429, 429]
    with portal.session() as db:
        assert db.scalar(select(func.count()).select_from(ContactMessage)) == 3
