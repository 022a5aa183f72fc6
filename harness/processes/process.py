"""The one place that starts a process.

Every child of the harness speaks one protocol (messages.py): commands in on stdin and records out on stdout; end of
file on stdin means "stop now". The parent holds the only write end of that pipe, so a kill -9 of the parent
takes its children down. Children have a session of their own: Ctrl-C in the terminal reaches the parent, which
stops them in order.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, TypeVar

from harness.model.errors import StackError
from harness.processes.ending import how_ended, why_ended
from harness.processes.message import Command, MalformedError, Record
from harness.processes.messages import AnyRecord, record_from, to_line

LINE_LIMIT = 16 * 2**20
SHOWN = 120
"""Characters of a line that is no record."""
UNREAD_S = 5.0
STOP_GRACE_S = 5.0
DEATH_S = 3.0
"""How long one that dies may take to tidy up, while somebody has noticed already that it does not answer."""

R = TypeVar("R", bound=Record)


class Child:
    """A running child process. Its records wait in a queue, so reading them late never blocks it."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process
        self._records: asyncio.Queue[AnyRecord | None] = asyncio.Queue()
        """None: there will be no more."""
        self._malformed: asyncio.Future[StackError] = asyncio.get_running_loop().create_future()
        """What a line was that is no record."""
        self._stopping = False
        self._reading = asyncio.create_task(self._read(), name=f"records of {name}")

    @classmethod
    async def start(
        cls,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        inherits: Sequence[int] = (),
    ) -> Self:
        """Start `argv`, in `folder` where one is given; what it writes to stderr is appended to `log`.

        `environment` is added to this process' own. `inherits` are file descriptors that it gets under the same
        numbers.
        """
        with log.open("ab") as stderr:
            try:
                process = await asyncio.create_subprocess_exec(
                    *argv,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=stderr,
                    env={**os.environ, **(environment or {})},
                    cwd=folder,
                    start_new_session=True,
                    pass_fds=inherits,
                    limit=LINE_LIMIT,
                )
            except OSError as error:
                raise StackError(name, f"could not start: {error}", log=log) from error
        return cls(name, process, log)

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        inherits: Sequence[int] = (),
        grace_s: float = STOP_GRACE_S,
    ) -> AsyncIterator[Self]:
        """`start` on entering, `stop` on leaving."""
        child = await cls.start(name, argv, log=log, environment=environment, folder=folder, inherits=inherits)
        try:
            yield child
        finally:
            await child.stop(grace_s=grace_s)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def records(self) -> AsyncIterator[AnyRecord]:
        """Its records, until its stdout ends. One reader. Raises `StackError` for a line that is no record."""
        while (record := await self._records.get()) is not None:
            yield record
        if self._malformed.done():
            raise self._malformed.result()

    async def next_record(self, kind: type[R]) -> R:
        """The next record, which must be of this kind.

        Raises `StackError` when the process ends, and when it writes another record or a line that is none.
        """
        record = await self._records.get()
        if record is None:
            raise self._malformed.result() if self._malformed.done() else await self.died()
        if not isinstance(record, kind):
            raise self.out_of_step(record)
        return record

    def out_of_step(self, record: Record) -> StackError:
        """The error that says that nobody waits for such a record now."""
        # Its kind only: a record may carry a password.
        return StackError(self.name, f"wrote {type(record).__name__}, which nobody waits for", log=self.log)

    async def send(self, command: Command) -> None:
        """Send one command. Raises `StackError` when the child is gone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(to_line(command))
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise await self.died() from error

    async def died(self) -> StackError:
        """Waits until the process has ended; the error that says so, with the last words of its log."""
        status = await self._process.wait()
        why = why_ended(status, self.log)
        return StackError(self.name, f"{how_ended(status)}{': ' + why if why else ''}", log=self.log)

    @asynccontextmanager
    async def answerable(self) -> AsyncIterator[None]:
        """A `StackError` inside is told as the death of this child, where it has died: that is what explains it."""
        try:
            yield
        except StackError as error:
            try:
                died = await asyncio.wait_for(self.died(), DEATH_S)
            except TimeoutError:
                raise error from error.__cause__
            raise died from error

    async def watch(self) -> None:
        """Runs as long as the child does. Raises `StackError` when it ends unasked or writes what is no record."""
        ended = asyncio.create_task(self.died())
        try:
            await asyncio.wait({ended, self._malformed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
        if self._malformed.done():
            raise self._malformed.result()
        if not self._stopping:
            raise ended.result()

    async def stop(self, *, grace_s: float = STOP_GRACE_S) -> int:
        """End it: close its stdin, then SIGTERM, then SIGKILL for its whole session. Its exit status."""
        self._stopping = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        for signal_ in (None, signal.SIGTERM):
            if signal_ is not None:
                self._signal_session(signal_)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._process.wait()), grace_s)
                break
            if self._process.returncode is not None:
                break
        # Whatever it started itself and left behind goes with it.
        self._signal_session(signal.SIGKILL)
        try:
            async with asyncio.timeout(UNREAD_S):
                await self._process.wait()
                await self._reading
        except TimeoutError:
            # It has ended; without memory its last bytes can't be read, and asyncio waits for them.
            self._reading.cancel()
        status = self._process.returncode
        return -signal.SIGKILL if status is None else status

    def _signal_session(self, signal_: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal_)

    async def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        line = b""
        try:
            async for line in stdout:
                self._records.put_nowait(record_from(line))
        except MalformedError as error:
            self._malformed.set_result(self._no_record(line, str(error)))
        except ValueError:
            # What StreamReader raises for it.
            self._malformed.set_result(self._no_record(b"", f"a line of more than {LINE_LIMIT} bytes"))
        finally:
            self._records.put_nowait(None)
        # A full pipe would keep it from ending when it is asked to.
        while await stdout.read(LINE_LIMIT):
            pass

    def _no_record(self, line: bytes, why: str) -> StackError:
        text = line.decode(errors="replace").strip()
        shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
        return StackError(self.name, f"wrote a line that is not a record: {shown!r}: {why}", log=self.log)
