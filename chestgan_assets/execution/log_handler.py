"""What Dagster says of a run as JSON lines, in the form of chestgan_core/local/log_lines.py.

In: log records with Dagster's metadata; dagster.yaml names the handler (deploy/dagster.yaml). Out: objects on standard
error with run, step, partition and the kind of event. Without CHESTGAN_LOG=json it writes nothing: Dagster's own
coloured lines are there then. Webserver, daemon and code server have `--log-format json` for what they say.
"""

import logging
import re
from typing import TYPE_CHECKING

from chestgan_assets.tags import PARTITION_TAG
from chestgan_core.local.log_lines import JsonLines, configure_logging

if TYPE_CHECKING:
    from chestgan_assets.execution.dagster_internals import DagsterLogRecordMetadata

# Dagster writes every record to the console too, and has no setting against it.
_TWIN = re.compile(r"(\x1b\[[0-9;]*m)*\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}(\x1b\[[0-9;]*m)* - dagster - ")


class DagsterLines(logging.Handler):
    """Records of Dagster; by those of a step it knows which step this process runs."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = configure_logging()
        if self._lines:
            self._lines.ignored = _TWIN

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record. Dagster puts run, step and tags into record.dagster_meta."""
        if self._lines is None:
            return
        try:
            self._tell(self._lines, record)
        except Exception:
            self.handleError(record)

    def _tell(self, lines: JsonLines, record: logging.LogRecord) -> None:
        told: DagsterLogRecordMetadata | None = getattr(record, "dagster_meta", None)
        if told is None:
            lines.log(record.levelname, record.getMessage())
            return
        event = told["dagster_event"]
        kind = event.event_type_value if event else ""
        # The first event of a captured log names the steps in another place: one, where each has a process.
        captured = event.logs_captured_data.step_keys if event and kind == "LOGS_CAPTURED" else []
        step = told["step_key"] or (captured[0] if len(captured) == 1 else None)
        found = {
            "run": told["run_id"],
            "step": step,
            "partition": told["job_tags"].get(PARTITION_TAG),
        }
        where = {name: value for name, value in found.items() if value}
        if kind in ("LOGS_CAPTURED", "STEP_START"):
            lines.context = where
        message = told["orig_message"]
        if event and (error := getattr(event.event_specific_data, "error", None)):
            message = f"{message}\n{error.to_string()}"
        lines.log(record.levelname, message, **where, **({"event": kind} if kind else {}))
