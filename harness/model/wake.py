"""Wake profiles: how each provider's PostgreSQL suspends and wakes, with sources.

`unsourced` lists the fields without a source: they are guesses, to be replaced by measurements.
Facts read 2026-11 from the sources named in each profile.
"""

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from harness.model.compute import COULD_NOT_CONNECT, Behaviour, ErrorResponse, OnSuspend, WhileWaking
from harness.model.distribution import Constant, Duration, Empirical, LogNormal
from harness.model.errors import UserError
from harness.model.limits import check_name, check_number, check_whole

MAX_ADDRESSES = 64
"""The most addresses of a host: drivers try each in turn, and resolvers return fewer than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeProfile:
    """A provider's behaviour: when it suspends, how long it takes to wake, and what clients see meanwhile."""

    name: str
    description: str
    latency: Duration
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
            description="The night of 2025-12-02: 275 s in which the machine was gone: nothing answered, half-open",
            latency=Constant(274.6),
            on_suspend=OnSuspend.VANISH,
            while_waking=WhileWaking.DROP,
            addresses=3,
            sources=("plyr.fm retrospective of 2025-12-02",),
            unsourced=("latency", "on_suspend", "while_waking", "addresses"),
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
    latency: Duration | None = None

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
