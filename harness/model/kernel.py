"""What a client's kernel (Linux) does while nobody answers: when it sends again, and when it gives up. No clock.

Its timers sit in a wheel whose slots grow coarser the later a timer is due: 4 ms below 0.25 s, 32 ms below 2 s,
256 ms below 16 s, 2 s below 129 s, each counted from the moment at which the kernel started. No timer is early, so one
of 32 s is up to 2 s late, and which of the 2 s it is depends on the moment. Here the kernel started at second 0.

Sources, read as of Linux 6.18: kernel/time/timer.c (`calc_wheel_index`, `calc_index`); net/ipv4/tcp_timer.c
(`tcp_write_timeout`, `tcp_retransmit_timer`, `tcp_model_timeout`, `tcp_keepalive_timer`); net/ipv4/tcp_output.c
(`tcp_schedule_loss_probe`). `python -m benchmarks.kernel` measures a real one beside it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from harness.model.errors import UserError
from harness.model.limits import check_title, check_whole

TICKS_A_SECOND = 250
"""CONFIG_HZ of most distributions' kernels. The kernel's times are whole ticks."""
SLOT_BITS = 6
"""A level of the wheel has 64 slots."""
COARSER_BITS = 3
"""Each level is 8 times coarser than the one before."""
LEVELS = 9
FIRST_REQUEST_TICKS = 1 * TICKS_A_SECOND
"""TCP_TIMEOUT_INIT: how long the first connection request waits for its answer."""
LEAST_RTO_S = 0.2
"""TCP_RTO_MIN: what a retransmission timeout is at least, beside the round trip."""
LEAST_RTO_TICKS = TICKS_A_SECOND // 5
MOST_RTO_TICKS = 120 * TICKS_A_SECOND
"""TCP_RTO_MAX."""
TINY_TICKS = 1e-6
"""Against the rounding of seconds times ticks."""
MOST_RETRIES = 127
MOST_LINEAR_TIMEOUTS = 255
"""The kernel's own limits of the settings."""
SETTINGS = Path("/proc/sys/net/ipv4")


@dataclass(frozen=True, slots=True)
class Silence:
    """What a kernel does about one unanswered thing; both are moments on the clock of the question, in seconds."""

    again_s: tuple[float, ...]
    """When it is sent again."""
    gives_up_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepalive:
    """TCP keepalives, as a driver asks for them by SO_KEEPALIVE; the defaults are Linux's own."""

    idle_s: int = 7200
    """A connection that has heard nothing for so long is probed (TCP_KEEPIDLE, tcp_keepalive_time)."""
    every_s: int = 75
    """Between two probes (TCP_KEEPINTVL, tcp_keepalive_intvl)."""
    probes: int = 9
    """So many without an answer, and the connection is given up (TCP_KEEPCNT, tcp_keepalive_probes)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A Linux kernel: the settings that decide how it meets silence, by their names below /proc/sys/net/ipv4."""

    name: str
    tcp_syn_retries: int = 6
    tcp_syn_linear_timeouts: int = 0
    """So many more connection requests, a second apart, before the waits double. The setting is there since 6.5."""
    tcp_retries2: int = 15

    def __post_init__(self) -> None:
        check_title(self.name, where="kernel")
        where = f"kernel {self.name}"
        check_whole("tcp_syn_retries", self.tcp_syn_retries, where=where, least=1, most=MOST_RETRIES)
        check_whole("tcp_syn_linear_timeouts", self.tcp_syn_linear_timeouts, where=where, most=MOST_LINEAR_TIMEOUTS)
        check_whole("tcp_retries2", self.tcp_retries2, where=where, least=1, most=MOST_RETRIES)

    @property
    def words(self) -> str:
        """Its name and its settings, for a person."""
        settings = ("tcp_syn_retries", "tcp_syn_linear_timeouts", "tcp_retries2")
        return f"{self.name} ({', '.join(f'{setting} {getattr(self, setting)}' for setting in settings)})"

    def request(self, asked_s: float) -> Silence:
        """An unanswered connection request, sent for the first time at `asked_s`."""
        again: list[int] = []
        now, rto = _ticks(asked_s), FIRST_REQUEST_TICKS
        for number in range(1, self.tcp_syn_retries + self.tcp_syn_linear_timeouts + 1):
            now = fires_at(now, rto)
            again.append(now)
            if number > self.tcp_syn_linear_timeouts:
                rto = min(rto * 2, MOST_RTO_TICKS)
        return _silence(again, fires_at(now, rto))

    def data(self, sent_s: float, *, round_trip_s: float = 0.0) -> Silence:
        """Unacknowledged data on an open connection with this round trip, sent for the first time at `sent_s`.

        The first repetition is the tail loss probe, which does not count as a retransmission.
        """
        first_rto = rto = math.ceil((LEAST_RTO_S + max(round_trip_s, 1e-5)) * TICKS_A_SECOND - TINY_TICKS)
        now = fires_at(_ticks(sent_s), first_rto)
        again = [now]
        now = fires_at(now, rto)
        limit = now + self._patience_ticks()
        while now < limit:
            again.append(now)
            rto = min(rto * 2, MOST_RTO_TICKS)
            now = fires_at(now, rto)
        return _silence(again, now)

    def keepalives(self, heard_s: float, keepalive: Keepalive) -> Silence:
        """The probes of a connection that heard something for the last time at `heard_s`."""
        now = fires_at(_ticks(heard_s), keepalive.idle_s * TICKS_A_SECOND)
        again = [now]
        for _ in range(keepalive.probes - 1):
            now = fires_at(now, keepalive.every_s * TICKS_A_SECOND)
            again.append(now)
        return _silence(again, fires_at(now, keepalive.every_s * TICKS_A_SECOND))

    def _patience_ticks(self) -> int:
        """How long after the first retransmission it gives up: what tcp_retries2 of them take without the wheel."""
        doubling = int(math.log2(MOST_RTO_TICKS // LEAST_RTO_TICKS))
        doubled = min(self.tcp_retries2, doubling)
        return ((2 << doubled) - 1) * LEAST_RTO_TICKS + (self.tcp_retries2 - doubled) * MOST_RTO_TICKS


def fires_at(now: int, after: int) -> int:
    """The tick at which a timer fires that is set at tick `now` for `after` ticks later."""
    level = 0
    while level < LEVELS - 1 and after >= ((1 << SLOT_BITS) - 1) << (level * COARSER_BITS):
        level += 1
    granularity_bits = level * COARSER_BITS
    return ((now + after >> granularity_bits) + 1) << granularity_bits


def _ticks(at_s: float) -> int:
    return math.floor(at_s * TICKS_A_SECOND + TINY_TICKS)


def _silence(again: list[int], gives_up: int) -> Silence:
    return Silence(tuple(tick / TICKS_A_SECOND for tick in again), gives_up / TICKS_A_SECOND)


LINUX_6_5 = Kernel(name="linux-6.5", tcp_syn_linear_timeouts=4)
"""Linux since 6.5 with its default settings."""
LINUX_5 = Kernel(name="linux-5")
"""Linux before 6.5 with its default settings."""
HOST = "host"
"""The name of this machine's own kernel."""


def this_kernel(settings: Path = SETTINGS) -> Kernel:
    """This machine's own. Raises `UserError` where it is no Linux."""

    def value(name: str) -> int:
        return int((settings / name).read_text(encoding="ascii"))

    try:
        linear = "tcp_syn_linear_timeouts"
        return Kernel(
            name=HOST,
            tcp_syn_retries=value("tcp_syn_retries"),
            tcp_syn_linear_timeouts=value(linear) if (settings / linear).exists() else 0,
            tcp_retries2=value("tcp_retries2"),
        )
    except (OSError, ValueError) as error:
        what = f"this machine's settings can't be read from {settings}: {error}"
        raise UserError(what, where="kernel", allowed=f"{LINUX_6_5.name}, {LINUX_5.name}") from error


KERNELS: MappingProxyType[str, Callable[[], Kernel]] = MappingProxyType({
    LINUX_6_5.name: lambda: LINUX_6_5,
    LINUX_5.name: lambda: LINUX_5,
    HOST: this_kernel,
})  # fmt: skip
"""Every kernel by the name that `--kernel` knows it by."""
