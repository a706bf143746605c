"""The S3 server of a laptop, and the store that a command uses.

In: the local folder. Out: a store, or the environment in which Store.open finds it. The server (SeaweedFS)
listens to 127.0.0.1 only, demands a generated key, sends no telemetry and keeps all it has in `<home>/s3`. On
Linux it never outlives the process that started it. Production sets CHESTGAN_STORE instead and none of this
runs.
"""

import json
import os
import random
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from chestgan_core.errors import StoreError
from chestgan_core.local.files import create_secret, file_lock, replacing
from chestgan_core.store.objects import Access, s3_client
from chestgan_core.store.seaweedfs import IDENTITIES, LISTENERS, Server
from chestgan_core.store.store import Store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "chestgan"
_READY = ".ready"
_READY_SECONDS = 60
_LAUNCHES = 3


class EmbeddedStore:
    """SeaweedFS below home/s3. A second one on the same home uses the server of the first, without stopping
    it.

    pid: of the server. access, environment: how to reach it; set by start.
    """

    def __init__(self, home: Path) -> None:
        self.folder = home.resolve() / "s3"
        self.log = self.folder / "server.log"
        self.pid = 0
        self.access: Access | None = None
        self.environment: dict[str, str] = {}
        self._server: Server | None = None
        self._clients: dict[str, S3Client] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> dict[str, str]:
        """Starts the server or finds the running one; returns the environment when it answers.

        That takes about 3 s. Raises NotAvailable (SeaweedFS is not installed) and StoreError (it does not
        come up: names its log).
        """
        try:
            return self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the server if this object started it. What was written is on the disk."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def store(self) -> Store:
        """The store on the started server."""
        return Store(s3_client(self.access), BUCKET)

    def _start(self) -> dict[str, str]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            keys = self._keys()
        except OSError as error:
            cause = f"cannot be written ({error.strerror})"
            raise StoreError(self.folder, cause, "set CHESTGAN_HOME to a folder of yours") from error
        deadline = time.monotonic() + _READY_SECONDS
        for _ in range(_LAUNCHES):
            while (server := self._launched()) is None:
                if self._answers(keys):
                    with suppress(OSError, ValueError):
                        self.pid = int((self.folder / "server.pid").read_text())
                    return self.environment
                if time.monotonic() > deadline:
                    raise self._silent()
                time.sleep(0.2)
            self._server, self.pid = server, server.pid
            while server.alive() and time.monotonic() < deadline:
                if self._answers(keys):
                    return self.environment
                time.sleep(0.1)
            self.stop()
            # Somebody may have taken a port in between: the next launch chooses others.
            self._ports_file.unlink(missing_ok=True)
        raise self._silent()

    def _silent(self) -> StoreError:
        return StoreError(
            self.folder, "the embedded S3 server does not answer", f"read the end of {self.log}"
        )

    def _launched(self) -> Server | None:
        """A new server, None when one runs on this folder.

        The server inherits the locked file, so the lock says whether it runs, whatever became of its parent.
        """
        try:
            with file_lock(self.folder / "lock", wait=False) as lock:
                server = Server(self.folder, self.log, self._ports(), lock)
                (self.folder / "server.pid").write_text(str(server.pid))
                return server
        except BlockingIOError:
            return None

    def _keys(self) -> tuple[str, str]:
        """Access key and secret, made at the first start; the file is SeaweedFS's list of who may do what."""
        path = self.folder / IDENTITIES
        if not path.exists():
            identity = {
                "name": "chestgan",
                "credentials": [
                    {"accessKey": f"CG{secrets.token_hex(9).upper()}", "secretKey": secrets.token_urlsafe(30)}
                ],
                "actions": ["Admin", "Read", "List", "Tagging", "Write"],
            }
            # Two first starts at once: both use the keys of the quicker one.
            create_secret(path, json.dumps({"identities": [identity]}))
        try:
            told = json.loads(path.read_text())["identities"][0]["credentials"][0]
            return told["accessKey"], told["secretKey"]
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise StoreError(path, "is no list of keys", "delete this file: new keys are made") from error

    def _told_ports(self) -> dict[str, int]:
        try:
            return {str(name): int(port) for name, port in json.loads(self._ports_file.read_text()).items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    @property
    def _ports_file(self) -> Path:
        return self.folder / "ports.json"

    def _ports(self) -> dict[str, int]:
        """Those of last time when they are free (addresses that people noted stay right), else others."""
        names = [*LISTENERS, *(f"{name}.grpc" for name in LISTENERS)]
        ports = self._told_ports()
        with ExitStack() as held:
            try:
                for name in names:
                    held.enter_context(_listener(ports[name]))
            except (KeyError, OSError):
                ports = {name: _free_port(held) for name in names}
        with replacing(self._ports_file) as part:
            part.write_text(json.dumps(ports))
        return ports

    def _answers(self, keys: tuple[str, str]) -> bool:
        """Whether our keys read our object at the port that was told last: no other server gives it.

        Reading an object counts, as the gateway answers before the volumes behind it are there.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        access = Access(f"http://127.0.0.1:{self._told_ports().get('s3', 0)}", *keys)
        if access.endpoint not in self._clients:
            self._clients[access.endpoint] = s3_client(access, attempts=1)  # takes longer than to ask with it
        client = self._clients[access.endpoint]
        try:
            client.get_object(Bucket=BUCKET, Key=_READY)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchBucket", "NoSuchKey") and self._server is not None:
                self._furnish(client)
            return False
        except (BotoCoreError, OSError):
            return False
        self.access = access
        self.environment = {
            "CHESTGAN_STORE": f"s3://{BUCKET}",
            "AWS_ENDPOINT_URL": access.endpoint,
            "AWS_ACCESS_KEY_ID": access.key,
            "AWS_SECRET_ACCESS_KEY": access.secret,
            "AWS_DEFAULT_REGION": access.region,
            # These of the user would win over the above.
            "AWS_ENDPOINT_URL_S3": access.endpoint,
            "AWS_SESSION_TOKEN": "",
        }
        return True

    def _furnish(self, client: "S3Client") -> None:
        """The bucket and a first object; for it SeaweedFS makes its volumes: 3 s that nobody waits later."""
        from botocore.exceptions import BotoCoreError, ClientError

        with suppress(BotoCoreError, ClientError):  # The caller asks again until all is there.
            client.create_bucket(Bucket=BUCKET)
        with suppress(BotoCoreError, ClientError):
            client.put_object(Bucket=BUCKET, Key=_READY, Body=b"ready")


def _listener(port: int) -> socket.socket:
    """A socket that holds a port until it is closed. Raises OSError when the port is taken."""
    held = socket.socket()
    try:
        # As the server does it: a port whose last connections still fade out is free.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", port))
        # Two sockets that only bind may share a port.
        held.listen(1)
    except OSError:
        held.close()
        raise
    return held


def _free_port(held: ExitStack) -> int:
    """A free port below those from which systems take the ends of outgoing connections; held keeps it."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with suppress(OSError):
            held.enter_context(_listener(port))
            return port


@contextmanager
def open_store(home: Path) -> Iterator[Store]:
    """The store of $CHESTGAN_STORE; where it is not set, the embedded one, which runs until the block ends.

    Raises StoreError, NotAvailable, BadInput (CHESTGAN_STORE is no S3 address).
    """
    if os.environ.get("CHESTGAN_STORE"):
        yield Store.open()
    else:
        with EmbeddedStore(home) as embedded:
            yield embedded.store()
