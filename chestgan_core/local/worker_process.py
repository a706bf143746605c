"""The program of a process that works for another one (workers.py).

In: tasks on the connection whose file descriptor its argument names. Out: an answer to each, in their order: its
number, and what the function returned, or that it failed. It ends with its connection, in the middle of a task too, so
that nothing of it outlives the process that it works for, however that ends.
"""

import os
import signal
import sys
import threading
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from queue import SimpleQueue
from typing import Any


def serve(connection: "Connection[Any, Any]") -> None:
    """Answer tasks until the connection ends."""
    # These reach the whole group of processes, and the one that it works for decides what ends.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    tasks: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_receive, args=(connection, tasks), daemon=True).start()
    while True:
        number, function, argument = tasks.get()
        try:
            answer = ForkingPickler.dumps((number, True, function(argument)))
        except (
            BaseException
        ):  # the other process does the task again, and meets the error where it can be handled
            answer = ForkingPickler.dumps((number, False, None))
        try:
            connection.send_bytes(answer)
        except OSError:
            return


def _receive(connection: "Connection[Any, Any]", tasks: "SimpleQueue[Any]") -> None:
    """Always ready to receive, so that the other process never waits to be heard while this one waits to be read."""
    try:
        while True:
            tasks.put(connection.recv())
    finally:
        os._exit(0)


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
