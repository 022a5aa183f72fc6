"""The parts of PostgreSQL's wire protocol, version 3, that both the proxy and the simulated backend use.

Source: PostgreSQL documentation, "Message Formats".
"""

import struct

from harness.model.compute import ErrorResponse

SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104
CANCEL_REQUEST = 80877102
STARTUP_LIMIT = 10_000
"""The longest startup packet: PostgreSQL's MAX_STARTUP_PACKET_LENGTH."""


def message(type_: bytes, body: bytes = b"") -> bytes:
    """One typed message."""
    return type_ + struct.pack("!i", len(body) + 4) + body


def encoded(error: ErrorResponse, *, notice: bool = False) -> bytes:
    """An ErrorResponse, or a NoticeResponse: severity twice (translated or not), SQLSTATE, message."""
    fields = {b"S": error.severity, b"V": error.severity, b"C": error.sqlstate, b"M": error.message}
    body = b"".join(code + text.encode() + b"\0" for code, text in fields.items()) + b"\0"
    return message(b"N" if notice else b"E", body)
