"""The rules about sums: of timeouts against the client's, and of connections against the server's."""

import math
from collections.abc import Iterator
from dataclasses import replace

from harness.lint.case import RESERVED, Case, Mend
from harness.lint.rule import Row, connecting, is_sqlalchemy, one_of, plain, setting, shown
from harness.lint.wake_rules import MOST_PATIENT_S
from harness.model.arrivals import RequestMix
from harness.model.compute import OnSuspend, WhileWaking
from harness.model.driver import PSYCOPG_LEAST_CONNECT_TIMEOUT_S, Driver
from harness.model.outcomes import Outcome
from harness.model.shape import Checkout, Query, RequestShape
from harness.model.story import Story
from harness.model.timeline import Burst, Outage, Warm
from harness.model.wake import profile

LATE = 5
"""Requests that come as late as still can get the connection of one that gave up."""
MOST_ROUNDS = 20
SHORT_S = 0.001
TIE_S = 0.0015
"""An answer that comes no sooner than this before the client leaves is on the way when it does."""
HELD_S = 1.0
SPARE_S = 1.0
"""Between the service's last answer and the moment at which the client leaves."""


class AnswersBeforeTheClientLeaves:
    """pool_timeout + connection_timeout against the client's: an answer that comes later is work for nobody."""

    name = "every answer comes before the client leaves"
    through_pooler = False

    def beside_the_point(self, case: Case) -> str:  # noqa: ARG002 - any database is silent at times
        return ""

    def story(self, case: Case) -> Story:
        """A database that is silent for longer than anybody waits; then some queue for as long as one can.

        The pool is full from the beginning, and full again whenever those who connect have given up. Whoever comes
        pool_timeout before such a moment gets a connection that has still to be made, and waits for that too.
        """
        queue_s, connect_s = case.pool.queue_timeout_s, min(case.connecting_s, case.client_timeout_s)
        rounds = min(MOST_ROUNDS, max(1, math.ceil(queue_s / connect_s)))
        late_s = max(0.0, rounds * connect_s - queue_s) + SHORT_S
        found_dead = 0 if case.pool.of_library.pool_pre_ping else case.pool.most_idle
        arrivals = [0.0] * (rounds * case.pool.capacity + found_dead) + [late_s] * LATE
        away_s = late_s + queue_s + connect_s + case.client_timeout_s + 1
        return silent(case, Burst.at(*arrivals), for_s=away_s, client_timeout_s=case.client_timeout_s)

    def fails(self, case: Case, row: Row) -> bool:
        return bool(row["latency_s"] >= case.client_timeout_s - TIE_S)

    def finding(self, case: Case) -> str:
        queue_s = case.pool.queue_timeout_s
        if is_sqlalchemy(case):
            sums = f"{setting('pool_timeout', queue_s)} and {connecting(case)} together are"
        else:
            sums = f"{setting('pool_timeout', queue_s)} is"
        return (
            f"{sums} not shorter than the client waits ({shown(case.client_timeout_s)}): when the database is silent, "
            "the service answers when nobody waits for it any more"
        )

    def mends(self, case: Case) -> Iterator[Mend]:
        budget_s = case.client_timeout_s - SPARE_S
        addresses = case.wake.addresses if case.pool.runs_on is Driver.PSYCOPG else 1
        rest_s = math.floor(budget_s - case.connecting_s) if case.connecting_s < budget_s else 0
        if rest_s > case.wake_s:
            yield Mend(settings={"pool_timeout": plain(rest_s)})
        half_s = math.floor(budget_s / 2)
        connect_s = half_s // addresses
        if connect_s >= (PSYCOPG_LEAST_CONNECT_TIMEOUT_S if case.pool.runs_on is Driver.PSYCOPG else 1):
            yield Mend(settings={"connection_timeout": plain(connect_s), "pool_timeout": plain(half_s)})
        if rest_s > 0:
            yield Mend(settings={"pool_timeout": plain(rest_s)})
        # Where the wake needs longer timeouts than the client has time for, it is the client that has too little.
        longest_s = case.pool.queue_timeout_s + case.connecting_s + SPARE_S
        if longest_s <= MOST_PATIENT_S:
            yield Mend(client_timeout_s=5.0 * math.ceil(longest_s / 5))


class ConnectionsFit:
    """instances × workers × capacity against max_connections: what the server refuses is a failed request."""

    name = "no request is refused for want of server connections"
    through_pooler = False

    def beside_the_point(self, case: Case) -> str:
        return "" if case.max_connections is not None else "no --max-connections is given"

    def story(self, case: Case) -> Story:
        """Every pool needs all of its connections at the same time; those of listeners are taken already."""
        taken = RESERVED + case.processes * int(case.listener)
        held = RequestShape("held", Checkout(Query(HELD_S)))
        return Story(
            name="lint",
            wake=profile("always-on"),
            timeline=(
                Warm(0),
                Burst(case.processes * case.pool.capacity, HELD_S / 2, "even", RequestMix.of({held: 1})),
            ),
            client_timeout_s=case.client_timeout_s,
            instances=case.processes,
            max_connections=max(1, (case.max_connections or 0) - taken),
        )

    def fails(self, case: Case, row: Row) -> bool:  # noqa: ARG002 - of the protocol
        return one_of(row, Outcome.CONNECT_ERROR)

    def finding(self, case: Case) -> str:
        each = f"{case.pool.short}{' and a listener' if case.listener else ''}"
        return (
            f"{case.processes} × {each} are {case.wanted} connections, and of max_connections ({case.max_connections}) "
            f"{RESERVED} are reserved: the server refuses what is too much"
        )

    def mends(self, case: Case) -> Iterator[Mend]:
        room = ((case.max_connections or 0) - RESERVED) // case.processes - int(case.listener)
        if room < 1:
            return
        size = min(case.pool.pool_size, room)
        changes = {} if size == case.pool.pool_size else {"pool_size": str(size)}
        yield Mend(settings={**changes, "max_overflow": str(room - size)})


def silent(case: Case, burst: Burst, *, for_s: float, client_timeout_s: float) -> Story:
    """The machine behind the database's addresses is gone: connections are closed, and nobody answers a new one."""
    return Story(
        name="lint",
        wake=replace(profile("always-on"), addresses=case.wake.addresses),
        timeline=(Warm(), Outage(for_s, OnSuspend.CLOSE, WhileWaking.DROP), burst),
        client_timeout_s=client_timeout_s,
    )
