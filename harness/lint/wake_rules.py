"""The rules about the wake itself: whoever connects, queues or asks while the database wakes."""

from collections.abc import Iterator
from dataclasses import replace

from harness.lint.case import MARGIN, Case, Mend
from harness.lint.rule import Row, connecting, is_sqlalchemy, one_of, plain, setting, shown
from harness.model.compute import OnSuspend, WhileWaking
from harness.model.driver import Driver
from harness.model.outcomes import Outcome
from harness.model.retry import Retry
from harness.model.story import Story
from harness.model.timeline import Burst, Suspend, Warm
from harness.model.wake import WakeProfile
from harness.search.playing import at_wake

QUEUEING = 10
"""Requests beyond those that the pool has a connection for."""
SILENT = (OnSuspend.FREEZE, OnSuspend.VANISH)
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 10.0
"""Of clients that ask again."""
MOST_PATIENT_S = 120.0
"""A story's own client_timeout_s: nobody is told to wait longer."""


class ConnectingOutlastsTheWake:
    """connection_timeout against the wake: a connect that is given up before it is over is a failed request."""

    name = "no request fails while it connects in the wake"
    through_pooler = False

    def beside_the_point(self, case: Case) -> str:
        if case.sleeps and case.wake.while_waking in (WhileWaking.REFUSE, WhileWaking.ERROR):
            return "while it wakes, a connect fails at once"
        return nobody_is_left(case)

    def story(self, case: Case) -> Story:
        return wake_story(case)

    def fails(self, case: Case, row: Row) -> bool:  # noqa: ARG002 - of the protocol
        return one_of(row, Outcome.CONNECT_TIMEOUT)

    def finding(self, case: Case) -> str:
        return f"{connecting(case)} {_against_the_wake(case, _limit_s(case))}: whoever is connecting then fails"

    def mends(self, case: Case) -> Iterator[Mend]:
        for seconds in longer(case, _limit_s(case)):
            yield Mend(settings={"connection_timeout": plain(seconds)})
            yield Mend(settings={"connection_timeout": plain(seconds), "pool_timeout": plain(seconds)})


class QueueOutlastsTheWake:
    """pool_timeout against the wake: whoever has no connection waits in the queue for those who wait for the wake."""

    name = "no request fails in the queue during the wake"
    through_pooler = False

    def beside_the_point(self, case: Case) -> str:
        return nobody_is_left(case)

    def story(self, case: Case) -> Story:
        return wake_story(case)

    def fails(self, case: Case, row: Row) -> bool:  # noqa: ARG002 - of the protocol
        return one_of(row, Outcome.POOL_TIMEOUT)

    def finding(self, case: Case) -> str:
        queue_s = case.pool.queue_timeout_s
        against = _against_the_wake(case, queue_s)
        return f"{setting('pool_timeout', queue_s)} {against}: whoever waits for a connection then fails"

    def mends(self, case: Case) -> Iterator[Mend]:
        for seconds in longer(case, case.pool.queue_timeout_s):
            yield Mend(settings={"pool_timeout": plain(seconds)})
            yield Mend(settings={"connection_timeout": plain(seconds), "pool_timeout": plain(seconds)})


class StatementOutlastsTheWake:
    """statement_timeout against the wake, where connections are kept: the statement waits instead of a connect."""

    name = "no statement on a kept connection runs out in the wake"
    through_pooler = True

    def beside_the_point(self, case: Case) -> str:
        if (reason := nobody_is_left(case)) or case.pooler is not None or case.wake.on_suspend is OnSuspend.KEEP:
            return reason
        return "the suspend keeps no connection"

    def story(self, case: Case) -> Story:
        """A pooler keeps the service's connections, so its clients see what they see where the suspend keeps them."""
        kept = replace(at_wake(case.wake, case.wake_s), on_suspend=OnSuspend.KEEP)
        return story_of(case, kept, requests=case.pool.most_idle)

    def fails(self, case: Case, row: Row) -> bool:  # noqa: ARG002 - of the protocol
        return one_of(row, Outcome.STATEMENT_TIMEOUT, Outcome.CONNECTION_LOST)

    def finding(self, case: Case) -> str:
        limit_s = case.pool.client_statement_timeout_s
        keeper = "the pooler" if case.pooler is not None else "the suspend"
        return (
            f"{setting('statement_timeout', limit_s)} {_against_the_wake(case, limit_s)}, and {keeper} keeps "
            "connections: what is sent on one waits, and fails"
        )

    def mends(self, case: Case) -> Iterator[Mend]:
        for seconds in longer(case, case.pool.client_statement_timeout_s):
            yield Mend(settings={"statement_timeout": plain(seconds)})


class RefusedWhileWaking:
    """A database that refuses while it wakes: no timeout helps, because nothing waits."""

    name = "no request is refused in the wake"
    through_pooler = False

    def beside_the_point(self, case: Case) -> str:
        if not case.sleeps:
            return _never_asleep(case)
        refused = case.wake.while_waking in (WhileWaking.REFUSE, WhileWaking.ERROR)
        return "" if refused else "while it wakes, a connect waits"

    def story(self, case: Case) -> Story:
        return replace(wake_story(case), retry=case.retry)

    def fails(self, case: Case, row: Row) -> bool:  # noqa: ARG002 - of the protocol
        return one_of(row, Outcome.CONNECT_ERROR)

    def finding(self, case: Case) -> str:
        refused = case.wake.while_waking is WhileWaking.REFUSE
        what = "refused" if refused else "answered with an error"
        return f"while it wakes, {shown(case.wake_s)}, a connect is {what}: it fails at once, whatever the timeouts are"

    def mends(self, case: Case) -> Iterator[Mend]:
        waits_s, retries = 0.0, 0
        while waits_s < case.wake_s * MARGIN and retries < 50:
            waits_s += min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**retries)
            retries += 1
        yield Mend(retry=Retry(retries=retries, wait_s=FIRST_WAIT_S, factor=2.0, max_wait_s=LONGEST_WAIT_S))


class ClientOutlastsTheWake:
    """The client's patience against the wake: nothing in the service can mend a wake that is longer."""

    name = "the client is still there when the database is awake"
    through_pooler = True

    def beside_the_point(self, case: Case) -> str:
        return "" if case.sleeps else _never_asleep(case)

    def story(self, case: Case) -> Story:
        return story_of(case, _told(at_wake(case.wake, case.wake_s)), requests=1)

    def fails(self, case: Case, row: Row) -> bool:
        # Where the client can't outlast it, a timeout of the service that is shorter only says so sooner.
        hopeless = case.wake_s >= case.client_timeout_s and not one_of(row, Outcome.OK)
        return hopeless or one_of(row, Outcome.CLIENT_TIMEOUT)

    def finding(self, case: Case) -> str:
        waits_s = case.client_timeout_s
        return (
            f"how long the client waits ({shown(waits_s)}) {_against_the_wake(case, waits_s)}: whoever comes first "
            "gets no answer, with any timeouts of the service"
        )

    def mends(self, case: Case) -> Iterator[Mend]:
        # Room for an attempt that begins anew, so that the client is not gone at the moment of the answer.
        waits_s = 2 * case.outlasting_s
        if waits_s <= MOST_PATIENT_S:
            yield Mend(client_timeout_s=waits_s)


def wake_story(case: Case) -> Story:
    """As many requests as fill the pool and its queue, at the very moment of the first attempt to connect."""
    return story_of(case, _told(at_wake(case.wake, case.wake_s)))


def story_of(case: Case, wake: WakeProfile, *, requests: int | None = None) -> Story:
    """All at once into the suspend; without `requests` so many that some wait in the queue, whoever fails before."""
    asked = case.pool.capacity + case.pool.most_idle + QUEUEING if requests is None else requests
    return Story(
        name="lint",
        wake=wake,
        timeline=(Warm(), Suspend(), Burst(asked, 0.0, "at_once")),
        client_timeout_s=case.client_timeout_s,
    )


def longer(case: Case, than_s: float) -> Iterator[float]:
    """Timeouts that could outlast the wake: with a margin, and more where a connection request comes late."""
    for extra_s in (0.0, 5.0, 10.0, 20.0, case.outlasting_s):
        if (seconds := case.outlasting_s + extra_s) > than_s:
            yield seconds


def _told(wake: WakeProfile) -> WakeProfile:
    """Half-open connections are the subject of rules of their own: in the others a suspend closes them."""
    return replace(wake, on_suspend=OnSuspend.CLOSE) if wake.on_suspend in SILENT else wake


def _limit_s(case: Case) -> float:
    return case.pool.acquire_limit_s or case.pool.connection_limit_s


def _never_asleep(case: Case) -> str:
    return "its wake takes no time" if case.wake.can_sleep else "the database never sleeps"


def nobody_is_left(case: Case) -> str:
    if not case.sleeps:
        return _never_asleep(case)
    return "the client is gone before the wake is over" if case.wake_s >= case.client_timeout_s else ""


def _against_the_wake(case: Case, limit_s: float) -> str:
    """What is true of the two numbers: a longer timeout can be too short as well."""
    if limit_s <= case.wake_s:
        return f"is not longer than the wake ({shown(case.wake_s)})"
    if case.wake.while_waking is WhileWaking.DROP:
        return (
            f"is longer than the wake ({shown(case.wake_s)}), but a connection request that nobody answered is sent "
            "again only later"
        )
    retries = not is_sqlalchemy(case) and case.pool.runs_on is Driver.PSYCOPG
    why = "psycopg_pool waits between its attempts" if retries else "more than the wake is waited for"
    return f"is longer than the wake ({shown(case.wake_s)}), but {why}"
