"""Codestreams to samples, in a process that may die without taking this one along.

In: a frame and what it declares. Out: a read-only array in memory that another process filled. GDCM ends its process on
some damaged files (an exception in C++ that nothing catches), and any C library may. So there is one decoding process
for each process that needs one: started at the first compressed slice, replaced when it dies, ended with this one. One
slice is decoded at a time; other threads wait. Memory and time of a slice are bounded.
"""

import atexit
import contextlib
import mmap
import os
import signal
import socket
import threading
from pathlib import Path

import numpy as np

from chestgan_core.dicom import decode_worker
from chestgan_core.dicom.codestreams import BadCodestream
from chestgan_core.dicom.decode_worker import DONE, READY, REQUEST, TOO_LARGE
from chestgan_core.errors import NotAvailable
from chestgan_core.local.child_processes import disown, end_child, exit_code, start_child

SECONDS = 60  # of one slice, which takes some hundredths
PATIENCE = 30  # more seconds for the answer: the process ends itself first, and a busy machine is no hang
START_SECONDS = 120
# Decoders hold a slice as 32-bit samples once or twice, beside the result and what the libraries need at all.
MEMORY, MEMORY_PER_PIXEL = 256 * 1024**2, 32


class DecoderDied(BadCodestream):
    """The decoding process ended on a slice: by a signal, or because it took too long. killed: by SIGKILL, which no
    decoder sends: where memory is short, the system does, and the pixels need not be at fault.
    """

    def __init__(self, cause: str, killed: bool = False) -> None:
        super().__init__(cause)
        self.killed = killed


class _Worker:
    """The decoding process, and the connection to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = start_child([str(Path(decode_worker.__file__))], theirs.fileno())
        except OSError as error:
            ours.close()
            raise _not_started() from error
        self._connection = ours
        ours.settimeout(START_SECONDS)
        try:
            ready = ours.recv(1)
        except OSError as error:
            self.end()
            raise _not_started() from error
        if ready != READY:
            self.end()
            raise _not_started()

    def request(self, head: bytes, codestream: bytes, seconds: float) -> tuple[bytes, int | None]:
        """The status, and the file with the samples. Raises DecoderDied."""
        self._connection.settimeout(seconds)
        files: list[int] = []
        try:
            self._connection.sendall(head)
            self._connection.sendall(codestream)
            status, files, _, _ = socket.recv_fds(self._connection, 1, 1)
        except TimeoutError as error:
            raise DecoderDied(f"decoding took more than {seconds:g} s") from error
        except OSError as error:  # it died while it was written to
            raise self._death() from error
        if not status:
            raise self._death()
        return status, files[0] if files else None

    def _death(self) -> DecoderDied:
        code = exit_code(self._process)
        if code is None:
            return DecoderDied("the decoder closed its connection")
        if code == -signal.SIGALRM:
            return DecoderDied(f"decoding took more than {SECONDS} s")
        if code == -signal.SIGKILL:
            return DecoderDied("the decoder was killed twice, as where memory is short", killed=True)
        if code < 0:
            with contextlib.suppress(ValueError):
                return DecoderDied(f"the decoder crashed on these pixels ({signal.Signals(-code).name})")
        return DecoderDied(f"the decoder ended on these pixels with status {code}")

    @property
    def ended(self) -> bool:
        """Whether it ended since its last answer: no fault of the next slice."""
        return self._process.poll() is not None

    def forget(self) -> None:
        """In a forked child: the process belongs to the parent, whose death it must be able to see."""
        self._connection.close()
        disown(self._process)

    def end(self) -> None:
        self._connection.close()
        end_child(self._process)


def _not_started() -> NotAvailable:
    return NotAvailable(
        "the decoding process",
        "did not start",
        "install chestgan again, with its dependencies, and see that processes and memory are left",
    )


class _Decoder:
    """The one decoding process of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    def decode(self, head: bytes, codestream: bytes, seconds: float) -> tuple[bytes, int | None]:
        """Raises DecoderDied, after which the next call starts another process; NotAvailable: it does not start."""
        with self._lock:
            try:
                return self._request(head, codestream, seconds)
            except DecoderDied as died:
                if not died.killed:
                    raise
            return self._request(head, codestream, seconds)

    def _request(self, head: bytes, codestream: bytes, seconds: float) -> tuple[bytes, int | None]:
        if self._worker is not None and self._worker.ended:
            self.end()
        if self._worker is None:
            self._worker = _Worker()
        try:
            return self._worker.request(head, codestream, seconds)
        except BaseException:  # also an interrupt: an answer that nobody read would be the next slice's
            self.end()
            raise

    def end(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()

    def after_fork(self) -> None:
        """The child of a fork starts a decoding process of its own, whatever its parent was doing with this one."""
        self._lock = threading.Lock()
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.forget()


_decoder = _Decoder()
atexit.register(_decoder.end)
os.register_at_fork(after_in_child=_decoder.after_fork)


def decode(
    codestream: bytes, kind: bytes, syntax: str, rows: int, columns: int, bits: int, signed: bool = False
) -> np.ndarray:
    """The samples of one frame.

    Args:
        codestream: One frame, whose declared size was compared with the header (`codestreams.py`).
        kind: Which decoder: JPEG (JPEG-LS too), JPEG_2000, JP2 or RLE of `decode_worker`.
        syntax: Transfer syntax UID.
        rows: Of the result.
        columns: Of the result.
        bits: Of a sample as the codestream declares; with RLE those of a container: 8, 16 or 32.
        signed: Whether the codestream's own samples are signed (JPEG 2000).

    Returns:
        (rows, columns), read-only, 8, 16 or 32 bits wide.

    Raises:
        BadCodestream: The pixels are damaged, need too much memory, or the decoder died on them.
        NotAvailable: The decoding process does not start on this machine.
    """
    memory = MEMORY + MEMORY_PER_PIXEL * rows * columns
    head = REQUEST.pack(len(codestream), kind, syntax.encode(), rows, columns, bits, SECONDS, memory)
    status, file = _decoder.decode(head, codestream, SECONDS + PATIENCE)
    if status == TOO_LARGE:
        raise BadCodestream(f"decoding takes more than {memory // 1024**2} MiB")
    if status != DONE or file is None:
        raise BadCodestream("the compressed pixels are damaged")
    try:
        shared = mmap.mmap(file, 0, access=mmap.ACCESS_READ)
    finally:
        os.close(file)
    size = 1 if bits <= 8 else 2 if bits <= 16 else 4
    return np.frombuffer(shared, f"<{'i' if signed else 'u'}{size}").reshape(rows, columns)
