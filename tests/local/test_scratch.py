"""Folders of running steps: removed afterwards, also when the process was killed, and never those of others."""

import signal
import subprocess
import sys
from pathlib import Path

from chestgan_core.local.scratch import scratch_folder

HOLD = """
import sys
from pathlib import Path
from chestgan_core.local.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "slice.dcm").write_bytes(b"DICM")
    print("there", flush=True)
    input()
"""


def test_a_folder_is_gone_afterwards_and_nobody_else_can_open_the_shelf(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        (folder / "slice.dcm").write_bytes(b"DICM")
        assert (tmp_path / "scratch").stat().st_mode & 0o077 == 0
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_one_and_what_is_in_use_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with scratch_folder(tmp_path):
            assert len(list(tmp_path.rglob("slice.dcm"))) == 1
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(list(tmp_path.rglob("slice.dcm"))) == 1
    with scratch_folder(tmp_path):
        assert not list(tmp_path.rglob("slice.dcm"))
