"""Every text of the portal can be read in every language."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po
from starlette.testclient import TestClient

from chestgan_portal.pages.formats import in_words, moment, number, percent
from chestgan_portal.pages.languages import LANGUAGES, LOCALES, _, language, ngettext, preferred, translations
from tests.portal import template_texts
from tests.portal.clients import Portal, post

TRANSLATED = [name for name in LANGUAGES if name != "en"]
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}|%%|<[^>]+>")


def catalog_of(name: str) -> Catalog:
    with (LOCALES / name / "portal.po").open("rb") as stream:
        return read_po(stream, locale=name)


def texts(message: Message) -> list[str]:
    """The translated forms; an empty one is the matter of one test only."""
    return [message.string] if isinstance(message.string, str) else list(message.string)


def translated(catalog: Catalog) -> Iterator[tuple[str, str, list[str]]]:
    """Original, its plural (or the same again), and the forms of the translation."""
    for message in catalog:
        if message.id and all(texts(message)):
            one, many = message.id if isinstance(message.id, tuple) else (message.id, message.id)
            yield one, many, texts(message)


@pytest.fixture(params=TRANSLATED)
def catalog(request: pytest.FixtureRequest) -> Catalog:
    return catalog_of(request.param)


def test_every_text_is_translated(catalog: Catalog) -> None:
    wanted = {message.id for message in template_texts.marked() if message.id}
    assert len(wanted) > 20
    kept = {message.id for message in catalog if message.id}
    assert wanted - kept == set(), "run `make messages`, then translate"
    assert kept - wanted == set(), "nobody says these any more: run `make messages`"
    empty = [message.id for message in catalog if message.id and not all(texts(message))]
    assert empty == [], "translate these"
    assert [message.id for message in catalog if message.fuzzy and message.id] == [], (
        "a guess is no translation"
    )
    assert not catalog.obsolete


def test_a_translation_has_the_placeholders_of_the_original(catalog: Catalog) -> None:
    for one, many, forms in translated(catalog):
        for form in forms[1:] or forms:
            assert Counter(PLACEHOLDER.findall(form)) == Counter(PLACEHOLDER.findall(many)), one
        # One thing may be said without its number.
        assert set(PLACEHOLDER.findall(forms[0])) <= set(PLACEHOLDER.findall(one + many)), one


def test_a_translation_begins_and_ends_as_the_original(catalog: Catalog) -> None:
    """A text is often one piece of a line: a point or a blank less would glue it to the next."""
    for _one, original, forms in translated(catalog):
        for form in forms:
            assert form[:1].isspace() == original[:1].isspace(), original
            assert form[-1:].isspace() == original[-1:].isspace(), original
            assert form.endswith((".", ":", "?", "!")) == original.endswith((".", ":", "?", "!")), original


def test_a_percent_sign_breaks_no_page() -> None:
    """Templates take every text as a format, so a percent sign alone would raise an error when the page is shown."""
    for message in template_texts.marked():
        for text in [message.id] if isinstance(message.id, str) else message.id:
            assert "%" not in re.sub(r"%\(\w+\)[sd]|%%", "", text), f"{text!r}: write 'percent', or %%"


def test_plurals_have_all_forms_of_the_language(catalog: Catalog) -> None:
    for message in catalog:
        if message.pluralizable:
            assert len(texts(message)) == catalog.num_plurals, message.id


@pytest.mark.parametrize("template", template_texts.templates())
def test_a_template_says_nothing_that_cannot_be_translated(template: str) -> None:
    assert template_texts.unmarked_words(template) == []


def test_errors_are_said_in_the_language_of_the_request() -> None:
    assert template_texts.errors_without_translation() == []


def test_words_outside_of_a_mark_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = """<h1>{{ _("Good") }}</h1>{% trans %}Fine{% endtrans %}<p>Bare</p><img alt="Seen">
        {{ forms.field("name", "Your name") }}<code>make demo</code><p class="lead">{{ value }}</p>"""
    (tmp_path / "page.html").write_text(page)
    monkeypatch.setattr(template_texts, "TEMPLATES", tmp_path)
    assert template_texts.unmarked_words("page.html") == ["Bare", "Seen", "Your name"]


@pytest.mark.parametrize(
    ("cookie", "header", "expected"),
    [
        (None, "", "en"),
        (None, "es-ES,es;q=0.9,en;q=0.8", "es"),
        (None, "fr-FR, es;q=0.5", "es"),
        ("en", "es", "en"),
        ("../../etc", "es", "es"),
        (None, "xx," * 10_000 + "es", "en"),
    ],
)
def test_the_choice_comes_before_the_browser(cookie: str | None, header: str, expected: str) -> None:
    assert preferred(cookie, header) == expected


def test_the_switch_is_kept_and_leads_back(portal: Portal) -> None:
    client = portal.client()
    answer = post(client, "/language", {"language": "es", "back": "/?a=1"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?a=1")
    page = client.get("/").text
    assert '<html lang="es"' in page
    assert translations("es").gettext("Skip to the content") in page
    assert "Skip to the content" not in page
    elsewhere = post(
        client, "/language", {"language": "en", "back": "//evil.example"}, follow_redirects=False
    )
    assert elsewhere.headers["location"] == "/"


def test_the_choice_of_an_account_is_that_of_its_next_device(portal: Portal) -> None:
    account = portal.account("reader")
    post(portal.client(account), "/language", {"language": "es"})
    with portal.session() as session:
        assert session.get_one(type(account), account.id).language == "es"


def test_an_unknown_language_changes_nothing(client: Callable[[], TestClient]) -> None:
    visitor = client()
    post(visitor, "/language", {"language": "xx"})
    assert '<html lang="en"' in visitor.get("/").text


def test_numbers_and_dates_follow_the_language() -> None:
    from datetime import UTC, datetime, timedelta, timezone

    time = datetime(2026, 11, 29, 0, 5, tzinfo=timezone(timedelta(hours=1)))
    token = language.set("es")
    try:
        assert (number(12345.5), number(0.25, 2), number(1234567), percent(0.256, 1)) == (
            "12.345,5", "0,25", "1.234.567", "25,6\N{NO-BREAK SPACE}%",
        )  # fmt: skip
        assert (in_words(time), moment(time)) == ("28 nov 2026", "28 nov 2026, 23:05 UTC")
        language.set("en")
        assert (number(12345.5), number(0.25, 2), number(1234567), percent(0.256, 1)) == (
            "12,345.5", "0.25", "1,234,567", "25.6%",
        )  # fmt: skip
        assert moment(time.astimezone(UTC).replace(tzinfo=None)) == "28 Nov 2026, 23:05 UTC"
        assert {number(None), number(float("nan")), percent(None), in_words(None), moment(None)} == {
            "\N{EN DASH}"
        }
    finally:
        language.reset(token)


def test_a_number_chooses_the_form_of_a_text() -> None:
    token = language.set("es")
    try:
        one, many = ngettext("%(num)s new", "%(num)s new", 1), ngettext("%(num)s new", "%(num)s new", 2)
        assert (one, many) == ("%(num)s nueva", "%(num)s nuevas")
        assert _("no such text") == "no such text"
    finally:
        language.reset(token)
