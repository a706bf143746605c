"""How an installation of the portal is set up: environment variables, checked once at the start.

    CHESTGAN_PORTAL_DATABASE       SQLAlchemy address; default: portal.sqlite in the local folder
    CHESTGAN_PORTAL_HOST, _PORT    where it listens; default 127.0.0.1, 8080
    CHESTGAN_PORTAL_HOSTS          names under which browsers reach it besides localhost, with commas
    CHESTGAN_PORTAL_PROXIES        addresses or networks of proxies, with commas, whose X-Forwarded-For is believed
    CHESTGAN_PORTAL_OWN_ACCOUNT    yes (default on 127.0.0.1): other accounts of this machine are refused
    CHESTGAN_PORTAL_HTTPS          yes: browsers reach it by https, and cookies are sent by https only
    CHESTGAN_PORTAL_REGISTRATION   open or invitation (default)
    CHESTGAN_PORTAL_NUMBER         regular expression that a professional number fits; empty: none is asked for
    CHESTGAN_PORTAL_PIPELINE       address of the Dagster UI for links; empty: no links
    CHESTGAN_WEBHOOK_SECRET        signs the notifications that it accepts at /notify; empty: it accepts none

The store is that of all commands (CHESTGAN_STORE).
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal, Self
from urllib.parse import urlsplit

from chestgan_core.errors import BadInput
from chestgan_core.local.environment import choice_from_environment, whole_number_from_environment
from chestgan_core.local.home import home
from chestgan_core.local.webhook import SECRET

DATABASE, HOSTS, NUMBER = "CHESTGAN_PORTAL_DATABASE", "CHESTGAN_PORTAL_HOSTS", "CHESTGAN_PORTAL_NUMBER"
PIPELINE, PROXIES = "CHESTGAN_PORTAL_PIPELINE", "CHESTGAN_PORTAL_PROXIES"
Registration = Literal["open", "invitation"]
_MIN_SECRET = 16  # characters
_LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True, repr=False)
class Settings:
    """database: may hold a password, so settings are never printed. number: matched as a whole."""

    database: str
    host: str = "127.0.0.1"
    port: int = 8080
    hosts: tuple[str, ...] = ()
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    own_account: bool = True
    https: bool = False
    registration: Registration = "invitation"
    number: str = ""
    pipeline: str = ""
    webhook_secret: str = ""

    @property
    def address(self) -> str:
        """Where a browser of this machine opens it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 (none is bound)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Raises BadInput, which names the variable."""
        host = environment.get("CHESTGAN_PORTAL_HOST") or "127.0.0.1"
        number, pipeline = environment.get(NUMBER, ""), environment.get(PIPELINE, "")
        try:
            re.compile(number)
        except re.error as error:
            raise BadInput(NUMBER, f"is not a regular expression ({error})", "correct it") from error
        if pipeline and urlsplit(pipeline).scheme not in ("http", "https"):
            raise BadInput(
                PIPELINE, "is not an http address", "set it to that of the Dagster UI, or unset it"
            )
        secret = environment.get(SECRET, "")
        if secret and len(secret) < _MIN_SECRET:
            raise BadInput(SECRET, f"has fewer than {_MIN_SECRET} characters", "set it to a random one")
        own = choice_from_environment(
            "CHESTGAN_PORTAL_OWN_ACCOUNT", ("yes", "no"), "yes" if host in _LOOPBACK else "no"
        )
        registration = choice_from_environment(
            "CHESTGAN_PORTAL_REGISTRATION", ("open", "invitation"), "invitation"
        )
        return cls(
            database=environment.get(DATABASE) or f"sqlite:///{home() / 'portal.sqlite'}",
            host=host,
            port=whole_number_from_environment("CHESTGAN_PORTAL_PORT", 1, 65535, 8080),
            hosts=tuple(name.strip() for name in environment.get(HOSTS, "").split(",") if name.strip()),
            proxies=_networks(environment.get(PROXIES, "")),
            own_account=own == "yes",
            https=choice_from_environment("CHESTGAN_PORTAL_HTTPS", ("yes", "no"), "no") == "yes",
            registration="open" if registration == "open" else "invitation",
            number=number,
            pipeline=pipeline.rstrip("/"),
            webhook_secret=secret,
        )


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        remedy = "write addresses or networks with commas, such as 10.0.0.0/8"
        raise BadInput(PROXIES, f"cannot be used ({error})", remedy) from error
