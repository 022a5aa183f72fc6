"""A client's connection whose other end is gone: nobody acknowledges what the client sends, and its kernel sends again.

The proxy's socket is told that its peer signs (`TCP_MD5SIG`, RFC 2385). The client does not, so Linux drops whatever
it sends before it is acknowledged, and the client drops what comes from here, because it is signed. It needs no
privilege (a filter, `SO_ATTACH_FILTER`, did on Linux 6.18), and it goes with the socket: when a process dies there is
nothing to undo.
"""

import asyncio
import functools
import socket
import struct
import sys
from collections.abc import Callable

from harness.proxy.end import RESET

TCP_MD5SIG = 14
MD5SIG = struct.Struct("=128sBBHi80s")
"""struct tcp_md5sig: the peer's address, flags, a prefix's length, the key's length, an interface, the key."""
KEY = b"nobody knows it"
NO_KEY = b""
CHUNK = 2**16


@functools.cache
def can_silence() -> bool:
    """Whether this machine can do it: Linux, where it is built with TCP_MD5SIG, as distributions do."""
    if sys.platform != "linux":
        return False
    with socket.socket() as probe:
        try:
            _sign(probe, "127.0.0.1", KEY)
        except OSError:
            return False
    return True


class Silence:
    """Takes a client's socket over from its transport; nothing comes in from there until `answer`."""

    def __init__(self, transport: asyncio.Transport, heard: Callable[[], None]) -> None:
        """`heard` is called for the first thing that the client sends, or sends again, while it is answered.

        What the transport has not sent yet is lost with it; its protocol hears of its end.
        """
        self._peer: str = transport.get_extra_info("peername")[0]
        self._client: socket.socket = transport.get_extra_info("socket").dup()
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._answers = False
        # Of two descriptors one is closed: no FIN is sent.
        transport.abort()
        self.keep()

    def keep(self) -> None:
        """Nothing comes in from now on."""
        self._answers = False
        self._loop.remove_reader(self._client)
        _sign(self._client, self._peer, KEY)
        self._discard()

    def answer(self) -> None:
        """There is a machine again: what the client's kernel sends, or sends again, is heard."""
        if self._answers:
            # Linux has no key to remove a second time, and says so.
            return
        self._answers = True
        _sign(self._client, self._peer, NO_KEY)
        self._loop.add_reader(self._client, self._on_readable)

    def close(self) -> None:
        """RST, from a machine that knows nothing of the connection; while nobody answers the client ignores it too."""
        self._loop.remove_reader(self._client)
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._client.close()

    def _on_readable(self) -> None:
        self._loop.remove_reader(self._client)
        self._heard()

    def _discard(self) -> None:
        # What came before and has not been read: it must not be taken for something that comes after the wake.
        try:
            while self._client.recv(CHUNK):
                pass
        except OSError:
            return


def _sign(handle: socket.socket, peer: str, key: bytes) -> None:
    """Sign what goes to this IP address, and take nothing from there that is not signed; without a key, as usual."""
    address = struct.pack("=HHI", handle.family, 0, 0) if ":" in peer else struct.pack("=HH", handle.family, 0)
    address += socket.inet_pton(handle.family, peer)
    handle.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, MD5SIG.pack(address, 0, 0, len(key), 0, key))
