"""The rules about drivers: whether a timeout that is written is the one that holds."""

import math
from collections.abc import Iterator

from harness.lint.budget_rules import silent
from harness.lint.case import Case, Mend
from harness.lint.configuration import TIMEOUTS, Manner
from harness.lint.rule import Row, one_of, plain, setting, shown
from harness.model.driver import PSYCOPG_LEAST_CONNECT_TIMEOUT_S, Driver
from harness.model.outcomes import Outcome
from harness.model.story import Story
from harness.model.timeline import Burst

TOLERANCE_S = 0.5
"""What an answer may take longer than its timeouts."""
ROUNDED_S = 0.05
"""By how much a connect can miss its timeout without another one being in force."""
LONG_S = 1000.0
"""The clients of these trials wait for as long as the service takes: how long that is, is the question."""
QUEUEING = 5
NO_PSYCOPG = "the driver is not psycopg"


class TimeoutsReachTheDriver:
    """Timeouts that the code sets for another driver only: the lesson of 2025-12-02, when the fix never applied."""

    name = "no request takes longer than the timeouts that are written"
    through_pooler = True

    def beside_the_point(self, case: Case) -> str:
        if case.pool.runs_on is not Driver.PSYCOPG:
            return NO_PSYCOPG
        is_reference = case.configuration.manner is Manner.REFERENCE
        return "" if is_reference else "a setting is taken to be applied, whatever the driver"

    def story(self, case: Case) -> Story:
        burst = Burst(case.pool.capacity + QUEUEING, 0.0, "at_once")
        return silent(case, burst, for_s=2 * LONG_S, client_timeout_s=LONG_S)

    def fails(self, case: Case, row: Row) -> bool:
        # The sum is what SQLAlchemy's queue and one connect take at the most, if both timeouts hold.
        return bool(row["latency_s"] > _most_s(case) + TOLERANCE_S)

    def finding(self, case: Case) -> str:
        asked = " and ".join(setting(name, case.configuration.asked_s(name)) for name in TIMEOUTS[:2])
        pool = case.pool
        return (
            "the driver is psycopg, and a service whose code sets its timeouts for asyncpg only, as the reference "
            f"service's does, has others than {asked}: {shown(pool.connection_limit_s)} for each address and "
            f"{shown(pool.queue_timeout_s)} in the queue, and none for a statement"
        )

    def mends(self, case: Case) -> Iterator[Mend]:  # noqa: ARG002 - of the protocol
        yield Mend(settings={"driver": Driver.ASYNCPG.value})


class OneTimeoutForAllAddresses:
    """psycopg's connect_timeout is for each address of the host: with n addresses connecting takes n times as long."""

    name = "no request connects for longer than connection_timeout"
    through_pooler = True

    def beside_the_point(self, case: Case) -> str:
        if case.pool.runs_on is not Driver.PSYCOPG:
            return NO_PSYCOPG
        if case.wake.addresses == 1:
            return "the host has one address"
        return "" if case.pool.connection_timeout_s else "no connection_timeout holds"

    def story(self, case: Case) -> Story:
        return _connecting(case)

    def fails(self, case: Case, row: Row) -> bool:
        connected = one_of(row, Outcome.CONNECT_TIMEOUT, Outcome.CLIENT_TIMEOUT)
        return connected and row["latency_s"] > case.pool.connection_timeout_s + TOLERANCE_S

    def finding(self, case: Case) -> str:
        limit_s, addresses = case.pool.connection_timeout_s, case.wake.addresses
        return (
            f"psycopg gives each of the host's {addresses} addresses a {setting('connection_timeout', limit_s)} of its "
            f"own: when nobody answers, connecting takes {shown(limit_s * addresses)}"
        )

    def mends(self, case: Case) -> Iterator[Mend]:
        asyncpg = Mend(settings={"driver": Driver.ASYNCPG.value})
        if case.configuration.accepts(asyncpg.settings):
            yield asyncpg


class ConnectionTimeoutIsWhatIsWritten:
    """psycopg takes whole seconds, makes 2 of 1, and 130 of anything below."""

    name = "no connect ends at another time than connection_timeout says"
    through_pooler = True

    def beside_the_point(self, case: Case) -> str:
        if case.pool.runs_on is not Driver.PSYCOPG:
            return NO_PSYCOPG
        if case.configuration.loses_its_timeouts:
            return "no connection_timeout reaches psycopg"
        asked_s = case.configuration.asked_s("connection_timeout")
        if not asked_s:
            return "no connection_timeout is written"
        return "it is in whole seconds" if asked_s == case.pool.connection_timeout_s else ""

    def story(self, case: Case) -> Story:
        return _connecting(case)

    def fails(self, case: Case, row: Row) -> bool:
        asked_s = case.configuration.asked_s("connection_timeout")
        held_s = row["latency_s"] / case.wake.addresses
        return one_of(row, Outcome.CONNECT_TIMEOUT) and abs(held_s - asked_s) > ROUNDED_S

    def finding(self, case: Case) -> str:
        asked_s = case.configuration.asked_s("connection_timeout")
        return (
            f"psycopg takes connection_timeout in whole seconds, {PSYCOPG_LEAST_CONNECT_TIMEOUT_S} or more, and makes "
            f"{shown(case.pool.connection_limit_s)} of {shown(asked_s)}"
        )

    def mends(self, case: Case) -> Iterator[Mend]:
        asked_s = case.configuration.asked_s("connection_timeout")
        yield Mend(settings={"connection_timeout": plain(max(PSYCOPG_LEAST_CONNECT_TIMEOUT_S, -(-asked_s // 1)))})


def _connecting(case: Case) -> Story:
    """A request for each connection of the pool: all of them connect, and nobody answers."""
    return silent(case, Burst(case.pool.capacity, 0.0, "at_once"), for_s=2 * LONG_S, client_timeout_s=LONG_S)


def _most_s(case: Case) -> float:
    """What the queue and one connect take at the most by what is written; infinite: it sets no limit."""
    connect_s = case.configuration.asked_s("connection_timeout") or math.inf
    return case.configuration.asked_s("pool_timeout") + connect_s
