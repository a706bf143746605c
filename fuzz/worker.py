"""The process that reads inputs, and may die of them.

In: the module of a kind as argument; on standard input one line of JSON for each input, its folder and facts. Out: one
line of JSON on the file descriptor that the second argument names: the outcome, the traceback if there was one, and the
largest memory. Everything that is printed goes to files in the folder that the third argument names.
"""

import importlib
import json
import os
import resource
import sys
import traceback
from pathlib import Path
from typing import Any

# Address space above what the process has after its imports. Enough for what libraries reserve and do not use; what is
# used is measured.
HEADROOM_BYTES = 3 * 2**30


def main() -> None:
    """Read inputs until standard input ends."""
    module, answer_to, scratch = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(scratch / name, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
    kind = importlib.import_module(module)
    if warm_up := getattr(kind, "warm_up", None):
        warm_up()
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + HEADROOM_BYTES, size + HEADROOM_BYTES))
    with os.fdopen(answer_to, "w") as answers:
        answers.write("ready\n")
        answers.flush()
        for line in sys.stdin:
            job = json.loads(line)
            answers.write(json.dumps(_read(kind, Path(job["folder"]), job["facts"])) + "\n")
            answers.flush()


def _read(kind: Any, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    for number in (1, 2):
        os.lseek(number, 0, os.SEEK_SET)
        os.ftruncate(number, 0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _memory("VmRSS")
    answer: dict[str, Any] = {"result": "refused", "problem": "", "traceback": ""}
    try:
        answer |= vars(kind.read(folder, facts))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        frame = traceback.extract_tb(error.__traceback__)[-1]
        answer["problem"] = (
            f"{type(error).__name__} in {Path(frame.filename).name}:{frame.lineno} {frame.name}"
        )
        answer["traceback"] = "".join(traceback.format_exception(error))[-4000:]
    sys.stdout.flush()
    sys.stderr.flush()
    # The peak of a child is that of its life: a decoder that lives on counts for the next inputs too.
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    answer["memory"] = max(_memory("VmHWM") - before, *(_memory("VmHWM", pid) for pid in children), 0)
    return answer


def _memory(name: str, pid: str = "self") -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has ended
        return 0
    for line in status.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()
