"""What this machine's kernel does where nobody answers: measured in a network namespace of its own.

`measure` starts this file as a child in a new namespace (`unshare --net`; it takes root), so no packet of it reaches
any other network. There a filter drops every packet of some ports, and a packet socket notes when the kernel sends.
Each `Story` is one connection; they run side by side. All times are seconds from the moment the client asked or wrote.
"""

import contextlib
import errno
import json
import os
import re
import select
import selectors
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

SETTINGS = Path("/proc/sys/net/ipv4")
HOST = "127.0.0.1"
FIRST_PORT = 7001
IP = 0x0800
"""ETH_P_IP. On the loopback device a packet socket for it sees each packet once, before the filter drops it."""
SYN, RST = 0x02, 0x04
STAGGER_S = 0.37
"""Between the beginnings of two stories: each meets the kernel's timers in another phase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One connection. `request`: nobody answers its request. Otherwise it is open when its other end vanishes."""

    request: bool
    back_after_s: float | None = None
    """When the machine at the other end is there again, and knows nothing; None: never."""
    writes_after_s: float = 0.0
    """When the client writes, after the other end vanished."""


@dataclass(slots=True, kw_only=True)
class Seen:
    """What became of one connection."""

    jiffies: int = 0
    """The kernel's clock of timers as the client asked or wrote, in ticks; 0: not to be had."""
    sent_s: list[float] = field(default_factory=list)
    """When its kernel sent, the first time left out."""
    ended_s: float | None = None
    """When the client heard an error; None: not while it was watched."""
    error: str = ""


def obstacle() -> str:
    """Why this machine can't measure; empty: it can."""
    missing = [program for program in ("unshare", "ip", "nft") if shutil.which(program) is None]
    if missing:
        return f"{', '.join(missing)} not installed"
    ruleset = "ip link set lo up && nft add table inet silent"
    tried = subprocess.run(
        ["unshare", "--net", "sh", "-c", ruleset], capture_output=True, text=True, timeout=20, check=False
    )
    return "" if tried.returncode == 0 else f"no network namespace to be had: {tried.stderr.strip()}"


def measure(stories: Sequence[Story], *, for_s: float, settings: Mapping[str, int] | None = None) -> list[Seen]:
    """Play the stories for so long in a namespace whose kernel has these settings, by their names in `SETTINGS`."""
    plan = {"stories": [asdict(story) for story in stories], "for_s": for_s, "settings": dict(settings or {})}
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "benchmarks.silent_network", json.dumps(plan)],
        capture_output=True, text=True, timeout=for_s + 60, check=False, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [Seen(**seen) for seen in json.loads(done.stdout)]


# In the namespace:


class _Played:
    """One story under way."""

    def __init__(self, story: Story, port: int) -> None:
        self.story = story
        self.port = port
        self.seen = Seen()
        self.began_s = 0.0
        self.written_s: float | None = None
        self.client = socket.socket()
        self.client.setblocking(False)

    def begin(self) -> None:
        if self.story.request:
            _silence(self.port)
            self._note_now()
            with contextlib.suppress(BlockingIOError):
                self.client.connect((HOST, self.port))
            return
        with socket.create_server((HOST, self.port)) as server:
            with contextlib.suppress(BlockingIOError):
                self.client.connect((HOST, self.port))
            accepted, _ = server.accept()
            for _ in range(20):
                # The kernel knows the round trip, as it does of a connection that has been used.
                self.client.send(b"?")
                accepted.recv(1)
                accepted.send(b"!")
                select.select([self.client], [], [])
                self.client.recv(1)
        time.sleep(0.06)
        _silence(self.port)
        # Closed by RST, which nobody hears: the server's side knows nothing of the connection any more.
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.close()
        self.began_s = time.monotonic()

    def go_on(self, now_s: float) -> None:
        """Whatever is due."""
        story = self.story
        if self.began_s and self.written_s is None and now_s - self.began_s >= story.writes_after_s:
            self._note_now()
            self.client.send(b"SELECT")
        due = self.port in _silent and story.back_after_s is not None and now_s - self.began_s >= story.back_after_s
        if self.began_s and due:
            _silence(self.port, silent=False)

    def _note_now(self) -> None:
        self.seen.jiffies = _jiffies()
        self.written_s = time.monotonic()
        self.began_s = self.began_s or self.written_s

    def sent(self, at_s: float) -> None:
        if self.written_s is not None and at_s - self.written_s > 0.01:
            self.seen.sent_s.append(at_s - self.written_s)

    def heard(self) -> None:
        number = self.client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        assert self.written_s is not None
        self.seen.ended_s = time.monotonic() - self.written_s
        self.seen.error = errno.errorcode[number]


_silent: set[int] = set()


def _silence(port: int, *, silent: bool = True) -> None:
    (_silent.add if silent else _silent.discard)(port)
    _nft(f"{'add' if silent else 'delete'} element inet silent ports {{ {port} }}")


def _nft(command: str) -> None:
    subprocess.run(["nft", command], check=True)


def _jiffies() -> int:
    try:
        found = re.search(r"^jiffies: (\d+)$", Path("/proc/timer_list").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def _packets(packets: socket.socket) -> Iterator[int]:
    """For each packet that is a request for a connection or carries data, the port that it is for."""
    while True:
        try:
            packet = packets.recv(65535)
        except BlockingIOError:
            return
        if packet[9] != socket.IPPROTO_TCP:
            continue
        start = (packet[0] & 15) * 4
        port, flags = struct.unpack_from("!H", packet, start + 2)[0], packet[start + 13]
        length = struct.unpack_from("!H", packet, 2)[0] - start - (packet[start + 12] >> 4) * 4
        if not flags & RST and (flags & SYN or length):
            yield port


def _set_up(settings: Mapping[str, int]) -> None:
    for name, value in settings.items():
        (SETTINGS / name).write_text(str(value))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for command in (
        "add table inet silent",
        "add set inet silent ports { type inet_service; }",
        "add chain inet silent input { type filter hook input priority 0; }",
        "add rule inet silent input tcp dport @ports drop",
        "add rule inet silent input tcp sport @ports drop",
    ):
        _nft(command)


def _play(stories: Sequence[Story], for_s: float, settings: Mapping[str, int]) -> list[Seen]:
    _set_up(settings)
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(IP))
    packets.setblocking(False)
    packets.bind(("lo", IP))
    waiting = selectors.DefaultSelector()
    waiting.register(packets, selectors.EVENT_READ, None)
    played = {FIRST_PORT + number: _Played(story, FIRST_PORT + number) for number, story in enumerate(stories)}
    to_begin = list(played.values())
    origin_s = time.monotonic()
    while time.monotonic() - origin_s < for_s:
        now_s = time.monotonic()
        if to_begin and now_s - origin_s >= STAGGER_S * (len(played) - len(to_begin)):
            one = to_begin.pop(0)
            one.begin()
            waiting.register(one.client, selectors.EVENT_READ | selectors.EVENT_WRITE * one.story.request, one)
        for one in played.values():
            one.go_on(now_s)
        for key, _ in waiting.select(0.005):
            if key.data is not None:
                key.data.heard()
                waiting.unregister(key.fileobj)
        at_s = time.monotonic()
        for port in _packets(packets):
            if port in played:
                played[port].sent(at_s)
        if all(one.seen.ended_s is not None for one in played.values()):
            break
    return [one.seen for one in played.values()]


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    assert os.geteuid() == 0
    seen_all = _play([Story(**story) for story in asked["stories"]], asked["for_s"], asked["settings"])
    print(json.dumps([asdict(seen) for seen in seen_all]))
