"""Wake profiles: how each provider's PostgreSQL suspends and wakes, with sources.

`unsourced` lists the fields without a source: they are guesses, to be replaced by measurements.
Facts read 2026-11 from the sources named in each profile.
"""

import csv
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, Self, TypeAlias

from harness.model.compute import COULD_NOT_CONNECT, Behaviour, ErrorResponse, OnSuspend, WhileWaking
from harness.model.errors import UserError
from harness.model.limits import check_name, check_number, check_whole

SHORTEST_S = 1e-6
"""The least percentile of a drawn latency: with it, every draw is a finite number."""
MAX_LATENCIES = 100_000
"""The most measured latencies in a file: a larger file is probably another table, given by mistake."""
LATENCIES_ALLOWED = f"up to {MAX_LATENCIES}"
CSV_ALLOWED = "a CSV file in UTF-8 whose first column is a latency in seconds, with or without a header"
MAX_ADDRESSES = 64
"""The most addresses of a host: drivers try each in turn, and resolvers return fewer than this."""


class Distribution(Protocol):
    """A distribution of durations in seconds, drawn anew each time; `str` gives it in words."""

    def draw(self, random_: random.Random) -> float: ...

    def __str__(self) -> str: ...


def three_figures(latency_s: float) -> str:
    """A latency with three figures: `7.31`, `12.4`, `1700`; never with an exponent."""
    return f"{latency_s:.3g}" if latency_s < 999.5 else f"{latency_s:.0f}"


@dataclass(frozen=True, slots=True)
class Constant:
    """Every wake takes the same time."""

    latency_s: float

    def __post_init__(self) -> None:
        check_number("wake latency", self.latency_s, where="wake")

    def draw(self, random_: random.Random) -> float:  # noqa: ARG002 - a constant draws nothing
        return self.latency_s

    def __str__(self) -> str:
        return f"{self.latency_s:.12g} s"


@dataclass(frozen=True, slots=True)
class LogNormal:
    """A log-normal wake latency with this median and 95th percentile; a draw above `max_s` is repeated."""

    p50_s: float
    p95_s: float
    max_s: float

    def __post_init__(self) -> None:
        for name in ("p50_s", "p95_s", "max_s"):
            check_number(name, getattr(self, name), where="wake", least=SHORTEST_S)
        if not self.p50_s < self.p95_s <= self.max_s:
            raise UserError(f"needs 0 < p50 < p95 <= max, got {self}", where="wake")

    def draw(self, random_: random.Random) -> float:
        z95 = 1.6448536269514722
        sigma = math.log(self.p95_s / self.p50_s) / z95
        while True:
            latency_s = random_.lognormvariate(math.log(self.p50_s), sigma)
            if latency_s <= self.max_s:
                return latency_s

    def __str__(self) -> str:
        return f"p50 {self.p50_s:g} s, p95 {self.p95_s:g} s"


@dataclass(frozen=True, slots=True)
class Empirical:
    """One of these measured latencies, all with the same probability."""

    latencies_s: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.latencies_s:
            raise UserError("needs at least one latency, each 0 or positive", where="wake")
        if len(self.latencies_s) > MAX_LATENCIES:
            raise UserError(f"{len(self.latencies_s)} latencies are too many", where="wake", allowed=LATENCIES_ALLOWED)
        for value in self.latencies_s:
            check_number("wake latency", value, where="wake")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a CSV file whose first column is seconds, with or without a header. Raises `UserError`."""
        try:
            # utf-8-sig also accepts a byte-order mark, which spreadsheets write.
            with path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.reader(file)
                rows = ((reader.line_num, row[0].strip()) for row in reader if row and row[0].strip())
                # A header and one more than allowed: enough to see that there are too many.
                cells = list(islice(rows, MAX_LATENCIES + 2))
        except OSError as error:
            raise UserError(f"can't be read: {error.strerror}", where=str(path)) from None
        except (ValueError, csv.Error) as error:
            what = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"is not a CSV file: {error}"
            raise UserError(what, where=str(path), allowed=CSV_ALLOWED) from None
        # A first line without a number is a header, if other lines follow.
        if len(cells) > 1 and _number(cells[0][1]) is None:
            del cells[0]
        if not cells:
            raise UserError("is empty", where=str(path), allowed=CSV_ALLOWED)
        return cls._checked(path, cells)

    @classmethod
    def _checked(cls, path: Path, cells: Sequence[tuple[int, str]]) -> Self:
        """The latencies from a file's cells, each given with its line number."""
        latencies_s = []
        for line, cell in cells:
            where = f"{path}, line {line}"
            value = _number(cell)
            if value is None:
                raise UserError(f"{_cut(cell)} is not a number of seconds", where=where, allowed=CSV_ALLOWED)
            check_number("wake latency", value, where=where)
            latencies_s.append(value)
        try:
            return cls(tuple(latencies_s))
        except UserError as error:
            raise UserError(error.what, where=str(path), allowed=error.allowed) from None

    def draw(self, random_: random.Random) -> float:
        return random_.choice(self.latencies_s)

    def __str__(self) -> str:
        return f"one of {len(self.latencies_s)} measured latencies"


WakeLatency: TypeAlias = Constant | LogNormal | Empirical
"""How long a wake takes: one draw for each wake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeProfile:
    """A provider's behaviour: when it suspends, how long it takes to wake, and what clients see meanwhile."""

    name: str
    description: str
    latency: WakeLatency
    suspend_after_s: float | None
    """Seconds without activity until it suspends; None: never."""
    on_suspend: OnSuspend
    while_waking: WhileWaking
    addresses: int = 1
    """How many addresses the host has; a driver tries the next one when an attempt fails."""
    open_connections_prevent_suspend: bool = False
    error: ErrorResponse = COULD_NOT_CONNECT
    sources: tuple[str, ...] = ()
    unsourced: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name, where="wake profile")
        where = f"wake profile {self.name}"
        if self.suspend_after_s is not None:
            check_number("suspend_after_s", self.suspend_after_s, where=where, above_least=True)
        check_whole("addresses", self.addresses, where=where, least=1, most=MAX_ADDRESSES)

    @property
    def can_sleep(self) -> bool:
        return self.suspend_after_s is not None

    def behaviour(self, *, suspends_by_itself: bool) -> Behaviour:
        """The compute's behaviour; it suspends after its idle time only with `suspends_by_itself`."""
        return Behaviour(
            on_suspend=self.on_suspend,
            while_waking=self.while_waking,
            suspend_after_s=self.suspend_after_s if suspends_by_itself else None,
            open_connections_prevent_suspend=self.open_connections_prevent_suspend,
            error=self.error,
        )

    def latencies_s(self, seed: int, *, wakes: int) -> list[float]:
        """The latencies of a trial's first wakes, in order: the same for every pool configuration with this seed."""
        draw = random.Random(f"wake/{seed}")
        return [self.latency.draw(draw) for _ in range(wakes)]

    def with_changes(
        self,
        *,
        latency_s: float | None = None,
        on_suspend: str | None = None,
        while_waking: str | None = None,
    ) -> Self:
        """This profile with the given parts replaced. Raises `UserError` for an unknown behaviour."""
        changes: dict[str, Any] = {}
        if latency_s is not None:
            changes["latency"] = Constant(latency_s)
        if on_suspend is not None:
            changes["on_suspend"] = _word(OnSuspend, on_suspend, "on_suspend")
        if while_waking is not None:
            changes["while_waking"] = _word(WhileWaking, while_waking, "while_waking")
        return replace(self, **changes)


def _cut(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _word(words: type[OnSuspend] | type[WhileWaking], text: str, where: str) -> OnSuspend | WhileWaking:
    try:
        return words(text)
    except ValueError:
        raise UserError(f"no such behaviour {text!r}", where=where, allowed=", ".join(words)) from None


def profile(
    name: str,
    *,
    latency_s: float | None = None,
    on_suspend: str | None = None,
    while_waking: str | None = None,
) -> WakeProfile:
    """A wake profile by name, with parts of it replaced. Raises `UserError` for a name that doesn't exist."""
    try:
        known = PROFILES[name]
    except KeyError:
        raise UserError(f"no wake profile {name!r}", where="wake", allowed=", ".join(PROFILES)) from None
    return known.with_changes(latency_s=latency_s, on_suspend=on_suspend, while_waking=while_waking)


_NEON = WakeProfile(
    name="neon",
    description="Neon, direct endpoint: sessions end with 57P01, new connections are held by the proxy until the wake",
    latency=LogNormal(0.4, 1.5, 10.0),
    suspend_after_s=300.0,
    on_suspend=OnSuspend.TERMINATE,
    while_waking=WhileWaking.HOLD,
    sources=("neondatabase/neon (proxy, compute_tools)", "Neon documentation, 'Scale to zero'"),
    unsourced=("latency p50", "latency p95"),
)

PROFILES: dict[str, WakeProfile] = {
    known.name: known
    for known in (
        _NEON,
        replace(
            _NEON,
            name="neon-pooler",
            description="Neon, pooled endpoint: as neon, but sessions are closed without a message",
            on_suspend=OnSuspend.CLOSE,
        ),
        replace(
            _NEON,
            name="neon-outage",
            description="The night of 2025-12-02: 248 s, connection requests unanswered, open connections half-open",
            latency=Constant(248.0),
            on_suspend=OnSuspend.FREEZE,
            while_waking=WhileWaking.DROP,
            addresses=3,
            sources=("plyr.fm retrospective of 2025-12-02",),
            unsourced=("on_suspend", "while_waking", "addresses"),
        ),
        WakeProfile(
            name="aurora-serverless-v2",
            description="Amazon Aurora Serverless v2 with auto-pause: open connections prevent the pause",
            latency=LogNormal(15.0, 16.0, 20.0),
            suspend_after_s=300.0,
            on_suspend=OnSuspend.CLOSE,
            while_waking=WhileWaking.HOLD,
            open_connections_prevent_suspend=True,
            sources=("Aurora user guide, 'Scaling to zero ACUs'",),
            unsourced=("latency p95", "latency max"),
        ),
        WakeProfile(
            name="aurora-serverless-v2-deep",
            description="The same after more than 24 h paused",
            latency=Constant(30.0),
            suspend_after_s=86_400.0,
            on_suspend=OnSuspend.CLOSE,
            while_waking=WhileWaking.HOLD,
            open_connections_prevent_suspend=True,
            sources=("Aurora user guide, 'Scaling to zero ACUs' (30 s or longer)",),
        ),
        WakeProfile(
            name="azure-sql-serverless",
            description="Azure SQL serverless, as a PostgreSQL would show it: logins fail until it has resumed",
            latency=Constant(60.0),
            suspend_after_s=3_600.0,
            on_suspend=OnSuspend.CLOSE,
            while_waking=WhileWaking.ERROR,
            open_connections_prevent_suspend=True,
            error=ErrorResponse(
                "FATAL", "57P03", "the database is not currently available, retry the connection later"
            ),
            sources=("Azure SQL documentation, 'Serverless compute tier' (error 40613)",),
            unsourced=("error",),
        ),
        WakeProfile(
            name="xata",
            description="Xata with scale to zero: under 1 s today, over 20 s earlier",
            latency=LogNormal(0.5, 1.0, 20.0),
            suspend_after_s=300.0,
            on_suspend=OnSuspend.CLOSE,
            while_waking=WhileWaking.HOLD,
            sources=("Xata documentation",),
            unsourced=("suspend_after_s", "latency p50", "on_suspend", "while_waking"),
        ),
        WakeProfile(
            name="scaleway-serverless-sql",
            description="Scaleway Serverless SQL: connections are kept, the first query stalls",
            latency=LogNormal(2.0, 5.0, 10.0),
            suspend_after_s=300.0,
            on_suspend=OnSuspend.KEEP,
            while_waking=WhileWaking.HOLD,
            sources=("Scaleway documentation (usually under 5 s)",),
            unsourced=("latency p50", "latency max", "while_waking"),
        ),
        WakeProfile(
            name="railway",
            description="Railway app sleeping on the private network: refused until it is up",
            latency=LogNormal(2.0, 5.0, 15.0),
            suspend_after_s=600.0,
            on_suspend=OnSuspend.CLOSE,
            while_waking=WhileWaking.REFUSE,
            open_connections_prevent_suspend=True,
            sources=("Railway documentation, 'App sleeping'",),
            unsourced=("latency",),
        ),
        WakeProfile(
            name="always-on",
            description="A PostgreSQL that never sleeps",
            latency=Constant(0.0),
            suspend_after_s=None,
            on_suspend=OnSuspend.KEEP,
            while_waking=WhileWaking.HOLD,
            sources=("PostgreSQL documentation",),
        ),
        WakeProfile(
            name="lakebase",
            description="Databricks Lakebase with scale to zero",
            latency=LogNormal(0.3, 1.0, 10.0),
            suspend_after_s=86_400.0,
            on_suspend=OnSuspend.TERMINATE,
            while_waking=WhileWaking.HOLD,
            sources=("Databricks documentation (a few hundred ms)",),
            unsourced=("latency p95", "latency max", "on_suspend", "while_waking"),
        ),
    )
}
"""Every wake profile, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeChoice:
    """A wake chosen by a user: a profile, a latency, or both; the scenario's is used for what is left out."""

    text: str
    """The choice as written: `8`, `neon`, `neon:8`, `measured.csv`."""
    profile: WakeProfile | None = None
    latency: WakeLatency | None = None

    def applied_to(self, own: WakeProfile) -> WakeProfile:
        """The chosen profile; `own` is the scenario's, for what the choice leaves out."""
        chosen = own if self.profile is None else self.profile
        return chosen if self.latency is None else replace(chosen, latency=self.latency)


def read_wake(text: str, *, where: str = "wake") -> WakeChoice:
    """Read `8` (seconds), `neon` (a profile) or `neon:8` (both); instead of seconds, the path of a `.csv` file.

    Raises `UserError` for anything else.
    """
    name, colon, seconds = text.partition(":")
    if "\0" in text:
        raise UserError(f"{text!r} is not a wake", where=where)
    if not colon and name in PROFILES:
        return WakeChoice(text=text, profile=profile(name))
    of_a_profile = bool(colon) and name in PROFILES
    measured = seconds if of_a_profile else text
    if measured.endswith(".csv"):
        chosen = profile(name) if of_a_profile else None
        return WakeChoice(text=text, profile=chosen, latency=Empirical.read(Path(measured)))
    chosen = profile(name) if colon else None
    try:
        return WakeChoice(text=text, profile=chosen, latency=Constant(float(seconds if colon else text)))
    except ValueError:
        allowed = f"seconds, {', '.join(PROFILES)}, or both as neon:8"
        raise UserError(f"{text!r} is not a wake", where=where, allowed=allowed) from None
