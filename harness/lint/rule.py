"""What a rule is, and the words that rules share."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from harness.lint.case import Case, Mend
from harness.model.driver import Driver
from harness.model.outcomes import Outcome
from harness.model.pool_library import PoolLibrary
from harness.model.story import Story

Row = Mapping[str, Any]
"""One request of a trial, with the columns of harness/model/columns.py."""


class Rule(Protocol):
    """One thing that a configuration must not do, and the trial that tells whether it does.

    The trial is always played, whatever the numbers look like: it decides. What is a finding is a request that `fails`.
    """

    @property
    def name(self) -> str:
        """What the trial shows where no request of it fails, as a sentence."""
        ...

    @property
    def through_pooler(self) -> bool:
        """Whether it can be played where a pooler, which virtual time has not, stands before the database."""
        ...

    def beside_the_point(self, case: Case) -> str:
        """Why it isn't asked here, as a clause; empty: it is."""
        ...

    def story(self, case: Case) -> Story:
        """What is played, with the case's pool."""
        ...

    def fails(self, case: Case, row: Row) -> bool:
        """Whether this request of the trial fails because of what the rule is about."""
        ...

    def finding(self, case: Case) -> str:
        """The sentence of a finding. It is only asked for where a request fails."""
        ...

    def mends(self, case: Case) -> Iterator[Mend]:
        """What could mend it, the best first. They are played, and the first with which nothing fails is shown."""
        ...


def one_of(row: Row, *outcomes: Outcome) -> bool:
    """Whether the request ended so."""
    return row["outcome"] in outcomes


def shown(seconds: float) -> str:
    """`10 s`, `2.59 s`, `86400 s`."""
    return f"{seconds:.4g} s" if seconds < 1000 else f"{seconds:.0f} s"


def plain(seconds: float) -> str:
    """A setting's value as it is typed."""
    return f"{seconds:.12g}"


def setting(name: str, seconds: float) -> str:
    """`pool_timeout (10 s)`."""
    return f"{name} ({shown(seconds)})"


def connecting(case: Case) -> str:
    """The limit for connecting, in words: which setting, how long, for what."""
    pool = case.pool
    if pool.acquire_limit_s is not None:
        return f"{setting('pool_timeout', pool.acquire_limit_s)}, which with asyncpg's pool covers connecting too,"
    if not pool.connection_timeout_s:
        own = f"psycopg's own {shown(case.pool.connection_limit_s)}" if pool.runs_on is Driver.PSYCOPG else "no limit"
        return f"connection_timeout (0: {own}{_each(case)})"
    return f"connection_timeout ({shown(pool.connection_timeout_s)}{_each(case)})"


def ping_limit(case: Case) -> str:
    """What bounds a statement on a connection that says nothing, in words."""
    limit_s = case.pool.client_statement_timeout_s
    if case.pool.runs_on is Driver.PSYCOPG:
        return "psycopg has no timeout for a statement"
    return f"statement_timeout is {shown(limit_s)}" if limit_s else "statement_timeout is 0, none"


def tried(case: Case) -> str:
    """What a request does with an idle connection first."""
    return "the ping" if case.pool.of_library.pool_pre_ping else "the first statement"


def is_sqlalchemy(case: Case) -> bool:
    return case.pool.pool_library is PoolLibrary.SQLALCHEMY


def _each(case: Case) -> str:
    per_address = case.pool.runs_on is Driver.PSYCOPG and case.wake.addresses > 1
    return f" for each of {case.wake.addresses} addresses" if per_address else ""
