"""A port of this machine that nobody listens to."""

import socket


def free_port(host: str = "127.0.0.1") -> int:
    """Free a moment ago."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
