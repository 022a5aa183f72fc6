"""A connection pooler in the path, on every stack in real time: service ──▶ PgBouncer ──▶ the proxy that sleeps."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from harness.model.errors import UserError
from harness.model.trial import Trial
from harness.pgbouncer import running_pgbouncer
from harness.pgbouncer.program import program
from harness.postgres import PostgresServer
from harness.processes.beside import beside


@asynccontextmanager
async def pooled(server: PostgresServer, trial: Trial, logs: Path) -> AsyncIterator[PostgresServer]:
    """The server as the trial's service reaches it: through a PgBouncer of its own where the story has one."""
    pooler = trial.story.pooler
    if pooler is None:
        yield server
        return
    log = logs / f"trial-{trial.number}.pgbouncer.log"
    async with running_pgbouncer(pooler, server, log=log) as (reached, child), beside(child.watch()):
        yield reached


def check_pooler(trials: Sequence[Trial]) -> None:
    """Raises `StackError` without the program that a story needs, `UserError` for what its version can't do."""
    for pooler in {trial.story.pooler for trial in trials if trial.story.pooler is not None}:
        found = program()
        if pooler.max_prepared_statements is not None and not found.follows_prepared_statements:
            raise UserError(
                f"max_prepared_statements needs PgBouncer 1.21, and this is {found.version}",
                where="PgBouncer",
                allowed="leave it out",
            )


def pooler_versions(trials: Sequence[Trial]) -> dict[str, str]:
    """PgBouncer's version, where a trial has one."""
    return {"pgbouncer": program().version} if any(trial.story.pooler is not None for trial in trials) else {}
