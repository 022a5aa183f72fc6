"""Addresses as Toxiproxy's API writes them, `host:port`: read, written, and resolved as Go resolves them."""

import asyncio
import contextlib
import ipaddress
import re
import socket

PORT = re.compile("0*[0-9]{1,5}")
ANY_PORT = "127.0.0.1:0"
"""Where a proxy listens when nobody says where."""


def split(text: str) -> tuple[str, int]:
    """`host:port` as a pair. Raises `OSError`, as binding or dialling it would."""
    host, colon, port = text.rpartition(":")
    # Python knows other digits than Go, and refuses to read thousands of them.
    if not colon or not PORT.fullmatch(port) or int(port) > 65_535:
        raise OSError(f"address {text:.80}: not host:port")
    return host.strip("[]"), int(port)


def joined(host: str, port: int) -> str:
    """`host:port`, with brackets around an IPv6 host."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def resolved(text: str) -> tuple[str, int]:
    """The IP address and the port to listen on; of a name's addresses an IPv4 one, as Go prefers. Raises `OSError`."""
    host, port = split(text)
    if not host:
        return "0.0.0.0", port  # noqa: S104 - without a host every interface is asked for
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(host)), port
    try:
        entries = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        # One of its labels is empty or too long: such a name can't be looked up.
        raise OSError(f"lookup {host:.80}: no such host") from error
    address = next((entry for entry in entries if entry[0] is socket.AF_INET), entries[0])[4]
    return str(address[0]), port
