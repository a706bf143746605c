"""What a receiver of webhook messages believes: what was signed with its secret, now, under the id that it carries."""

import json
import time
from collections.abc import Iterator

import pytest

from chestgan_core.errors import BadInput
from chestgan_core.local.webhook import TOLERANCE, Webhook, signature, verified
from tests.standins.receiver import Receiver

SECRET = "0123456789abcdef-of-tests"
NOW = 1_800_000_000.0
MESSAGE = {"id": "d-1", "kind": "run-failed"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def signed(
    message: object, at: float = NOW, secret: str = SECRET, delivery: str = "d-1"
) -> tuple[dict[str, str], bytes]:
    """Headers and body as Webhook.deliver sends them."""
    body, stamp = json.dumps(message).encode(), str(int(at))
    return {
        "x-chestgan-delivery": delivery,
        "x-chestgan-timestamp": stamp,
        "x-chestgan-signature": f"sha256={signature(secret, stamp, body)}",
    }, body


def test_what_deliver_sends_is_believed(receiver: Receiver) -> None:
    Webhook(receiver.url, SECRET).deliver("d-1", {"kind": "run-failed"})
    ((headers, body),) = receiver.requests
    lowered = {name.lower(): value for name, value in headers.items()}
    assert verified(SECRET, lowered, body, time.time()) == MESSAGE


@pytest.mark.parametrize("off", [-TOLERANCE, 0.0, TOLERANCE])
def test_clocks_may_differ_by_five_minutes_both_ways(off: float) -> None:
    headers, body = signed(MESSAGE)
    assert verified(SECRET, headers, body, NOW + off) == MESSAGE


@pytest.mark.parametrize("off", [-TOLERANCE - 1, TOLERANCE + 1])
def test_a_message_that_was_recorded_is_not_believed_later_nor_one_from_the_future(off: float) -> None:
    headers, body = signed(MESSAGE)
    with pytest.raises(BadInput, match="more than 300 s older or newer"):
        verified(SECRET, headers, body, NOW + off)


@pytest.mark.parametrize(
    "change",
    [
        {"x-chestgan-signature": ""},
        {"x-chestgan-signature": "sha256=" + "0" * 64},
        {"x-chestgan-signature": "sha256=\N{LATIN SMALL LETTER E WITH ACUTE}"},
        {"x-chestgan-timestamp": str(int(NOW) + 1)},
        {"x-chestgan-timestamp": ""},
        {"x-chestgan-timestamp": "-1"},
        {"x-chestgan-timestamp": "1_800_000_000"},
        {"x-chestgan-timestamp": "\N{ARABIC-INDIC DIGIT ONE}"},
        {"x-chestgan-timestamp": "9" * 13},
    ],
)
def test_a_header_that_was_changed_is_not_believed(change: dict[str, str]) -> None:
    headers, body = signed(MESSAGE)
    with pytest.raises(BadInput, match="its signature is not of our secret"):
        verified(SECRET, headers | change, body, NOW)


def test_neither_another_secret_nor_another_body_is_believed() -> None:
    headers, body = signed(MESSAGE, secret="another-secret-of-tests")
    with pytest.raises(BadInput, match="signature"):
        verified(SECRET, headers, body, NOW)
    headers, body = signed(MESSAGE)
    with pytest.raises(BadInput, match="signature"):
        verified(SECRET, headers, body + b" ", NOW)


def test_a_delivery_id_that_is_not_the_signed_one_is_not_believed() -> None:
    """Else whoever records a message could send it again under a new id, and it would count as another one."""
    headers, body = signed(MESSAGE, delivery="d-2")
    with pytest.raises(BadInput, match="delivery id is not the signed one"):
        verified(SECRET, headers, body, NOW)


@pytest.mark.parametrize("message", [[1], "text", None, {"kind": "x"}, {"id": 1}])
def test_a_signed_body_that_is_no_message_is_refused_by_name(message: object) -> None:
    headers, body = signed(message)
    with pytest.raises(BadInput, match="not a JSON object with an id"):
        verified(SECRET, headers, body, NOW)


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[" * 100_000])
def test_a_signed_body_that_is_no_json_is_refused_by_name(body: bytes) -> None:
    headers = {
        "x-chestgan-timestamp": str(int(NOW)),
        "x-chestgan-signature": f"sha256={signature(SECRET, str(int(NOW)), body)}",
    }
    with pytest.raises(BadInput, match="not a JSON object with an id"):
        verified(SECRET, headers, body, NOW)
