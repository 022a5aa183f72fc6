"""As much of PostgreSQL's protocol as a proxy needs: to answer a startup message, and to know an idle backend.

Source: PostgreSQL documentation, "Message Formats".
"""

import struct
from collections.abc import Callable

from harness.model.compute import ErrorResponse
from harness.model.protocol import CANCEL_REQUEST, GSSENC_REQUEST, SSL_REQUEST, STARTUP_LIMIT, encoded

IDLE = b"Z\x00\x00\x00\x05I"
"""ReadyForQuery: the backend waits for a statement and is in no transaction."""


class StartupAnswer:
    """Reads what a client says first, declines encryption, and answers its startup message with an error."""

    def __init__(self, error: ErrorResponse, write: Callable[[bytes], None], close: Callable[[], None]) -> None:
        self._error = error
        self._write = write
        self._close = close
        self._buffer = b""

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 8:
            length, code = struct.unpack_from("!ii", self._buffer)
            if not 8 <= length <= STARTUP_LIMIT or code == CANCEL_REQUEST:
                # Nothing a server would answer.
                self._close()
                return
            if len(self._buffer) < length:
                return
            self._buffer = self._buffer[length:]
            if code in (SSL_REQUEST, GSSENC_REQUEST):
                self._write(b"N")
                continue
            self._write(encoded(self._error))
            self._close()
            return
