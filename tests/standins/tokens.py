"""The token service of AWS (STS) as a pod with a service account meets it: a token for keys that do not last.

In: the keys that it gives, and the token that it takes. Out: answers of AssumeRoleWithWebIdentity; for which roles.
"""

import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs

from chestgan_core.objects import Access

_KEYS = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{key}</AccessKeyId>
<SecretAccessKey>{secret}</SecretAccessKey><SessionToken></SessionToken><Expiration>{until}</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
_REFUSED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>InvalidIdentityToken</Code><Message>no</Message></Error></ErrorResponse>"""


class TokenService:
    """A running service. access: whose keys it gives. accepted: the one token that is good now. minutes: for which keys
    are good; below 15 a client asks anew when it gets the chance. given: roles for which keys were given.
    """

    def __init__(self, access: Access, accepted: str, minutes: float = 60) -> None:
        self.access, self.accepted, self.minutes = access, accepted, minutes
        self.given: list[str] = []

    def __enter__(self) -> Self:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                status, told = service._answer({name: values[0] for name, values in asked.items()})
                self.send_response(status)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, asked: dict[str, str]) -> tuple[int, str]:
        good = asked["Action"] == "AssumeRoleWithWebIdentity" and asked["WebIdentityToken"] == self.accepted
        if not good:
            return 400, _REFUSED
        self.given.append(asked["RoleArn"])
        until = datetime.now(UTC) + timedelta(minutes=self.minutes)
        return 200, _KEYS.format(
            key=self.access.key, secret=self.access.secret, until=f"{until:%Y-%m-%dT%H:%M:%SZ}"
        )
