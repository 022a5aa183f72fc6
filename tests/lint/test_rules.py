"""Each rule with configurations that break it, and with some that do not; the trial decides, also in ties."""

import asyncio
import math
from dataclasses import replace

import pytest
from linted import HERE, case, found, linted, mend_of, variables, why_not

from harness.lint.budget_rules import AnswersBeforeTheClientLeaves, ConnectionsFit
from harness.lint.connection_rules import (
    ClosedConnectionsAreNoticed,
    ForgottenConnectionsAreNotTried,
    HalfOpenConnectionsAreGivenUp,
    HalfOpenConnectionsAreNotTried,
)
from harness.lint.driver_rules import (
    ConnectionTimeoutIsWhatIsWritten,
    OneTimeoutForAllAddresses,
    TimeoutsReachTheDriver,
)
from harness.lint.linting import RULES, TIMES, Finding, Linted, check, lint
from harness.lint.wake_rules import (
    ClientOutlastsTheWake,
    ConnectingOutlastsTheWake,
    QueueOutlastsTheWake,
    RefusedWhileWaking,
    StatementOutlastsTheWake,
)
from harness.model.errors import UserError
from harness.model.pool import before_change_psycopg

PSYCOPG = "DATABASE_URL=postgresql+psycopg://u:secret@h/db"
LIBRARIES = ("10+5", "10+5,driver=psycopg", "10+5,pool_library=asyncpg", "10+5,pool_library=psycopg_pool")


def failing(result: Linted) -> set[str]:
    return {type(finding.rule).__name__ for finding in result.findings}


@pytest.mark.parametrize("wake", ["neon", "8", "0", "always-on"])
def test_nothing_is_found_in_the_reference_services_settings_on_asyncpg(wake: str) -> None:
    result = linted(variables("DATABASE_POOL_SIZE=10 DATABASE_CONNECTION_TIMEOUT=10"), wake)
    assert failing(result) == set()
    assert result.together is None


# The wake itself


@pytest.mark.parametrize("library", LIBRARIES)
def test_timeouts_shorter_than_the_wake_are_found_with_every_library(library: str) -> None:
    result = linted(library, "12")
    # psycopg_pool never fails a request for its connect: who asked goes on waiting in its queue.
    hidden = "psycopg_pool" in library
    assert (found(result, ConnectingOutlastsTheWake) is None) is hidden
    assert found(result, QueueOutlastsTheWake) is not None
    assert result.together is not None
    assert result.together.still == []


def test_the_mend_of_a_connect_is_a_timeout_that_outlasts_the_wake_with_a_margin() -> None:
    result = linted("10+5", "12", client_timeout_s=31)
    assert mend_of(result, ConnectingOutlastsTheWake) == {"connection_timeout": "15"}
    assert mend_of(result, QueueOutlastsTheWake) == {"pool_timeout": "15"}
    # pool_timeout follows connection_timeout, so that one line mends both.
    assert result.together is not None
    assert result.together.settings(result.case) == {"connection_timeout": "15"}
    # 15 s and 15 s are as long as a client of 30 s waits, so that together another line is needed.
    result = linted("10+5", "12", client_timeout_s=30)
    assert result.together is not None
    assert result.together.settings(result.case) == {"connection_timeout": "15", "pool_timeout": "14"}
    assert result.together.still == []


@pytest.mark.parametrize(("seconds", "fails"), [(9.9, False), (10.0, True), (10.1, True)])
def test_a_timeout_as_long_as_the_wake_is_what_the_trial_says(seconds: float, fails: bool) -> None:
    result = linted("10+5", f"{seconds:g}")
    assert (found(result, ConnectingOutlastsTheWake) is not None) is fails
    assert (found(result, QueueOutlastsTheWake) is not None) is fails


def test_only_the_queue_is_found_where_only_it_is_too_short() -> None:
    assert failing(linted("10+5,connection_timeout=15,pool_timeout=9", "12")) == {"QueueOutlastsTheWake"}


def test_the_wake_that_counts_is_the_one_that_one_in_a_hundred_is_longer_than() -> None:
    upper_s = case("10+5", "railway").wake_s
    assert upper_s == pytest.approx(7.286, abs=0.001)
    for timeout_s, fails in ((upper_s - 0.01, True), (upper_s + 0.01, False)):
        result = linted(f"5+0,connection_timeout=20,pool_timeout={timeout_s:.6f}", f"neon:{upper_s!r}")
        assert (found(result, QueueOutlastsTheWake) is not None) is fails


@pytest.mark.parametrize("seed", range(1, 21))
def test_no_seed_changes_what_a_trial_shows(seed: int) -> None:
    for configuration in ("10+5", "5+0,pool_library=psycopg_pool"):
        one = case(configuration, "neon-outage:12")
        for rule in RULES:
            if rule.beside_the_point(one):
                continue
            trial = one.trial(rule.story(one))
            rows, others = (asyncio.run(HERE.play(replace(trial, seed=which), TIMES)).rows for which in (1, seed))
            assert [row["outcome"] for row in rows] == [row["outcome"] for row in others]


def test_a_request_that_nobody_answered_is_sent_again_later_and_the_sentence_says_so() -> None:
    result = linted("10+5", "neon-outage:8", addresses=1)
    finding = found(result, ConnectingOutlastsTheWake)
    assert finding is not None
    assert "is longer than the wake (8 s), but a connection request that nobody answered" in finding.sentence
    assert mend_of(result, ConnectingOutlastsTheWake) == {"connection_timeout": "15"}


def test_a_statement_on_a_kept_connection_waits_for_the_wake() -> None:
    result = linted("10+5", "scaleway-serverless-sql:12")
    assert mend_of(result, StatementOutlastsTheWake) == {"statement_timeout": "15"}
    assert found(linted("10+5", "scaleway-serverless-sql:9"), StatementOutlastsTheWake) is None
    assert found(linted("10+5,driver=psycopg", "scaleway-serverless-sql:12"), StatementOutlastsTheWake) is None
    assert why_not(linted("10+5", "12"), StatementOutlastsTheWake) == "the suspend keeps no connection"


@pytest.mark.parametrize("profile", ["railway", "azure-sql-serverless:20"])
def test_a_database_that_refuses_while_it_wakes_needs_clients_that_ask_again(profile: str) -> None:
    finding = found(linted("5+0", profile), RefusedWhileWaking)
    assert finding is not None
    assert finding.mended is not None
    retry = finding.mended.mend.retry
    assert retry is not None
    assert sum(retry.waits_s(1, 0)) > linted("5+0", profile).case.wake_s
    assert why_not(linted("5+0", "neon"), RefusedWhileWaking) == "while it wakes, a connect waits"
    # psycopg_pool tries again by itself.
    assert found(linted("5+0,pool_library=psycopg_pool", "railway"), RefusedWhileWaking) is None


def test_a_wake_longer_than_the_client_waits_is_no_matter_of_the_services_timeouts() -> None:
    result = linted("10+5", "40")
    finding = found(result, ClientOutlastsTheWake)
    assert finding is not None
    assert finding.mended is not None
    assert finding.mended.mend.client_timeout_s == 100
    # Only then it is the service's timeouts that are too short.
    assert result.together is not None
    assert result.together.settings(result.case) == {"connection_timeout": "50", "pool_timeout": "49"}
    assert result.together.still == []
    assert why_not(result, ConnectingOutlastsTheWake) == "the client is gone before the wake is over"
    # Nobody is told to wait for minutes.
    outage = found(linted("10+5", "neon-outage"), ClientOutlastsTheWake)
    assert outage is not None
    assert outage.mended is None
    assert found(linted("10+5", "29"), ClientOutlastsTheWake) is None
    assert found(linted("10+5", "30"), ClientOutlastsTheWake) is not None


# Sums


@pytest.mark.parametrize(
    ("pool", "client_s", "fails"),
    [
        ("5+0", 30, False),
        ("5+0", 20, True),
        ("5+0", 20.1, False),
        ("5+0,pool_timeout=30", 30, True),
        ("5+0,pool_timeout=30", 40, True),
        ("5+0,pool_timeout=30", 40.1, False),
        ("5+0,connection_timeout=4,pool_timeout=9", 13, True),
        ("5+0,connection_timeout=4,pool_timeout=9", 13.1, False),
        ("5+0,connection_timeout=0,pool_timeout=5", 30, True),
        ("5+0,driver=psycopg", 20, True),
        ("5+0,driver=psycopg,connection_timeout=0,pool_timeout=5", 60, True),
        ("5+0,driver=psycopg,connection_timeout=0,pool_timeout=5", 136, False),
        # Their pool_timeout is all of it.
        ("5+0,pool_library=asyncpg", 10.1, False),
        ("5+0,pool_library=asyncpg,pool_timeout=20", 15, True),
        ("5+0,pool_library=psycopg_pool", 10.1, False),
        ("5+0,pool_library=psycopg_pool,pool_timeout=20", 15, True),
    ],
)
def test_the_service_answers_before_its_client_leaves_or_it_is_found(pool: str, client_s: float, fails: bool) -> None:
    finding = found(linted(pool, "0.1", client_timeout_s=client_s), AnswersBeforeTheClientLeaves)
    assert (finding is not None) is fails
    if finding is not None:
        assert finding.mended is not None


def test_of_the_mends_the_one_is_taken_that_leaves_the_queue_longer_than_the_wake() -> None:
    result = linted("10+5,pool_timeout=30,connection_timeout=10", "8")
    assert mend_of(result, AnswersBeforeTheClientLeaves) == {"pool_timeout": "19"}
    # 9 s of 10 and 10: nothing is left of it for a queue of 8 s, unless connecting is shortened too.
    result = linted("10+5,pool_timeout=30,connection_timeout=10", "8", client_timeout_s=18)
    assert mend_of(result, AnswersBeforeTheClientLeaves) == {"connection_timeout": "8", "pool_timeout": "8"}
    # A timeout of 8 s does not outlast the wake: together it is the client that has to wait longer.
    assert result.together is not None
    assert result.together.settings(result.case) == {}
    assert result.together.case.client_timeout_s == 45
    assert result.together.still == []


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("instances", "workers", "limit", "fails"),
    [(1, 1, 18, False), (1, 1, 17, True), (2, 3, 93, False), (2, 3, 92, True), (2, 3, 15, True)],
)
def test_the_pools_of_all_processes_fit_the_server_or_it_is_found(
    library: str,
    instances: int,
    workers: int,
    limit: int,
    fails: bool,
) -> None:
    more = {"instances": instances, "workers": workers, "max_connections": limit}
    finding = found(linted(library, **more), ConnectionsFit)
    if "psycopg_pool" in library:
        # Its callers wait for a connection that others give back.
        assert finding is None
        return
    assert (finding is not None) is fails
    if finding is not None:
        assert finding.mended is not None
        mended = linted(library, **more).case.mended(finding.mended.mend)
        assert mended.wanted <= limit - 3
        assert mended.wanted + instances * workers > limit - 3, "a connection more for each does not fit"


def test_listeners_take_a_connection_of_each_process() -> None:
    more = {"instances": 2, "workers": 2, "max_connections": 63}
    assert found(linted("10+5", **more), ConnectionsFit) is None
    assert mend_of(linted("10+5", listener=True, **more), ConnectionsFit) == {"max_overflow": "4"}


def test_without_room_for_a_connection_each_no_pool_mends_it() -> None:
    finding = found(linted("2+0", instances=10, max_connections=10), ConnectionsFit)
    assert finding is not None
    assert finding.mended is None


# Connections that died in the pool


@pytest.mark.parametrize("wake", ["neon", "neon-pooler", "always-on", "neon-outage:8", "scaleway-serverless-sql"])
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_without_pre_ping_a_closed_connection_is_given_out(wake: str, driver: str) -> None:
    result = linted(f"5+0,driver={driver},pool_pre_ping=false", wake)
    assert mend_of(result, ClosedConnectionsAreNoticed) == {"pool_pre_ping": "true"}
    assert found(linted(f"5+0,driver={driver}", wake), ClosedConnectionsAreNoticed) is None


def test_asyncpgs_own_pool_knows_which_connections_were_closed() -> None:
    assert found(linted("5+0,pool_library=asyncpg"), ClosedConnectionsAreNoticed) is None


def test_psycopg_has_no_timeout_for_a_ping_on_a_half_open_connection() -> None:
    result = linted(
        "5+0,driver=psycopg",
        "neon",
    )
    assert why_not(result, HalfOpenConnectionsAreGivenUp) == "the suspend leaves no connection half-open"
    frozen = case("5+0,driver=psycopg", "neon:3")
    frozen = replace(frozen, wake=frozen.wake.with_changes(on_suspend="freeze"))
    for rule in (HalfOpenConnectionsAreGivenUp(), HalfOpenConnectionsAreNotTried()):
        finding = asyncio.run(check(rule, frozen, HERE))
        assert isinstance(finding, Finding)
        assert "psycopg has no timeout for a statement" in finding.sentence
        assert finding.mended is not None
        assert finding.mended.mend.settings == {"pool_recycle": "240"}


@pytest.mark.parametrize(("timeout_s", "fails"), [(0, True), (60, True), (10, False)])
def test_a_statement_timeout_longer_than_the_client_waits_is_none(timeout_s: float, fails: bool) -> None:
    one = case(f"5+0,statement_timeout={timeout_s}", "neon:3")
    one = replace(one, wake=one.wake.with_changes(on_suspend="freeze"))
    verdict = asyncio.run(check(HalfOpenConnectionsAreGivenUp(), one, HERE))
    assert isinstance(verdict, Finding) is fails
    if isinstance(verdict, Finding):
        assert verdict.mended is not None
        assert verdict.mended.mend.settings == {"statement_timeout": "10"}


@pytest.mark.parametrize(("recycle_s", "fails"), [(299, False), (300, True), (301, True), (0, True), (7200, True)])
def test_a_pool_recycle_longer_than_suspend_after_tries_half_open_connections(recycle_s: int, fails: bool) -> None:
    one = case(f"5+0,pool_recycle={recycle_s}", "neon:3")
    one = replace(one, wake=one.wake.with_changes(on_suspend="freeze"))
    verdict = asyncio.run(check(HalfOpenConnectionsAreNotTried(), one, HERE))
    assert isinstance(verdict, Finding) is fails


@pytest.mark.parametrize("library", ["5+0,pool_library=asyncpg", "5+0,pool_library=psycopg_pool"])
def test_what_no_setting_mends_is_said_to_have_no_mend(library: str) -> None:
    one = case(library, "neon:3")
    one = replace(one, wake=one.wake.with_changes(on_suspend="freeze"))
    verdict = asyncio.run(check(HalfOpenConnectionsAreNotTried(), one, HERE))
    assert isinstance(verdict, Finding)
    assert verdict.mended is None
    assert "replaces no connection" in verdict.sentence


@pytest.mark.parametrize(
    ("pool", "with_rst", "silently"),
    [
        ("5+0", None, {"pool_recycle": "280"}),
        ("5+0,pool_pre_ping=false", {"pool_pre_ping": "true"}, {"pool_recycle": "280"}),
        ("5+0,pool_recycle=349", None, None),
        ("5+0,pool_recycle=349,pool_pre_ping=false", None, None),
        ("5+0,driver=psycopg", None, {"pool_recycle": "280"}),
        ("5+0,driver=psycopg,pool_recycle=240", None, None),
    ],
)
def test_a_load_balancer_that_forgets_idle_connections(
    pool: str, with_rst: dict[str, str] | None, silently: dict[str, str] | None
) -> None:
    one = case(pool, "always-on", idle_timeout_s=350.0)
    for silent, mend in ((False, with_rst), (True, silently)):
        verdict = asyncio.run(check(ForgottenConnectionsAreNotTried(silent), one, HERE))
        assert isinstance(verdict, Finding) is (mend is not None)
        if isinstance(verdict, Finding):
            assert verdict.mended is not None
            assert verdict.mended.mend.settings == mend
    assert why_not(linted(pool, "always-on"), ForgottenConnectionsAreNotTried) == "no --idle-timeout is given"


# Drivers


def test_the_reference_services_timeouts_never_reach_psycopg() -> None:
    configuration = variables(f"{PSYCOPG} DATABASE_POOL_SIZE=5 DATABASE_MAX_OVERFLOW=0 DATABASE_STATEMENT_TIMEOUT=10")
    assert configuration.pool.resolved == before_change_psycopg.resolved
    result = linted(configuration, "neon")
    assert mend_of(result, TimeoutsReachTheDriver) == {"driver": "asyncpg"}
    assert result.together is not None
    assert result.together.still == []
    on_asyncpg = linted(variables("DATABASE_URL=postgresql+asyncpg://h/db DATABASE_CONNECTION_TIMEOUT=5"))
    assert why_not(on_asyncpg, TimeoutsReachTheDriver) == "the driver is not psycopg"


def test_libpq_reads_the_urls_own_connect_timeout_whatever_the_code_does() -> None:
    configuration = variables(f"{PSYCOPG}?connect_timeout=7 DATABASE_CONNECTION_TIMEOUT=10")
    assert (configuration.pool.connection_timeout_s, configuration.pool.queue_timeout_s) == (7, 30)


@pytest.mark.parametrize(
    ("pool", "addresses", "fails"),
    [
        ("5+0,driver=psycopg", 3, True),
        ("5+0,driver=psycopg,connection_timeout=2", 12, True),
        ("5+0,driver=psycopg", 1, None),
        ("5+0,driver=psycopg,connection_timeout=0", 3, None),
        ("5+0", 3, None),
        # Whoever waits for psycopg_pool has only its pool_timeout.
        ("5+0,pool_library=psycopg_pool", 3, False),
    ],
)
def test_psycopgs_connect_timeout_is_for_each_address(pool: str, addresses: int, fails: bool | None) -> None:
    result = linted(pool, "neon", addresses=addresses)
    if fails is None:
        assert why_not(result, OneTimeoutForAllAddresses)
    else:
        assert (found(result, OneTimeoutForAllAddresses) is not None) is fails


@pytest.mark.parametrize(
    ("written", "holds_s", "fails"),
    [
        ("1500", 2, True),
        ("900", 0, True),
        ("1000", 2, True),
        ("2000", 2, None),
        ("10700", 10, True),
        ("200000", 200, None),
    ],
)
def test_psycopg_takes_whole_seconds(written: str, holds_s: float, fails: bool | None) -> None:
    configuration = variables(f"DB=postgresql+psycopg://h/db WAIT={written}", env="url=DB,connection_timeout=WAIT:ms")
    assert configuration.pool.connection_timeout_s == holds_s
    result = linted(configuration)
    if fails is None:
        assert why_not(result, ConnectionTimeoutIsWhatIsWritten) == "it is in whole seconds"
    else:
        text = mend_of(result, ConnectionTimeoutIsWhatIsWritten)["connection_timeout"]
        assert float(text) == max(2, math.ceil(float(written) / 1000))


# A pooler


def test_behind_a_pooler_only_what_needs_none_is_played() -> None:
    result = linted("10+5", "12", pooler="transaction", listener=True)
    assert failing(result) == {"StatementOutlastsTheWake"}
    assert mend_of(result, StatementOutlastsTheWake) == {"statement_timeout": "15"}
    assert why_not(result, ConnectingOutlastsTheWake) == "virtual time has no pooler"
    told = " ".join(result.known)
    assert "statement_cache_size=0" in told
    assert "LISTEN does not outlive" in told
    assert "LISTEN" not in " ".join(linted("10+5", "12", pooler="session", listener=True).known)
    assert linted("10+5", "12").known == ()


def test_what_nothing_can_be_played_of_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="nothing of this can be played: virtual time has no pooler"):
        asyncio.run(lint(case("10+5", "always-on", pooler="session"), HERE))
