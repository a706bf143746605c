"""What is written on standard error as JSON, one object a line, where CHESTGAN_LOG=json says so.

In: text as print, Progress, warnings and libraries write it. Out: {"time", "level", "run", "step", "partition",
"message"}; the three in the middle only while a step runs. What is written in one go is one object, so a traceback
stays together. An object that is written as such (servers of Dagster with --log-format json) passes as it is.
What compiled libraries write past Python stays as they write it.
"""

import io
import json
import os
import re
import sys
import threading
from datetime import UTC, datetime
from typing import TextIO

from chestgan_core.errors import BadInput

SETTING = "CHESTGAN_LOG"


class JsonLines(io.TextIOBase):
    """A text stream in front of another one. where: run, step and partition of the step that this process runs, or ran
    last. leave_out: what begins like this is told by somebody else.
    """

    def __init__(self, out: TextIO) -> None:
        super().__init__()
        self.where: dict[str, str] = {}
        self.leave_out: re.Pattern[str] | None = None
        self._out = out
        self._begun = threading.local()  # print() writes its end apart, and other threads print in between
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        """Text is kept until a line ends with it."""
        begun = getattr(self._begun, "text", "") + text
        ended = begun.endswith("\n")
        self._begun.text = "" if ended else begun
        said = begun.rstrip()
        if ended and said and not (self.leave_out and self.leave_out.match(said)):
            self.say("INFO", said)
        return len(text)

    def say(self, level: str, message: str, **more: str) -> None:
        """One object. more: fields beside or instead of those of the step."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        told = {"time": now, "level": level, **self.where, **more, "message": message}
        line = message if _is_object(message) else json.dumps(told, ensure_ascii=False)
        with self._lock:
            self._out.write(line + "\n")
            self._out.flush()

    def flush(self) -> None:
        """Whole lines are written at once; there is nothing more to do."""
        self._out.flush()

    def fileno(self) -> int:
        """That of the stream behind: Dagster and pytest redirect by it."""
        return self._out.fileno()

    def isatty(self) -> bool:
        """Never: a line that rewrites itself is no JSON."""
        return False

    def writable(self) -> bool:
        """It is for nothing else."""
        return True


def as_json_lines() -> JsonLines | None:
    """From here on standard error is JSON, if $CHESTGAN_LOG says json; returns the stream, None where it is plain text.

    Calling it again returns the same. Raises BadInput: another value.
    """
    told = os.environ.get(SETTING, "")
    if told not in ("", "json"):
        raise BadInput(SETTING, f"is {told!r}", "set it to json, or not at all")
    if not told:
        return None
    if not isinstance(sys.stderr, JsonLines):
        sys.stderr = JsonLines(sys.stderr)
    return sys.stderr


def print_error(text: str) -> None:
    """As print to standard error; as JSON its level is ERROR."""
    if isinstance(sys.stderr, JsonLines):
        sys.stderr.say("ERROR", text.rstrip())
    else:
        print(text, file=sys.stderr)


def _is_object(message: str) -> bool:
    try:
        return message.startswith("{") and "\n" not in message and isinstance(json.loads(message), dict)
    except ValueError:
        return False
