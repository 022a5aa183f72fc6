"""What a compute reads of the bytes between a client and PostgreSQL: a name, encryption, and whether it is idle."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.protocol import CANCEL_REQUEST, GSSENC_REQUEST, SSL_REQUEST, message
from harness.proxy.session import ClientName, Session

READY = message(b"Z", b"I")
IN_TRANSACTION = message(b"Z", b"T")


def startup(**parameters: str) -> bytes:
    body = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items()) + b"\0"
    return struct.pack("!ii", len(body) + 8, 196_608) + body


def request(code: int) -> bytes:
    return struct.pack("!ii", 8, code)


STARTUP = startup(user="me", database="shop", application_name="psql")
NAME = ClientName("me", "shop", "psql")


@given(st.lists(st.integers(0, len(STARTUP)), max_size=5).map(sorted))
def test_a_startup_message_is_read_in_whatever_pieces_it_comes(cuts: list[int]) -> None:
    session = Session()
    edges = [0, *cuts, len(STARTUP)]
    named = [session.client_sent(STARTUP[start:end]) for start, end in itertools.pairwise(edges)]
    assert [name for name in named if name is not None] == [NAME]
    assert session.client_sent(STARTUP) is None, "what follows is no startup message"


@pytest.mark.parametrize("code", [SSL_REQUEST, GSSENC_REQUEST])
def test_a_client_whose_encryption_is_declined_is_named_all_the_same(code: int) -> None:
    session = Session()
    assert session.client_sent(request(code)) is None
    assert not session.server_sent(b"N")
    assert session.client_sent(STARTUP) == NAME
    assert not session.is_encrypted


@pytest.mark.parametrize(("code", "answer"), [(SSL_REQUEST, b"S"), (GSSENC_REQUEST, b"G")])
def test_an_encrypted_session_is_idle_whenever_the_server_has_answered(code: int, answer: bytes) -> None:
    session = Session()
    session.client_sent(request(code))
    session.server_sent(answer)
    assert session.is_encrypted
    assert session.client_sent(STARTUP) is None
    assert session.server_sent(b"whatever")


def test_a_client_that_begins_with_tls_is_encrypted() -> None:
    session = Session()
    session.client_sent(b"\x16\x03\x01")
    assert session.is_encrypted


def test_a_client_without_a_database_has_its_users() -> None:
    assert Session().client_sent(startup(user="me")) == ClientName("me", "me", "")


@given(st.integers(0, len(READY)))
def test_ready_for_query_is_seen_in_two_pieces(cut: int) -> None:
    session = Session(begun=True)
    session.server_sent(b"rows" + READY[:cut])
    assert session.server_sent(READY[cut:]) or cut == len(READY)
    assert not session.server_sent(IN_TRANSACTION)


@given(st.binary(max_size=200))
def test_no_bytes_are_too_strange(data: bytes) -> None:
    session = Session()
    session.client_sent(data)
    session.server_sent(data)


def test_a_cancel_request_names_nobody() -> None:
    assert Session().client_sent(struct.pack("!iiii", 16, CANCEL_REQUEST, 1, 2)) is None
