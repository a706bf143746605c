"""What stays of an administrator who is one no more: the name in the audit log, and nothing that leads back."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from chestgan_portal.accounts.registration import username_is_taken
from chestgan_portal.database.deeds import note_deed
from chestgan_portal.database.tables import Account, Deed
from tests.portal.clients import PASSWORD, Portal, post
from tests.portal.test_accounts import link_of

WAYS = {
    "another role": lambda client, key: post(client, f"/admin/users/{key}/role", {"role": "reader"}),
    "closed": lambda client, key: post(client, f"/admin/users/{key}/close"),
    "deleted": lambda client, key: post(client, f"/admin/users/{key}/delete"),
}
FORM = {"username": "back", "name": "Back Again", "email": "back@hospital.example"}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("database_address", ["sqlite", "postgresql"], indirect=True)
def test_links_that_an_administrator_made_end_with_the_role(
    portal: Portal,
    administrator: TestClient,
    reader_account: Account,
    way: Callable[[TestClient, int], object],
) -> None:
    other = portal.account("other", "administrator")
    client = portal.client(other)
    back = link_of(post(client, "/admin/users/invitations", {"role": "administrator"}).text)
    taken_over = link_of(post(client, f"/admin/users/{reader_account.id}/reset").text)
    theirs = link_of(post(administrator, "/admin/users/invitations", {}).text)
    assert portal.client().get(back).status_code == 200
    way(administrator, other.id)
    stranger = portal.client()
    for path in (back, taken_over):
        assert "There is no such link" in stranger.get(path).text
        post(stranger, path, {**FORM, "password": PASSWORD + " 7", "again": PASSWORD + " 7"})
    with portal.session() as db:
        assert not username_is_taken(db, "back")
    assert stranger.get(theirs).status_code == 200


def test_a_name_in_the_audit_log_is_given_to_nobody_else(
    portal: Portal, administrator: TestClient, reader: TestClient, administrator_account: Account
) -> None:
    with portal.session() as db:
        note_deed(db, administrator_account, "invite", "reader: the new colleague")
        db.commit()
    names = {"username": "chief", "email": "boss@hospital.example", "password_for_names": PASSWORD}
    assert "Saved" in post(administrator, "/account/names", names).text
    mine = {"username": "boss", "email": "reader@hospital.example", "password_for_names": PASSWORD}
    assert "This username is taken" in post(reader, "/account/names", mine).text
    assert reader.get("/account/data").json()["deeds_as_administrator"] == []
    form = {**FORM, "username": "boss", "password": "eleven green bicycles", "again": "eleven green bicycles"}
    assert "This username is taken" in post(portal.client(), "/register", form).text


def test_the_audit_log_says_who_became_an_administrator_by_an_invitation(
    portal: Portal, administrator: TestClient
) -> None:
    path = link_of(post(administrator, "/admin/users/invitations", {"role": "administrator"}).text)
    form = {**FORM, "password": "eleven green bicycles", "again": "eleven green bicycles"}
    assert "Thank you" in post(portal.client(), path, form).text
    with portal.session() as db:
        last = db.scalars(select(Deed).order_by(Deed.id.desc())).first()
    assert last is not None
    assert (last.administrator, last.deed) == ("back", "become administrator by invitation")
