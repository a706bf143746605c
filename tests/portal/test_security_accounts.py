"""What strangers, and readers who are curious, try on accounts: each attempt fails, and changes nothing."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import Request
from sqlalchemy import func, select, update
from starlette.testclient import TestClient

from chestgan_core.errors import BadInput
from chestgan_portal.accounts import login, passwords
from chestgan_portal.database.tables import Account, Attempt, Deed, Login, now
from chestgan_portal.security.addresses import client_address
from chestgan_portal.settings import Settings
from tests.portal.clients import PASSWORD, Portal, post, token

BOTH = pytest.mark.parametrize("database_address", ["sqlite", "postgresql"], indirect=True)
NOT_FORMS = {"/notify"}  # of the pipeline: signed, tested in test_notify.py
SECRET_NUMBER = "282899999"
MARKUP = '<img src=x onerror="alert(1)">'


def routes(portal: Portal, method: str, prefix: str = "/") -> list[str]:
    """Every path of the portal with this method, its parameters filled in."""
    paths = portal.pages.openapi()["paths"]
    found = [path for path, methods in paths.items() if method in methods and path.startswith(prefix)]
    return [re.sub(r"\{[^}]*\}", "1", path) for path in found if path not in NOT_FORMS]


def log_in(client: TestClient, name: str, password: str = PASSWORD, **more: str) -> Any:
    return post(client, "/login", {"name": name, "password": password, **more}, follow_redirects=False)


def is_logged_in(client: TestClient) -> bool:
    return client.get("/account", follow_redirects=False).status_code == 200


def state(portal: Portal) -> list[Any]:
    """All that matters of the accounts."""
    with portal.session() as session:
        accounts = session.execute(select(Account.__table__).order_by(Account.id)).all()
        return [*accounts, session.scalar(select(func.count()).select_from(Deed))]


# Forms of other pages


def test_no_form_is_taken_without_the_token_of_this_very_login(
    portal: Portal, administrator: TestClient
) -> None:
    victim = portal.account("victim")
    other = portal.client(victim)
    before_login = portal.client()
    wrong = {
        "none": {},
        "empty": {"csrf": ""},
        "invented": {"csrf": "0" * 64},
        "no text": {"csrf": "\u20ac" * 64},
        "of another login": {"csrf": token(other)},
        "of nobody's login": {"csrf": token(before_login)},
    }
    before = state(portal)
    forms = routes(portal, "post")
    assert {"/login", "/logout", "/register", "/account/password", "/admin/users/1/role"} <= set(forms)
    for path in forms:
        for name, data in wrong.items():
            answer = administrator.post(path, data=data, follow_redirects=False)
            assert answer.status_code == 403, (path, name, answer.status_code)
        query = administrator.post(f"{path}?csrf={token(administrator)}", follow_redirects=False)
        assert query.status_code == 403, path
    assert state(portal) == before
    assert is_logged_in(administrator)


def test_a_token_is_worth_nothing_after_the_login_it_was_for(
    portal: Portal, reader: TestClient, reader_account: Account
) -> None:
    old = token(reader)
    post(reader, "/logout")
    assert log_in(reader, "reader").status_code == 303
    assert reader.post("/account/avatar", data={"csrf": old, "avatar": 2}).status_code == 403


def test_the_header_of_htmx_counts_as_the_token_and_a_wrong_one_does_not(reader: TestClient) -> None:
    good = {"x-csrf-token": token(reader)}
    assert reader.post("/account/avatar", data={"avatar": 2}, headers=good).status_code == 200
    both = {"csrf": token(reader), "avatar": 3}
    assert reader.post("/account/avatar", data=both, headers={"x-csrf-token": "0" * 64}).status_code == 403


@pytest.mark.parametrize("planted", ["known:{id}:mark", "{id}:mark", "mark"])
def test_a_token_cannot_be_had_for_a_value_that_has_another_use(portal: Portal, planted: str) -> None:
    """A browser chooses its cookie, and is told its signature: not that of a known browser."""
    account = portal.account("reader")
    client = portal.client()
    client.cookies.set("chestgan-visitor", planted.format(id=account.id), domain="testserver.local")
    client.cookies.set("chestgan-known", f"mark.{token(client)}", domain="testserver.local")
    log_in(client, "reader", "wrong")
    with portal.session() as session:
        kinds = set(session.scalars(select(Attempt.kind)))
    assert kinds == {"login from address", "login of name"}


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
def test_a_form_of_another_site_is_refused_even_with_a_token(
    reader: TestClient, headers: dict[str, str]
) -> None:
    data = {"csrf": token(reader), "avatar": 2}
    assert reader.post("/account/avatar", data=data, headers=headers).status_code == 403


# Rights


def test_pages_and_forms_of_administrators_are_for_no_reader_and_nobody_else(
    portal: Portal, reader: TestClient
) -> None:
    portal.account("boss", "administrator")
    before, nobody = state(portal), portal.client()
    gets, posts = routes(portal, "get", "/admin"), routes(portal, "post", "/admin")
    assert {"/admin", "/admin/users", "/admin/users/1", "/admin/audit"} <= set(gets)
    for path in gets:
        assert reader.get(path).status_code == 403, path
        answer = nobody.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login"), path
    for path in posts:
        assert post(reader, path, {"role": "administrator"}).status_code == 403, path
        answer = post(nobody, path, {"role": "administrator"}, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/"), path
    assert state(portal) == before


def test_a_role_that_is_taken_away_is_gone_with_the_next_click(
    portal: Portal, administrator: TestClient, administrator_account: Account
) -> None:
    assert administrator.get("/admin/users").status_code == 200
    with portal.session() as session:
        session.execute(update(Account).values(role="reader"))
        session.commit()
    assert administrator.get("/admin/users").status_code == 403


@pytest.mark.parametrize("change", [{"disabled_at": now()}, None])
def test_a_closed_or_deleted_account_is_out_at_once(
    portal: Portal, reader: TestClient, change: dict[str, Any] | None
) -> None:
    with portal.session() as session:
        account = session.scalars(select(Account)).one()
        if change:
            account.disabled_at = change["disabled_at"]
        else:
            session.delete(account)
        session.commit()
    assert not is_logged_in(reader)


@BOTH
def test_deeds_on_what_is_not_there_are_not_found_and_not_noted(
    portal: Portal, administrator: TestClient
) -> None:
    before = state(portal)
    for key in ("0", "-1", "999", "2147483648", "99999999999999999999", "x", "1%20or%201", "..%2f1"):
        assert administrator.get(f"/admin/users/{key}").status_code == 404, key
        for deed in ("role", "close", "open", "reset", "delete"):
            answer = post(administrator, f"/admin/users/{key}/{deed}", {"role": "reader"})
            assert answer.status_code == 404, (key, deed)
    assert post(administrator, "/admin/users/invitations/nonsense/withdraw").status_code == 404
    assert state(portal) == before


def test_a_reader_changes_the_own_account_whatever_the_form_says(
    portal: Portal, reader: TestClient, reader_account: Account
) -> None:
    victim = portal.account("victim")
    more = {
        "id": victim.id, "account_id": victim.id, "user_id": victim.id, "role": "administrator", "is_admin": 1,
        "password_hash": "x", "disabled_at": "2026-01-01",
    }  # fmt: skip
    post(reader, "/account/avatar", {"avatar": 5, **more})
    post(reader, "/account/profile", {"name": "New Name", **more})
    names = {"username": "reader", "email": "reader@hospital.example", "password_for_names": PASSWORD}
    post(reader, "/account/names", names | more)
    with portal.session() as session:
        kept = session.get_one(Account, victim.id)
        assert (kept.avatar, kept.name, kept.role) == (1, "Name of victim", "reader")
        own = session.get_one(Account, reader_account.id)
        assert (own.avatar, own.name, own.role) == (5, "New Name", "reader")


@pytest.mark.parametrize(
    "claim", [{"role": "administrator"}, {"is_admin": "true"}, {"isAdmin": "1", "adminPassword": ""}]
)
def test_nobody_registers_as_an_administrator(portal: Portal, claim: dict[str, str]) -> None:
    own = {
        "username": "eva",
        "name": "Eva",
        "email": "eva@x.example",
        "password": PASSWORD,
        "again": PASSWORD,
    }
    post(portal.client(), "/register", own | claim)
    with portal.session() as session:
        assert session.scalars(select(Account.role)).all() == ["reader"]


def test_an_administrator_who_edits_another_account_stays_who_they_are(
    portal: Portal, administrator: TestClient
) -> None:
    other = portal.account("other")
    post(administrator, f"/admin/users/{other.id}/role", {"role": "administrator"})
    assert 'value="boss"' in administrator.get("/account").text


def test_no_page_of_an_administrator_holds_a_hash_or_a_professional_number(
    portal: Portal, administrator: TestClient
) -> None:
    portal.pages.state.settings = replace(portal.settings, number="[0-9]{9}")
    victim = portal.account("victim", professional_number=SECRET_NUMBER)
    post(administrator, f"/admin/users/{victim.id}/close")
    for path in [
        *routes(portal, "get"),
        f"/admin/users/{victim.id}",
        "/admin/users?search=victim",
        "/account/data",
    ]:
        text = administrator.get(path).text
        assert SECRET_NUMBER not in text, path
        assert "argon2" not in text, path
    assert administrator.get(f"/admin/users?search={SECRET_NUMBER}").text.count("/admin/users/2") == 0


# Logins


def test_a_login_begins_with_a_value_that_nobody_has_seen(portal: Portal) -> None:
    account = portal.account("reader")
    planted = {"chestgan-login": portal.cookie_of(account), "chestgan-visitor": "planted"}
    client = portal.client()
    for name, value in planted.items():
        client.cookies.set(name, value, domain="testserver.local")
    assert log_in(client, "reader").status_code == 303
    value = client.cookies.get("chestgan-login")
    assert value not in planted.values()
    assert "chestgan-visitor" not in client.cookies
    thief = portal.client()
    thief.cookies.set("chestgan-login", planted["chestgan-login"], domain="testserver.local")
    assert not is_logged_in(thief), "the value from before the login has ended with it"
    with portal.session() as session:
        assert value not in session.scalars(select(Login.id)).all(), "a copy of the table logs nobody in"


@pytest.mark.parametrize("https", [False, True])
def test_cookies_are_for_this_host_and_out_of_reach_of_scripts_and_other_sites(
    portal: Portal, https: bool
) -> None:
    portal.pages.state.settings = replace(portal.settings, https=https)
    portal.account("reader", language="es")
    base = "https://testserver" if https else "http://testserver"
    client = portal.client(base_url=base)
    set_by = [
        *client.get("/login").headers.get_list("set-cookie"),
        *log_in(client, "reader").headers.get_list("set-cookie"),
    ]
    prefix = "__Host-chestgan-" if https else "chestgan-"
    named = {line.partition("=")[0]: line.lower() for line in set_by if "Max-Age=0" not in line}
    assert {f"{prefix}visitor", f"{prefix}login", f"{prefix}known", "chestgan-language"} == named.keys()
    for name, line in named.items():
        assert "httponly" in line
        assert "samesite=lax" in line
        assert "path=/" in line
        assert "domain=" not in line
        assert ("secure" in line) is https or name == "chestgan-language"
    assert is_logged_in(client)


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
        "javascript:alert(1)", "/%0d%0aset-cookie:x=1", "/x\r\nset-cookie: x=1", "evil.example", "", "/\u2028/x",
        "http:/evil.example", "///evil.example", "@evil.example",
    ],
)  # fmt: skip
def test_a_login_leads_to_no_other_site(portal: Portal, path: str) -> None:
    portal.account("reader")
    client = portal.client()
    answer = log_in(client, "reader", next=path)
    assert answer.status_code == 303
    assert "x" not in client.cookies
    where = httpx.URL("http://testserver/login").join(answer.headers["location"])
    assert (where.scheme, where.host) == ("http", "testserver")
    assert (
        client.get("/login", params={"next": path}, follow_redirects=False)
        .headers["location"]
        .startswith("/")
    )


def test_a_login_without_a_page_leads_to_where_the_account_works(portal: Portal) -> None:
    portal.account("reader")
    portal.account("boss", role="administrator")
    for name, start in (("reader", "/studies"), ("boss", "/admin")):
        client = portal.client()
        assert log_in(client, name).headers["location"] == start
        assert client.get("/login", follow_redirects=False).headers["location"] == start


def test_a_login_leads_back_to_the_page_that_needed_it(portal: Portal) -> None:
    portal.account("reader")
    client = portal.client()
    page = client.get("/account")
    assert page.url == "http://testserver/login?next=/account"
    assert log_in(client, "reader", next="/account").headers["location"] == "/account"


# Guessing


def test_guesses_end_after_ten_for_a_name_whether_it_exists_or_not(portal: Portal) -> None:
    portal.account("reader")
    answers: dict[str, list[Any]] = {}
    for name in ("reader", "nobody"):
        client = portal.client()
        texts = []
        for guess in range(12):
            answer = log_in(client, name, f"guess number {guess}")
            texts.append((answer.status_code, re.sub(f"[0-9a-f]{{64}}|{name}", "-", answer.text)))
        answers[name] = texts
        assert [status for status, _ in texts] == [422] * 10 + [429] * 2
        assert 1 <= int(answer.headers["retry-after"]) <= 901
    assert answers["reader"] == answers["nobody"]
    assert log_in(portal.client(), "reader").status_code == 429, (
        "nor with the right password, in a new browser"
    )


def test_a_stranger_who_guesses_does_not_lock_the_person_out(portal: Portal) -> None:
    portal.account("reader")
    own, stranger = portal.client(), portal.client()
    assert log_in(own, "reader").status_code == 303
    post(own, "/logout")
    for guess in range(11):
        answer = log_in(stranger, "reader", f"guess number {guess}")
    assert answer.status_code == 429
    assert log_in(own, "reader").status_code == 303, "a browser that was known before still gets in"
    portal.account("second")
    assert log_in(stranger, "second").status_code == 303, "nor others behind the same address"


def test_the_cookie_of_a_known_browser_helps_for_one_account_and_for_ten_guesses(portal: Portal) -> None:
    portal.account("reader")
    portal.account("victim")
    client = portal.client()
    log_in(client, "reader")
    post(client, "/logout")
    for name in ("reader", "victim"):
        for _ in range(11):
            log_in(portal.client(), name, "x")
    assert log_in(client, "victim").status_code == 429
    assert [log_in(client, "reader", "x").status_code for _ in range(11)] == [422] * 10 + [429]


def test_one_address_may_not_try_many_names(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "OF_ADDRESS", 5)
    portal.account("reader")
    statuses = [log_in(portal.client(), f"name{n}", "x").status_code for n in range(6)]
    assert statuses == [422] * 5 + [429]
    assert log_in(portal.client(headers={"x-forwarded-for": "9.9.9.9"}), "reader").status_code == 429


def test_successes_do_not_count_but_give_no_new_guesses_either(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "OF_ADDRESS", 5)
    portal.account("mine")
    for _ in range(8):
        assert log_in(portal.client(), "mine").status_code == 303
    statuses = []
    for guess in range(6):
        statuses.append(log_in(portal.client(), "victim", f"guess {guess}").status_code)
        log_in(portal.client(), "mine")
    assert statuses == [422] * 5 + [429]


def test_guesses_are_allowed_again_after_a_quarter_of_an_hour(portal: Portal) -> None:
    portal.account("reader")
    for _ in range(11):
        log_in(portal.client(), "reader", "x")
    with portal.session() as session:
        session.execute(update(Attempt).values(at=now() - timedelta(minutes=15, seconds=1)))
        session.commit()
    assert log_in(portal.client(), "reader").status_code == 303


class CountingHasher(PasswordHasher):
    """Counts, and waits while `may_end` is not set."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.checks, self.now, self.most, self.lock = 0, 0, 0, threading.Lock()
        self.may_end = threading.Event()
        self.may_end.set()

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:
        with self.lock:
            self.checks += 1
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            assert self.may_end.wait(timeout=120)
            return super().verify(hash, password)
        finally:
            with self.lock:
                self.now -= 1


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> CountingHasher:
    counting = CountingHasher()
    monkeypatch.setattr(passwords, "HASHER", counting)
    return counting


def test_an_unknown_name_costs_the_same_work(portal: Portal, hasher: CountingHasher) -> None:
    portal.account("reader")
    for name in ("reader", "nobody", "nobody@x.example", "x" * 300):
        hasher.checks = 0
        log_in(portal.client(), name, "wrong")
        assert hasher.checks == 1, name


def test_the_password_is_asked_ten_times_of_who_sits_at_an_open_browser(
    portal: Portal, reader: TestClient
) -> None:
    paths = ["/account/delete", "/account/names", "/account/password"] * 4
    own = {
        "password": "x", "old": "x", "again": "x", "password_for_names": "x", "username": "reader",
        "email": "reader@hospital.example",
    }  # fmt: skip
    assert [post(reader, path, own).status_code for path in paths] == [422] * 10 + [429] * 2
    assert post(reader, "/account/delete", {"password": PASSWORD}).status_code == 429


def test_nobody_finds_out_emails_of_others_by_changing_the_own_one(
    portal: Portal, reader: TestClient
) -> None:
    for number in range(7):
        portal.account(f"other{number}")
    own = {"username": "reader", "password_for_names": PASSWORD}
    statuses = [
        post(reader, "/account/names", own | {"email": f"other{n}@hospital.example"}).status_code
        for n in range(7)
    ]
    assert statuses == [422] * 5 + [429] * 2


def test_links_are_not_guessed(portal: Portal) -> None:
    statuses = [portal.client().get(f"/reset/{n}").status_code for n in range(31)]
    assert statuses == [404] * 30 + [429]


@BOTH
def test_fifty_people_who_log_in_at_once_all_get_in_a_few_at_a_time(
    portal: Portal, hasher: CountingHasher, live_portal: str
) -> None:
    for number in range(50):
        portal.account(f"reader{number}")

    def visit(number: int) -> int:
        with httpx.Client(base_url=live_portal, timeout=60) as client:
            found = re.search("[0-9a-f]{64}", client.get("/login").text)
            assert found
            data = {"csrf": found[0], "name": f"reader{number}", "password": PASSWORD}
            assert client.post("/login", data=data).status_code == 303
            return client.get("/account").status_code

    hasher.may_end.clear()
    with ThreadPoolExecutor(50) as pool:
        waiting = [pool.submit(visit, number) for number in range(50)]
        deadline = time.monotonic() + 60
        while hasher.now < passwords.AT_ONCE:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1)  # more would have begun by now
        for path in ("/health", "/login"):
            assert httpx.get(f"{live_portal}{path}", timeout=60).status_code == 200, (
                "others are served meanwhile"
            )
        assert not any(one.done() for one in waiting)
        hasher.may_end.set()
        assert [one.result() for one in waiting] == [200] * 50
    assert hasher.checks == 50
    assert hasher.most == passwords.AT_ONCE


# What is typed


@BOTH
@pytest.mark.parametrize("typed", ["' OR '1'='1", "boss'--", 'boss"; DROP TABLE accounts;--', "%", "_", "\\"])
def test_what_is_typed_is_no_sql(portal: Portal, administrator: TestClient, typed: str) -> None:
    assert log_in(portal.client(), typed, typed).status_code == 422
    answer = administrator.get("/admin/users", params={"search": typed})
    assert "No account fits this search." in answer.text
    assert administrator.get("/admin/audit", params={"by": typed, "search": typed}).status_code == 200
    assert is_logged_in(administrator)


def test_what_is_typed_is_no_markup(portal: Portal, administrator: TestClient) -> None:
    victim = portal.account("victim", name=MARKUP)
    post(administrator, "/admin/users/invitations", {"note": MARKUP})
    reader = portal.client(victim)
    pages = [
        administrator.get("/admin/users", params={"search": MARKUP}), administrator.get("/admin/users"),
        administrator.get(f"/admin/users/{victim.id}"), administrator.get("/admin/audit", params={"search": MARKUP}),
        reader.get("/account"), post(portal.client(), "/login", {"name": MARKUP, "password": "x"}),
        post(portal.client(), "/register", {"name": MARKUP, "username": MARKUP, "email": MARKUP}),
        portal.client().get("/login", params={"next": f"/{MARKUP}", "said": MARKUP}),
    ]  # fmt: skip
    for page in pages:
        assert "<img src=x" not in page.text, page.url
    assert all("&lt;img" in page.text for page in pages[1:5])


def test_what_is_typed_is_no_line_of_a_log_and_passwords_are_in_none(
    portal: Portal, administrator: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    forged = "x\n2026-01-01 ERROR all is well\x1b[2J"
    with caplog.at_level("DEBUG"):
        log_in(portal.client(), forged, "my secret llama")
        post(portal.client(), "/register", {"username": forged, "password": "my secret llama"})
        post(administrator, "/admin/users/invitations", {"note": forged})
    assert "secret llama" not in caplog.text
    assert "\x1b" not in caplog.text
    with portal.session() as session:
        assert "\n" not in session.scalars(select(Deed.subject)).one()


@BOTH
def test_what_is_no_text_is_refused_before_the_database_sees_it(portal: Portal, reader: TestClient) -> None:
    csrf = token(reader)
    bad = {
        "NUL": {"data": {"csrf": csrf, "name": "a\0b"}},
        "half a surrogate": {
            "content": f"csrf={csrf}&name=%ED%A0%80".encode(),
            "headers": {"content-type": "application/x-www-form-urlencoded"},
        },
        "another character set": {
            "content": b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n\\ud800\r\n--b--\r\n',
            "headers": {
                "content-type": "multipart/form-data; boundary=b; charset=unicode_escape",
                "x-csrf-token": csrf,
            },
        },
        "a part without an end": {
            "content": b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nx',
            "headers": {"content-type": "multipart/form-data; boundary=b", "x-csrf-token": csrf},
        },
    }
    statuses = {name: reader.post("/account/profile", **request).status_code for name, request in bad.items()}  # type: ignore[arg-type]
    assert statuses["NUL"] == 400
    assert statuses["another character set"] == 415
    assert all(status < 500 for status in statuses.values()), statuses
    for path in ("/login?next=%00", "/admin/users?search=a%00", "/invitation/a%00b", "/%00"):
        assert reader.get(path).status_code == 400, path
    with portal.session() as session:
        assert session.scalars(select(Account)).one().name.isprintable()


def test_what_is_far_too_long_is_refused_without_repeating_it(portal: Portal, reader: TestClient) -> None:
    long = "secret" * 100
    answer = post(portal.client(), "/login", {"name": "reader", "password": long})
    assert answer.status_code == 422
    assert "secretsecret" not in answer.text
    assert reader.post("/account/profile", data={"name": "x" * (1 << 20)}).status_code == 413
    assert portal.client().get(f"/invitation/{'x' * 300}").status_code == 404


def test_a_password_of_megabytes_costs_no_hash(portal: Portal, hasher: CountingHasher) -> None:
    portal.account("reader")
    assert log_in(portal.client(), "reader", "x" * 129).status_code == 422
    assert hasher.checks == 0


# Headers


def test_every_answer_tells_the_browser_what_it_may_do(portal: Portal, reader: TestClient) -> None:
    answers = [
        reader.get("/account"), reader.get("/login", follow_redirects=False), reader.get("/account/data"),
        reader.get("/nothing"), reader.get("/admin"), reader.post("/account/avatar"), reader.get("/static/portal.css"),
        reader.get("/health"), reader.get("/%00"), reader.post("/login", content=b"x" * (2 << 20)),
        reader.get("/", headers={"host": "evil.example"}),
    ]  # fmt: skip
    for answer in answers:
        policy = answer.headers.get_list("content-security-policy")
        assert "frame-ancestors 'none'" in policy[-1], answer.url
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
    for answer in answers[:-1]:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        stored = "no-cache" if "/static/" in str(answer.url) else "no-store"
        assert answer.headers["cache-control"] == stored, answer.url


# Addresses


def asked_from(peer: str, forwarded: list[str], proxies: list[str]) -> str:
    class Application:
        class state:  # noqa: N801 (as starlette names it)
            settings = Settings(database="", proxies=tuple(map(ip_network, proxies)))

    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    scope = {"type": "http", "client": (peer, 1), "headers": headers, "app": Application}
    return client_address(Request(scope))


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "address"),
    [
        ("1.2.3.4", ["9.9.9.9"], [], "1.2.3.4"),  # nobody is believed by default
        ("1.2.3.4", ["9.9.9.9"], ["10.0.0.0/8"], "1.2.3.4"),
        ("10.0.0.7", ["9.9.9.9"], ["10.0.0.0/8"], "9.9.9.9"),
        ("10.0.0.7", ["6.6.6.6, 9.9.9.9"], ["10.0.0.0/8"], "9.9.9.9"),  # the first was sent by the client
        ("10.0.0.7", ["6.6.6.6", "9.9.9.9"], ["10.0.0.0/8"], "9.9.9.9"),
        ("10.0.0.7", ["6.6.6.6, 9.9.9.9, 10.0.0.8"], ["10.0.0.0/8"], "9.9.9.9"),  # two proxies
        ("10.0.0.7", ["nonsense"], ["10.0.0.0/8"], "10.0.0.7"),
        ("10.0.0.7", ["9.9.9.9, "], ["10.0.0.0/8"], "10.0.0.7"),
        ("10.0.0.7", [], ["10.0.0.0/8"], "10.0.0.7"),
        ("10.0.0.7", ["9.9.9.9:4711"], ["10.0.0.7"], "9.9.9.9"),
        ("::ffff:10.0.0.7", ["[2001:db8:1:2:3::4]:80"], ["10.0.0.7"], "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", [], [], "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::9", [], [], "2001:db8:1:2::/64"),  # one customer, many addresses
        ("testclient", [], [], "unknown"),
    ],
)
def test_an_address_is_that_of_the_connection_or_what_a_named_proxy_says(
    peer: str, forwarded: list[str], proxies: list[str], address: str
) -> None:
    assert asked_from(peer, forwarded, proxies) == address


def test_a_proxy_setting_that_is_no_network_is_refused_with_its_name() -> None:
    assert Settings.from_environment({"CHESTGAN_PORTAL_PROXIES": "10.0.0.0/8, ::1"}).proxies[1].version == 6
    with pytest.raises(BadInput, match="CHESTGAN_PORTAL_PROXIES"):
        Settings.from_environment({"CHESTGAN_PORTAL_PROXIES": "10.0.0.1/8"})


@pytest.fixture
def behind_a_proxy(portal: Portal) -> None:
    """The test client's address is no IP address, so the live server is asked; here all of loopback is the proxy."""
    portal.pages.state.settings = replace(portal.settings, proxies=(ip_network("127.0.0.0/8"),))


def test_behind_an_ingress_each_client_has_limits_of_its_own(
    portal: Portal, behind_a_proxy: None, live_portal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "OF_ADDRESS", 3)

    def guess(address: str) -> int:
        with httpx.Client(base_url=live_portal, headers={"x-forwarded-for": f"6.6.6.6, {address}"}) as client:
            found = re.search("[0-9a-f]{64}", client.get("/login").text)
            assert found
            return client.post(
                "/login", data={"csrf": found[0], "name": "reader", "password": "x"}
            ).status_code

    assert [guess("192.0.2.1") for _ in range(4)] == [422, 422, 422, 429]
    assert guess("192.0.2.2") == 422
