"""Every page in a real browser: axe-core finds nothing, light and dark, on a desktop and on a phone of 360 pixels.

No page asks another host, breaks the content policy or logs an error; none is wider than a phone; the keyboard reaches
what the mouse reaches. Pages are found by following links, as three visitors: nobody in particular, a reader, an
administrator. A route that no link leads to fails here, unless it is named below.
"""

import re
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import pytest
import uvicorn
from starlette.testclient import TestClient

from chestgan_core.store.embedded import BUCKET, EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_portal.app import ROUTERS, create_pages
from chestgan_portal.database.tables import Account
from chestgan_portal.settings import Settings
from tests.pipeline.conftest import deliver
from tests.pipeline.stages import Stages
from tests.portal import template_texts
from tests.portal.clients import Portal
from tests.portal.filled import fill, one_time_links, pipeline_results
from tests.portal.reading_studies import publish
from tests.portal.test_languages import catalog_of
from tests.standins.ports import free_port

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from playwright.sync_api import Browser, BrowserContext, Page

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
MOST = 3  # addresses of one route that are looked at
VISITORS = ("nobody", "reader", "administrator")
GET_ROUTES = sorted(
    {route.path for router in ROUTERS for route in router.routes if "GET" in getattr(route, "methods", ())}
)


@dataclass
class Site:
    """The filled portal behind a server. paths: visitor -> pattern of the route -> addresses of pages."""

    address: str
    portal: Portal
    accounts: dict[str, Account]
    paths: dict[str, dict[str, list[str]]]
    links: dict[str, dict[str, str]]  # visitor -> address -> a page that leads there
    others: set[str]  # patterns of routes that answered with something else than a page

    def account(self, visitor: str) -> Account | None:
        return {"reader": self.accounts["ana.ruiz"], "administrator": self.accounts["lopez"]}.get(visitor)

    def open(self, browser: "Browser", visitor: str, **options: Any) -> "BrowserContext":
        """A browser of this visitor."""
        context = browser.new_context(
            base_url=self.address, **{"locale": "en-GB", "reduced_motion": "reduce", **options}
        )
        context.set_default_timeout(20_000)
        if account := self.account(visitor):
            cookie = {"name": "chestgan-login", "value": self.portal.cookie_of(account), "url": self.address}
            context.add_cookies([cookie])  # type: ignore[list-item]
        return context


@pytest.fixture(scope="module")
def site(
    embedded: EmbeddedStore,
    s3: "S3Client",
    phantom_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    store = Store(s3, BUCKET, f"test-{uuid.uuid4().hex[:12]}")
    folder = tmp_path_factory.mktemp("stages")
    deliver(phantom_folder, folder / "delivery")
    pipeline_results(store, Stages(embedded, folder), tmp_path_factory.mktemp("results"))
    settings = Settings(
        database=f"sqlite:///{tmp_path_factory.mktemp('portal') / 'portal.sqlite'}",
        own_account=False,
        hosts=("testserver",),
        registration="open",
        pipeline="http://127.0.0.1:3000",
        webhook_secret="a secret of sixteen",
    )
    pages = create_pages(settings, lambda: store)
    portal = Portal(pages, settings)
    accounts = fill(portal, store, *publish(store))
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(portal.app, port=port, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server ended at its start"
        time.sleep(0.02)
    found = Site(f"http://127.0.0.1:{port}", portal, accounts, {}, {}, set())
    beginnings = ["/", "/sets?set=plain", "/login", "/register", *one_time_links(portal)]
    for visitor in VISITORS:
        found.paths[visitor] = follow_links(found, visitor, beginnings)
    yield found
    server.should_exit = True
    thread.join(timeout=20)
    pages.state.engine.dispose()


def pattern_of(path: str) -> str:
    """Of the route that answers a GET of this path; "" for none."""
    for router in ROUTERS:
        for route in router.routes:
            if "GET" in getattr(route, "methods", ()) and re.fullmatch(route.path_regex, path):  # type: ignore[attr-defined]
                return str(route.path)  # type: ignore[attr-defined]
    return ""


def follow_links(site: Site, visitor: str, beginnings: list[str]) -> dict[str, list[str]]:
    """Addresses of pages by route, as far as links lead this visitor from the beginnings."""
    client = site.portal.client(site.account(visitor), follow_redirects=False)
    waiting, seen = [*beginnings], set()
    found: dict[str, list[str]] = defaultdict(list)
    links = site.links.setdefault(visitor, {})
    while waiting:
        path = waiting.pop(0)
        pattern = pattern_of(urlsplit(path).path)
        if path in seen or not pattern or len(found[pattern]) >= MOST:
            continue
        seen.add(path)
        answer = client.get(path)
        page = answer.headers.get("content-type", "").startswith("text/html") and pattern not in STORED
        if answer.status_code != 200 or not page:
            if answer.status_code == 200:
                site.others.add(pattern)
            continue
        found[pattern].append(path)
        for link in re.findall(r'(?:href|src)="([^"#]+)', answer.text):
            address = urlsplit(urljoin(f"http://testserver{path}", link.replace("&amp;", "&")))
            if address.netloc == "testserver" and not address.path.startswith("/static/"):
                waiting.append(address.path + (f"?{address.query}" if address.query else ""))
                links.setdefault(waiting[-1], path)
    return {pattern: paths for pattern, paths in found.items() if paths}


def visitor_of(pattern: str) -> str:
    """Who looks at this route here: whoever it is made for."""
    if pattern.startswith("/admin"):
        return "administrator"
    return "reader" if pattern.startswith(("/studies", "/account", "/reading")) else "nobody"


def faults(page: "Page", only: tuple[str, ...] = ()) -> list[str]:
    """What axe-core finds. Given to the page past its content policy, which stays as it is."""
    page.evaluate(AXE)
    options: dict[str, Any] = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
    if only:
        options = {"runOnly": list(only)}
    found = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def watched(context: "BrowserContext", host: str) -> list[str]:
    """A list to which everything is added that a page of ours must not do."""
    wrong: list[str] = []
    context.on(
        "request",
        lambda request: wrong.append(f"asks {request.url}") if urlsplit(request.url).netloc != host else None,
    )
    context.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    context.on(
        "response",
        lambda answer: wrong.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None,
    )
    return wrong


@pytest.mark.parametrize("pattern", GET_ROUTES)
def test_nobody_is_left_out_of_a_page(browser: "Browser", site: Site, pattern: str) -> None:
    if pattern in STORED:
        assert pattern in site.others
        return
    if pattern.endswith(".png"):
        return  # what a page shows, and test_every_link_leads_somewhere asks for
    visitor = visitor_of(pattern)
    paths = site.paths[visitor].get(pattern, [])
    if not paths:
        assert pattern in site.others | NO_PAGES, "no link leads there"
        return
    with site.open(browser, visitor, viewport=DESKTOP, color_scheme="light") as context:
        wrong, page = watched(context, urlsplit(site.address).netloc), context.new_page()
        for path in paths:
            page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
            page.emulate_media(color_scheme="light")
            page.goto(path)
            assert faults(page) == [], path
            page.emulate_media(color_scheme="dark")
            assert faults(page, ("color-contrast",)) == [], f"{path}, dark"
            page.set_viewport_size(PHONE)  # type: ignore[arg-type]
            page.wait_for_timeout(50)
            assert faults(page) == [], f"{path}, dark, on a phone"
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
            page.emulate_media(color_scheme="light")
            assert faults(page, ("color-contrast",)) == [], f"{path}, on a phone"
        assert wrong == []


# What programs ask for, what browsers load for a page, parts of pages, and a way to the newest version.
NO_PAGES = {
    "/health",
    "/ready",
    "/api/sets",
    "/admin/studies/precision",
    "/admin/studies/{name}/job",
    "/sets/{name}",
}
# Reports as the pipeline wrote them: files of the store, not pages of the portal.
STORED = {"/files/{path:path}", "/admin/studies/{name}/result/{path:path}"}
# The same page by another way.
ALIKE = {"/invitation/{secret}", "/studies/{name}/reading", "/studies/{name}/result"}


@pytest.mark.parametrize("visitor", VISITORS)
def test_every_link_leads_somewhere(site: Site, visitor: str) -> None:
    """Of each route some: a gallery has a link per image."""
    client = site.portal.client(site.account(visitor))
    tried: dict[str, int] = defaultdict(int)
    broken = set()
    for link, page in site.links[visitor].items():
        pattern = pattern_of(urlsplit(link).path)
        tried[pattern] += 1
        if tried[pattern] <= 2 * MOST and client.get(link).status_code >= 400:
            broken.add(f"{link} of {page}")
    assert broken == set()


@pytest.mark.parametrize("visitor", VISITORS)
def test_a_page_in_spanish_has_no_english_text(site: Site, visitor: str) -> None:
    client = site.portal.client(site.account(visitor))
    client.cookies.set("chestgan-language", "es", domain="testserver.local")
    other = {
        message.id.strip(): message.string
        for message in catalog_of("es")
        if isinstance(message.id, str)
        and message.id
        and message.id != message.string
        and "%" not in message.id
    }
    assert len(other) > 100
    for paths in site.paths[visitor].values():
        for path in paths:
            said = template_texts.shown(client.get(path).text)
            assert [text for text in said if text in other] == [], path


@pytest.mark.parametrize("visitor", VISITORS)
def test_titles_tell_pages_apart(site: Site, visitor: str) -> None:
    """By the route: two pages of one list may have the same title."""
    client: TestClient = site.portal.client(site.account(visitor))
    titles: dict[str, set[str]] = defaultdict(set)
    for pattern, paths in site.paths[visitor].items():
        text = client.get(paths[0]).text
        found = re.search(r"<title>(.*?)</title>", text, re.DOTALL)
        assert found, paths[0]
        if pattern not in ALIKE:
            titles[found[1].strip()].add(pattern)
        assert len(re.findall(r"<h1[ >]", text)) == 1, f"{paths[0]} has not one heading of the page"
    assert {title: patterns for title, patterns in titles.items() if len(patterns) > 1} == {}


def test_the_keyboard_walks_through_a_page_in_its_order(browser: "Browser", site: Site) -> None:
    with site.open(browser, "reader", viewport=DESKTOP) as context:
        page = context.new_page()
        page.goto("/studies")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        assert page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0, "is not seen"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
        page.goto("/studies")
        focused = []
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement === document.body"):
                break
            focused.append(page.evaluate(RING))
        assert len(focused) > 12
        assert all(place["ring"] for place in focused), [place for place in focused if not place["ring"]]
        assert [place["text"] for place in focused[1:6]] == ["chestgan", "Sets", "Results", "News", "Contact"]


RING = """() => {
  const style = getComputedStyle(document.activeElement), box = document.activeElement.getBoundingClientRect();
  return {text: document.activeElement.textContent.trim(), top: box.top, left: box.left,
          ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 && box.width > 0};
}"""


def test_a_phone_has_a_menu_without_scripts(browser: "Browser", site: Site) -> None:
    with site.open(browser, "reader", viewport=PHONE, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("/")
        assert page.get_by_role("link", name="Studies", exact=True).count() == 0, (
            "is shown before it was opened"
        )
        page.locator("summary", has_text="Menu").click()
        page.get_by_role("link", name="Studies", exact=True).click()
        assert urlsplit(page.url).path == "/studies"
        page.locator("summary", has_text="Menu").click()
        page.get_by_role("button", name="Español").click()
        assert page.locator("html").get_attribute("lang") == "es"
        page.locator("summary", has_text="Menú").click()
        page.get_by_role("button", name="Oscuro").click()
        assert page.locator("html").get_attribute("data-theme") == "dark"


@pytest.mark.parametrize("path", ["/admin/notifications", "/admin/audit"])
def test_on_a_phone_no_sentence_of_a_list_is_behind_the_edge(
    browser: "Browser", site: Site, path: str
) -> None:
    with site.open(browser, "administrator", viewport=PHONE) as context:
        page = context.new_page()
        page.goto(path)
        cells = page.locator("tbody td")
        assert cells.count() > 3
        ends = cells.evaluate_all("all => all.map((one) => one.getBoundingClientRect().right)")
        assert max(ends) <= PHONE["width"]


def test_a_choice_of_theme_wins_over_the_device(browser: "Browser", site: Site) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    with site.open(browser, "nobody", color_scheme="dark") as context:
        page = context.new_page()
        page.goto("/")
        dark = page.evaluate(ground)
        page.get_by_role("button", name="Light", exact=True).click()
        page.wait_for_load_state()
        light = page.evaluate(ground)
        assert light != dark
        page.emulate_media(color_scheme="light")
        page.get_by_role("button", name="Dark", exact=True).click()
        page.wait_for_load_state()
        assert page.evaluate(ground) == dark
        page.get_by_role("button", name="As this device").click()
        page.wait_for_load_state()
        assert page.evaluate(ground) == light


def test_a_film_is_dark_in_a_light_page(browser: "Browser", site: Site) -> None:
    with site.open(browser, "reader", color_scheme="light") as context:
        page = context.new_page()
        page.goto("/studies/realism-2/reading")
        ground = page.evaluate("getComputedStyle(document.querySelector('.film')).backgroundColor")
        assert max(int(part) for part in re.findall(r"\d+", ground)[:3]) < 16


def test_motion_and_colours_follow_the_system(browser: "Browser", site: Site) -> None:
    with site.open(browser, "nobody", reduced_motion="reduce", forced_colors="active") as context:
        page = context.new_page()
        page.goto("/login")
        seconds = page.evaluate("getComputedStyle(document.querySelector('main button')).transitionDuration")
        assert {part.strip() for part in seconds.split(",")} == {"0s"}
        assert page.evaluate("getComputedStyle(document.querySelector('.top'), '::after').display") == "none"
        marked = "getComputedStyle(document.querySelector('.themes [aria-pressed=true]')).outlineStyle"
        assert page.evaluate(marked) == "solid", "what is chosen is told by a colour alone"


def test_paper_has_the_content_and_nothing_to_press(browser: "Browser", site: Site) -> None:
    with site.open(browser, "administrator", color_scheme="dark") as context:
        page = context.new_page()
        page.goto("/admin/notifications")
        page.emulate_media(media="print")
        assert page.locator("header.top").is_hidden()
        assert page.locator("nav.tabs").is_hidden()
        assert page.locator("table.data").first.is_visible()
        ink = page.evaluate("getComputedStyle(document.querySelector('main h1')).color")
        assert max(int(part) for part in re.findall(r"\d+", ink)[:3]) < 64, "light ink on white paper"
