"""Dagster's records of a run as JSON lines, in the format of chestgan_core/local/log_lines.py.

Input: log records with Dagster's metadata; dagster.yaml names the handler (deploy/dagster.yaml). Output: objects on
standard error with run, step, partition and type of the event. Without CHESTGAN_LOG=json it writes nothing, as Dagster
writes coloured lines itself. Webserver, daemon and code server have `--log-format json` for their own messages.
"""

import logging
import re
from typing import TYPE_CHECKING

from chestgan_assets.tags import partitions_in_words
from chestgan_core.local.log_lines import JsonLines, configure_logging

if TYPE_CHECKING:
    from chestgan_assets.execution.dagster_internals import DagsterLogRecordMetadata

# Dagster writes every record to the console too, and has no setting that prevents it.
_CONSOLE_COPY = re.compile(
    r"(\x1b\[[0-9;]*m)*\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}(\x1b\[[0-9;]*m)* - dagster - "
)


class DagsterLines(logging.Handler):
    """Handles the records of Dagster, and learns from them which step this process executes."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = configure_logging()
        if self._lines:
            self._lines.ignored = _CONSOLE_COPY

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record. Dagster puts run, step and tags into record.dagster_meta."""
        if self._lines is None:
            return
        try:
            self._write(self._lines, record)
        except Exception:
            self.handleError(record)

    def _write(self, lines: JsonLines, record: logging.LogRecord) -> None:
        meta: DagsterLogRecordMetadata | None = getattr(record, "dagster_meta", None)
        if meta is None:
            lines.log(record.levelname, record.getMessage())
            return
        event = meta["dagster_event"]
        kind = event.event_type_value if event else ""
        # The first event of a captured log names its steps elsewhere: a single one where each step has a process.
        captured = event.logs_captured_data.step_keys if event and kind == "LOGS_CAPTURED" else []
        step = meta["step_key"] or (captured[0] if len(captured) == 1 else None)
        values = {
            "run": meta["run_id"],
            "step": step,
            "partition": partitions_in_words(meta["job_tags"]),
        }
        context = {name: value for name, value in values.items() if value}
        if kind in ("LOGS_CAPTURED", "STEP_START"):
            lines.context = context
        message = meta["orig_message"]
        if event and (error := getattr(event.event_specific_data, "error", None)):
            message = f"{message}\n{error.to_string()}"
        lines.log(record.levelname, message, **context, **({"event": kind} if kind else {}))
