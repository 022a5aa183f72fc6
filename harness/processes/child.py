"""The child's side of the protocol: commands come in on stdin and records go out on stdout (messages.py).

End of file on stdin means "stop now": the parent closed it, or is gone, kill -9 included.
"""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable

from harness.model.errors import StackError
from harness.processes.ending import REASON
from harness.processes.message import Record
from harness.processes.messages import AnyCommand, command_from, to_line

_writing = threading.Lock()
_orphaned: list[Callable[[], None]] = []


def when_orphaned(call: Callable[[], None]) -> None:
    """What to do before this process ends because nobody reads its records any more."""
    _orphaned.append(call)


def emit(record: Record) -> None:
    """Write one record. When nobody reads any more the process ends quietly: its parent is gone."""
    emit_lines(to_line(record))


def emit_lines(lines: bytes) -> None:
    """The same for whole lines that another process has made with `to_line`."""
    try:
        with _writing:
            sys.stdout.buffer.write(lines)
            sys.stdout.buffer.flush()
    except (BrokenPipeError, ConnectionResetError):
        for call in _orphaned:
            call()
        os._exit(0)


async def commands() -> AsyncIterator[AnyCommand]:
    """The parent's commands, until it wants this process to stop."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            yield command_from(line)
    finally:
        transport.close()


def explain(error: Exception) -> int:
    """Write why this process can't go on to its log, where its parent finds it among others' lines; exit status 1."""
    # Its parent names the part.
    why = error.what if isinstance(error, StackError) else str(error)
    print(f"{REASON}{' '.join(why.split())}", file=sys.stderr, flush=True)  # noqa: T201 - stderr is the log
    return 1


def watch_stdin(on_end: Callable[[], None]) -> threading.Thread:
    """For a process that runs no asyncio and takes no commands: calls back from a thread of its own at the end."""

    def read() -> None:
        # Unbuffered: a thread inside sys.stdin would hold its lock and abort the interpreter as it ends.
        with open(0, "rb", buffering=0, closefd=False) as stdin:
            while stdin.read(1024):
                pass
        on_end()

    thread = threading.Thread(target=read, name="stdin", daemon=True)
    thread.start()
    return thread
