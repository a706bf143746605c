"""Messages to a webhook: JSON, signed, with a bounded number of retries; and the check of such a message by a receiver.

In: a message of plain data, $CHESTGAN_WEBHOOK (address) and $CHESTGAN_WEBHOOK_SECRET. Out: the message is delivered,
or an error says why not. Signature: HMAC-SHA256 over `<timestamp>.<body>` with the secret. A receiver may get a
message twice, with the same delivery id, because a response can get lost. Errors never show the address, which may
hold a token.
"""

import hashlib
import hmac
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from chestgan_core import __version__
from chestgan_core.errors import BadInput, NotAvailable, SourceRefused, SourceUnreachable

ADDRESS, SECRET, ALLOW_HTTP = "CHESTGAN_WEBHOOK", "CHESTGAN_WEBHOOK_SECRET", "CHESTGAN_WEBHOOK_ALLOW_HTTP"
TRIES, FIRST_WAIT, TIMEOUT = 3, 0.5, 5.0  # seconds
_LOCAL = ("127.0.0.1", "::1", "localhost")
_MIN_SECRET = 16  # characters
TOLERANCE = 300.0  # seconds between the clocks of sender and receiver, the way of the message included
_STAMP = re.compile(r"[0-9]{1,12}", re.ASCII)


@dataclass(frozen=True, repr=False)
class Webhook:
    """A checked address and the secret of its signatures."""

    url: str
    secret: str

    @classmethod
    def from_environment(cls) -> "Webhook":
        """Raises NotAvailable (no address), BadInput (not https, or the secret is too short)."""
        url, secret = os.environ.get(ADDRESS, ""), os.environ.get(SECRET, "")
        if not url:
            raise NotAvailable(ADDRESS, "is not set", "set it to the https address that takes messages")
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError:
            host = None
        if not host or parts.scheme not in ("http", "https"):
            raise BadInput(ADDRESS, "is not an http address", "set it to https://host/path")
        if parts.scheme == "http" and host not in _LOCAL and os.environ.get(ALLOW_HTTP) != "yes":
            raise BadInput(ADDRESS, "is not https", f"use https, or set {ALLOW_HTTP}=yes in a closed network")
        if len(secret) < _MIN_SECRET:
            raise BadInput(SECRET, f"has fewer than {_MIN_SECRET} characters", "set it to a random one")
        return cls(url, secret)

    def deliver(self, delivery: str, message: Mapping[str, Any]) -> None:
        """Send a message, with at most 3 tries and 17 s in all. delivery: id of the message, always the same for it.

        Raises SourceUnreachable (may pass by itself), SourceRefused (4xx, redirect, certificate).
        """
        import urllib3  # a code location loads without it

        body = json.dumps({"id": delivery, **message}, sort_keys=True).encode()
        cause = ""
        with urllib3.PoolManager(cert_reqs="CERT_REQUIRED") as pool:
            for attempt in range(TRIES):
                if attempt:
                    time.sleep(FIRST_WAIT * 2 ** (attempt - 1))
                stamp = str(int(time.time()))
                headers = {
                    "Content-Type": "application/json",
                    "User-Agent": f"chestgan/{__version__}",
                    "X-Chestgan-Delivery": delivery,
                    "X-Chestgan-Timestamp": stamp,
                    "X-Chestgan-Signature": f"sha256={signature(self.secret, stamp, body)}",
                }
                try:
                    response = pool.request(
                        "POST", self.url, body=body, headers=headers, retries=False, redirect=False,
                        timeout=urllib3.Timeout(total=TIMEOUT),
                    )  # fmt: skip
                except urllib3.exceptions.SSLError as error:
                    raise SourceRefused(
                        "webhook", "its certificate is not trusted", "set SSL_CERT_FILE"
                    ) from error
                except urllib3.exceptions.HTTPError:
                    cause = "does not answer"
                    continue
                if 200 <= response.status < 300:
                    return
                cause = f"answered {response.status}"
                if response.status not in (408, 425, 429) and response.status < 500:
                    raise SourceRefused("webhook", cause, f"check {ADDRESS} and {SECRET}")
        raise SourceUnreachable(
            "webhook",
            f"{cause}, {TRIES} times",
            "check the receiver; the message is sent again at the next tick",
        )


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Hex HMAC-SHA256 of `<timestamp>.<body>`."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def verified(secret: str, headers: Mapping[str, str], body: bytes, at: float) -> dict[str, Any]:
    """The message of a delivery, once its signature, its age and its id were checked.

    headers: X-Chestgan-Timestamp, -Signature and -Delivery, found by names in lower case. at: now, seconds since 1970;
    a message more than TOLERANCE before or after it is refused, so a recorded one cannot be sent again later. Within
    it the receiver must know the id, which is signed as the body's `id`. Raises BadInput, which repeats nothing sent.
    """
    stamp, sent = headers.get("x-chestgan-timestamp", ""), headers.get("x-chestgan-signature", "")
    # The signature first: who does not know the secret learns nothing about the clock of this machine.
    expected = f"sha256={signature(secret, stamp, body)}" if _STAMP.fullmatch(stamp) else ""
    if not expected or not hmac.compare_digest(expected.encode(), sent.encode()):
        raise BadInput(
            "webhook message", "its signature is not of our secret", f"set the same {SECRET} on both sides"
        )
    if abs(at - int(stamp)) > TOLERANCE:
        cause = f"it is more than {TOLERANCE:.0f} s older or newer than the clock here"
        raise BadInput("webhook message", cause, "set both clocks by the network")
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("id"), str):
        raise BadInput(
            "webhook message", "it is not a JSON object with an id", "send it as Webhook.deliver does"
        )
    if not hmac.compare_digest(message["id"].encode(), headers.get("x-chestgan-delivery", "").encode()):
        raise BadInput("webhook message", "its delivery id is not the signed one", "send both alike")
    return message
