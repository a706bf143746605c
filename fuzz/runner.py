"""Gives inputs to a worker, watches it, and judges what came of each.

In: a kind and a seed. Out: a `Verdict`. The worker is started again after it died or was killed.
"""

import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

MAX_MEMORY_BYTES = 2**30
# Processor time of one input, and time of the clock in which a process that waits must move on.
MAX_CPU_SECONDS, MAX_IDLE_SECONDS = 60.0, 90.0
_START_SECONDS = 300.0
_SHOWN_BYTES = 1_000_000
# What a terminal acts on. Line ends and tabs are those of this project's own layout.
_PLAIN = frozenset("\n\t")
# Blanks other than the space are harmless, and are no part of isprintable.
_BLANKS = frozenset(
    "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
)


@dataclass(frozen=True)
class Verdict:
    """seed: names the input together with its kind. result: as in kind.Outcome. problem: what must not happen, else
    empty. memory: bytes above those before the input.
    """

    seed: int
    result: str
    problem: str = ""
    seconds: float = 0.0
    memory: int = 0
    details: str = ""


class Runner:
    """One worker of one kind. scratch: a folder of its own. keep: where inputs with a problem are copied to."""

    def __init__(self, module: str, seeds: Path, scratch: Path, keep: Path | None = None) -> None:
        self._module, self._seeds, self._scratch, self._keep = module, seeds, scratch, keep
        self._kind: Any = import_module(module)
        self._process: subprocess.Popen[str] | None = None
        self._answers = -1
        scratch.mkdir(parents=True, exist_ok=True)

    def run(self, seed: int) -> Verdict:
        """Make the input of a seed, and have it read."""
        folder = self._scratch / "input"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        rng = random.Random(f"{self._module.rpartition('.')[2]} {seed}")
        try:
            facts = self._kind.make(rng, self._seeds, folder)
        except Exception:
            return Verdict(
                seed, "refused", "the input could not be made", details=traceback.format_exc()[-3000:]
            )
        if self._process is None:
            self._start()
        started = time.monotonic()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"folder": str(folder), "facts": facts}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died; the answer is missing
        line, hangs = self._answer(MAX_CPU_SECONDS, MAX_IDLE_SECONDS)
        seconds = time.monotonic() - started
        if line is None:
            problem = "hangs" if hangs else self._death()
            self.close()
            verdict = Verdict(seed, "refused", problem, seconds, details=self._printed("stderr")[-3000:])
        else:
            answer = json.loads(line)
            problem = answer["problem"] or self._fault_of_output()
            if answer["memory"] > MAX_MEMORY_BYTES:
                problem = problem or f"took {answer['memory'] / 2**20:.0f} MiB"
                self.close()  # what it keeps must not count for the next input
            verdict = Verdict(seed, answer["result"], problem, seconds, answer["memory"], answer["traceback"])
        if verdict.problem and self._keep is not None:
            target = self._keep / f"{self._module.rpartition('.')[2]}-{seed}"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(folder, target, symlinks=True, ignore=_special_files)
        return verdict

    def close(self) -> None:
        """End the worker, and what it started."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(self._answers)

    def _start(self) -> None:
        reading, writing = os.pipe()
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
            "CHESTGAN_HOME": str(self._scratch / "home"),
            "TMPDIR": str(self._scratch),
            "PYTHONUNBUFFERED": "",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fuzz.worker", self._module, str(writing), str(self._scratch)],
            stdin=subprocess.PIPE,
            text=True,
            pass_fds=[writing],
            env=environment,
            start_new_session=True,
        )
        os.close(writing)
        self._answers = reading
        line, _ = self._answer(_START_SECONDS, _START_SECONDS)
        if line != "ready":
            problem = f"the worker does not start: {self._printed('stderr')[-2000:]}"
            self.close()
            raise RuntimeError(problem)

    def _answer(self, cpu_seconds: float, idle_seconds: float) -> tuple[str | None, bool]:
        """The next line, None where none comes; and whether the process hangs."""
        assert self._process is not None
        start = used = self._cpu()
        moved = time.monotonic()
        text = b""
        while True:
            ready, _, _ = select.select([self._answers], [], [], 1.0)
            if ready:
                block = os.read(self._answers, 1 << 16)
                if not block:
                    return None, False
                text += block
                if text.endswith(b"\n"):
                    return text.decode().strip(), False
            now = self._cpu()
            if now > used + 0.05:
                used, moved = now, time.monotonic()
            if used - start > cpu_seconds or time.monotonic() - moved > idle_seconds:
                return None, True

    def _cpu(self) -> float:
        """Seconds of the processor that the worker and its children have used."""
        assert self._process is not None
        total = 0.0
        for pid in _family(self._process.pid):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
        return total

    def _death(self) -> str:
        assert self._process is not None
        try:
            status = self._process.wait(10)
        except subprocess.TimeoutExpired:
            return "closed its pipe"
        return f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"

    def _printed(self, name: str) -> str:
        path = self._scratch / name
        return path.read_bytes()[:_SHOWN_BYTES].decode(errors="backslashreplace") if path.exists() else ""

    def _fault_of_output(self) -> str:
        for name in ("stdout", "stderr"):
            text = self._printed(name)
            if "Traceback (most recent call last)" in text:
                return "prints a traceback"
            found = {one for one in text if not (one.isprintable() or one in _PLAIN or one in _BLANKS)}
            if found:
                return f"prints {', '.join(f'U+{ord(one):04X}' for one in sorted(found)[:5])}"
        return ""


def _family(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        try:
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        except OSError:
            continue
        found += map(int, children.split())
    return found


def _special_files(folder: str, names: list[str]) -> list[str]:
    paths = ((name, Path(folder, name)) for name in names)
    return [name for name, path in paths if not (path.is_symlink() or path.is_file() or path.is_dir())]
