"""`make dev`: embedded store, webserver and daemon together, until Ctrl-C.

Out: their addresses on standard error. Everything listens on 127.0.0.1; state is kept in the local folder.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import FrameType

from chestgan_core.errors import ChestganError
from chestgan_core.home import home

from chestgan_assets.local import ROOT, local_environment

PORT = int(os.environ.get("CHESTGAN_PORT", "3000"))
ADDRESS = f"http://127.0.0.1:{PORT}"


def main() -> int:
    """Run until a signal or until Dagster ends; returns the exit status."""
    try:
        with local_environment() as environment:
            return _serve(environment)
    except ChestganError as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1


def _serve(environment: dict[str, str]) -> int:
    dagster = Path(sys.executable).parent / "dagster"
    command = [dagster, "dev", "--workspace", ROOT / "workspace.yaml", "--host", "127.0.0.1", "--port", str(PORT)]
    # A session of its own: Ctrl-C reaches this process alone, which then ends the rest in order.
    server = subprocess.Popen(
        [*map(str, command), "--log-level", "warning"], env=environment, cwd=ROOT, start_new_session=True
    )

    def stop(number: int, frame: FrameType | None) -> None:
        server.send_signal(signal.SIGINT)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    try:
        if _answers(server):
            print(
                f"\nDagster UI   {ADDRESS}\n"
                f"store        {environment['CHESTGAN_STORE']} at {environment.get('AWS_ENDPOINT_URL', 'AWS')}\n"
                f"state        {home()}\n"
                "Ctrl-C ends all of it.\n",
                file=sys.stderr,
            )
        status = server.wait()
    finally:
        _end_group(server)
    return 0 if status in (0, -signal.SIGINT, 130) else 1


def _answers(server: subprocess.Popen[bytes]) -> bool:
    """Wait until the webserver answers; False when it ended first."""
    while server.poll() is None:
        try:
            with urllib.request.urlopen(f"{ADDRESS}/server_info", timeout=2):  # noqa: S310 a fixed http address
                return True
        except OSError:
            time.sleep(0.5)
    return False


def _end_group(server: subprocess.Popen[bytes]) -> None:
    """Nothing that was started may stay: code servers and run workers are in the same process group."""
    for number, patience in ((signal.SIGTERM, 20.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(server.pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            server.poll()
            try:
                os.killpg(server.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
