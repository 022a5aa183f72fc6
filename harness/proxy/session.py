"""What passes between one client and PostgreSQL, as far as a compute must know it: who asks, and whether it is idle.

Source: PostgreSQL documentation, "Message Flow" and "Message Formats".
"""

import struct
from dataclasses import dataclass

from harness.model.protocol import CANCEL_REQUEST, GSSENC_REQUEST, SSL_REQUEST, STARTUP_LIMIT
from harness.proxy.startup import IDLE

TLS_HANDSHAKE = 0x16
"""A client's first byte where it begins with TLS at once (libpq's `sslnegotiation=direct`)."""
ENCRYPTED = (b"S", b"G")
"""A server's answers to a request for encryption: yes, by TLS or by GSSAPI."""


@dataclass(frozen=True, slots=True)
class ClientName:
    """Who a client says it is. `application_name` is empty where it does not say."""

    user: str
    database: str
    application_name: str


class Session:
    """One connection's words. Bytes go through it in the order in which they pass.

    Where client and server agree on encryption its words can't be read: then it has no name, and counts as idle as
    soon as the server has answered something.
    """

    def __init__(self, *, begun: bool = False) -> None:
        """`begun`: its startup has passed already."""
        self.is_encrypted = False
        self._startup: bytes | None = None if begun else b""
        """What the client has said so far, until its startup message is whole; then None."""
        self._wants_encryption = False
        self._tail = b""

    def client_sent(self, data: bytes) -> ClientName | None:
        """Its client's name, with the bytes that complete the startup message; else None."""
        if self._startup is None:
            return None
        self._startup += data
        if self._startup[:1] == bytes([TLS_HANDSHAKE]):
            self._encrypt()
        while self._startup is not None and len(self._startup) >= 8:
            length, code = struct.unpack_from("!ii", self._startup)
            if not 8 <= length <= STARTUP_LIMIT or code == CANCEL_REQUEST:
                # Nothing that PostgreSQL would take for a startup message.
                self._startup = None
            elif len(self._startup) < length:
                return None
            elif code in (SSL_REQUEST, GSSENC_REQUEST):
                self._wants_encryption = True
                self._startup = self._startup[length:]
            else:
                packet, self._startup = self._startup[8:length], None
                return _named(packet)
        return None

    def server_sent(self, data: bytes) -> bool:
        """Whether the server now waits for a statement, in no transaction."""
        if self._wants_encryption and data:
            self._wants_encryption = False
            if data[:1] in ENCRYPTED:
                self._encrypt()
        # A message may come in two pieces.
        self._tail = data[-len(IDLE) :] if len(data) >= len(IDLE) else (self._tail + data)[-len(IDLE) :]
        return self.is_encrypted or self._tail == IDLE

    def _encrypt(self) -> None:
        self.is_encrypted = True
        self._startup = None


def _named(packet: bytes) -> ClientName:
    """The parameters of a startup message: names and values in turn, each ended by a zero byte."""
    texts = [text.decode(errors="replace") for text in packet.split(b"\0")]
    parameters = dict(zip(texts[::2], texts[1::2], strict=False))
    user = parameters.get("user", "")
    return ClientName(user, parameters.get("database") or user, parameters.get("application_name", ""))
