"""DICOM files to an archive by STOW-RS: `chestgan sets send`.

In: a folder of synthetic DICOM files, the address of a DICOMweb service. Out: the files are there, as far as the server
names them in its answers, or a line says why not. What it has acknowledged is recorded in the folder
(stow_record.py), so the same command sends the rest, whatever ended it before. A file that arrives twice changes
nothing: its UID and its bytes are the same.

Files go in batches of some bytes. What an answer does not settle, because the batch was too large, the connection
broke or the server said nothing of it, goes again in halves; a file that is not settled alone has failed. Until the
first file is acknowledged they go one by one: a wrong address costs little.
"""

import logging
import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chestgan_core.errors import ChestganError, SourceRefused, SourceUnreachable
from chestgan_core.escaping import escaped
from chestgan_core.local.files import open_regular
from chestgan_core.local.progress import ByteProgress
from chestgan_core.publishing.dicom_export.stow_answer import Settled, settled_by
from chestgan_core.publishing.dicom_export.stow_files import Others, Outgoing, outgoing_files
from chestgan_core.publishing.dicom_export.stow_record import SentRecord, sent_record
from chestgan_core.publishing.dicom_export.stow_request import Answer, Archive, CutOff
from chestgan_core.sources.download.retry import FIRST_WAIT, with_retries

log = logging.getLogger(__name__)

BATCH_BYTES = 32 * 2**20
BATCH_FILES = 1000
MAX_UNSETTLED = 10  # files one after the other, while none is acknowledged
MAX_BROKEN = 3  # connections, while one file is sent
SHOWN_FAILURES = 50
_TOO_LARGE = 413


@dataclass(frozen=True)
class Failure:
    """A file that the archive did not store, and why. name: below the folder."""

    name: str
    uid: str
    reason: str

    def line(self) -> str:
        """For a terminal."""
        return escaped(f"{self.name}: {self.reason}")


@dataclass
class Sent:
    """files = sent + before + failed: files to send, what this call sent, what an earlier one had. left_out: others in
    the folder. warnings: stored, with a remark of the archive. bytes: that were sent. seconds: it took.
    """

    folder: Path
    address: str
    files: int
    left_out: int
    sent: int = 0
    before: int = 0
    bytes: int = 0
    seconds: float = 0.0
    failed: list[Failure] = field(default_factory=list)
    warnings: list[Failure] = field(default_factory=list)

    @property
    def exit_status(self) -> int:
        """1 where a file is not there."""
        return int(bool(self.failed))

    def as_json(self) -> dict[str, Any]:
        """For json.dumps."""
        return {
            **vars(self),
            "folder": str(self.folder),
            "failed": [vars(one) for one in self.failed],
            "warnings": [vars(one) for one in self.warnings],
            "exit_status": self.exit_status,
        }

    def lines(self) -> list[str]:
        """For people: one for each failure, the first of them where there are many."""
        speed = f", {self.bytes / 1e6 / self.seconds:.1f} MB/s" if self.sent and self.seconds else ""
        lines = [
            f"{self.sent} files sent to {self.address} ({self.bytes / 1e6:.1f} MB{speed}), {self.before} sent before, "
            f"{len(self.failed)} not stored; {self.left_out} other files left out"
        ]
        for label, ones in (("not stored", self.failed), ("stored, but", self.warnings)):
            lines += [f"  {label}  {one.line()}" for one in ones[:SHOWN_FAILURES]]
            if len(ones) > SHOWN_FAILURES:
                lines.append(f"  {label}  {len(ones) - SHOWN_FAILURES} more: --json lists all")
        return lines


def send_folder(
    folder: Path,
    address: str,
    *,
    others: Others = "refuse",
    anew: bool = False,
    batch_bytes: int = BATCH_BYTES,
) -> Sent:
    """Send the DICOM files of a folder to an archive.

    Args:
        folder: With the files, also in folders below; it gets a hidden record of what was acknowledged.
        address: Root of the DICOMweb service, such as https://server/dicom-web. Credentials are environment variables
            (stow_request.py).
        others: What is done with DICOM files that do not say that they are synthetic. By default nothing of a folder
            with such a file is sent. What is no DICOM file is left out.
        anew: Send again what the record says was acknowledged.
        batch_bytes: Of the files of one request, but at least one file.

    Returns:
        How many files are there, and why the others are not.

    Raises:
        BadInput: The folder, a file in it, the address or the credentials cannot be used, or another process sends it.
        SourceUnreachable: The server does not answer, also after retries ($CHESTGAN_DOWNLOAD_PATIENCE).
        SourceRefused: It denies access, is no STOW-RS service, or settles nothing. The same command goes on later.
        DiskFull: No space for the record.

    Examples:
        >>> from pathlib import Path
        >>> done = send_folder(Path("demo-dicom"), "https://archive.example/dicom-web")
        >>> done.sent, done.before, done.failed
        (20, 0, [])
    """
    archive = Archive.from_environment(address)
    files, left_out = outgoing_files(folder, others)
    sent = Sent(folder, archive.root, len(files), left_out)
    started = time.monotonic()
    with (
        sent_record(folder, archive.root, anew=anew) as record,
        ByteProgress(f"send  {folder.name}", sum(file.bytes for file in files)) as progress,
    ):
        pending = [file for file in files if not record.has(file)]
        sent.before = len(files) - len(pending)
        progress.present(sum(file.bytes for file in files) - sum(file.bytes for file in pending))
        sending = _Sending(archive, record, sent, progress, batch_bytes)
        try:
            sending.send(pending)
        except (SourceRefused, SourceUnreachable) as error:
            raise _with_state(error, sent) from error
    sent.seconds = time.monotonic() - started
    return sent


def _with_state(error: ChestganError, sent: Sent) -> ChestganError:
    there = sent.sent + sent.before
    cause = f"{error.cause} ({there} of {sent.files} files are there)"
    return type(error)(error.what, cause, f"{error.remedy}; the same command then sends the rest")


class _Sending:
    """The state of one call between the requests."""

    def __init__(
        self, archive: Archive, record: SentRecord, sent: Sent, progress: ByteProgress, batch_bytes: int
    ) -> None:
        self._archive, self._record, self._sent, self._progress = archive, record, sent, progress
        self._limit = batch_bytes
        self._unsettled = 0

    def send(self, files: Sequence[Outgoing]) -> None:
        """Every file once, and again in halves until it is settled or has failed alone."""
        pending, halves = deque(files), deque[list[Outgoing]]()
        while pending or halves:
            batch = halves.popleft() if halves else self._next(pending)
            rest = self._send_batch(batch)
            if len(batch) > 1 and rest:
                middle = (len(rest) + 1) // 2
                halves.extendleft(part for part in (rest[middle:], rest[:middle]) if part)

    def _next(self, pending: deque[Outgoing]) -> list[Outgoing]:
        batch = [pending.popleft()]
        size = batch[0].bytes
        while (
            pending
            and self._sent.sent
            and len(batch) < BATCH_FILES
            and size + pending[0].bytes <= self._limit
        ):
            batch.append(pending.popleft())
            size += batch[-1].bytes
        return batch

    def _send_batch(self, batch: list[Outgoing]) -> list[Outgoing]:
        """Sends it, and returns what its answer left open; of a single file that is a failure."""
        contents = [(file, data) for file in batch if (data := self._content(file)) is not None]
        if not contents:
            return []
        files, several = [file for file, _ in contents], len(contents) > 1
        answer = self._answer([data for _, data in contents])
        if answer is not None and answer.status == _TOO_LARGE and several:
            self._limit = max(1, sum(file.bytes for file in files) // 2)
        rest = files if answer is None else self._settle(files, answer)
        if several or not rest:
            return rest
        reason = _reason(answer)
        self._fail(rest[0], reason)
        if self._sent.sent == 0 or answer is None or answer.status != _TOO_LARGE:
            self._require_hope(reason)
        return []

    def _answer(self, contents: Sequence[bytes]) -> Answer | None:
        """None: the connection broke, again and again where it is one file. A smaller request may pass at once, where a
        server or a proxy has a limit.
        """
        for attempt in range(1 if len(contents) > 1 else MAX_BROKEN):
            time.sleep(FIRST_WAIT * attempt)
            try:
                return with_retries(self._archive.root, lambda: self._archive.send(contents))
            except CutOff:
                log.info(
                    f"{self._archive.root}: the connection broke while {len(contents)} file(s) were sent"
                )
        return None

    def _content(self, file: Outgoing) -> bytes | None:
        try:
            with open_regular(file.path) as opened:
                status = os.fstat(opened.fileno())
                data = opened.read(file.bytes)
        except OSError as error:
            self._fail(file, f"cannot be read ({error.strerror})")
            return None
        if (len(data), status.st_size, status.st_mtime_ns) != (file.bytes, file.bytes, file.changed):
            self._fail(file, "changed while the folder was sent")
            return None
        return data

    def _settle(self, batch: list[Outgoing], answer: Answer) -> list[Outgoing]:
        settled = settled_by(answer.body) or Settled()
        stored = [file for file in batch if file.uid in settled.stored]
        self._record.add(stored)
        for file in stored:
            if warning := settled.stored[file.uid]:
                self._sent.warnings.append(Failure(file.name, file.uid, warning))
        for file in batch:
            if file.uid in settled.failed:
                self._fail(file, settled.failed[file.uid])
        if stored:
            self._unsettled = 0
        size = sum(file.bytes for file in stored)
        self._sent.sent += len(stored)
        self._sent.bytes += size
        self._progress.step(size, f"{len(self._sent.failed)} not stored" if self._sent.failed else "")
        return [file for file in batch if file.uid not in settled.stored and file.uid not in settled.failed]

    def _fail(self, file: Outgoing, reason: str) -> None:
        self._sent.failed.append(Failure(file.name, file.uid, reason))

    def _require_hope(self, reason: str) -> None:
        """Raises SourceRefused where one file after the other gets no answer that says what became of it."""
        self._unsettled += 1
        if self._unsettled >= MAX_UNSETTLED:
            cause = f"settled none of {self._unsettled} files that were sent one by one: {reason}"
            raise SourceRefused(
                self._archive.root, cause, "check that the address is that of a DICOMweb service"
            )


def _reason(answer: Answer | None) -> str:
    """Why an answer settles nothing."""
    if answer is None:
        return f"the connection broke while it was sent, {MAX_BROKEN} times"
    if answer.status == _TOO_LARGE:
        return "the server takes no request of this size (413)"
    if answer.status in (200, 202, 409) and settled_by(answer.body) is None:
        kind = answer.kind or "no type"
        return f"the answer ({answer.status}, {kind}) is not DICOM JSON, so it does not say what was stored"
    if answer.status == 400:
        return "the server cannot read the file or the request (400)"
    return f"the server answered {answer.status}, and nothing about this file"
