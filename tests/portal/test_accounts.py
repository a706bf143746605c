"""Accounts as people use them: registration, invitations, login, the account page, the end of an account."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select, update
from starlette.testclient import TestClient

from chestgan_portal.accounts import passwords
from chestgan_portal.accounts.deletion import years_band
from chestgan_portal.accounts.fields import Unfit
from chestgan_portal.accounts.passwords import chosen_password
from chestgan_portal.database.tables import (
    Account,
    Answer,
    Attempt,
    Deed,
    Login,
    OneTimeLink,
    Participation,
    Presentation,
    Study,
    now,
)
from chestgan_portal.settings import Settings
from tests.portal.clients import PASSWORD, Portal, post

BOTH = pytest.mark.parametrize("database_address", ["sqlite", "postgresql"], indirect=True)
NEW = "a llama in the rain"
EVA = {
    "username": "Eva.Lector", "name": "Eva  Lector", "email": "Eva@Hospital.Example", "password": NEW, "again": NEW,
    "number": "282812345", "profession": "radiologist", "specialty": "thoracic radiology", "years": "12",
    "language": "es",
}  # fmt: skip
LINK = re.compile(r"http://testserver(/(?:invitation|reset)/[\w-]{43})")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, number="[0-9]{9}")


def the(portal: Portal, username: str) -> Account:
    with portal.session() as session:
        return session.scalars(select(Account).where(Account.username == username)).one()


def count(portal: Portal, table: Any, *where: Any) -> int:
    with portal.session() as session:
        return session.scalar(select(func.count()).select_from(table).where(*where)) or 0


def log_in(client: TestClient, name: str, password: str = PASSWORD, **more: str) -> Any:
    return post(client, "/login", {"name": name, "password": password, **more}, follow_redirects=False)


def is_logged_in(client: TestClient) -> bool:
    return client.get("/account", follow_redirects=False).status_code == 200


def link_of(text: str) -> str:
    found = LINK.search(text)
    assert found, text
    return found[1]


@BOTH
def test_who_registers_logs_in_by_username_or_email_and_finds_what_was_typed(portal: Portal) -> None:
    client = portal.client()
    answer = post(client, "/register", EVA)
    assert answer.url.path == "/login"
    assert "Log in with the name" in answer.text
    eva = the(portal, "eva.lector")
    assert (eva.name, eva.email, eva.role) == ("Eva Lector", "eva@hospital.example", "reader")
    assert (eva.profession, eva.specialty, eva.years) == ("radiologist", "thoracic radiology", 12)
    assert eva.password_hash.startswith("$argon2id$")
    for name in ("EVA.lector", " eva@HOSPITAL.example "):
        other = portal.client()
        assert log_in(other, name, NEW).status_code == 303
        page = other.get("/account").text
        assert 'value="282812345"' in page
        assert 'lang="es"' in page


def test_what_can_be_left_out_is_left_out(portal: Portal) -> None:
    least = {key: EVA[key] for key in ("username", "name", "email", "password", "again", "number")}
    post(portal.client(), "/register", least)
    eva = the(portal, "eva.lector")
    assert (eva.profession, eva.specialty, eva.years, eva.language) == ("", "", None, "")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "ev"),
        ("username", "éva"),
        ("username", "eva lector"),
        ("username", "eva@x"),
        ("username", "-eva"),
        ("username", "e" * 33),
        ("email", "eva"),
        ("email", "eva@"),
        ("email", "eva@x,boss@x"),
        ("email", "eva@x\r\nBcc: y@z"),
        ("email", "<eva@x>"),
        ("email", f"eva@{'x' * 60}.{'y' * 60}.{'z' * 60}.{'w' * 60}.{'v' * 60}"),
        ("name", "  "),
        ("name", "Eva\u202egnorw"),
        ("name", "x" * 121),
        ("number", "28281234"),
        ("number", "282812345\n"[:-1] + "6"),
        ("number", ""),
        ("profession", "wizard"),
        ("specialty", "<b>"),
        ("years", "-1"),
        ("years", "81"),
        ("years", "\u0665"),
        ("language", "xx"),
        ("password", "short"),
        ("again", "another llama, dry"),
    ],
)
def test_what_cannot_be_kept_is_said_beside_its_field_and_nothing_is_made(
    portal: Portal, field: str, value: str
) -> None:
    answer = post(portal.client(), "/register", EVA | {field: value})
    assert answer.status_code == 422
    assert answer.text.count('aria-invalid="true"') == 1
    assert NEW not in answer.text, "a page never holds a password"
    assert count(portal, Account) == 0


@pytest.mark.parametrize(
    "password",
    [
        "password1234", "123456789012", "abcdefghijkl", "qwertyuiopas", "aaaaaaaaaaaa", "abcabcabcabc", "Hospital2026!",
        "contraseña12", "eva.lector99", "Eva@Hospital.Example", "1q2w3e4r5t6y",
    ],
)  # fmt: skip
def test_the_commonest_passwords_and_ones_own_names_are_refused(password: str) -> None:
    with pytest.raises(Unfit, match="easy to guess"):
        chosen_password(password, password, ("eva.lector", "eva@hospital.example", "Eva", "Lector"))


@pytest.mark.parametrize(
    "password", ["a llama in the rain", "correo lento 7 gatos", "ñandú y trébol", "x9$Lq!27vbTa"]
)
def test_long_passwords_of_any_characters_are_taken(password: str) -> None:
    assert chosen_password(password, password, ("eva",)) == password


def test_an_accent_typed_in_two_ways_is_one_password() -> None:
    assert passwords.fits(passwords.hashed("ma\u00f1ana de lluvia"), "man\u0303ana de lluvia")


def test_passwords_are_hashed_with_the_parameters_of_rfc_9106_outside_of_tests() -> None:
    import importlib.util

    assert passwords.__spec__ is not None
    fresh = importlib.util.module_from_spec(passwords.__spec__)
    passwords.__spec__.loader.exec_module(fresh)  # type: ignore[union-attr]
    hasher = fresh.HASHER
    assert (hasher.type.name, hasher.time_cost, hasher.memory_cost, hasher.parallelism) == ("ID", 3, 65536, 4)
    assert "environ" not in Path(str(passwords.__file__)).read_text(), "no setting makes them weaker"


def test_a_taken_username_is_called_taken_even_when_it_is_written_otherwise(portal: Portal) -> None:
    portal.account("eva.lector")
    answer = post(portal.client(), "/register", EVA | {"username": "\uff25va.Lector"})
    assert answer.status_code == 422
    assert "This username is taken." in answer.text


@BOTH
def test_registering_an_email_again_looks_like_a_success_and_changes_nothing(portal: Portal) -> None:
    portal.account("eva", email="eva@hospital.example")
    before = the(portal, "eva").password_hash
    known = post(portal.client(), "/register", EVA)
    new = post(portal.client(), "/register", EVA | {"username": "other", "email": "other@hospital.example"})

    def plain(answer: Any) -> Any:
        text = re.sub(r"[0-9a-f]{64}", "token", answer.text)
        return answer.status_code, str(answer.url), text

    assert plain(known) == plain(new)
    assert the(portal, "eva").password_hash == before
    assert count(portal, Account) == 2


def test_where_accounts_are_by_invitation_nobody_registers(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal.pages.state.settings = replace(portal.settings, registration="invitation")
    client = portal.client()
    for answer in (client.get("/register"), post(client, "/register", EVA)):
        assert answer.status_code == 404
        assert "by invitation" in answer.text
    assert count(portal, Account) == 0


@BOTH
def test_an_invitation_makes_one_account_in_its_role(portal: Portal, administrator: TestClient) -> None:
    portal.pages.state.settings = replace(portal.settings, registration="invitation")
    data = {"role": "administrator", "days": 3, "note": "Dr. Lector"}
    path = link_of(post(administrator, "/admin/users/invitations", data).text)
    client = portal.client()
    assert "administer this portal" in client.get(path).text
    assert post(client, path, EVA | {"years": "x"}).status_code == 422, "a mistake does not use the link up"
    assert post(client, path, EVA).url.path == "/login"
    assert the(portal, "eva.lector").is_administrator
    for answer in (
        client.get(path),
        post(client, path, EVA | {"username": "second", "email": "s@x.example"}),
    ):
        assert answer.status_code == 404
        assert "was used already" in answer.text
    assert count(portal, Account) == 2


def test_an_invitation_with_a_known_email_stays_unused(portal: Portal, administrator: TestClient) -> None:
    path = link_of(post(administrator, "/admin/users/invitations", {}).text)
    assert post(portal.client(), path, EVA | {"email": "boss@hospital.example"}).url.path == "/login"
    assert count(portal, OneTimeLink, OneTimeLink.used_at.is_not(None)) == 0
    assert post(portal.client(), path, EVA).url.path == "/login"
    assert the(portal, "eva.lector").role == "reader"


def test_links_that_are_wrong_expired_or_withdrawn_say_so(portal: Portal, administrator: TestClient) -> None:
    client = portal.client()
    assert "There is no such link" in client.get("/invitation/nonsense").text
    path = link_of(post(administrator, "/admin/users/invitations", {}).text)
    assert "There is no such link" in client.get(path.replace("invitation", "reset")).text
    with portal.session() as session:
        link = session.scalars(select(OneTimeLink)).one()
        assert path.rpartition("/")[2] not in (link.id, link.note), "only the sha256 is kept"
        session.execute(update(OneTimeLink).values(expires_at=now() - timedelta(minutes=1)))
        session.commit()
    assert "has expired" in client.get(path).text
    assert "has expired" in post(client, path, EVA).text
    post(administrator, f"/admin/users/invitations/{link.id}/withdraw")
    assert "There is no such link" in client.get(path).text
    assert count(portal, Account) == 1


@BOTH
def test_a_reset_link_sets_a_password_once_and_ends_all_logins(
    portal: Portal, administrator: TestClient, reader: TestClient, reader_account: Account
) -> None:
    first = link_of(post(administrator, f"/admin/users/{reader_account.id}/reset").text)
    path = link_of(post(administrator, f"/admin/users/{reader_account.id}/reset").text)
    client = portal.client()
    assert "There is no such link" in client.get(first).text, "the second replaced the first"
    assert "reader" in client.get(path).text
    assert post(client, path, {"password": "short", "again": "short"}).status_code == 422
    assert is_logged_in(reader)
    assert "The new password is set" in post(client, path, {"password": NEW, "again": NEW}).text
    assert not is_logged_in(reader)
    assert "was used already" in post(client, path, {"password": PASSWORD, "again": PASSWORD}).text
    assert log_in(client, "reader").status_code == 422
    assert log_in(client, "reader", NEW).status_code == 303


def test_a_closed_account_says_so_to_who_knows_the_password_only(portal: Portal) -> None:
    portal.account("reader", disabled_at=now())
    assert "has closed this account" in log_in(portal.client(), "reader").text
    assert "has closed" not in log_in(portal.client(), "reader", NEW).text


def test_a_login_ends_by_post_and_not_by_a_link(portal: Portal, reader: TestClient) -> None:
    assert reader.get("/logout").status_code == 405
    assert is_logged_in(reader)
    assert "You are logged out." in post(reader, "/logout").text
    assert not is_logged_in(reader)
    assert count(portal, Login) == 0


@pytest.mark.parametrize(
    "ages", [{"seen_at": timedelta(hours=2, seconds=1)}, {"expires_at": timedelta(seconds=1)}]
)
def test_a_login_ends_when_it_is_idle_and_after_half_a_day(
    portal: Portal, reader: TestClient, ages: dict[str, timedelta]
) -> None:
    with portal.session() as session:
        session.execute(update(Login).values({name: now() - age for name, age in ages.items()}))
        session.commit()
    assert not is_logged_in(reader)


def test_being_used_keeps_a_login_from_ending(portal: Portal, reader: TestClient) -> None:
    with portal.session() as session:
        session.execute(update(Login).values(seen_at=now() - timedelta(minutes=119)))
        session.commit()
    assert is_logged_in(reader)
    with portal.session() as session:
        assert session.scalars(select(Login)).one().seen_at > now() - timedelta(minutes=1)


def test_old_parameters_of_a_hash_are_replaced_at_the_next_login(portal: Portal) -> None:
    old = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)
    portal.account("reader", password_hash=old)
    assert log_in(portal.client(), "reader").status_code == 303
    new = the(portal, "reader").password_hash
    assert new != old
    assert not passwords.is_outdated(new)
    assert log_in(portal.client(), "reader").status_code == 303


def test_the_profile_changes_and_a_mistake_keeps_what_was_typed(portal: Portal, reader: TestClient) -> None:
    good = {
        "name": "Dr. Ñ",
        "number": "111111111",
        "profession": "physicist",
        "specialty": "other",
        "years": "3",
    }
    answer = post(reader, "/account/profile", good)
    assert "Saved." in answer.text
    kept = the(portal, "reader")
    assert (kept.name, kept.profession, kept.years, kept.professional_number) == (
        "Dr. Ñ", "physicist", 3, "111111111",
    )  # fmt: skip
    answer = post(reader, "/account/profile", good | {"name": "Dr. O", "years": "many"})
    assert answer.status_code == 422
    assert 'value="Dr. O"' in answer.text
    assert the(portal, "reader").name == "Dr. Ñ"


def test_username_and_email_change_with_the_password_only(portal: Portal, reader: TestClient) -> None:
    new = {"username": "Reader2", "email": "r2@hospital.example"}
    assert post(reader, "/account/names", new | {"password_for_names": NEW}).status_code == 422
    assert the(portal, "reader").email == "reader@hospital.example"
    assert post(reader, "/account/names", new | {"password_for_names": PASSWORD}).status_code == 200
    assert the(portal, "reader2").email == "r2@hospital.example"


def test_names_of_others_cannot_be_taken_over(portal: Portal, reader: TestClient) -> None:
    portal.account("boss", "administrator")
    own = {"username": "reader", "email": "reader@hospital.example", "password_for_names": PASSWORD}
    for field, value in (("username", "BOSS"), ("email", "Boss@hospital.example")):
        assert post(reader, "/account/names", own | {field: value}).status_code == 422
    assert the(portal, "reader").email == "reader@hospital.example"


def test_a_new_password_ends_the_logins_of_other_browsers(
    portal: Portal, reader: TestClient, reader_account: Account
) -> None:
    other = portal.client(reader_account)
    data = {"old": NEW, "password": NEW, "again": NEW}
    assert post(reader, "/account/password", data).status_code == 422
    assert is_logged_in(other)
    before = reader.cookies["chestgan-login"]
    assert post(reader, "/account/password", data | {"old": PASSWORD}).status_code == 200
    assert reader.cookies["chestgan-login"] != before, "not even this browser's cookie stays"
    assert is_logged_in(reader)
    assert not is_logged_in(other)
    assert log_in(other, "reader", NEW).status_code == 303


def test_logins_are_listed_with_their_browser_and_the_others_can_be_ended(portal: Portal) -> None:
    portal.account("reader")
    agents = {
        "Firefox, Linux": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Edge, Windows": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/139.0 Safari/537.36 Edg/139",
        "Safari, iOS": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Version/18.5 Mobile/15E148 Safari/604.1",
    }
    clients = []
    for agent in agents.values():
        clients.append(portal.client(headers={"user-agent": agent}))
        assert log_in(clients[-1], "reader").status_code == 303
    page = clients[0].get("/account").text
    assert all(name in page for name in agents)
    assert page.count("this one") == 1
    post(clients[0], "/account/logins/end")
    assert [is_logged_in(client) for client in clients] == [True, False, False]


def test_a_picture_is_one_of_five(portal: Portal, reader: TestClient) -> None:
    assert post(reader, "/account/avatar", {"avatar": 4}).status_code == 200
    for number in (0, 6, "../1", ""):
        assert post(reader, "/account/avatar", {"avatar": number}).status_code == 422
    assert the(portal, "reader").avatar == 4
    for number in range(1, 6):
        picture = reader.get(f"/static/avatars/{number}.svg")
        assert picture.headers["content-type"] == "image/svg+xml"
        assert "script" not in picture.text


def join_a_study(portal: Portal, account: Account) -> None:
    """One image answered."""
    with portal.session() as session:
        study = Study(name="reading", design={}, created_by="boss", state="open")
        session.add(study)
        session.flush()
        participation = Participation(
            study_id=study.id, account_id=account.id, reader="r0a1b2c3d", seed=1, profession="radiologist",
            specialty="thoracic radiology", years=13,
        )  # fmt: skip
        session.add(participation)
        session.flush()
        shown = Presentation(
            participation_id=participation.id, position=0, item=77, part="repeat", token="t" * 43
        )
        session.add(shown)
        session.flush()
        session.add(
            Answer(
                presentation_id=shown.id, rating=7, verdict="synthetic", confidence=4, seconds=3.5, page="1"
            )
        )
        session.commit()


@BOTH
def test_the_file_of_own_data_holds_the_answers_but_neither_hash_nor_what_the_study_hides(
    portal: Portal, reader: TestClient, reader_account: Account
) -> None:
    join_a_study(portal, reader_account)
    answer = reader.get("/account/data")
    assert answer.headers["content-disposition"] == 'attachment; filename="chestgan-reader.json"'
    data = answer.json()
    assert data["account"]["email"] == "reader@hospital.example"
    (study,) = data["studies"]
    assert (study["study"], study["called_in_the_analysis"], study["years"]) == ("reading", "r0a1b2c3d", 13)
    (own,) = study["answers"]
    assert (own["position"], own["rating"], own["verdict"], own["seconds"]) == (0, 7, "synthetic", 3.5)
    assert not {"item", "part", "token"} & own.keys()
    assert len(data["logins"]) == 1
    assert "argon2" not in answer.text


@BOTH
def test_a_deleted_account_leaves_its_answers_without_a_way_back(
    portal: Portal, reader: TestClient, reader_account: Account
) -> None:
    join_a_study(portal, reader_account)
    assert post(reader, "/account/delete", {"password": NEW}).status_code == 422
    assert "Your account is deleted." in post(reader, "/account/delete", {"password": PASSWORD}).text
    assert not is_logged_in(reader)
    with portal.session() as session:
        assert session.scalars(select(Account)).all() == []
        assert session.scalars(select(Login)).all() == []
        left = session.scalars(select(Participation)).one()
        assert (left.account_id, left.reader, left.profession) == (None, "r0a1b2c3d", "radiologist")
        assert (left.specialty, left.years) == ("", 10)
        assert session.scalars(select(Answer)).one().rating == 7


@pytest.mark.parametrize(
    ("years", "band"), [(None, None), (0, 0), (4, 0), (5, 5), (9, 5), (19, 10), (20, 20), (45, 20)]
)
def test_years_of_a_deleted_account_become_a_band(years: int | None, band: int | None) -> None:
    assert years_band(years) == band


def test_the_last_administrator_cannot_go(
    portal: Portal, administrator: TestClient, administrator_account: Account
) -> None:
    portal.account("closed", "administrator", disabled_at=now())
    key = administrator_account.id
    assert "the only administrator" in post(administrator, "/account/delete", {"password": PASSWORD}).text
    assert post(administrator, f"/admin/users/{key}/role", {"role": "reader"}).status_code == 409
    assert post(administrator, f"/admin/users/{key}/close").status_code == 409
    assert the(portal, "boss").is_administrator
    assert count(portal, Deed) == 0
    portal.account("second", "administrator")
    assert post(administrator, f"/admin/users/{key}/role", {"role": "reader"}).url.path == "/account"
    assert not the(portal, "boss").is_administrator


def test_an_administrator_finds_changes_and_deletes_accounts_and_each_deed_is_noted(
    portal: Portal, administrator: TestClient
) -> None:
    for number in range(30):
        portal.account(f"reader{number:02d}", name="Dr. 100%" if number == 7 else "Dr. Other")
    first, second = (administrator.get(f"/admin/users?page={page}").text for page in (1, 2))
    assert "31 accounts" in first
    assert "reader29" not in first
    assert "reader29" in second
    found = administrator.get("/admin/users?search=100%25").text
    assert "1 account" in found
    assert "reader07" in found
    key = the(portal, "reader07").id
    reader = portal.client(the(portal, "reader07"))
    for path, data in (
        ("role", {"role": "administrator"}), ("role", {"role": "reader"}), ("close", {}), ("open", {}), ("reset", {}),
        ("delete", {}),
    ):  # fmt: skip
        assert post(administrator, f"/admin/users/{key}/{path}", data).status_code == 200
        assert is_logged_in(reader) is (path == "role"), "closing ends all logins"
    assert count(portal, Account, Account.username == "reader07") == 0
    with portal.session() as session:
        deeds = session.execute(select(Deed.administrator, Deed.deed, Deed.subject).order_by(Deed.id)).all()
    assert {(deed.administrator, deed.subject) for deed in deeds} == {("boss", "reader07")}
    assert [deed.deed for deed in deeds] == [
        "make administrator", "make reader", "close account", "open account", "make link for a new password",
        "delete account",
    ]  # fmt: skip
    audit = administrator.get("/admin/audit").text
    assert "6 deeds" in audit
    assert "1 deed<" in administrator.get("/admin/audit?by=boss&search=delete").text
    assert "Nothing fits." in administrator.get("/admin/audit?by=nobody").text


def test_the_audit_log_has_pages(portal: Portal, administrator: TestClient) -> None:
    with portal.session() as session:
        session.add_all(
            [Deed(administrator="boss", deed="close study", subject=f"number {n}") for n in range(60)]
        )
        session.commit()
    first = administrator.get("/admin/audit?search=close").text
    assert "number 59" in first
    assert "number 0<" not in first
    assert "search=close&amp;page=2" in first
    assert "number 0<" in administrator.get("/admin/audit?search=close&page=3").text


def test_two_administrators_who_remove_each_other_at_once_leave_one(portal: Portal) -> None:
    one_and_the_other_at_once(portal)


@pytest.mark.parametrize("database_address", ["postgresql"], indirect=True)
def test_two_administrators_who_remove_each_other_at_once_leave_one_in_postgresql(portal: Portal) -> None:
    one_and_the_other_at_once(portal)


def one_and_the_other_at_once(portal: Portal) -> None:
    from concurrent.futures import ThreadPoolExecutor

    one, two = portal.account("one", "administrator"), portal.account("two", "administrator")
    for _ in range(5):
        with portal.session() as session:
            session.execute(update(Account).values(role="administrator"))
            session.commit()
        clients = ((portal.client(one), two), (portal.client(two), one))
        with ThreadPoolExecutor(2) as pool:
            answers = list(
                pool.map(
                    lambda pair: post(pair[0], f"/admin/users/{pair[1].id}/role", {"role": "reader"}), clients
                )
            )
        assert count(portal, Account, Account.role == "administrator") == 1, [a.status_code for a in answers]


@BOTH
def test_of_ten_who_open_one_invitation_at_once_one_gets_an_account(
    portal: Portal, administrator: TestClient
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    path = link_of(post(administrator, "/admin/users/invitations", {}).text)

    def register(number: int) -> int:
        own = {"username": f"eva{number}", "email": f"eva{number}@x.example"}
        return int(post(portal.client(), path, EVA | own).status_code)

    with ThreadPoolExecutor(10) as pool:
        answers = sorted(pool.map(register, range(10)))
    assert answers == [200] + [404] * 9
    assert count(portal, Account) == 2


def test_attempts_are_kept_for_a_day_without_the_names_and_addresses_themselves(portal: Portal) -> None:
    log_in(portal.client(), "somebody")
    with portal.session() as session:
        kept = session.scalars(select(Attempt)).all()
        assert {attempt.kind for attempt in kept} == {"login from address", "login of name"}
        assert all(re.fullmatch("[0-9a-f]{64}", attempt.subject) for attempt in kept)
        session.execute(update(Attempt).values(at=now() - timedelta(days=2)))
        session.commit()
    log_in(portal.client(), "somebody")
    assert count(portal, Attempt) == 2
