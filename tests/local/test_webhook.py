"""Webhooks against a real server: signed, tried again, given up in time, and silent about secrets."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator

import pytest

from chestgan_core.errors import BadInput, NotAvailable, SourceRefused, SourceUnreachable
from chestgan_core.local import webhook
from chestgan_core.local.webhook import Webhook
from tests.standins.receiver import Receiver

SECRET = "0123456789abcdef-of-tests"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(webhook, "FIRST_WAIT", 0.01)
    with Receiver() as running:
        monkeypatch.setenv("CHESTGAN_WEBHOOK", running.url)
        monkeypatch.setenv("CHESTGAN_WEBHOOK_SECRET", SECRET)
        yield running


def test_a_message_is_signed_over_timestamp_and_body(receiver: Receiver) -> None:
    Webhook.from_environment().deliver("d-1", {"kind": "run-failed"})
    ((headers, body),) = receiver.requests
    signed = headers["X-Chestgan-Timestamp"].encode() + b"." + body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-Chestgan-Signature"] == f"sha256={expected}"
    assert abs(int(headers["X-Chestgan-Timestamp"]) - time.time()) < 60
    assert json.loads(body) == {"id": headers["X-Chestgan-Delivery"], "kind": "run-failed"}


def test_what_may_pass_is_tried_again_with_the_same_delivery_id(receiver: Receiver) -> None:
    receiver.statuses = [503, 429]
    Webhook.from_environment().deliver("d-1", {})
    assert [headers["X-Chestgan-Delivery"] for headers, _ in receiver.requests] == ["d-1"] * 3


def test_tries_are_bounded_and_the_error_does_not_show_the_address(receiver: Receiver) -> None:
    receiver.statuses = [500] * 9
    with pytest.raises(SourceUnreachable, match="answered 500") as failed:
        Webhook.from_environment().deliver("d-1", {})
    assert len(receiver.requests) == webhook.TRIES
    assert "hidden" not in str(failed.value)
    assert SECRET not in repr(Webhook.from_environment())


@pytest.mark.parametrize("status", [302, 400, 401, 404])
def test_a_refusal_or_a_redirect_is_not_tried_again(receiver: Receiver, status: int) -> None:
    receiver.statuses = [status]
    with pytest.raises(SourceRefused, match=str(status)):
        Webhook.from_environment().deliver("d-1", {})
    assert len(receiver.requests) == 1


def test_a_server_that_is_not_there_is_one_line(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHESTGAN_WEBHOOK", "http://127.0.0.1:9/hidden")
    with pytest.raises(SourceUnreachable, match="does not answer") as failed:
        Webhook.from_environment().deliver("d-1", {})
    assert "hidden" not in str(failed.value)


@pytest.mark.parametrize(
    "url", ["http://example.org/x", "ftp://localhost/x", "localhost", "http://[::1", "http://localhost.evil/"]
)
def test_an_address_that_would_send_in_the_clear_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHESTGAN_WEBHOOK", url)
    monkeypatch.setenv("CHESTGAN_WEBHOOK_SECRET", SECRET)
    with pytest.raises(BadInput, match="https"):
        Webhook.from_environment()


def test_an_address_or_a_secret_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHESTGAN_WEBHOOK", raising=False)
    with pytest.raises(NotAvailable):
        Webhook.from_environment()
    monkeypatch.setenv("CHESTGAN_WEBHOOK", "https://example.org/x")
    monkeypatch.setenv("CHESTGAN_WEBHOOK_SECRET", "short")
    with pytest.raises(BadInput, match="16 characters"):
        Webhook.from_environment()
