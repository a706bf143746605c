"""Being asked to stop: Ctrl-C, or the SIGTERM of a pod that is moved, waits for the end of the step.

A step that breaks off in the middle leaves the networks out of pace; a training can only go on exactly from
between two steps.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """`with Interruption() as stop:` makes SIGINT and SIGTERM set stop.requested; leaving it delivers them.

    Whoever handled the signal before handles it then: Python raises KeyboardInterrupt, Dagster its own error,
    and without a handler SIGTERM ends the process. Outside of the main thread, which gets no signals, nothing
    changes.
    """

    def __init__(self) -> None:
        self.requested: signal.Signals | None = None
        self._former: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                former = signal.getsignal(number)
                # A signal that is ignored (nohup) stays so; one that C code handles cannot be put back.
                if former not in (signal.SIG_IGN, None):
                    self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)  # type: ignore[arg-type]
        if self.requested is not None and error is None:
            signal.raise_signal(self.requested)
            raise KeyboardInterrupt  # for a handler that only takes notes

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = signal.Signals(number)
