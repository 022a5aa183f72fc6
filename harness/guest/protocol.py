"""The child's side of harness/processes/messages.py with nothing but the standard library, in a stranger's process.

What the application prints goes to the log, and what it reads is at its end: the pipes are ours alone.
"""

import asyncio
import io
import json
import os
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any, BinaryIO


class Pipes:
    """The way to the parent and back."""

    def __init__(self) -> None:
        """From now on the process' own standard output is its log, and its standard input is empty."""
        self._out: BinaryIO = os.fdopen(os.dup(1), "wb")
        # Unbuffered: a forked process must not take a part of what is meant for its parent.
        self._in: BinaryIO = os.fdopen(os.dup(0), "rb", buffering=0)
        self._writing = threading.Lock()
        os.dup2(2, 1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        # A line is written as it is printed, as on a terminal: what waits in a buffer is lost at the end.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)

    def emit(self, record: str, **fields: Any) -> None:  # noqa: ANN401 - a record's own
        """Write one record. When nobody reads any more the process ends quietly: its parent is gone."""
        line = json.dumps({"record": record, **fields}, separators=(",", ":")).encode() + b"\n"
        try:
            with self._writing:
                self._out.write(line)
                self._out.flush()
        except (BrokenPipeError, ConnectionResetError):
            os._exit(0)

    def commands(self) -> AsyncIterator[dict[str, Any]]:
        """The parent's commands, which are read from now on, for the loop that is running.

        When the parent wants this process to stop, or is gone, the process ends at once, whatever the application is
        doing: importing, starting, or blocking the loop.
        """
        loop = asyncio.get_running_loop()
        received: asyncio.Queue[bytes] = asyncio.Queue()

        def read() -> None:
            for line in self._in:
                loop.call_soon_threadsafe(received.put_nowait, line)
            os._exit(0)

        async def taken() -> AsyncIterator[dict[str, Any]]:
            while True:
                yield json.loads(await received.get())

        threading.Thread(target=read, name="coldstart commands", daemon=True).start()
        return taken()

    def fileno(self) -> int:
        """Of the pipe that the commands come in by."""
        return self._in.fileno()

    def next_command(self) -> dict[str, Any] | None:
        """The next command, for a process whose loop is not in real time; None: there will be no more."""
        line = self._in.readline()
        return json.loads(line) if line else None


def stop(pipes: Pipes, why: str) -> None:
    """End the process with one line at the end of its log, which the parent shows."""
    del pipes
    print(why, file=sys.stderr, flush=True)  # noqa: T201 - the log
    os._exit(1)
