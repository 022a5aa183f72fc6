"""What is recognised whole is answered as it is message by message, byte for byte; all else is cut into messages."""

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.model.packets import Message
from harness.model.protocol import message
from harness.simulation import shortcuts
from harness.simulation.backend import SimulatedPostgres, constant
from harness.simulation.loop import VirtualLoop, run
from harness.simulation.network import Network
from harness.simulation.shortcuts import FLUSH, SYNC, KnownStatements
from harness.simulation.statements import Statements
from tests.simulation.test_wire_properties import STARTUP, Remembering, loop_turns

READ = (
    b"SELECT tracks.id, tracks.title, artists.name AS artist FROM tracks JOIN artists ON artists.id = tracks.artist_id"
)
TEXTS = (
    b";", b"", b"SELECT 1", b"BEGIN", b"ROLLBACK", b"nonsense", b"SELECT $1::text", b"\xff",
    READ + b" WHERE tracks.id = $1", READ + b" WHERE tracks.id > $1 ORDER BY tracks.id LIMIT 20",
    b"INSERT INTO plays (track_id) VALUES ($1)", b"SELECT pg_sleep($1)",
)  # fmt: skip
NAMES = (b"", b"a", b"b", b"long")


def parse(name: bytes, text: bytes) -> bytes:
    return message(b"P", name + b"\0" + text + b"\0\0\0")


def prepare(name: bytes, text: bytes) -> bytes:
    return parse(name, text) + message(b"D", b"S" + name + b"\0") + FLUSH


def execute(name: bytes, values: Sequence[bytes | None], limit: int = 0, results: int = 1) -> bytes:
    sent = b"".join(struct.pack("!i", -1) if one is None else struct.pack("!i", len(one)) + one for one in values)
    body = b"\0" + name + b"\0" + struct.pack("!hhh", 1, 1, len(values)) + sent + struct.pack("!hh", 1, results)
    return message(b"B", body) + message(b"E", b"\0" + struct.pack("!i", limit)) + SYNC


def close(name: bytes) -> bytes:
    return message(b"C", b"S" + name + b"\0") + SYNC


QUERIES = st.sampled_from([
    message(b"Q", text + b"\0") for text in (b"BEGIN;", b"BEGIN", b"COMMIT;", b"ROLLBACK;", b"ROLLBACK", b"SAVEPOINT a",
                                             b"ROLLBACK TO a", b"RELEASE a", b"nonsense", b";", b"SELECT 1")
])  # fmt: skip
VALUES = st.lists(st.sampled_from([struct.pack("!i", 7), struct.pack("!d", 0.5), b"\1", b""]), max_size=2)
CHUNKS = st.one_of(
    QUERIES,
    st.builds(parse, st.sampled_from(NAMES), st.sampled_from(TEXTS)),
    st.builds(prepare, st.sampled_from(NAMES), st.sampled_from(TEXTS)),
    st.builds(execute, st.sampled_from(NAMES), VALUES, st.sampled_from([0, 1, 2, -1]), st.sampled_from([0, 1])),
    st.builds(close, st.sampled_from(NAMES)),
    st.just(SYNC),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """One of them with one byte changed."""
    chunk = bytearray(draw(CHUNKS))
    chunk[draw(st.integers(0, len(chunk) - 1))] = draw(st.integers(0, 255))
    return bytes(chunk)


def talk(chunks: list[bytes], *, service_s: float, at_once: bool) -> list[tuple[float, bytes]]:
    """What the backend says to these chunks and when, each sent when it has been quiet for a while; b"": it hung up."""

    async def main(loop: VirtualLoop) -> list[tuple[float, bytes]]:
        network = Network(loop)
        network.listen("localhost", 5432, SimulatedPostgres(loop=loop, draw_service_s=constant(service_s)))
        heard: list[tuple[float, bytes]] = []
        client, _ = await loop.create_connection(lambda: Remembering(loop, heard), "localhost", 5432)
        for chunk in [STARTUP, *chunks]:
            client.write(chunk)
            await loop_turns(loop)
        loop.call_later(1000.0, client.close)
        await loop_turns(loop, after_s=2000.0)
        return heard

    with pytest.MonkeyPatch.context() as patched:
        if not at_once:
            patched.setattr(KnownStatements, "at_once", Statements.at_once)
        return run(main)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(CHUNKS, CHUNKS, damaged()), max_size=15), st.sampled_from([0.0, 0.0004, 0.0025]))
def test_the_same_bytes_at_the_same_moments_with_shortcuts_and_without(chunks: list[bytes], service_s: float) -> None:
    assert talk(chunks, service_s=service_s, at_once=True) == talk(chunks, service_s=service_s, at_once=False)


@pytest.mark.parametrize("service_s", [0.0, 0.0005])
def test_a_request_of_asyncpgs_never_has_to_be_cut_into_messages(
    monkeypatch: pytest.MonkeyPatch, service_s: float
) -> None:
    cut: list[Message] = []
    monkeypatch.setattr(KnownStatements, "carry_out", lambda _self, packet: cut.append(packet))
    track = struct.pack("!i", 7)
    request = [
        message(b"Q", b"BEGIN;\0"), prepare(b"", b";"), parse(b"", b";"), execute(b"", []),
        message(b"Q", b"ROLLBACK;\0"), message(b"Q", b"BEGIN;\0"), prepare(b"a", TEXTS[8]), close(b"b"),
        execute(b"a", [track]), message(b"Q", b"ROLLBACK;\0"),
    ]  # fmt: skip
    said = talk(request, service_s=service_s, at_once=True)
    # Only the Sync that waited for a statement with a service time is carried out by itself.
    assert cut == ([shortcuts.SYNC_MESSAGE] if service_s else [])
    assert any(b"Track 7" in answer for _, answer in said)
