"""Where messages go: through `logging` to standard error, as plain lines for people or as JSON for machines.

In: records of any logger, and with $CHESTGAN_LOG=json whatever else is written to standard error (print, warnings,
tracebacks, libraries). Out: lines; as JSON one object each, {"time", "level", "run", "step", "partition", "message"},
the three in the middle only while a step runs. What is written in one go is one object, so a traceback stays together.
An object that is written as such (servers of Dagster with --log-format json) passes unchanged. What compiled libraries
write past Python stays as they write it.

Modules of chestgan use `logging.getLogger(__name__)`. Only programs call configure_logging: the command line, `make
demo`, what Dagster loads, processes that a training starts. A notebook that imports chestgan_core sees no messages
until it configures logging itself.
"""

import io
import json
import logging
import re
import sys
import threading
from datetime import UTC, datetime
from typing import Any, TextIO

from chestgan_core.escaping import escaped, escaped_json, escaped_lines
from chestgan_core.local.environment import choice_from_environment

VARIABLE = "CHESTGAN_LOG"
# A module that is started with `python -m` logs as __main__.
OURS = ("chestgan", "chestgan_core", "chestgan_assets", "chestgan_portal", "chestgan_web", "__main__")
LINES = {"lines": True}  # for `extra`: the message has several lines on purpose
# Of these, only errors: their warnings say nothing that a person could act on.
QUIET_LIBRARIES = ("botocore", "boto3", "urllib3", "s3transfer", "matplotlib", "pydicom", "PIL")
_CLEAR_LINE = "\r\033[K"


class JsonLines(io.TextIOBase):
    """Standard error as JSON: a text stream in front of another one.

    context: run, step and partition of the step that this process runs, or ran last; fields of every line. ignored:
    text that begins like this is dropped, because somebody else writes it too.
    """

    def __init__(self, out: TextIO) -> None:
        super().__init__()
        self.context: dict[str, str] = {}
        self.ignored: re.Pattern[str] | None = None
        self._out = out
        self._pending = threading.local()  # print() writes its end apart, and other threads print in between
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        """Text is kept until a line ends with it; its level is INFO."""
        pending = getattr(self._pending, "text", "") + text
        complete = pending.endswith("\n")
        self._pending.text = "" if complete else pending
        message = pending.rstrip()
        if complete and message and not (self.ignored and self.ignored.match(message)):
            self.log("INFO", message)
        return len(text)

    def log(self, level: str, message: str, **fields: str) -> None:
        """Write one object. fields: beside or instead of those of the context."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        values = {"time": now, "level": level, **self.context, **fields, "message": message}
        line = escaped_json(message if _is_object(message) else json.dumps(values, ensure_ascii=False))
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
        """Never: a line that rewrites itself cannot be JSON."""
        return False

    def writable(self) -> bool:
        """It is for nothing else."""
        return True


class EscapedFormatter(logging.Formatter):
    """Messages in which a path, a key or a header value cannot act on a terminal, nor begin a line of its own.

    A message of chestgan is one line, unless the record says `extra=LINES`: text that was laid out in lines, with
    values that are escaped already. Of libraries the lines stay, indented, so that none looks like a message. Lines of
    tracebacks stay.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The message without the traceback, escaped."""
        message = super().formatMessage(record)
        if getattr(record, "lines", False):
            return escaped_lines(message)
        if record.name.partition(".")[0] in OURS:
            return escaped(message)
        return escaped_lines(message).replace("\n", "\n    ")

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """The traceback, escaped."""
        return escaped_lines(super().formatException(ei))


class StandardError(logging.Handler):
    """Writes records to standard error as it is at that moment: Dagster and pytest replace it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(EscapedFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, unless a handler of a logger below the root has it already (those of Dagster, Optuna)."""
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None and logger.parent is not None:
            if logger.handlers:
                return
            logger = logger.parent
        try:
            text, stream = self.format(record), sys.stderr
            if isinstance(stream, JsonLines):
                stream.log(record.levelname, text)
            else:
                # A progress line may stand there.
                stream.write((_CLEAR_LINE if stream.isatty() else "") + text + "\n")
                stream.flush()
        except Exception:
            self.handleError(record)


def configure_logging() -> JsonLines | None:
    """Send all messages to standard error, from INFO for chestgan and from WARNING for libraries.

    Calling it again changes nothing. Returns the stream where $CHESTGAN_LOG is json, None where lines are plain.
    Raises BadInput: another value; messages are plain then.
    """
    root = logging.getLogger()
    if not any(isinstance(handler, StandardError) for handler in root.handlers):
        root.addHandler(StandardError())
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(logging.ERROR)
    if not choice_from_environment(VARIABLE, ("json",)):
        return None
    if not isinstance(sys.stderr, JsonLines):
        sys.stderr = JsonLines(sys.stderr)
    return sys.stderr


def _is_object(message: str) -> bool:
    try:
        return message.startswith("{") and "\n" not in message and isinstance(json.loads(message), dict)
    except ValueError:
        return False
