"""The progress of a download: files, MB and MB/s. In: what several threads receive. Out: one line of progress, and the
end of a download that was called off (local/cancellation.py).
"""

import threading
import time
from types import TracebackType
from typing import Self

from chestgan_core.local.cancellation import current_flag, require_wanted
from chestgan_core.local.progress import Progress


class DownloadProgress:
    """`raw_dicom Lung_Dx-A0042  184/256 files  35/s  2 s left  97.1 MB, 18.4 MB/s`. For any number of threads."""

    def __init__(self, label: str, files: int) -> None:
        self._progress = Progress(label, files, "files")
        self._lock = threading.Lock()
        self._bytes = 0
        self._started = time.monotonic()
        self._flag = current_flag()

    def __enter__(self) -> Self:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, trace)

    def received(self, n: int) -> None:
        """n more bytes were received. Raises Cancelled."""
        require_wanted(self._flag)
        with self._lock:
            self._bytes += n
            self._progress.step(0, self._note())

    def finished(self, files: int = 1) -> None:
        """This many more files are complete. Raises Cancelled."""
        require_wanted(self._flag)
        with self._lock:
            self._progress.step(files, self._note())

    def _note(self) -> str:
        if not self._bytes:
            return ""
        seconds = max(time.monotonic() - self._started, 1e-9)
        return f"{self._bytes / 1e6:.1f} MB, {self._bytes / 1e6 / seconds:.1f} MB/s"
