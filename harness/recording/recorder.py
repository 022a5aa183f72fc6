"""Listens on a proxy and makes a recording of what goes through it."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Protocol

from harness.model.errors import UserError
from harness.recording.conversation import ENCRYPTED, Conversation
from harness.recording.gathering import Gathering
from harness.recording.model import Recording, RequestKind


class Passing(Protocol):
    """A connection of a proxy, as far as a recorder needs it."""

    def dial(self) -> None: ...


class Recorder:
    """A `ConnectionWatcher` of one proxy (harness/proxy/proxy.py) that lets everything through and listens.

    `proxy.watcher = Recorder()`, before the first connection. Bytes are timed as they come and looked into after they
    have gone on, so that listening does not hold them up.
    """

    watches_bytes = True

    def __init__(
        self, clock: Callable[[], float] = monotonic, cpu_s_of: Callable[[int], float | None] | None = None
    ) -> None:
        """`cpu_s_of` says what a process has computed, by its id (harness/processes/cpu.py); None: nobody knows."""
        self._clock = clock
        self._cpu_s_of = cpu_s_of
        self._gathering = Gathering()
        self._conversations: dict[object, Conversation] = {}
        self._unheard: deque[Callable[[], None]] = deque()
        self._failure: Exception | None = None
        """A bug of the recorder's: a recording that lacks something in silence is worse than none."""

    def recording(
        self,
        *,
        app: str,
        recorded_at: str,
        libraries: dict[str, str] | None = None,
        requests: Sequence[RequestKind] = (),
        enums: Sequence[int] = (),
        cores: int | None = None,
    ) -> Recording:
        """All that was seen so far; the arguments are what a proxy can't see (`Recording` has their meaning).

        Raises `UserError` where a connection was encrypted."""
        self._listen()
        if self._failure is not None:
            raise self._failure
        recording = self._gathering.recording(
            tuple(requests),
            app=app,
            recorded_at=recorded_at,
            libraries=libraries or {},
            enums=tuple(enums),
            cores=cores,
        )
        if ENCRYPTED in recording.notes:
            raise UserError(
                "a connection to the database is encrypted, and nothing of it can be recorded",
                where=app,
                allowed="a connection without TLS: sslmode=disable, or ssl=False",
            )
        return recording

    # ConnectionWatcher:

    def proxy_started(self) -> None:
        """Nothing to prepare."""

    def attempt(self, connection: Passing) -> None:
        self._conversations[connection] = Conversation(self._gathering)
        connection.dial()

    def opened(self, connection: Passing) -> None:
        """Nothing: a connection begins with its first byte."""

    def closed(self, connection: Passing) -> None:
        conversation = self._conversations.pop(connection, None)
        if conversation is not None:
            self._later(conversation.closed)

    def client_sent(self, connection: Passing, data: bytes) -> None:
        conversation = self._conversations[connection]
        # Now, before it goes on: a process that waits is exactly measured, one that runs is not.
        process_id = conversation.process_id
        cpu_s = None if self._cpu_s_of is None or process_id is None else self._cpu_s_of(process_id)
        self._later(partial(conversation.client_sent, data, self._clock(), cpu_s))

    def server_sent(self, connection: Passing, data: bytes) -> None:
        self._later(partial(self._conversations[connection].server_sent, data, self._clock()))

    def stop(self) -> None:
        """Another watcher takes its place: what it has heard stays."""

    # Its own:

    def _later(self, hear: Callable[[], None]) -> None:
        if self._failure is not None:
            return
        if not self._unheard:
            asyncio.get_running_loop().call_soon(self._listen)
        self._unheard.append(hear)

    def _listen(self) -> None:
        while self._unheard and self._failure is None:
            try:
                self._unheard.popleft()()
            except Exception as failure:  # noqa: BLE001 - whatever it is: kept, because nobody hears a callback's
                self._failure = failure
