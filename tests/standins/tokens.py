"""The token service of AWS (STS) as a pod with a service account meets it: a token for keys that do not last.

In: the keys that it gives, and the token that it takes. Out: answers of AssumeRoleWithWebIdentity; for which roles.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

from chestgan_core.store.objects import Access
from tests.standins.posts import PostServer

_KEYS = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{key}</AccessKeyId>
<SecretAccessKey>{secret}</SecretAccessKey><SessionToken></SessionToken><Expiration>{until}</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
_REFUSED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>InvalidIdentityToken</Code><Message>no</Message></Error></ErrorResponse>"""


class TokenService(PostServer):
    """A running service. access: whose keys it gives. accepted: the one token that is good now. minutes: for which keys
    are good; below 15 a client asks anew when it gets the chance. given: roles for which keys were given.
    """

    def __init__(self, access: Access, accepted: str, minutes: float = 60) -> None:
        self.access, self.accepted, self.minutes = access, accepted, minutes
        self.given: list[str] = []

    def answer(self, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        asked = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        status, told = self._answer(asked)
        return status, {"Content-Type": "text/xml"}, told.encode()

    def _answer(self, asked: dict[str, str]) -> tuple[int, str]:
        good = asked["Action"] == "AssumeRoleWithWebIdentity" and asked["WebIdentityToken"] == self.accepted
        if not good:
            return 400, _REFUSED
        self.given.append(asked["RoleArn"])
        until = datetime.now(UTC) + timedelta(minutes=self.minutes)
        return 200, _KEYS.format(
            key=self.access.key, secret=self.access.secret, until=f"{until:%Y-%m-%dT%H:%M:%SZ}"
        )
