"""A connection in memory keeps asyncio's promises to the protocols at its ends."""

import asyncio

import pytest

from harness.simulation.backend import constant
from harness.simulation.connection import connected_pair
from harness.simulation.loop import VirtualLoop, run


class Echo(asyncio.Protocol):
    """Answers inside `data_received`, as the backend does."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Client(asyncio.Protocol):
    """Says in what order its writes return and its answers come."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.happened: list[str] = []
        self.answered = asyncio.Event()
        self._transport = transport

    def ask(self, question: str) -> None:
        self._transport.write(question.encode())
        self.happened.append(f"{question} written")

    def data_received(self, data: bytes) -> None:
        self.happened.append(f"{data.decode()} answered")
        self.answered.set()


@pytest.mark.parametrize("way_s", [0.0, 0.001])
def test_no_answer_arrives_inside_the_write_that_asks_for_it(way_s: float) -> None:
    # asyncpg dies of it, and takes the interpreter along: see `connected_pair`.
    async def story(loop: VirtualLoop) -> list[str]:
        client_end, server_end = connected_pair(loop, constant(way_s), ("localhost", 5432))
        echo, client = Echo(), Client(client_end)
        server_end.set_protocol(echo)
        echo.connection_made(server_end)
        client_end.set_protocol(client)
        for question in ("first", "second"):
            client.ask(question)
            await client.answered.wait()
            client.answered.clear()
        return client.happened

    assert run(story) == ["first written", "first answered", "second written", "second answered"]
