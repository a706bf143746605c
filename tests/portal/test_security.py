"""Attacks on all routes at once, whoever wrote them: no token, no rights, foreign names, pages and bytes."""

import csv
import io
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import delete, select
from starlette.testclient import TestClient

from chestgan_core.store.store import Store
from chestgan_portal.database.tables import Account, Attempt, ContactMessage, Post, Study
from chestgan_portal.security.request_limits import MAX_BODY
from chestgan_portal.settings import Settings
from tests.portal.clients import PASSWORD, Portal, post, token
from tests.portal.every_route import Route, every_route, queries, rows
from tests.portal.filled import fill
from tests.portal.reading_studies import publish

ROUTES = every_route()
CHANGING = [route for route in ROUTES if route.method != "GET" and route.of_browsers]
READING = [route for route in ROUTES if route.method == "GET"]
ADMIN = [route for route in ROUTES if route.path.startswith("/admin")]
# A look at an image is noted: the server measures from there.
NOTED = "/reading/images/{token}.png"
# Of everybody: no account is needed, and none is asked for.
ENDS_LOGINS = ("/logout", "/account/logins/end")
OF_ACCOUNTS = ("/account", "/admin", "/studies", "/reading")


@pytest.fixture
def settings(database_address: str) -> Settings:
    return Settings(
        database=database_address,
        own_account=False,
        hosts=("testserver",),
        registration="open",
        webhook_secret="0123456789abcdef-of-tests",
    )


@pytest.fixture
def filled(portal: Portal, store: Store) -> dict[str, Account]:
    """Something on every page. `lopez` is an administrator, `ana.ruiz` a reader."""
    return fill(portal, store, *publish(store))


def address_in(portal: Portal, route: Route) -> str:
    """An address of this route at which there is something, where a parameter names a row or a set."""
    given = {"secret": "a" * 43, "token": "a" * 22, "link": "a" * 64, "path": "reports/x/report.html"}
    with portal.session() as db:
        study = db.scalars(select(Study).where(Study.name == "realism-2")).one_or_none()
        if study is not None:
            given |= {"set_name": study.design["set_name"], "name": study.design["set_name"]}
            given |= {"version": study.design["set_version"], "experiment": "tiny", "chart": "roc"}
            if route.path.startswith(("/studies", "/admin/studies")):
                given["name"] = study.name
        if route.path.startswith("/admin/statistics"):
            given["name"] = "ratings"
    return route.address(given)


def send(client: TestClient, method: str, address: str, **more: Any) -> Response:
    return client.request(method, address, follow_redirects=False, **more)


# Forms of other pages


def test_there_are_routes_to_attack() -> None:
    """The list is taken from inside of a library: an empty one would let everything pass."""
    assert len(ROUTES) > 60
    assert {route.path for route in ROUTES} >= {
        "/",
        "/login",
        "/admin/users",
        "/notify",
        "/studies/{name}/answers",
    }
    assert len(ADMIN) > 10
    assert len(CHANGING) > 20


@pytest.mark.parametrize("who", ["nobody", "reader", "administrator"])
def test_no_form_is_taken_without_the_token_of_its_visitor(
    portal: Portal, filled: dict[str, Account], who: str
) -> None:
    account = {"nobody": None, "reader": filled["ana.ruiz"], "administrator": filled["lopez"]}[who]
    client, other = portal.client(account), portal.client(filled["tom.becker"])
    foreign = token(other)
    client.get("/")
    before = rows(portal)
    for route in CHANGING:
        address = address_in(portal, route)
        values = dict.fromkeys(route.fields, "1")
        for attempt in (
            {"data": values},
            {"data": {**values, "csrf": ""}},
            {"data": {**values, "csrf": foreign}},
            {"data": values, "headers": {"x-csrf-token": foreign}},
            {"data": values, "headers": {"x-csrf-token": "\xff".encode("latin-1")}},
            {"json": {**values, "csrf": foreign}},
            {"content": b"csrf=" + foreign.encode(), "headers": {"content-type": "text/plain"}},
            {"files": {"csrf": ("csrf", foreign.encode())}},
        ):
            answer = send(client, route.method, address, **attempt)
            # At an image the way back is that to the login, for a reader whose login ended in the middle.
            to_login = who == "nobody" and answer.headers.get("location", "").startswith(
                "/login?next=/studies/"
            )
            assert answer.status_code == 403 or to_login, f"{route} {attempt}"
    assert rows(portal) == before


def test_a_token_is_worth_nothing_after_the_login_and_after_the_logout(portal: Portal) -> None:
    account = portal.account("ana")
    client = portal.client()
    before = token(client)
    assert post(client, "/login", {"name": account.username, "password": PASSWORD}).status_code == 200
    inside = token(client)
    assert inside != before
    assert send(client, "POST", "/theme", data={"csrf": before, "theme": "dark"}).status_code == 403
    post(client, "/logout")
    assert send(client, "POST", "/theme", data={"csrf": inside, "theme": "dark"}).status_code == 403


# Rights


def test_nobody_in_particular_sees_nothing_of_the_administration(
    portal: Portal, filled: dict[str, Account]
) -> None:
    client = portal.client()
    sent = token(client)
    before = rows(portal)
    for route in ADMIN:
        answer = send(client, route.method, address_in(portal, route), **form(route, sent))
        assert answer.status_code == 303, str(route)
        assert answer.headers["location"].startswith(
            "/login?next=/admin" if route.method == "GET" else "/login"
        ), str(route)
    assert rows(portal) == before


def test_readers_see_nothing_of_the_administration(portal: Portal, filled: dict[str, Account]) -> None:
    client = portal.client(filled["ana.ruiz"])
    sent = token(client)
    before = rows(portal)
    for route in ADMIN:
        answer = send(client, route.method, address_in(portal, route), **form(route, sent))
        assert answer.status_code == 403, str(route)
    assert rows(portal) == before


def form(route: Route, sent: str) -> dict[str, Any]:
    if route.method == "GET":
        return {}
    return {"data": {**dict.fromkeys(route.fields, "1"), "csrf": sent}}


def test_what_needs_an_account_asks_for_it(portal: Portal, filled: dict[str, Account]) -> None:
    client = portal.client()
    sent = token(client)
    for route in ROUTES:
        if route.path.startswith(OF_ACCOUNTS) and route.path not in ("/studies", "/studies/{name}"):
            answer = send(client, route.method, address_in(portal, route), **form(route, sent))
            assert (answer.status_code, answer.headers["location"][:6]) == (303, "/login"), str(route)


@pytest.mark.parametrize("state", ["closed account", "expired login", "idle login", "unknown value"])
def test_a_login_that_is_over_opens_nothing(portal: Portal, filled: dict[str, Account], state: str) -> None:
    from datetime import timedelta

    from chestgan_portal.database.tables import Login, now

    client = portal.client(filled["lopez"])
    assert client.get("/admin/users").status_code == 200
    with portal.session() as db:
        login = db.scalars(select(Login).order_by(Login.created_at.desc())).first()
        assert login is not None
        if state == "closed account":
            db.get_one(Account, filled["lopez"].id).disabled_at = now()
        elif state == "expired login":
            login.expires_at = now() - timedelta(seconds=1)
        elif state == "idle login":
            login.seen_at = now() - timedelta(hours=3)
        db.commit()
    if state == "unknown value":
        client.cookies.clear()
        client.cookies.set("chestgan-login", "a" * 43, domain="testserver.local")
    for route in ADMIN:
        assert send(client, "GET", address_in(portal, route)).status_code in (303, 404, 405), str(route)


def test_a_reader_who_becomes_one_loses_the_administration_at_once(portal: Portal) -> None:
    account = portal.account("boss", "administrator")
    client = portal.client(account)
    assert client.get("/admin/users").status_code == 200
    with portal.session() as db:
        db.get_one(Account, account.id).role = "reader"
        db.commit()
    assert client.get("/admin/users").status_code == 403


# A look changes nothing


def test_opening_a_page_changes_no_row(portal: Portal, filled: dict[str, Account]) -> None:
    """Links are followed by whoever reads a mail, by crawlers, and by pages of others as pictures."""
    clients = [portal.client(filled["lopez"]), portal.client(filled["ana.ruiz"]), portal.client()]
    before = rows(portal)
    for route in READING:
        if route.path == NOTED:
            continue
        for client in clients:
            answer = send(client, "GET", address_in(portal, route))
            assert answer.status_code < 500, f"{route}: {answer.text[:300]}"
            # A guessed link is counted, so that there are not many guesses.
            assert changed(before, rows(portal)) <= {"attempts"}, str(route)


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in after if after[name] != before[name]}


def test_a_path_takes_no_other_method(portal: Portal) -> None:
    client = portal.client(portal.account("boss", "administrator"))
    headers = {"x-csrf-token": token(client), "x-http-method-override": "POST"}
    before = rows(portal)
    for path in {route.path for route in ROUTES}:
        taken = {one.method for one in ROUTES if one.path == path}
        address = next(route for route in ROUTES if route.path == path).address({})
        for method in sorted(
            {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"} - taken
        ):
            answer = send(client, method, address, headers=headers)
            # Another route may have this path by chance: /admin/posts/new and /admin/posts/{key}.
            assert answer.status_code in (404, 405, 422) or (method, address) in literal(), (
                f"{method} {address}"
            )
    assert rows(portal) == before


def literal() -> set[tuple[str, str]]:
    return {(route.method, route.path) for route in ROUTES}


# What every response says


def every_answer(portal: Portal, filled: dict[str, Account]) -> Iterator[tuple[str, Response]]:
    """Of every route, as three visitors, and of what goes wrong."""
    for who in (None, filled["ana.ruiz"], filled["lopez"]):
        client = portal.client(who)
        for route in ROUTES:
            yield str(route), send(client, route.method, address_in(portal, route))
    client = portal.client()
    for address in (
        "/nothing-here",
        "/static/portal.css",
        "/static/nothing.css",
        "/sets/../x",
        "/admin/users/zero",
    ):
        yield address, send(client, "GET", address)
    yield "a body", send(client, "POST", "/contact", content=b"x" * (MAX_BODY + 1))
    yield "a host", send(client, "GET", "/", headers={"host": "evil.example"})
    yield "an origin", send(client, "POST", "/contact", headers={"origin": "https://evil.example"})


def test_every_response_has_the_headers(portal: Portal, filled: dict[str, Account]) -> None:
    for what, answer in every_answer(portal, filled):
        assert answer.status_code < 500, f"{what}: {answer.text[:300]}"
        policy = answer.headers.get_list("content-security-policy")
        assert any("frame-ancestors 'none'" in one for one in policy), what
        assert answer.headers["x-content-type-options"] == "nosniff", what
        assert answer.headers["x-frame-options"] == "DENY", what
        assert answer.headers["referrer-policy"] in ("same-origin", "no-referrer"), what
        assert answer.headers["cross-origin-resource-policy"] == "same-origin", what
        assert "server" not in answer.headers, what
        assert not any(name.startswith("access-control") for name in answer.headers), what
        assert not any(name.startswith("x-powered") for name in answer.headers), what
        if answer.headers.get("content-type", "").startswith("text/html"):
            (first, *_) = policy
            for part in ("default-src 'none'", "script-src 'self'", "form-action 'self'", "base-uri 'none'"):
                assert part in first, f"{what}: {first}"
            assert "unsafe" not in first, what
            assert answer.headers["cache-control"] == "no-store", what
            assert not re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=|javascript:", answer.text), what


def test_no_page_loads_anything_of_another_host(portal: Portal, filled: dict[str, Account]) -> None:
    for what, answer in every_answer(portal, filled):
        if answer.headers.get("content-type", "").startswith("text/html"):
            loaded = re.findall(
                r"<(?:script|img|link|iframe|source|video|form)\b[^>]*?(?:src|href|action)=\"([^\"]*)\"",
                answer.text,
            )
            assert not [one for one in loaded if not re.match(r"/(?!/)|\?|#|$", one)], what


def cookies_of(answer: Response) -> list[str]:
    return answer.headers.get_list("set-cookie")


def test_every_cookie_is_out_of_reach_of_scripts_and_of_other_sites(
    portal: Portal, filled: dict[str, Account]
) -> None:
    account = portal.account("new")
    client = portal.client()
    found = [*cookies_of(client.get("/"))]
    sent = {"csrf": token(client), "name": account.username, "password": PASSWORD}
    found += cookies_of(send(client, "POST", "/login", data=sent))
    for what, answer in every_answer(portal, filled):
        assert all(re.search("httponly", one, re.I) for one in cookies_of(answer)), what
        found += cookies_of(answer)
    assert any(one.startswith("chestgan-login=") for one in found)
    for one in found:
        assert "samesite=lax" in one.lower() or "samesite=strict" in one.lower(), one
        assert "path=/" in one.lower(), one
        assert "domain=" not in one.lower(), one


class TestBehindHttps:
    @pytest.fixture
    def settings(self, database_address: str) -> Settings:
        return Settings(database=database_address, own_account=False, hosts=("testserver",), https=True)

    def test_cookies_are_sent_by_https_to_this_host_only(self, portal: Portal) -> None:
        account = portal.account("new")
        client = portal.client(base_url="https://testserver")
        found = cookies_of(client.get("/"))
        sent = {"csrf": token(client), "name": account.username, "password": PASSWORD}
        answer = send(client, "POST", "/login", data=sent)
        found += cookies_of(answer)
        assert any(one.startswith("__Host-chestgan-login=") for one in found)
        for one in found:
            if not one.startswith(("chestgan-language", "chestgan-theme")):
                assert one.startswith("__Host-"), one
            assert "; secure" in one.lower(), one
        assert answer.headers["strict-transport-security"] == "max-age=31536000"


# Bytes

FOREIGN = (
    "..", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2fslices%2flung", "....//....//etc/passwd", "..%5c..%5cx",
    "%00", "a%00b", "%0d%0aset-cookie:%20x=1", "a" * 5000, "-1", "0", "9" * 30, "1e9", "%ff", "%ed%a0%80",
    "'%20OR%201=1--", "%3Cscript%3Ealert(1)%3C/script%3E", "{{7*7}}", "synthetic%2fx",
)  # fmt: skip


def clients_of(portal: Portal) -> tuple[dict[str, TestClient], dict[str, str]]:
    """A reader and an administrator, and the tokens of their forms."""
    clients = {
        role: portal.client(portal.account(f"the-{role}", role)) for role in ("reader", "administrator")
    }
    return clients, {role: token(client) for role, client in clients.items()}


def forget_attempts(portal: Portal) -> None:
    """A limit that is reached would hide what is behind it."""
    with portal.session() as db:
        db.execute(delete(Attempt))
        db.commit()


@pytest.mark.parametrize("database_address", ["sqlite", "postgresql"], indirect=True)
def test_no_path_leads_out_or_breaks(portal: Portal, store: Store) -> None:
    """Every parameter of every path. 503 would mean that the store was asked for a foreign name."""
    clients, tokens = clients_of(portal)
    before = rows(portal)
    for route in ROUTES:
        forget_attempts(portal)
        role = "administrator" if route.path.startswith("/admin") else "reader"
        for parameter in route.parameters:
            for value in FOREIGN:
                address = route.address({parameter: value})
                answer = send(clients[role], route.method, address, **form(route, tokens[role]))
                assert answer.status_code in (303, 400, 403, 404, 405, 409, 414, 422, 429) or (
                    answer.status_code == 200 and harmless(answer)
                ), f"{route} {value[:60]}: {answer.status_code} {answer.text[:300]}"
                assert "x=1" not in answer.headers.get("set-cookie", "")
                assert "root:" not in answer.text
                assert "<script>alert" not in answer.text
    assert changed(before, rows(portal)) <= {"attempts"}


def harmless(answer: Response) -> bool:
    """A page that repeats nothing of the path, such as a form or an empty list."""
    return "etc/passwd" not in answer.text and "DROP TABLE" not in answer.text


@pytest.mark.parametrize("database_address", ["sqlite", "postgresql"], indirect=True)
def test_no_query_breaks_a_page(portal: Portal, store: Store) -> None:
    """Every parameter of every query, one at a time."""
    clients, _ = clients_of(portal)
    for path, name in queries():
        for value in (
            "%00",
            "9" * 30,
            "%27",
            "%3Cscript%3Ealert(1)%3C/script%3E",
            "-1",
            "%ff",
            "",
            "x" * 5000,
        ):
            answer = send(clients["administrator"], "GET", f"{path}?{name}={value}")
            assert answer.status_code < 500, f"{path}?{name}={value[:30]}: {answer.text[:300]}"
            assert "<script>alert" not in answer.text, f"{path}?{name}"


def test_a_large_body_is_refused_before_it_is_understood(portal: Portal) -> None:
    """Also without a length, as an attacker sends it."""
    client = portal.client()

    def drop_by_drop() -> Iterator[bytes]:
        for _ in range(MAX_BODY // 65536 + 1):
            yield b"x" * 65536

    for route in CHANGING:
        address = route.address({})
        assert send(client, "POST", address, content=b"a=" + b"x" * MAX_BODY).status_code == 413, str(route)
        assert send(client, "POST", address, content=drop_by_drop()).status_code == 413, str(route)


ODD = (
    "", "\0", "a\0b", "x" * 100_000, "9" * 40, "-1", "nan", "1e400", "\ud7ff\ufffe", "\u202e", "' OR '1'='1", "%s%n",
    "\r\nx: y",
)  # fmt: skip


@pytest.mark.parametrize("database_address", ["sqlite", "postgresql"], indirect=True)
def test_no_form_breaks(portal: Portal, filled: dict[str, Account]) -> None:
    """Every field of every form at once with the same odd value."""
    clients, tokens = clients_of(portal)
    for value in ODD:
        forget_attempts(portal)
        for route in CHANGING:
            if route.path in ENDS_LOGINS:
                continue
            role = "administrator" if route.path.startswith("/admin") else "reader"
            values = {**dict.fromkeys(route.fields, value), "csrf": tokens[role]}
            answer = send(clients[role], route.method, address_in(portal, route), data=values)
            assert answer.status_code < 500, f"{route} {value[:20]!r}: {answer.text[:500]}"


def test_files_in_place_of_fields_break_nothing(portal: Portal, filled: dict[str, Account]) -> None:
    client = portal.client(filled["lopez"])
    sent = token(client)
    for route in CHANGING:
        if route.path in ENDS_LOGINS:
            continue
        files = dict.fromkeys(
            route.fields or ("x",), ("a.html", b"<script>alert(1)</script>\x00", "text/html")
        )
        answer = send(
            client,
            route.method,
            address_in(portal, route),
            files=files,
            headers={"x-csrf-token": sent},
        )
        assert answer.status_code < 500, f"{route}: {answer.text[:300]}"
        assert "<script>alert(1)" not in answer.text


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=x", b"--x\r\nnonsense"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n' + b"1\r\n--x",
        ),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % number for number in range(5000))),
        ("application/x-www-form-urlencoded", b"%ff=%ff&a=%"),
        ("application/json", b"[" * 100_000),
        ("text/html; charset=nonsense", b"<x>"),
        ("", b"\xff\xfe"),
    ],
    ids=["no boundary", "no end", "cut off", "many fields", "no text", "deep", "no charset", "no kind"],
)
def test_no_body_breaks_a_form(portal: Portal, store: Store, kind: str, body: bytes) -> None:
    client = portal.client(portal.account("boss", "administrator"))
    sent = token(client)
    for route in ROUTES:
        if route.method == "POST" and route.path != "/logout":
            for headers in ({"content-type": kind}, {"content-type": kind, "x-csrf-token": sent}):
                answer = send(client, "POST", route.address({}), content=body, headers=headers)
                assert answer.status_code < 500, f"{route}: {answer.text[:300]}"


# What people write is shown as they wrote it, and does nothing

WRITTEN = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg/onload=alert(3)>{{7*191}}"
FORMULA = '=HYPERLINK("http://evil.example","x")'


@pytest.mark.parametrize(
    "words", [WRITTEN, FORMULA, "Robert'); DROP TABLE accounts;--", "line\r\nSet-Cookie: x=1", "\x1b[2Jgone"]
)
def test_what_people_write_is_escaped_on_every_page(
    portal: Portal, filled: dict[str, Account], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    visitor, reader, boss = portal.client(), portal.client(filled["ana.ruiz"]), portal.client(filled["lopez"])
    post(visitor, "/contact", {"name": words[:80], "email": "a@b.example", "text": words})
    post(reader, "/account/profile", {"name": words[:80], "profession": words[:80], "specialty": words[:80]})
    post(boss, "/admin/posts/new", {"title": words, "summary": words, "text": words})
    post(boss, "/admin/users/invitations", {"role": "reader", "days": "7", "note": words})
    with portal.session() as db:  # as if an older version had let it in
        for account in db.scalars(select(Account)):
            account.profession = account.specialty = account.professional_number = words[:80]
            account.name = words
        for message in db.scalars(select(ContactMessage)):
            message.email = words
        for one in db.scalars(select(Post)):
            one.title, one.author = words, words[:100]
        study = db.scalars(select(Study).where(Study.name == "halted")).one()
        study.paused_because, study.design = words, {**study.design, "title": words}
        db.commit()
    for client in (boss, reader, visitor):
        for route in READING:
            answer = send(client, "GET", address_in(portal, route))
            kind = answer.headers.get("content-type", "")
            assert answer.status_code < 500, str(route)
            assert "x=1" not in answer.headers.get("set-cookie", "")
            if kind.startswith(("text/html", "application/xml", "application/rss", "application/atom")):
                assert "<script>alert" not in answer.text, str(route)
                assert "<img src=x" not in answer.text, str(route)
                assert "<svg/onload" not in answer.text, str(route)
                assert "1337" not in answer.text, str(route)
            elif kind.startswith("text/csv"):
                for row in csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))):
                    assert not [cell for cell in row if re.match(r"[=+@\t\r]|-(?![\d.])", cell)], str(route)
    assert [account.username for account in accounts(portal)]  # the table is there
    for record in caplog.records:
        if not record.name.startswith("chestgan"):
            continue  # libraries at DEBUG, which no portal logs
        assert "\n" not in record.getMessage()
        assert "\x1b" not in record.getMessage()


def accounts(portal: Portal) -> list[Account]:
    with portal.session() as db:
        return list(db.scalars(select(Account)))


# Ways to other places

ELSEWHERE = (
    "//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "/%5cevil.example",
    "http:evil.example", "//evil.example@testserver", "///evil.example",
    "/\t/evil.example", "/\n/evil.example", "javascript:alert(1)", " //evil.example", "/ /evil.example",
    "https:/evil.example", "/..//evil.example", ".evil.example", "@evil.example", "/\r\nset-cookie: x=1",
)  # fmt: skip


def test_a_number_longer_than_python_reads_is_no_page(portal: Portal) -> None:
    digits = "1" * 5_000  # int() takes 4,300
    client = portal.client()
    for path in (
        f"/news/{digits}",
        f"/sets/a/b/images/{digits}",
        f"/sets/a/b/images/{digits}.png",
        f"/sets/a/b/film/{digits}.png",
        f"/films/a/{digits}.png",
    ):
        assert client.get(path).status_code == 404, path[:30]


@pytest.mark.parametrize("path", ["/studies/\u20ac/answers", "/studies/a%0d%0ax-evil:%201/answers"])
def test_the_way_for_htmx_is_an_address_and_no_other_header(portal: Portal, path: str) -> None:
    client = portal.client()
    answer = send(
        client, "POST", path, data={"token": "x", "csrf": token(client)}, headers={"hx-request": "true"}
    )
    assert answer.status_code == 204
    assert re.fullmatch(r"/login\?next=/studies/[!-~]+/reading", answer.headers["hx-redirect"])


@pytest.mark.parametrize("target", ELSEWHERE)
def test_no_form_leads_to_another_host(portal: Portal, target: str) -> None:
    account = portal.account("ana")
    for htmx in ({}, {"hx-request": "true"}):
        for path, values in (
            ("/login", {"name": "ana", "password": PASSWORD, "next": target}),
            ("/language", {"language": "es", "back": target}),
            ("/theme", {"theme": "dark", "back": target}),
        ):
            client = portal.client()
            answer = send(client, "POST", path, data={**values, "csrf": token(client)}, headers=htmx)
            leads = answer.headers.get("location") or answer.headers.get("hx-redirect") or ""
            assert answer.status_code in (204, 303), f"{path}: {answer.status_code}"
            assert re.match(r"/(?![/\\\s])|/$", leads), f"{path}: {leads!r}"
            assert "x=1" not in answer.headers.get("set-cookie", "")
        client = portal.client()
        page = client.get("/login", params={"next": target})
        assert page.status_code == 200
    assert account.username == "ana"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "testserver.evil.example", "testserver@evil.example", "", "a b", "testserver:port"],
)
def test_a_foreign_host_is_refused_on_every_route(portal: Portal, host: str) -> None:
    client = portal.client()
    for route in ROUTES:
        assert send(client, route.method, route.address({}), headers={"host": host}).status_code == 403


def test_no_header_of_a_client_changes_an_address(portal: Portal, filled: dict[str, Account]) -> None:
    headers = {
        "x-forwarded-host": "evil.example", "x-forwarded-proto": "https", "forwarded": "host=evil.example",
        "x-original-url": "/admin", "x-rewrite-url": "/admin", "referer": "https://evil.example/",
    }  # fmt: skip
    client = portal.client()
    for route in READING:
        answer = send(client, "GET", address_in(portal, route), headers=headers)
        assert "evil.example" not in answer.text + str(answer.headers), str(route)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    ],
)
def test_a_page_of_another_site_sends_nothing(portal: Portal, headers: dict[str, str]) -> None:
    client = portal.client(portal.account("boss", "administrator"))
    sent = token(client)
    for route in ROUTES:
        if route.method != "GET":
            answer = send(client, route.method, route.address({}), headers=headers, **form(route, sent))
            assert answer.status_code == 403, str(route)


# Secrets


def test_no_secret_is_in_a_log(
    portal: Portal, filled: dict[str, Account], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = portal.client()
    sent = token(client)
    post(client, "/login", {"name": "ana.ruiz", "password": "a wrong one 4711"})
    answer = send(client, "POST", "/login", data={"csrf": sent, "name": "ana.ruiz", "password": PASSWORD})
    value = re.search(r"chestgan-login=([^;]+)", str(answer.headers))
    assert value
    boss = portal.client(filled["lopez"])
    made = post(boss, "/admin/users/invitations", {"role": "reader", "days": "7", "note": ""})
    link = re.search(r"/invitation/([\w-]+)", made.text)
    for route in ROUTES:
        send(boss, route.method, address_in(portal, route))
    said = "\n".join(
        f"{record.getMessage()} {record.exc_text or ''}"
        for record in caplog.records
        if not record.name.startswith(("httpx", "httpcore"))  # the test's own client
    )
    secrets = [PASSWORD, "a wrong one 4711", value[1], sent, "ana.ruiz@hospital.example"]
    secrets += [link[1]] if link else []
    assert not [one for one in secrets if one in said]


def test_no_page_has_the_hash_of_a_password_or_a_login(portal: Portal, filled: dict[str, Account]) -> None:
    client = portal.client(filled["lopez"])
    for route in READING:
        answer = send(client, "GET", address_in(portal, route))
        assert "$argon2" not in answer.text, str(route)
        assert "password_hash" not in answer.text, str(route)


def test_nobody_sees_addresses_and_numbers_of_others(portal: Portal, filled: dict[str, Account]) -> None:
    with portal.session() as db:
        for account in db.scalars(select(Account)):
            account.professional_number = f"number-of-{account.id}"
        db.commit()
    reader = portal.client(filled["ana.ruiz"])
    for client in (reader, portal.client()):
        for route in READING:
            answer = send(client, "GET", address_in(portal, route))
            for other in ("tom.becker", "mei.lin", "lopez"):
                assert f"number-of-{filled[other].id}" not in answer.text, str(route)
                assert f"{other}@hospital.example" not in answer.text, str(route)
