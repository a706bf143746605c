"""An interrupted training: SIGINT (Ctrl-C), or the SIGTERM of a pod that is moved, waits for the end of the step.

A step that breaks off in the middle leaves one network ahead of the other; a training can only be resumed exactly from
between two steps.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """`with Interruption() as interruption:` makes SIGINT and SIGTERM set interruption.received; its end delivers them.

    The handler from before gets the signal then: Python raises KeyboardInterrupt, Dagster its own error, and without a
    handler SIGTERM ends the process. Other threads than the main one get no signals; there nothing changes.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._handlers: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                handler = signal.getsignal(number)
                # A signal that is ignored (nohup) stays so; one that C code handles cannot be put back.
                if handler not in (signal.SIG_IGN, None):
                    self._handlers[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if self.received is not None and error is None:
            signal.raise_signal(self.received)
            raise KeyboardInterrupt  # for a handler that returns

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
