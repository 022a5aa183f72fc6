"""An in-memory network: hosts with addresses, connection requests that can be lost, and connections.

A host's listener decides what a connection request meets: it accepts or refuses the `Request`, or leaves it
unanswered, in which case the client's kernel asks again and gives up in the end (harness/model/kernel.py).
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from typing import Any, Protocol

from harness.model.kernel import LINUX_6_5, Kernel, Silence
from harness.model.times import no_way
from harness.simulation.connection import End, connected_pair
from harness.simulation.loop import VirtualLoop, VirtualTimeError

CLIENTS_WORTH_SWEEPING = 100


class Listener(Protocol):
    """What stands behind a host's addresses."""

    def connection_requested(self, request: "Request") -> None:
        """A connection request arrived, for the first time or again: accept it, refuse it, or leave it."""
        ...

    def request_abandoned(self, request: "Request") -> None:
        """Its client gave up."""
        ...


class Request:
    """One client's request for a connection to one address, with its retransmissions."""

    def __init__(self, network: "Network", listener: Listener, address: tuple[str, int]) -> None:
        self._network = network
        self._loop = network.loop
        self._listener = listener
        self.address = address
        self.answer: asyncio.Future[End] = network.loop.create_future()
        self._timers: list[asyncio.TimerHandle] = []
        self._stopped = False

    def send(self) -> None:
        """Send it, and again when its time comes, until there is an answer."""
        self._after(self._network.draw_way_s(), self._arrive)
        if self._stopped:
            # Without a delay the answer comes at once.
            return
        self._wait(self._network.kernel.request(self._loop.time()), 0)

    def accept(self, server: asyncio.Protocol) -> End:
        """Accept it. The server's end, which `server` now speaks through."""
        network = self._network
        client_end, server_end = connected_pair(self._loop, network.draw_data_way_s, self.address, network.kernel)
        server_end.set_protocol(server)
        server.connection_made(server_end)
        self._answer(lambda: self.answer.set_result(client_end))
        return server_end

    def refuse(self) -> None:
        """Answer it with a RST."""
        self._answer(lambda: self.answer.set_exception(_os_error(errno.ECONNREFUSED, self.address)))

    def abandon(self) -> None:
        """The client gives up on it."""
        self._stop()
        self._listener.request_abandoned(self)

    def _wait(self, silence: Silence, number: int) -> None:
        """For the moment of the retransmission of this number, from 0, and of giving up after the last."""
        if number < len(silence.again_s):
            self._timers.append(self._loop.call_at(silence.again_s[number], self._again, silence, number))
        else:
            self._timers.append(self._loop.call_at(silence.gives_up_s, self._give_up))

    def _again(self, silence: Silence, number: int) -> None:
        self._wait(silence, number + 1)
        self._after(self._network.draw_way_s(), self._arrive)

    def _arrive(self) -> None:
        if not self.answer.done():
            self._listener.connection_requested(self)

    def _give_up(self) -> None:
        self.abandon()
        self.answer.set_exception(_os_error(errno.ETIMEDOUT, self.address))

    def _answer(self, set_answer: Callable[[], None]) -> None:
        self._stop()
        self._after(self._network.draw_way_s(), lambda: None if self.answer.done() else set_answer())

    def _after(self, delay_s: float, callback: Callable[[], None]) -> None:
        if delay_s > 0:
            self._timers.append(self._loop.call_later(delay_s, callback))
        else:
            callback()

    def _stop(self) -> None:
        self._stopped = True
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()


class Network:
    """Every host, and what the way to it costs. One network a loop.

    `draw_way_s` draws how long a segment takes one way: half a round trip.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        *,
        draw_way_s: Callable[[], float] = no_way,
        kernel: Kernel = LINUX_6_5,
        slows: bool = False,
    ) -> None:
        self.loop = loop
        self.draw_way_s = draw_way_s
        self.kernel = kernel
        """The clients' own."""
        self.slower_s = 0.0
        """How much longer a round trip on a connection takes than `draw_way_s` says, where the network `slows`."""
        # Called for every segment, so nothing is added up where no story slows the network down.
        self.draw_data_way_s = self._slowed_way_s if slows else draw_way_s
        self._clients: list[End] = []
        """The ends of all that are connected, and of some that were."""
        self._clients_worth_sweeping = CLIENTS_WORTH_SWEEPING
        self._hosts: dict[str, tuple[str, ...]] = {}
        self._listeners: dict[tuple[str, int], Listener] = {}
        loop.network = self

    def _slowed_way_s(self) -> float:
        return self.draw_way_s() + self.slower_s / 2

    def listen(self, host: str, port: int, listener: Listener, *, addresses: int = 1) -> None:
        """Let `host` have this many addresses, with `listener` behind the port of each."""
        first = 1 + sum(len(addresses_of_host) for addresses_of_host in self._hosts.values())
        self._hosts[host] = tuple(f"198.51.100.{number}" for number in range(first, first + addresses))
        for address in self._hosts[host]:
            self._listeners[address, port] = listener

    def knows(self, host: str) -> bool:
        """Whether this is a host's name, or one of its addresses."""
        return host in self._hosts or any(host in addresses for addresses in self._hosts.values())

    def addresses(self, host: str, port: int) -> list[tuple[Any, ...]]:
        """As getaddrinfo answers. Raises `socket.gaierror` for a name nobody has."""
        if host not in self._hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))
            for address in self._hosts[host]
        ]

    async def create_connection(
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Connect to the host's addresses in their order, as asyncio does; its errors are asyncio's too."""
        errors: list[OSError] = []
        for *_, address in self.addresses(host, port):
            try:
                return await self.connect(protocol_factory, address)
            except OSError as error:
                errors.append(error)
        if len({str(error) for error in errors}) == 1:
            raise errors[0]
        raise OSError(f"Multiple exceptions: {', '.join(str(error) for error in errors)}")

    async def connect(
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], address: tuple[str, int]
    ) -> tuple[End, asyncio.BaseProtocol]:
        """Connect to one address."""
        end = await self._connect(address)
        protocol = protocol_factory()
        end.set_protocol(protocol)
        self._clients.append(end)
        if len(self._clients) > self._clients_worth_sweeping:
            self._clients = [client for client in self._clients if not client.is_closing()]
            # Twice as many, so that a thousand connections do not mean a thousand times a thousand looks.
            self._clients_worth_sweeping = CLIENTS_WORTH_SWEEPING + 2 * len(self._clients)
        protocol.connection_made(end)
        return end, protocol

    def sever(self) -> None:
        """End every connection at the client's side, as the end of its process would."""
        for end in self._clients:
            end.abort()
        self._clients.clear()

    async def _connect(self, address: tuple[str, int]) -> End:
        listener = self._listeners.get(address)
        if listener is None:
            raise _os_error(errno.ECONNREFUSED, address)
        request = Request(self, listener, address)
        request.send()
        if request.answer.done():
            return request.answer.result()
        try:
            return await request.answer
        except asyncio.CancelledError:
            answer = request.answer
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                # Accepted in the same instant in which the caller gave up: the kernel closes it.
                answer.result().abort()
            else:
                request.abandon()
            raise


def _os_error(number: int, address: tuple[str, int]) -> OSError:
    # The words are asyncio's (base_events._connect_sock), the class is chosen by the number.
    text = f"Connect call failed {address}"
    if number not in (errno.ECONNREFUSED, errno.ETIMEDOUT):
        raise VirtualTimeError(f"no error of a connection request: {os.strerror(number)}")
    return OSError(number, text)
