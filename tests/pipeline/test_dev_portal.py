"""How `make dev` wires pipeline and portal: one secret, made once, and whose messages go where."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chestgan_assets.local import portal
from chestgan_core.errors import BadInput
from chestgan_core.local.webhook import Webhook

OTHER = {
    "CHESTGAN_WEBHOOK": "https://elsewhere.example/hook",
    "CHESTGAN_WEBHOOK_SECRET": "0123456789abcdef-of-tests",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path))
    for name in OTHER:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_the_secret_is_made_once_and_only_this_account_reads_it(home: Path) -> None:
    first = portal.webhook_variables()
    assert portal.webhook_variables() == first
    (path,) = home.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == first["CHESTGAN_WEBHOOK_SECRET"]
    assert len(first["CHESTGAN_WEBHOOK_SECRET"]) >= 40


def test_the_variables_are_a_webhook_to_the_portal_of_this_machine(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in portal.webhook_variables().items():
        monkeypatch.setenv(name, value)
    assert Webhook.from_environment().url == f"http://127.0.0.1:{portal.PORT}/notify"
    assert (
        portal.portal_variables("http://127.0.0.1:3000")["CHESTGAN_PORTAL_PIPELINE"]
        == "http://127.0.0.1:3000"
    )


def test_an_address_that_somebody_has_set_stays(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OTHER.items():
        monkeypatch.setenv(name, value)
    assert portal.webhook_variables() == {}
    assert list(home.iterdir()) == []


def test_an_empty_secret_is_said(home: Path) -> None:
    (home / "webhook-secret").touch()
    with pytest.raises(BadInput, match="holds no secret; delete this file"):
        portal.webhook_variables()


@pytest.mark.parametrize(("missing", "status"), [("", "RUNNING"), ("CHESTGAN_WEBHOOK_SECRET", "STOPPED")])
def test_the_webhook_sensors_are_on_where_address_and_secret_are_set(missing: str, status: str) -> None:
    """Nobody has to turn them on in the UI first; who turns them off there keeps them off."""
    code = "from chestgan_assets.automation import webhook_messages as found; print(found.STATUS.value)"
    kept = {name: value for name, value in os.environ.items() if name not in OTHER}
    set_up = {name: value for name, value in OTHER.items() if name != missing}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=kept | set_up, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == status
