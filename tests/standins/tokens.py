"""The token service of AWS (STS), as a pod with a service account uses it: it gives temporary keys for a token.

In: the keys that it gives, and the token that it accepts. Out: answers of AssumeRoleWithWebIdentity, and for which
roles.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

from chestgan_core.store.client import Access
from tests.standins.posts import PostServer

_KEYS = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{key}</AccessKeyId>
<SecretAccessKey>{secret}</SecretAccessKey><SessionToken></SessionToken><Expiration>{until}</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
_REFUSED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>InvalidIdentityToken</Code><Message>no</Message></Error></ErrorResponse>"""


class TokenService(PostServer):
    """A running service. access: whose keys it gives. accepted: the one token that is valid now. minutes: how long keys
    are valid; below 15 a client requests new ones as soon as it can. given: roles for which keys were given.
    """

    def __init__(self, access: Access, accepted: str, minutes: float = 60) -> None:
        self.access, self.accepted, self.minutes = access, accepted, minutes
        self.given: list[str] = []

    def answer(self, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        request = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        status, text = self._answer(request)
        return status, {"Content-Type": "text/xml"}, text.encode()

    def _answer(self, request: dict[str, str]) -> tuple[int, str]:
        valid = (
            request["Action"] == "AssumeRoleWithWebIdentity" and request["WebIdentityToken"] == self.accepted
        )
        if not valid:
            return 400, _REFUSED
        self.given.append(request["RoleArn"])
        until = datetime.now(UTC) + timedelta(minutes=self.minutes)
        return 200, _KEYS.format(
            key=self.access.key, secret=self.access.secret, until=f"{until:%Y-%m-%dT%H:%M:%SZ}"
        )
