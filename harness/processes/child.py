"""The child's side of the protocol: commands come in on stdin and records go out on stdout, as JSON lines.

End of file on stdin means "stop now": the parent closed it, or is gone, kill -9 included.
"""

import asyncio
import json
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

_writing = threading.Lock()


def emit(record: Mapping[str, Any]) -> None:
    """Write one record. When nobody reads any more the process ends quietly: its parent is gone."""
    line = (json.dumps(record, separators=(",", ":")) + "\n").encode()
    try:
        with _writing:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)


async def commands() -> AsyncIterator[dict[str, Any]]:
    """The parent's commands, until it wants this process to stop."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            yield json.loads(line)
    finally:
        transport.close()


def watch_stdin(on_command: Callable[[dict[str, Any]], None], on_end: Callable[[], None]) -> threading.Thread:
    """The same for a process that runs no asyncio: calls back from a thread of its own."""

    def read() -> None:
        # Unbuffered: a thread inside sys.stdin would hold its lock and abort the interpreter as it ends.
        with open(0, "rb", buffering=0, closefd=False) as stdin:
            for line in stdin:
                on_command(json.loads(line))
        on_end()

    thread = threading.Thread(target=read, name="stdin", daemon=True)
    thread.start()
    return thread
