"""Output folders are empty or ours, and of one writer at a time; nothing is left of what did not come into being."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chestgan_core.errors import BadInput, DiskFull
from chestgan_core.local.files import replacing, sweep
from chestgan_core.local.output import MARKER, output_folder, require_output_folder


def test_a_new_an_empty_and_our_own_folder_are_written_into(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".DS_Store").touch()
    for name in ("new/deep", "empty"):
        for _ in range(2):
            with output_folder(tmp_path / name, "a report") as folder:
                (folder / "report.json").write_text("{}")
        assert (tmp_path / name / "report.json").exists()


@pytest.mark.parametrize("name", ["README.md", "config.json", "checkpoint.pt", "folder/x"])
def test_files_of_somebody_else_stay(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    for attempt in (require_output_folder, lambda *a: output_folder(*a).__enter__()):
        with pytest.raises(BadInput, match="holds files that are not of a report; give an empty folder"):
            attempt(tmp_path, "a report")
    assert (tmp_path / name).read_text() == "mine"
    assert not (tmp_path / MARKER).exists()


def test_what_a_folder_holds_is_not_mixed_with_something_else(tmp_path: Path) -> None:
    with output_folder(tmp_path / "a", "the set", "tiny v1") as folder:
        (folder / "x").touch()
    with pytest.raises(BadInput, match="holds the set tiny v1, not the set tiny v2; give another folder"):
        require_output_folder(tmp_path / "a", "the set", "tiny v2")
    with pytest.raises(BadInput, match="holds the set tiny v1, not a training"):
        require_output_folder(tmp_path / "a", "a training")
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadInput), output_folder(path, "a training"):
            pass


def test_a_second_writer_is_refused_or_waits(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from chestgan_core.local.output import output_folder\n"
        f"with output_folder(Path({str(tmp_path / 'a')!r}), 'a training'):\n"
        "    print('mine', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert other.stdin
        assert other.stdout.readline() == "mine\n"
        with (
            pytest.raises(BadInput, match="another process is writing into it; wait until it has ended"),
            output_folder(tmp_path / "a", "a training"),
        ):
            pass
        other.stdin.close()
        with output_folder(tmp_path / "a", "a training", wait=True):
            pass


def test_nothing_is_left_of_what_did_not_come_into_being(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), output_folder(tmp_path / "a", "a report"):
        1 / 0  # noqa: B018
    (tmp_path / "b").mkdir()
    with pytest.raises(ZeroDivisionError), output_folder(tmp_path / "b", "a report"):
        1 / 0  # noqa: B018
    assert [path.name for path in tmp_path.rglob("*")] == ["b"]


def test_a_full_disk_is_one_line_and_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with (
        pytest.raises(DiskFull, match=r"cannot be written .* free some space"),
        output_folder(tmp_path / "a", "x"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(ConnectionResetError), output_folder(tmp_path / "a", "x"):
        raise ConnectionResetError(errno.ECONNRESET, "reset")


LIMITED = """
import resource, sys
from pathlib import Path
from chestgan_core.errors import DiskFull
from chestgan_core.local.files import replacing
import numpy, torch
from PIL import Image
from safetensors.torch import save_file
noise = numpy.random.default_rng(0).integers(0, 255, (900, 900), "u1")
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
folder = Path(sys.argv[1])
writers = {
    "torch": lambda path: torch.save({"a": torch.zeros(10**6)}, path),
    "safetensors": lambda path: save_file({"a": torch.zeros(10**6)}, path),
    "bytes": lambda path: path.write_bytes(bytes(10**6)),
    "pillow": lambda path: Image.fromarray(noise).save(path, "PNG"),
}
for name, write in writers.items():
    try:
        with replacing(folder / name) as path:
            write(path)
    except DiskFull as error:
        print(name, error)
"""


def test_every_library_that_meets_a_full_disk_says_so_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        f"{name} {tmp_path / name}" for name in ("torch", "safetensors", "bytes", "pillow")
    ], done.stderr
    assert all("cannot be written (File too large); raise ulimit -f" in line for line in lines)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next_writer(tmp_path: Path) -> None:
    program = (
        "import os, sys, signal; from pathlib import Path; from chestgan_core.local.files import replacing\n"
        f"with replacing(Path({str(tmp_path / 'a')!r})) as path:\n"
        "    path.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program])
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".a.")
    (tmp_path / ".mine.part").touch()
    with replacing(tmp_path / "b") as running:
        running.touch()
        sweep(tmp_path)
        assert running.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mine.part", "b"]


def test_what_another_machine_left_is_removed_after_a_day(tmp_path: Path) -> None:
    left = tmp_path / ".a.00000000-1-00000000.part"
    left.touch()
    sweep(tmp_path)
    assert left.exists()
    os.utime(left, (0, 0))
    sweep(tmp_path)
    assert not left.exists()
