"""Each request of a run with failures, beside what the service, PostgreSQL and Locust wrote down themselves."""

import csv
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from harness.analysis import load
from harness.model.arrivals import RequestMix, RequestName
from harness.model.outcomes import Outcome
from harness.model.plan import Overrides, PlannedRun
from harness.model.scenario import Scenario, pool
from harness.model.timeline import Burst, Idle, Suspend, Warm
from harness.model.wake import profile
from harness.postgres import PostgresServer, embedded_postgres
from harness.processes.process import Child
from harness.run import execute
from harness.service.requests import track_id
from harness.stacks.base import Quiet, RunOptions

REQUESTS = 60
NEAR_S = 0.02
"""Two clocks, one of them in whole milliseconds."""
STORY = Scenario(
    name="checked",
    wake=profile("neon", latency_s=2.0),
    # Before the wake both who connects and who queues give up. After it reads are answered, and slow queries are not.
    pools=(pool("2+0", pool_timeout=0.8, connection_timeout=1.5, statement_timeout=0.5),),
    timeline=(
        Warm(),
        Suspend(),
        Burst(REQUESTS, 6.0, "even", RequestMix.of({"read_track": 8, "slow_query": 1}, hold_s=0.7)),
        # Locust writes its record once a second.
        Idle(3.0),
    ),
)
EXECUTED = re.compile(r"LOG:\s+execute .*(tracks|pg_sleep)")
PARAMETER = re.compile(r"Parameters: \$1 = '(.*)'", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    """One request, as the service exported it."""

    name: str
    began_s: float
    ended_s: float
    outcome: str


@asynccontextmanager
async def telling_postgres(*, log: Path, max_connections: int) -> AsyncIterator[tuple[PostgresServer, Child]]:
    """One that writes every statement into its log."""
    async with embedded_postgres(log=log, max_connections=max_connections) as (server, child):
        connection = await asyncpg.connect(server.dsn, ssl=False)
        await connection.execute("ALTER SYSTEM SET log_statement = 'all'")
        await connection.execute("ALTER SYSTEM SET log_parameter_max_length = -1")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()
        yield server, child


def spans(log: Path) -> Iterator[Span]:
    """The requests' spans in the service's log."""
    decoder, text = json.JSONDecoder(), log.read_text()
    at = text.find("{")
    while at >= 0:
        found, at = decoder.raw_decode(text, at)
        attributes: dict[str, Any] = found["attributes"]
        if "coldstart.outcome" in attributes:
            yield Span(
                found["name"], *map(_seconds, (found["start_time"], found["end_time"])), attributes["coldstart.outcome"]
            )
        at = text.find("{", at)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


@pytest.mark.quiet
def test_no_outcome_differs_from_what_the_service_postgresql_and_locust_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("LOCUST_CSV", str(tmp_path / "locust"))
    monkeypatch.setattr("harness.stacks.embedded.embedded_postgres", telling_postgres)
    plan = PlannedRun(scenario=STORY, overrides=Overrides(control=False), real_time=True)
    done = execute(plan, stack="embedded", options=RunOptions(), progress=Quiet(), out=tmp_path / "runs", charts=False)
    run = load(done.folder)
    (trial,), (summary,) = run.trials, run.summaries
    rows = run.rows(trial, "requests").sort_by("number").to_pylist()
    assert len(rows) == REQUESTS
    assert {"ok", "pool_timeout", "connect_timeout", "statement_timeout"} <= {row["outcome"] for row in rows}

    # The service: request by request, in the order in which they began.
    told = sorted(spans(done.folder / "logs" / "trial-0.service.log"), key=lambda span: span.began_s)
    assert len(told) == REQUESTS
    assert summary.began_at_s is not None
    for row, span in zip(sorted(rows, key=lambda row: row["start_s"]), told, strict=True):
        assert (row["request"], row["outcome"]) == (span.name, span.outcome), row
        assert row["start_s"] - NEAR_S <= span.began_s - summary.began_at_s
        assert span.ended_s - summary.began_at_s <= row["end_s"] + NEAR_S
        assert row["status"] == (200 if row["outcome"] == Outcome.OK else Outcome(row["outcome"]).http_status)

    # PostgreSQL: who got an answer had a statement with its own key, and who got none had none.
    arrivals = {arrival.number: arrival for arrival in trial.arrivals()[0]}
    read = Counter(
        str(track_id(arrivals[row["number"]].key))
        for row in rows
        if row["request"] == RequestName.READ_TRACK and row["outcome"] == Outcome.OK
    )
    slow = sum(row["outcome"] == Outcome.STATEMENT_TIMEOUT for row in rows)
    log = (done.folder / "logs" / "postgres.log").read_text().splitlines()
    executed = [(line, PARAMETER.search(following)) for line, following in pairwise(log) if EXECUTED.search(line)]
    keys = Counter(found[1] for line, found in executed if found and "pg_sleep" not in line)
    assert keys == read
    assert sum("pg_sleep" in line for line, _ in executed) == slow
    assert sum("canceling statement" in line for line in log) == slow

    # Locust: its own counts of failures, by their name.
    failures = Counter[str]()
    with (tmp_path / "locust_failures.csv").open() as file:
        for row in csv.DictReader(file):
            failures[row["Error"]] += int(row["Occurrences"])
    assert sum(failures.values()) == summary.failed
    for outcome, count in summary.outcomes.items():
        if outcome is not Outcome.OK:
            assert sum(times for error, times in failures.items() if outcome.value in error) == count
