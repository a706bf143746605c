"""Messages to a webhook: JSON, signed, tried again for a bounded time.

In: a message of plain data, $CHESTGAN_WEBHOOK (address) and $CHESTGAN_WEBHOOK_SECRET. Out: delivered, or one line that
says why not. Signature: HMAC-SHA256 over `<timestamp>.<body>` by the secret. A receiver that sees a delivery id
twice has seen the same message: an answer may get lost. Errors never show the address, which may hold a token.
"""

import hashlib
import hmac
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from chestgan_core import __version__
from chestgan_core.errors import BadInput, NotAvailable, SourceRefused, SourceUnreachable

ADDRESS, SECRET, PLAIN = "CHESTGAN_WEBHOOK", "CHESTGAN_WEBHOOK_SECRET", "CHESTGAN_WEBHOOK_ALLOW_HTTP"
TRIES, FIRST_WAIT, SECONDS = 3, 0.5, 5.0
_LOCAL = ("127.0.0.1", "::1", "localhost")
_LEAST_SECRET = 16  # characters


@dataclass(frozen=True, repr=False)
class Webhook:
    """A checked address and the secret of its signatures."""

    url: str
    secret: str

    @classmethod
    def of_environment(cls) -> "Webhook":
        """Raises NotAvailable (no address), BadInput (not https, no secret worth the name)."""
        url, secret = os.environ.get(ADDRESS, ""), os.environ.get(SECRET, "")
        if not url:
            raise NotAvailable(ADDRESS, "is not set", "set it to the https address that takes messages")
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError:
            host = None
        if not host or parts.scheme not in ("http", "https"):
            raise BadInput(ADDRESS, "is no http address", "set it to https://host/path")
        if parts.scheme == "http" and host not in _LOCAL and os.environ.get(PLAIN) != "yes":
            raise BadInput(ADDRESS, "is not https", f"use https, or set {PLAIN}=yes in a closed network")
        if len(secret) < _LEAST_SECRET:
            raise BadInput(SECRET, f"has fewer than {_LEAST_SECRET} characters", "set it to a random one")
        return cls(url, secret)

    def deliver(self, delivery: str, message: Mapping[str, Any]) -> None:
        """Send a message; at most 3 tries, 17 s in all. delivery: the same for the same message, always.

        Raises SourceUnreachable (may pass), SourceRefused (4xx, redirect, certificate).
        """
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
                    answer = pool.request(
                        "POST", self.url, body=body, headers=headers, retries=False, redirect=False,
                        timeout=urllib3.Timeout(total=SECONDS),
                    )  # fmt: skip
                except urllib3.exceptions.SSLError as error:
                    raise SourceRefused(
                        "webhook", "its certificate is not trusted", "set SSL_CERT_FILE"
                    ) from error
                except HTTPError:
                    cause = "does not answer"
                    continue
                if 200 <= answer.status < 300:
                    return
                cause = f"answered {answer.status}"
                if answer.status not in (408, 425, 429) and answer.status < 500:
                    raise SourceRefused("webhook", cause, f"check {ADDRESS} and {SECRET}")
        raise SourceUnreachable("webhook", f"{cause}, {TRIES} times", "it is tried again at the next tick")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Hex HMAC-SHA256 of `<timestamp>.<body>`."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
