"""What one GPU makes of it, in one command and at most so many minutes, as Markdown tables.

In: `python -m bench.gpu`, minutes, slices to train on and held-out ones of other patients (phantoms are generated
where there are none). Out: on standard output the tables, always, also where the time was over before all parts; with
--out contact sheets and runs (of people: keep them private). Parts: images/s of the loop of the thesis system, of the
loop of DCGAN tutorials and of ours in several ways to compute it; two trainings at once; a resumed training; a batch
that does not fit; two recipes, each trained for a quarter of the time and scored. Each part has its share of the time,
what it leaves goes to those after it, and is a process of its own, ended when its time is over.
With --device cpu the same with tiny networks, to see that the command works: its numbers mean nothing.
"""

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Any

from bench.gpu_tables import report
from chestgan_core.errors import NotAvailable
from chestgan_core.local.log_lines import configure_logging

ROOT = Path(__file__).parent.parent
log = logging.getLogger("chestgan.bench")
SCORED = ("lung-r3-128", "lung-projected-128")  # where a name is not known, its family at that size
# Parts and their shares of the time. Few parts: on an H200 each process took 12 s before its first step was done.
SHARES = {
    "speed": 0.28,
    "compile": 0.10,
    "two": 0.05,
    "resume": 0.08,
    SCORED[0]: 0.25,
    SCORED[1]: 0.24,
}
ONLY_ON_GPUS = ("compile",)
PHANTOMS = {"cuda": (128, 18, 40), "cpu": (32, 4, 16)}  # pixels, patients, slices of each
NEEDS_GPU = "needs a GPU"
END_SECONDS = 3.0  # before its time is over a part prints what it has


@dataclass
class Part:
    """What came of one part. lines: what it printed, parsed. end: why it printed no more; empty: it was complete."""

    name: str
    lines: list[dict[str, Any]] = field(default_factory=list)
    end: str = ""


def main() -> int:
    """Run the parts one after the other, print the tables; exit status 1 when one failed or was not reached."""
    configure_logging()
    args = _arguments()
    if args.part:
        deadline = time.monotonic() + args.seconds  # before PyTorch is imported, which takes seconds
        from bench.gpu_parts import run_part

        run_part(args.part, args.device, args.data, args.held_out, args.out, deadline)
        return 0
    from chestgan_core.training.devices import pick_device

    try:
        pick_device(args.device)
    except NotAvailable as error:
        log.error(error)
        return 2
    with tempfile.TemporaryDirectory(prefix="chestgan-gpu-") as scratch:
        args.out = args.out or Path(scratch)
        args.out.mkdir(parents=True, exist_ok=True)
        if not args.data:
            args.data, args.held_out = _phantoms(args.out, args.device)
        begun = time.monotonic()
        parts = list(_parts(args, begun))
        print(report(parts, args.device, time.monotonic() - begun))
    return 0 if all(part.end in ("", NEEDS_GPU) for part in parts) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="for everything but the making of phantoms"
    )
    parser.add_argument("--out", type=Path, help="for contact sheets, runs and phantoms")
    parser.add_argument("--data", type=Path, nargs="+", help="slices to train on, of chestgan normalize")
    parser.add_argument("--held-out", type=Path, nargs="+", help="slices of other patients")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if bool(args.data) != bool(args.held_out):
        parser.error("give both --data and --held-out, or neither")
    return args


def _phantoms(out: Path, device: str) -> tuple[list[Path], list[Path]]:
    """train.safetensors and held-out.safetensors of generated patients, unless they are there."""
    from bench.sides import write_sides
    from chestgan_core.config.dataset import dataset_named
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.slices.normalization import normalize
    from chestgan_core.slices.recipe import NormalizationRecipe
    from chestgan_core.sources.phantom.source import generated_folder

    size, patients, slices = PHANTOMS[device]
    folder = out / f"phantoms-{size}"
    sides = [folder / f"{side}.safetensors" for side in ("train", "held-out")]
    if not all(side.is_file() for side in sides):
        folder.mkdir(parents=True, exist_ok=True)
        known: Any = dataset_named("phantom").source
        files = generated_folder(known.model_copy(update={"patients": patients, "slices": slices}), folder)
        write_sides(normalize([files], NormalizationRecipe(size=size), Pseudonyms()).shard, folder, 0.5)
    return [sides[0]], [sides[1]]


def _parts(args: argparse.Namespace, begun: float) -> Iterator[Part]:
    total, share = 60 * args.minutes, 0.0
    for name, own in SHARES.items():
        share += own
        if args.device == "cpu" and name in ONLY_ON_GPUS:
            yield Part(name, end=NEEDS_GPU)
            continue
        seconds = begun + share * total - time.monotonic()
        if seconds < 2 * END_SECONDS:
            yield Part(name, end="not reached, the time was over")
            continue
        log.info(f"{name}: {seconds:.0f} s")
        yield _two(args, seconds) if name == "two" else _in_a_process(name, args, seconds)


def _command(name: str, args: argparse.Namespace, seconds: float) -> list[str]:
    command = [sys.executable, "-m", "bench.gpu", "--part", name, "--seconds", f"{seconds:.1f}"]
    command += ["--device", args.device, "--out", f"{args.out.absolute()}"]
    command += ["--data", *(f"{path.absolute()}" for path in args.data)]
    return [*command, "--held-out", *(f"{path.absolute()}" for path in args.held_out)]


def _environment() -> dict[str, str]:
    # cuBLAS is deterministic only with a workspace of its own for each stream.
    return {**os.environ, "CUBLAS_WORKSPACE_CONFIG": ":4096:8", "PYTHONUNBUFFERED": "1"}


def _in_a_process(name: str, args: argparse.Namespace, seconds: float) -> Part:
    """Its lines until it ends or its time is over. Messages and progress go to standard error, as of every program."""
    part, started = Part(name), time.monotonic()
    command = _command(name, args, max(seconds - END_SECONDS, 1.0))
    process = subprocess.Popen(
        command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    timer = Timer(seconds + END_SECONDS, _kill, [process])
    timer.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                part.lines.append(json.loads(line))
        process.wait()
    finally:
        timer.cancel()
        _kill(process)
    if process.returncode == -signal.SIGKILL:
        part.end = f"ended after {time.monotonic() - started:.0f} s, its time was over"
    elif process.returncode:
        part.end = f"failed with status {process.returncode}; standard error says why"
    return part


def _kill(process: "subprocess.Popen[str]") -> None:
    """The process and what it started (its session)."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _kill_all(processes: "Sequence[subprocess.Popen[str]]") -> None:
    for process in processes:
        _kill(process)


def _two(args: argparse.Namespace, seconds: float) -> Part:
    """Two trainings in two processes: one of them alone, then both at once."""
    part, started = Part("two"), time.monotonic()
    processes = [
        subprocess.Popen(
            _command("stepper", args, seconds), cwd=ROOT, env=_environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    timer = Timer(seconds + END_SECONDS, _kill_all, [processes])
    timer.start()
    try:
        for process in processes:
            _answer(process, "ready")
        each = max((seconds - (time.monotonic() - started)) / 4, 0.5) if args.device == "cuda" else 0.5
        alone = [_rates(processes[:1], each)[0]]
        both = _rates(processes, each)
        alone.append(_rates(processes[1:], each)[0])
        part.lines.append({"two": {"alone": alone, "both": both}})
    except (OSError, ValueError) as error:
        part.end = f"failed: {error or 'a process ended'}; standard error says why"
    finally:
        timer.cancel()
        _kill_all(processes)
    return part


def _rates(processes: "Sequence[subprocess.Popen[str]]", seconds: float) -> list[float]:
    """images/s of each, at the same time."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(f"{seconds}\n")
        process.stdin.flush()
    return [float(_answer(process)) for process in processes]


def _answer(process: "subprocess.Popen[str]", expected: str = "") -> str:
    """The next line of it. Raises ValueError: there is none, or another than expected."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line or (expected and line != expected):
        raise ValueError(f"a training said {line!r}")
    return line


if __name__ == "__main__":
    sys.exit(main())
