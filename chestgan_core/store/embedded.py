"""The S3 server of a laptop, and the store that a command uses.

In: the local folder. Out: a store, or the environment in which Store.open finds it. The server (SeaweedFS) listens on
127.0.0.1 only, requires a generated key, sends no telemetry and keeps its data in `<home>/s3`. No other account of the
machine and no web page reads, writes or deletes there. On Linux it never outlives the process that started it.
Production sets CHESTGAN_STORE instead, and none of this runs.
"""

import json
import logging
import os
import random
import secrets
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from chestgan_core.errors import NotAvailable, StoreError
from chestgan_core.local.files import create_secret, file_lock, replacing
from chestgan_core.store.client import Access, s3_client
from chestgan_core.store.seaweedfs import IDENTITIES, LISTENERS, Server, grpc_socket, remove_dead_sockets
from chestgan_core.store.store import Store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "chestgan"
_READY = ".ready"
_READY_SECONDS = 60
_MAX_LAUNCHES = 3

_log = logging.getLogger(__name__)


class EmbeddedStore:
    """SeaweedFS below home/s3. A second one with the same home uses the server of the first, and does not stop it.

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
        """Start the server or find the running one; returns the environment as soon as it answers, after about 3 s.

        Raises NotAvailable (SeaweedFS is not installed), StoreError (it does not start; names its log).
        """
        try:
            return self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server if this object started it. What was written is on the disk."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    @property
    def is_own(self) -> bool:
        """Whether this object started the server."""
        return self._server is not None

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
        for _ in range(_MAX_LAUNCHES):
            while (server := self._launch()) is None:
                if self._answers(keys):
                    with suppress(OSError, ValueError):
                        self.pid = int((self.folder / "server.pid").read_text())
                    return self.environment
                if time.monotonic() > deadline:
                    raise self._no_answer()
                time.sleep(0.2)
            self._server, self.pid = server, server.pid
            while server.alive() and time.monotonic() < deadline:
                if self._answers(keys):
                    return self.environment
                time.sleep(0.1)
            self.stop()
            # Another process may have taken a port meanwhile: the next launch chooses others.
            self._ports_file.unlink(missing_ok=True)
        raise self._no_answer()

    def _no_answer(self) -> StoreError:
        return StoreError(
            self.folder, "the embedded S3 server does not answer", f"read the end of {self.log}"
        )

    def _launch(self) -> Server | None:
        """A new server; None where one runs on this folder.

        The server inherits the lock, so the lock shows whether it runs, whatever became of its parent.
        """
        try:
            with file_lock(self.folder / "lock", wait=False) as lock:
                if removed := remove_dead_sockets(self._recorded_ports()):
                    _log.info("%d sockets of killed stores were removed", removed)
                server = Server(self.folder, self.log, self._ports(), lock)
                (self.folder / "server.pid").write_text(str(server.pid))
                return server
        except BlockingIOError:
            return None

    def _keys(self) -> tuple[str, str]:
        """Access key and secret, generated at the first start. The file is SeaweedFS's list of users and rights."""
        path = self.folder / IDENTITIES
        if not path.exists():
            identity = {
                "name": "chestgan",
                "credentials": [
                    {"accessKey": f"CG{secrets.token_hex(9).upper()}", "secretKey": secrets.token_urlsafe(30)}
                ],
                "actions": ["Admin", "Read", "List", "Tagging", "Write"],
            }
            # Of two first starts at once both use the keys of the faster one.
            create_secret(path, json.dumps({"identities": [identity]}))
        try:
            credentials = json.loads(path.read_text())["identities"][0]["credentials"][0]
            return credentials["accessKey"], credentials["secretKey"]
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise StoreError(
                path, "is not a list of keys", "delete this file: new keys are generated"
            ) from error

    def _recorded_ports(self) -> dict[str, int]:
        try:
            return {str(name): int(port) for name, port in json.loads(self._ports_file.read_text()).items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    @property
    def _ports_file(self) -> Path:
        return self.folder / "ports.json"

    def _ports(self) -> dict[str, int]:
        """The ports of last time where they are free, so that addresses stay valid, else others."""
        names = [*LISTENERS, *(f"{name}.grpc" for name in LISTENERS)]
        ports = self._recorded_ports()
        with ExitStack() as held:
            try:
                for name in names:
                    held.enter_context(_listener(name, ports[name]))
            except (KeyError, OSError):
                ports = {name: _free_port(name, held) for name in names}
        with replacing(self._ports_file) as part:
            part.write_text(json.dumps(ports))
        return ports

    def _answers(self, keys: tuple[str, str]) -> bool:
        """Whether the recorded port answers and our keys read our object there: another server does not have it.

        An object is read because the gateway answers before the volumes behind it are ready.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        access = Access(f"http://127.0.0.1:{self._recorded_ports().get('s3', 0)}", *keys)
        if access.endpoint not in self._clients:
            self._clients[access.endpoint] = s3_client(access, attempts=1)  # takes longer than a request
        client = self._clients[access.endpoint]
        try:
            client.get_object(Bucket=BUCKET, Key=_READY)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchBucket", "NoSuchKey") and self._server is not None:
                self._create_bucket(client)
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
            # Those of the user would take precedence.
            "AWS_ENDPOINT_URL_S3": access.endpoint,
            "AWS_SESSION_TOKEN": "",
        }
        return True

    def _create_bucket(self, client: "S3Client") -> None:
        """Create the bucket and a first object, for which SeaweedFS creates its volumes (3 s)."""
        from botocore.exceptions import BotoCoreError, ClientError

        with suppress(BotoCoreError, ClientError):  # the caller repeats it until all is there
            client.create_bucket(Bucket=BUCKET)
        with suppress(BotoCoreError, ClientError):
            client.put_object(Bucket=BUCKET, Key=_READY, Body=b"ready")


def _listener(name: str, port: int) -> socket.socket:
    """A socket that occupies a port until it is closed. Raises OSError: the port, or the socket beside it, is taken."""
    listener, _, kind = name.partition(".")
    if kind and os.path.lexists(grpc_socket(listener, port)):
        # Ours were removed: this one is of a server that runs, or of another account, who could stop ours that way.
        raise FileExistsError(grpc_socket(listener, port))
    held = socket.socket()
    try:
        # As the server does it: a port whose last connections are still being closed is free.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", port))
        # Two sockets that only bind may share a port.
        held.listen(1)
    except OSError:
        held.close()
        raise
    return held


def _free_port(name: str, held: ExitStack) -> int:
    """A free port below those that systems use for outgoing connections; `held` occupies it."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with suppress(OSError):
            held.enter_context(_listener(name, port))
            return port


# How many blocks of this process use the store of a folder. They do not wait for each other: that would never end.
_used_here: Counter[Path] = Counter()


@contextmanager
def _shared(home: Path) -> Iterator[EmbeddedStore]:
    """The embedded store while the block runs. Whoever has started it ends it, once no other process uses it."""
    embedded = EmbeddedStore(home)
    users = embedded.folder / "users"
    with ExitStack() as using:
        with suppress(OSError):  # start says what is wrong with the folder
            embedded.folder.mkdir(parents=True, exist_ok=True)
            using.enter_context(file_lock(users, shared=True))
        embedded.start()
        _used_here[embedded.folder] += 1
        try:
            yield embedded
        finally:
            _used_here[embedded.folder] -= 1
            using.close()
            try:
                if embedded.is_own and not _used_here[embedded.folder]:
                    _wait_for_others(users)
            finally:
                embedded.stop()


def _wait_for_others(users: Path) -> None:
    try:
        with file_lock(users, wait=False):
            return
    except BlockingIOError:
        _log.warning(
            "another process uses the embedded store that this one has started; it ends after that one"
        )
    with file_lock(users):
        return


@contextmanager
def open_store(home: Path, *, anonymous: bool = False) -> Iterator[Store]:
    """The store that this machine uses, as a context manager.

    Args:
        home: The local folder, for the data of the embedded store: `chestgan_core.local.home.home()`.
        anonymous: Use no credentials, for a bucket that everybody may read. The embedded store needs them in any case.

    Yields:
        The store of $CHESTGAN_STORE; where that is unset, the embedded one. Its server runs until this block, and those
        of other processes that use it meanwhile, have ended.

    Raises:
        BadInput: $CHESTGAN_STORE is not the address of an S3 bucket.
        NotAvailable: SeaweedFS is not installed.
        StoreError: The embedded server does not start; names its log.

    Examples:
        >>> from chestgan_core.local.home import home
        >>> from chestgan_core.store.embedded import open_store
        >>> with open_store(home()) as store:
        ...     print(store.uri())
        s3://chestgan
    """
    if os.environ.get("CHESTGAN_STORE"):
        yield Store.open(anonymous=anonymous)
    else:
        with _shared(home) as embedded:
            yield embedded.store()


@contextmanager
def known_store(home: Path, *, anonymous: bool = False) -> Iterator[Store]:
    """As open_store, for a question that may stay unanswered: soon given up, and no embedded store is made for it.

    Raises NotAvailable where $CHESTGAN_STORE is unset and this machine has no embedded store; else as open_store.
    """
    if os.environ.get("CHESTGAN_STORE"):
        yield Store.open(fail_fast=True, anonymous=anonymous)
    elif not (home / "s3" / IDENTITIES).exists():
        raise NotAvailable("CHESTGAN_STORE", "is not set", "set it to the store that the set came from")
    else:
        with _shared(home) as embedded:
            yield embedded.store()


@contextmanager
def open_store_at(uri: str, home: Path, *, anonymous: bool = False) -> Iterator[Store]:
    """The store at an address, found as commands find theirs.

    Args:
        uri: s3://bucket/prefix, without key.
        home: The local folder.
        anonymous: As for open_store.

    Yields:
        The store at the address, with the server and credentials of the environment; where $CHESTGAN_STORE is unset and
        the bucket is that of the embedded store, on its server.

    Raises:
        BadInput: Not the address of an S3 bucket.
        StoreError, NotAvailable: As open_store.
    """
    found = Store.open(uri, anonymous=anonymous)
    # Who has set an endpoint means the server there.
    elsewhere = any(
        os.environ.get(name) for name in ("CHESTGAN_STORE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
    )
    if found.bucket != BUCKET or elsewhere:
        yield found
    else:
        with _shared(home) as embedded:
            yield Store(s3_client(embedded.access), found.bucket, found.prefix)
