"""`chestgan portal --add-administrator`, as a process: with a pipe, on a terminal, beside a running portal."""

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from chestgan_portal.accounts import passwords
from chestgan_portal.accounts.first_administrator import where_to_log_in
from chestgan_portal.database.tables import Account, Deed
from tests.portal.clients import Portal, post

MAIN = "import sys; from chestgan_core.cli.main import main; sys.exit(main())"
COMMAND = [sys.executable, "-c", MAIN, "portal", "--add-administrator"]
PASSWORD = "a llama in the rain"
LINES = f"Ana Jefa\nana@hospital.example\n{PASSWORD}\n"


@pytest.fixture
def environment(portal: Portal, tmp_path: Path) -> dict[str, str]:
    return os.environ | {
        "CHESTGAN_PORTAL_DATABASE": portal.settings.database,
        "CHESTGAN_HOME": str(tmp_path / "home"),
    }


def run(
    environment: dict[str, str], username: str, lines: str, *more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, username, *more], input=lines, env=environment, capture_output=True, text=True, timeout=120
    )


def accounts(portal: Portal) -> list[Account]:
    with portal.session() as session:
        return list(session.scalars(select(Account).order_by(Account.id)))


@pytest.mark.parametrize("database_address", ["sqlite", "postgresql"], indirect=True)
def test_an_administrator_is_made_from_three_lines_beside_a_running_portal_and_logs_in(
    portal: Portal, live_portal: str, environment: dict[str, str]
) -> None:
    assert "nobody administers it yet" in where_to_log_in(portal.settings)
    done = run(environment, "Ana", LINES, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"username": "ana", "role": "administrator"}
    assert PASSWORD not in done.stdout + done.stderr
    (ana,) = accounts(portal)
    assert (ana.username, ana.name, ana.email, ana.role) == (
        "ana", "Ana Jefa", "ana@hospital.example", "administrator",
    )  # fmt: skip
    assert "m=65536,t=3,p=4" in ana.password_hash, "made outside of tests, with the parameters of everyday"
    assert f"log in at {portal.settings.address}/login" in where_to_log_in(portal.settings)
    with portal.session() as session:
        deed = session.scalars(select(Deed)).one()
        assert (deed.administrator, deed.deed, deed.subject) == ("command line", "add administrator", "ana")
    client = portal.client()
    assert post(client, "/login", {"name": "ana", "password": PASSWORD}).status_code == 200
    assert client.get("/admin/users").status_code == 200


def test_a_name_or_email_that_exists_is_refused_and_nothing_changes(
    portal: Portal, environment: dict[str, str]
) -> None:
    portal.account("ana")
    for username, lines, cause in (
        ("ANA", LINES, "account ana: exists already"),
        ("other", LINES.replace("ana@", "Ana@"), "e-mail: belongs to another account"),
    ):
        done = run(environment, username, lines)
        assert (done.returncode, done.stdout) == (1, "")
        assert cause in done.stderr
        assert "Traceback" not in done.stderr
    assert [account.role for account in accounts(portal)] == ["reader"]


@pytest.mark.parametrize(
    ("username", "lines", "cause"),
    [
        ("a b", LINES, "username: cannot be kept"),
        ("ana", "", "standard input: has too few lines"),
        ("ana", "Ana\nana@hospital.example\n", "standard input: has too few lines"),
        ("ana", "Ana\nno address\n" + PASSWORD, "e-mail: cannot be kept"),
        ("ana", "Ana\nana@hospital.example\nshort\n", "password: cannot be kept; At least 12 characters"),
        ("ana", "Ana\nana@hospital.example\npassword1234\n", "password: cannot be kept; This is too easy"),
    ],
)
def test_what_cannot_be_kept_is_said_in_one_line(
    portal: Portal, environment: dict[str, str], username: str, lines: str, cause: str
) -> None:
    done = run(environment, username, lines)
    assert done.returncode == 1
    assert cause in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert accounts(portal) == []


def test_a_terminal_is_asked_without_an_echo_and_again_after_a_mistake(
    portal: Portal, environment: dict[str, str]
) -> None:
    end, terminal = pty.openpty()
    process = subprocess.Popen([*COMMAND, "ana"], env=environment, stdin=terminal, stdout=terminal, stderr=terminal,
                               start_new_session=True)  # fmt: skip
    os.close(terminal)
    shown = ""

    def answer(question: str, text: str) -> None:
        nonlocal shown
        deadline = time.monotonic() + 60
        while question not in shown:
            assert time.monotonic() < deadline, shown
            shown += os.read(end, 4096).decode()
        everything.append(shown)
        shown = shown.partition(question)[2]
        time.sleep(0.2)  # until it has turned the echo off
        os.write(end, f"{text}\n".encode())

    everything: list[str] = []
    answer("Name: ", "Ana Jefa")
    answer("E-mail: ", "ana@hospital.example")
    for first, second in ((PASSWORD, "another llama, dry"), (PASSWORD, PASSWORD)):
        answer("Password: ", first)
        answer("once more: ", second)
    while True:
        try:
            shown += os.read(end, 4096).decode()
        except OSError:  # the other end has closed
            break
    assert process.wait(timeout=60) == 0, shown
    everything.append(shown)
    assert PASSWORD not in "".join(everything)
    assert any("The two passwords are not the same." in text for text in everything)
    (ana,) = accounts(portal)
    assert passwords.fits(ana.password_hash, PASSWORD)
