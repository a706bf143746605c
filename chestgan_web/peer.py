"""Whose process is at the other end of a connection over loopback.

In: the two addresses of a TCP connection over IPv4, as this server sees them. Out: whether the account of this process,
or root, made it. Linux says so in /proc/net/tcp; elsewhere (macOS) nothing does, and every account may connect.
"""

import os
import socket
import sys
from pathlib import Path

TABLE = Path("/proc/net/tcp")
# Columns: own and other address, state, ..., account, ..., inode.
_LOCAL, _REMOTE, _ACCOUNT, _INODE = 1, 2, 7, 9

Address = tuple[str, int | None]


def is_own_account(client: Address | None, server: Address | None) -> bool:
    """Whether a process of this account or of root holds the client's end. Always, where the system does not say it."""
    if sys.platform != "linux" or not TABLE.exists():
        return True
    if client is None or server is None or not client[1] or not server[1]:
        return False
    try:
        theirs, ours = _as_in_table(client), _as_in_table(server)
    except OSError:  # not IPv4
        return False
    for line in TABLE.read_text().splitlines()[1:]:
        fields = line.split()
        if (fields[_LOCAL], fields[_REMOTE]) == (theirs, ours):
            # An end that its process has closed already belongs to root there, and has no inode.
            return fields[_INODE] != "0" and int(fields[_ACCOUNT]) in (0, os.getuid())
    return False


def _as_in_table(address: Address) -> str:
    host, port = address
    number = int.from_bytes(socket.inet_pton(socket.AF_INET, host), sys.byteorder)
    return f"{number:08X}:{port:04X}"
