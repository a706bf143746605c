"""What every page of the portal is made of: title, language, theme, navigation, and pages that say what went wrong."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from chestgan_portal.app import STATIC
from chestgan_portal.pages.render import TEMPLATES
from tests.portal.clients import Portal, post

Clients = Callable[[], TestClient]
TEMPLATE_FILES = sorted(TEMPLATES.rglob("*.html"))


def test_the_theme_is_that_of_the_device_until_somebody_chooses(client: Clients) -> None:
    page = client().get("/").text
    assert "data-theme" not in page
    assert '<meta name="color-scheme" content="light dark">' in page


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_chosen_theme_is_in_the_page_from_its_first_byte(client: Clients, theme: str) -> None:
    visitor = client()
    answer = post(visitor, "/theme", {"theme": theme, "back": "/"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "HttpOnly" in answer.headers["set-cookie"]
    page = visitor.get("/").text
    assert f'<html lang="en" data-theme="{theme}">' in page
    assert f'<meta name="color-scheme" content="{theme}">' in page
    post(visitor, "/theme", {"theme": ""})
    assert "data-theme" not in visitor.get("/").text


def test_a_theme_that_does_not_exist_is_none(client: Clients) -> None:
    visitor = client()
    visitor.cookies.set("chestgan-theme", '"><script>', domain="testserver.local")
    assert "data-theme" not in visitor.get("/").text


def test_the_switch_leads_back_to_this_server_only(client: Clients) -> None:
    for back in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""):
        answer = post(client(), "/theme", {"theme": "dark", "back": back}, follow_redirects=False)
        assert answer.headers["location"] == "/", back


def test_the_switches_keep_the_question_of_the_page_and_forget_what_it_said(client: Clients) -> None:
    page = client().get("/?said=saved&version=2&class=A%26B").text
    assert 'name="back" value="/?version=2&amp;class=A%26B"' in page
    assert f'name="back" value="/?{"a" * 500}' not in client().get("/?" + "a" * 500).text


@pytest.mark.parametrize("path", ["/theme", "/language"])
def test_no_other_site_can_turn_a_switch(client: Clients, path: str) -> None:
    assert client().post(path, data={"theme": "dark", "language": "es"}).status_code == 403


def test_an_unknown_address_is_a_page_whose_forms_work(portal: Portal) -> None:
    client = portal.client(portal.account("rosa"))
    page = client.get("/no/such/page")
    assert page.status_code == 404
    assert "rosa" in page.text
    token = re.search(r'name="csrf" value="(\w{64})"', page.text)
    assert token
    assert client.post("/theme", data={"csrf": token[1], "theme": "dark"}).status_code == 200


def test_an_unknown_address_is_a_page_without_a_database_too(portal: Portal) -> None:
    with portal.session() as session:
        session.execute(text("DROP TABLE logins"))
        session.commit()
    client = portal.client(raise_server_exceptions=False)
    client.cookies.set("chestgan-login", "x" * 40, domain="testserver.local")
    page = client.get("/no/such/page")
    assert page.status_code == 404
    assert "<h1>Not found</h1>" in page.text


def test_a_part_of_a_page_gets_its_error_as_a_part(client: Clients) -> None:
    part = client().get("/no/such/page", headers={"hx-request": "true"}).text
    assert part.startswith("<p")
    assert "<html" not in part


@pytest.mark.parametrize("template", TEMPLATE_FILES)
def test_a_page_has_a_title_of_its_own(template: Path) -> None:
    text = template.read_text()
    if '{% extends "base.html" %}' in text and "home.html" not in str(template):
        assert "{% block title %}" in text


@pytest.mark.parametrize("template", TEMPLATE_FILES)
def test_a_template_has_nothing_that_the_content_policy_refuses(template: Path) -> None:
    text = template.read_text()
    html = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", text, flags=re.DOTALL)
    assert not re.search(r"\sstyle\s*=|<style|\son[a-z]+\s*=|javascript:", html)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert not re.search(r"(src|href|action)=[\"'](https?:)?//", text), "another host"


def test_styles_and_scripts_ask_no_other_host() -> None:
    for path in [*STATIC.glob("*.css"), *STATIC.glob("*.js"), *STATIC.glob("*.svg")]:
        if path.name != "htmx.min.js":
            text = path.read_text().replace("http://www.w3.org/", "")
            assert not re.search(r"https?://|@import|url\((?!#)", text), path.name


def test_every_style_and_script_that_a_page_names_is_there(client: Clients) -> None:
    visitor = client()
    named = {
        path
        for template in TEMPLATES.rglob("*.html")
        for path in re.findall(r'"(/static/[^"{]+)"', template.read_text())
    }
    assert len(named) > 6
    for path in named:
        assert visitor.get(path).status_code == 200, path


def test_navigation_marks_the_page_that_is_open(administrator: TestClient) -> None:
    page = administrator.get("/admin").text
    assert '<a href="/admin" aria-current="page">' in page
    assert '<a href="/news">' in page
