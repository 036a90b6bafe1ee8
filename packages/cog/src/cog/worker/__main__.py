"""``python -m cog.worker --fd N`` or ``--connect PATH``: one model instance on a connected Unix socket."""

from __future__ import annotations

import os
import socket
import sys
from typing import List

from cog.worker.connection import Connection
from cog.worker.process import Worker, exit_politely

USAGE = "usage: python -m cog.worker --fd N | --connect PATH"


def open_socket(arguments: List[str]) -> socket.socket:
    """The socket the arguments name; by hand, because argparse would double the time to start."""
    if len(arguments) == 2 and arguments[0] == "--fd" and arguments[1].isdigit():
        return socket.socket(fileno=int(arguments[1]))
    if len(arguments) == 2 and arguments[0] == "--connect":
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.connect(arguments[1])
        return connected
    sys.exit(USAGE)


def main() -> None:
    """Run one worker."""
    connected = open_socket(sys.argv[1:])
    connected.set_inheritable(False)
    # Models that read a command line of their own must not find ours.
    del sys.argv[1:]
    # What a model's Python subprocesses print is seen while they run.
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    if connected.fileno() > 2:
        # A model that reads standard input gets an end of file, not whatever terminal the server was started from.
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
    exit_politely(Worker(Connection(connected)).run())


if __name__ == "__main__":
    main()
