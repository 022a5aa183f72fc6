"""The rules about connections that died in the pool: at a suspend, in a restart, or in a load balancer's memory."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.lint.case import Case, Mend
from harness.lint.rule import Row, one_of, ping_limit, plain, setting, shown, tried
from harness.lint.wake_rules import SILENT, nobody_is_left
from harness.model.compute import OnSuspend
from harness.model.distribution import Constant
from harness.model.driver import Driver
from harness.model.outcomes import Outcome
from harness.model.pool_library import PoolLibrary
from harness.model.server import IdleReaper
from harness.model.story import Story
from harness.model.timeline import Burst, Idle, Outage, Suspend, TimelinePhase, Warm
from harness.model.wake import WakeProfile, profile
from harness.search.playing import at_wake

CLOSING = (OnSuspend.CLOSE, OnSuspend.TERMINATE, OnSuspend.RESET)
DEAD = (Outcome.CONNECTION_LOST, Outcome.STATEMENT_TIMEOUT)
BRIEF_S = 0.1
"""A wake, or a restart, that is over before any timeout: only what became of the connections is played."""
SOONER = 0.8
"""A pool_recycle that has to come before something is that time times this factor."""
STATEMENT_TIMEOUT_S = 10.0
"""The reference service's own."""


class ClosedConnectionsAreNoticed:
    """pool_pre_ping against connections that the suspend, or a restart of the server, has closed."""

    name = "no request fails on a connection that was closed"
    through_pooler = False

    def beside_the_point(self, case: Case) -> str:  # noqa: ARG002 - any server is restarted at times
        return ""

    def story(self, case: Case) -> Story:
        if case.sleeps and case.wake.on_suspend in CLOSING:
            return _story(case, at_wake(case.wake, min(case.wake_s, BRIEF_S)), Warm(), Suspend())
        return _story(case, _awake(case), Warm(), Outage.restart(BRIEF_S), Idle(1.0))

    def fails(self, case: Case, row: Row) -> bool:  # noqa: ARG002 - of the protocol
        return one_of(row, *DEAD)

    def finding(self, case: Case) -> str:
        closing = "the suspend" if case.sleeps and case.wake.on_suspend in CLOSING else "a restart of the server"
        return f"pool_pre_ping is off, and {closing} closes the pool's connections: they are given out dead"

    def mends(self, case: Case) -> Iterator[Mend]:  # noqa: ARG002 - of the protocol
        yield Mend(settings={"pool_pre_ping": "true"})


class _OfHalfOpenConnections:
    """What the rules about connections that the suspend leaves half-open have in common."""

    through_pooler = False

    def beside_the_point(self, case: Case) -> str:
        return _not_half_open(case)

    def story(self, case: Case) -> Story:
        return _half_open(case)


class HalfOpenConnectionsAreGivenUp(_OfHalfOpenConnections):
    """statement_timeout against half-open connections: nobody tells, and a ping on one waits for as long as it may."""

    name = "no request hangs on a half-open connection until the client leaves"

    def fails(self, case: Case, row: Row) -> bool:  # noqa: ARG002 - of the protocol
        return one_of(row, Outcome.CLIENT_TIMEOUT)

    def finding(self, case: Case) -> str:
        return (
            f"the suspend leaves connections half-open, and {ping_limit(case)}: {tried(case)} on one of them goes on "
            f"when the client has left, after {shown(case.client_timeout_s)}"
        )

    def mends(self, case: Case) -> Iterator[Mend]:
        if case.pool.runs_on is Driver.ASYNCPG:
            seconds = min(STATEMENT_TIMEOUT_S, max(1.0, case.client_timeout_s // 2))
            yield Mend(settings={"statement_timeout": plain(seconds)})
        yield from _recycled_before(case, case.wake.suspend_after_s or 0.0)


class HalfOpenConnectionsAreNotTried(_OfHalfOpenConnections):
    """pool_recycle against suspend_after: a connection that was replaced before it is tried costs nobody a request."""

    name = "no request fails on a half-open connection"

    def fails(self, case: Case, row: Row) -> bool:  # noqa: ARG002 - of the protocol
        return one_of(row, *DEAD, Outcome.CLIENT_TIMEOUT)

    def finding(self, case: Case) -> str:
        after_s = case.wake.suspend_after_s or 0.0
        return (
            f"{_recycle(case)} the idle time after which the database suspends ({shown(after_s)}), which leaves "
            f"connections half-open: whoever gets one waits for {tried(case)} in vain, and {ping_limit(case)}"
        )

    def mends(self, case: Case) -> Iterator[Mend]:
        yield from _recycled_before(case, case.wake.suspend_after_s or 0.0)


@dataclass(frozen=True, slots=True)
class ForgottenConnectionsAreNotTried:
    """pool_recycle and pool_pre_ping against a load balancer or NAT that forgets a connection without traffic."""

    silently: bool
    through_pooler = True

    @property
    def name(self) -> str:
        return f"no request fails on a connection that was forgotten {'in silence' if self.silently else 'with RST'}"

    def beside_the_point(self, case: Case) -> str:
        return "" if case.idle_timeout_s is not None else "no --idle-timeout is given"

    def story(self, case: Case) -> Story:
        after_s = case.idle_timeout_s or 0.0
        story = _story(case, _awake(case), Warm(), Idle(after_s * 1.1 + 0.1))
        return replace(story, reaper=IdleReaper(after_s, silently=self.silently))

    def fails(self, case: Case, row: Row) -> bool:  # noqa: ARG002 - of the protocol
        return one_of(row, *DEAD, Outcome.CLIENT_TIMEOUT)

    def finding(self, case: Case) -> str:
        after_s = case.idle_timeout_s or 0.0
        older = f"{_recycle(case)} the idle timeout ({shown(after_s)})"
        if not self.silently:
            return f"{older}, and pool_pre_ping is off: a forgotten connection is given out, and answered by RST"
        return f"{older}: on a connection that was forgotten in silence {tried(case)} waits, and {ping_limit(case)}"

    def mends(self, case: Case) -> Iterator[Mend]:
        if not self.silently:
            yield Mend(settings={"pool_pre_ping": "true"})
        yield from _recycled_before(case, case.idle_timeout_s or 0.0)


def _story(case: Case, wake: WakeProfile, *before: TimelinePhase) -> Story:
    """A request for each connection that the pool keeps, at the same time."""
    return Story(
        name="lint",
        wake=wake,
        timeline=(*before, Burst(case.pool.most_idle, 0.0, "at_once")),
        client_timeout_s=case.client_timeout_s,
    )


def _half_open(case: Case) -> Story:
    # The idle time comes first: connections that are older than pool_recycle by then are not tried at all.
    idle = Idle(case.wake.suspend_after_s or BRIEF_S)
    return _story(case, at_wake(case.wake, case.wake_s), Warm(), idle, Suspend())


def _awake(case: Case) -> WakeProfile:
    """A database that never sleeps, at as many addresses."""
    return replace(profile("always-on"), latency=Constant(0.0), addresses=case.wake.addresses)


def _not_half_open(case: Case) -> str:
    if not case.wake.can_sleep:
        return "the database never sleeps"
    return nobody_is_left(case) if case.wake.on_suspend in SILENT else "the suspend leaves no connection half-open"


def _recycled_before(case: Case, moment_s: float) -> Iterator[Mend]:
    """A pool_recycle below this time, or what the library has in its place."""
    seconds = moment_s * SOONER
    text = plain(int(seconds) if seconds >= 2 else seconds)
    yield Mend(settings={"pool_recycle": text})
    if case.pool.pool_library is not PoolLibrary.SQLALCHEMY:
        yield Mend(settings={"max_idle": text})


def _recycle(case: Case) -> str:
    """What is too long, in words that a comparison follows."""
    pool = case.pool
    if pool.pool_library is PoolLibrary.ASYNCPG:
        return "asyncpg's pool replaces no connection by its age, and keeps pool_size of them beyond"
    if pool.pool_library is PoolLibrary.PSYCOPG_POOL:
        return "psycopg_pool replaces no connection while it is idle, and keeps them beyond"
    recycle_s = pool.of_library.pool_recycle_s
    if not recycle_s:
        return "pool_recycle is 0, never, so connections are kept beyond"
    return f"{setting('pool_recycle', recycle_s)} is not shorter than"
