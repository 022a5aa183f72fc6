"""One direction of one connection: straight through without toxics, through one stage a toxic with them."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from harness.proxy.tasks import started
from harness.proxy.toxics import Chunk, ResetPeer, Stub, Toxic

HIGH_WATER = 2**20
"""Bytes waiting in the stages above which the source is not read any further."""


class Destination(Protocol):
    """Where a link's bytes go, and what else a toxic may do to the connection."""

    write: Callable[[bytes], None]

    @property
    def is_gone(self) -> bool:
        """Whether nothing that is written there arrives any more."""
        ...

    def end(self) -> None: ...

    def close_connection(self, *, reset: bool) -> None: ...

    def hold_source(self, *, held: bool) -> None: ...


@dataclass(slots=True, eq=False)
class AttachedToxic:
    """A toxic on a proxy: its attributes, and its name, direction and toxicity."""

    name: str
    stream: str
    toxicity: float
    toxic: Toxic

    def to_json(self) -> dict[str, object]:
        return {
            "attributes": self.toxic.attributes(),
            "name": self.name,
            "type": self.toxic.type,
            "stream": self.stream,
            "toxicity": self.toxicity,
        }


@dataclass(slots=True, eq=False)
class ToxicStage:
    """One toxic of one direction of one connection: the chunks that wait for it, and the task that pipes them."""

    attached: AttachedToxic
    stub: Stub
    task: asyncio.Task[None] | None = None
    removed: asyncio.Event = field(default_factory=asyncio.Event)


class Link:
    """Feeds chunks through the stages of a direction's toxics, in order, to the destination."""

    def __init__(self, destination: Destination, toxics: list[AttachedToxic]) -> None:
        self._destination = destination
        self._loop = asyncio.get_running_loop()
        self._stages: list[ToxicStage] = []
        self._waiting = 0
        self._holding_source = False
        self._closed = False
        self.transferred = 0
        for attached in toxics:
            self.add(attached)

    def feed(self, data: bytes) -> None:
        """Bytes came from the source."""
        self.transferred += len(data)
        if not self._stages:
            # No chunk, no task: this is how almost every byte goes, and it costs what two sockets cost.
            self._destination.write(data)
        else:
            self._take(0, Chunk(data, self._loop.time()))

    def end(self) -> None:
        """The source will send no more."""
        if not self._stages:
            self._destination.end()
        else:
            self._take(0, Chunk(b"", self._loop.time(), ends=True))

    def add(self, attached: AttachedToxic) -> None:
        """A new toxic, after the others; the one before it lets go of what it holds."""
        if self._stages:
            # As in Toxiproxy (ToxicLink.AddToxic), which moves its channels: what it held then waits here, or nowhere.
            self._stages[-1].stub.interrupt()
        stage = ToxicStage(
            attached, Stub(lambda chunk: self._pass_on(stage, chunk), lambda: self._close(stage), self._taken)
        )
        self._stages.append(stage)
        stage.task = started(self._run(stage), name=f"toxic {attached.name}", on_failure=self._failed)

    def update(self, attached: AttachedToxic) -> None:
        """A toxic's attributes changed: it lets go of the chunk it holds and goes on with the new ones."""
        for stage in self._stages:
            if stage.attached is attached:
                stage.stub.interrupt()

    def remove(self, attached: AttachedToxic) -> None:
        """A toxic is taken away: everything it holds goes on at once."""
        for stage in self._stages:
            if stage.attached is attached:
                stage.removed.set()
                stage.stub.interrupt()

    def close(self) -> None:
        """The connection is gone."""
        self._closed = True
        for stage in self._stages:
            if stage.task is not None:
                # A toxic that closes its connection is cancelled here by itself: it has nothing more to do.
                stage.task.cancel()
        self._stages.clear()

    async def _run(self, stage: ToxicStage) -> None:
        """Pipe until the toxic is removed. Every interruption ends one round, and the next begins with what waits."""
        stub = stage.stub
        while not stage.removed.is_set():
            stub.resume()
            # Toxiproxy draws the toxicity once a connection, and again at every interruption.
            if random.random() < stage.attached.toxicity:
                await stage.attached.toxic.pipe(stub)
            else:
                await _pass_through(stub)
            if not stub.is_interrupted:
                # The toxic closed the connection: nothing goes through here any more.
                await stub.interruption()
        stage.attached.toxic.removed(stub)
        for chunk in stub.waiting:
            self._taken(len(chunk.data))
            self._pass_on(stage, chunk)
        # The stage leaves the list last: `_pass_on` finds by it what comes next. Not where the connection is closed,
        # by the removal or by the end of the stream that was passed on a moment ago: then all stages have left.
        if not self._closed:
            self._stages.remove(stage)

    def _take(self, index: int, chunk: Chunk) -> None:
        self._waiting += len(chunk.data)
        self._stages[index].stub.put(chunk)
        self._balance()

    def _pass_on(self, stage: ToxicStage, chunk: Chunk) -> None:
        if self._closed or self._destination.is_gone:
            # A destination that was lost a moment ago: asyncio would log a line for every chunk of a long queue.
            return
        following = self._stages.index(stage) + 1
        if following < len(self._stages):
            self._take(following, chunk)
        elif chunk.ends:
            self._destination.end()
        else:
            self._destination.write(chunk.data)

    def _taken(self, size: int) -> None:
        self._waiting -= size
        self._balance()

    def _balance(self) -> None:
        # The bytes that wait in all stages together bound the memory of a connection, however long a toxic holds them.
        hold = self._waiting > HIGH_WATER
        if hold is not self._holding_source:
            self._holding_source = hold
            self._destination.hold_source(held=hold)

    def _failed(self) -> None:
        self._destination.close_connection(reset=False)

    def _close(self, stage: ToxicStage) -> None:
        self._destination.close_connection(reset=isinstance(stage.attached.toxic, ResetPeer))


async def _pass_through(stub: Stub) -> None:
    while (chunk := await stub.read()) is not None:
        stub.write(chunk)
