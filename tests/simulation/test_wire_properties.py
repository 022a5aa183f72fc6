"""Whatever bytes come in whatever pieces, the backend answers the protocol or hangs up; it never breaks."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.model.packets import ClientMessages, Message, ProtocolViolationError, Startup
from harness.simulation.backend import SimulatedPostgres
from harness.simulation.connection import connected_pair
from harness.simulation.loop import VirtualLoop, run
from harness.simulation.network import Network
from harness.simulation.wire import PROTOCOL_3

STARTUP = struct.pack("!ii", 8 + 15, PROTOCOL_3) + b"user\0coldstar\0\0"


def typed(type_: str, body: bytes) -> bytes:
    return type_.encode() + struct.pack("!i", len(body) + 4) + body


MESSAGES = st.builds(typed, st.sampled_from("PBDECSHQXpFcdf"), st.binary(max_size=40))
SOUND = st.sampled_from([
    typed("P", b"\0SELECT 1\0\0\0"), typed("B", b"\0\0\0\0\0\0\0\0"), typed("D", b"S\0"), typed("D", b"P\0"),
    typed("E", b"\0\0\0\0\0"), typed("S", b""), typed("Q", b"SELECT 1; BEGIN; nonsense\0"), typed("H", b""),
    typed("C", b"S\0"), typed("Q", b"\0"), typed("Q", b"ROLLBACK\0"),
])  # fmt: skip


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[begin:end] for begin, end in pairwise(edges)]


@given(st.lists(MESSAGES, max_size=20), st.lists(st.integers(0, 10_000), max_size=30))
def test_packets_do_not_depend_on_how_the_bytes_are_cut(messages: list[bytes], cuts: list[int]) -> None:
    def split(chunks: list[bytes]) -> list[Startup | Message]:
        reader = ClientMessages()
        found: list[Startup | Message] = []
        for chunk in chunks:
            for packet in reader.feed(chunk):
                found.append(packet)
                reader.started = True
        return found

    data = STARTUP + b"".join(messages)
    assert split(pieces(data, cuts)) == split([data])
    assert len(split([data])) == 1 + len(messages)


def talk(chunks: list[bytes]) -> tuple[bytes, bool]:
    """What the backend says to these chunks, and whether it hung up."""

    async def main(loop: VirtualLoop) -> tuple[bytes, bool]:
        network = Network(loop)
        server = SimulatedPostgres(loop=loop)
        network.listen("localhost", 5432, server)
        heard = bytearray()
        lost: list[bool] = []
        client, _ = await loop.create_connection(lambda: _Client(heard, lost), "localhost", 5432)
        for chunk in chunks:
            client.write(chunk)
            await loop_turns(loop)
        await loop_turns(loop)
        return bytes(heard), bool(lost)

    return run(main)


async def loop_turns(loop: VirtualLoop, *, after_s: float = 0.001) -> None:
    done = loop.create_future()
    loop.call_later(after_s, done.set_result, None)
    await done


class _Client:
    """A protocol that remembers."""

    def __init__(self, heard: bytearray, lost: list[bool]) -> None:
        self._heard = heard
        self._lost = lost

    def connection_made(self, transport: object) -> None: ...

    def data_received(self, data: bytes) -> None:
        self._heard += data

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, _: Exception | None) -> None:
        self._lost.append(True)

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


class Remembering(_Client):
    """Remembers the moments too."""

    def __init__(self, loop: VirtualLoop, said: list[tuple[float, bytes]]) -> None:
        super().__init__(bytearray(), [])
        self._loop = loop
        self._said = said

    def data_received(self, data: bytes) -> None:
        self._said.append((self._loop.time(), data))

    def connection_lost(self, _: Exception | None) -> None:
        self._said.append((self._loop.time(), b""))


def well_formed(answer: bytes) -> bool:
    at = 0
    while at < len(answer):
        (length,) = struct.unpack_from("!i", answer, at + 1)
        at += 1 + length
    return at == len(answer)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(SOUND, MESSAGES), max_size=25), st.lists(st.integers(0, 10_000), max_size=20))
def test_any_messages_are_answered_with_whole_messages(messages: list[bytes], cuts: list[int]) -> None:
    answer, _ = talk(pieces(STARTUP + b"".join(messages), cuts))
    assert well_formed(answer)


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=8, max_size=400))
def test_any_bytes_at_all_do_no_harm(data: bytes) -> None:
    answer, _ = talk([data])
    assert well_formed(answer.removeprefix(b"N"))


@given(st.integers(-(2**31), 2**31 - 1))
def test_a_length_that_cannot_be_is_a_violation(length: int) -> None:
    reader = ClientMessages()
    try:
        packets = list(reader.feed(struct.pack("!i", length) + b"\0" * min(max(length - 4, 0), 12_000)))
    except ProtocolViolationError:
        assert not 8 <= length <= 10_000
    else:
        assert len(packets) >= 1


def test_a_hostile_length_is_answered_with_08p01_and_the_end() -> None:
    answer, hung_up = talk([STARTUP, b"Q\xff\xff\xff\xff"])
    assert b"C08P01\0" in answer
    assert hung_up


@pytest.mark.parametrize("type_", ["Q", "D", "C"])
def test_a_string_that_ends_before_its_message_does_is_answered_with_08p01_and_the_end(type_: str) -> None:
    answer, hung_up = talk([STARTUP, typed(type_, b"S\0elect;\0")])
    assert b"C08P01\0Minvalid message format\0" in answer
    assert hung_up


def test_the_two_ends_of_a_connection_are_each_others_peers() -> None:
    async def main(loop: VirtualLoop) -> bool:
        client, server = connected_pair(loop, lambda: 0.0, ("198.51.100.1", 5432))
        return client is not server

    assert run(main)
