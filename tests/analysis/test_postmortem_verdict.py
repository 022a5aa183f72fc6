"""The postmortem's first line, tested against data that it did not expect."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.analysis import Run, load
from harness.analysis.effect import Effect, SeedEffect
from harness.analysis.sentences import Failures
from harness.application.variables import read_variables
from harness.library import load_scenario
from harness.model.application import Application
from harness.model.application_request import ApplicationRequest
from harness.model.arrivals import RequestMix
from harness.model.plan import Overrides, PlannedRun
from harness.model.scenario import pool
from harness.model.wake import read_wake
from harness.postmortem.changes import Change, Changes, changes
from harness.postmortem.incident import Incident, incident
from harness.postmortem.verdict import differing, first_line
from harness.run import execute
from harness.stacks.base import Quiet, RunOptions

REQUESTS = 40


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """5+0 and 10+5 meet a wake of 12 s with 40 requests over 4 s."""
    overrides = Overrides(
        pools=(pool("5+0"), pool("10+5", connection_timeout=60)), wakes=(read_wake("12"),), requests=REQUESTS, over_s=4,
        control=False,
    )  # fmt: skip
    plan = PlannedRun(scenario=load_scenario("cold_burst"), overrides=overrides)
    out = tmp_path_factory.mktemp("runs")
    done = execute(plan, stack="simulated", options=RunOptions(), out=out, progress=Quiet(), charts=False)
    return load(done.folder)


@pytest.fixture(scope="module")
def met(run: Run) -> Incident:
    return incident(run)


@pytest.fixture(scope="module")
def tried(run: Run, met: Incident) -> Changes:
    return changes(met, run.plan, lambda _: None)


def test_it_is_the_change_that_would_have_helped_as_one_types_it(met: Incident, tried: Changes) -> None:
    line = first_line(met, tried)
    assert line.startswith("**What would have helped: `DATABASE_POOL_TIMEOUT=")
    assert "`DATABASE_CONNECTION_TIMEOUT=" in line
    assert "With it no request fails, where" in line
    assert "It holds to a wake of 15" in line, "12 s and a quarter"
    assert "POOL_SIZE" not in line, "its size was enough"


def test_what_helps_is_played_with_the_arrivals_that_were_measured(tried: Changes) -> None:
    assert tried.best is not None
    assert tried.best.failures.requests == REQUESTS
    assert tried.best.measured.saved == tried.again.failures.failed - tried.best.failures.failed


def test_where_nothing_failed_nothing_is_to_be_set(run: Run) -> None:
    calm = incident(run, configuration="10+5 connection_timeout=60")
    assert first_line(calm, None) == "**Nothing failed**, so nothing had to be set otherwise."


def test_an_application_that_was_running_can_not_be_played_again(met: Incident) -> None:
    assert first_line(met, None).startswith("**What would have helped is not known**")


def test_virtual_time_that_differs_is_said(met: Incident, tried: Changes) -> None:
    assert "differs from the run" not in first_line(met, tried)
    apart = replace(tried, measured=Failures(0, REQUESTS))
    assert "differs from the run by more than 2%: a direction, not a number." in first_line(met, apart)


@pytest.mark.parametrize(
    ("failed", "words"), [(1, "With it 1 of 40 requests fails, where"), (2, "2 of 40 requests fail,")]
)
def test_how_many_fail_all_the_same(met: Incident, tried: Changes, failed: int, words: str) -> None:
    assert tried.best is not None
    best = replace(tried.best, failures=Failures(failed, REQUESTS))
    assert words in first_line(met, replace(tried, best=best))


def test_without_a_search_it_is_the_best_single_change_or_none(met: Incident, tried: Changes) -> None:
    unsearched = replace(tried, searched=None, best=None)
    assert "**What would have helped: `" in first_line(met, unsearched)
    assert first_line(met, replace(unsearched, tried=[])).startswith("**No single setting would have helped.**")
    ok = np.array([True] * REQUESTS)
    harm = Effect((SeedEffect.of(1, ok, ~ok),))
    worse = Change(
        what="pool_size: 5 → 1", failures=Failures(40, REQUESTS), measured=harm, replayed=harm, p95_s=1, max_s=1
    )
    assert first_line(met, replace(unsearched, tried=[worse])).startswith("**No single setting would have helped.**")


def test_where_no_setting_helps_it_says_what_would(run: Run) -> None:
    impatient = incident(run, patience_s=3)
    line = first_line(impatient, changes(impatient, run.plan, lambda _: None))
    assert line.startswith("**No setting would have helped**")
    assert "It takes a wake of no more than 3 s, or clients that wait 1" in line
    assert "or a database that does not sleep." in line


def test_only_what_changes_is_set_by_the_applications_own_names(tried: Changes) -> None:
    answer: Any = tried.searched
    before, after = pool("5+0", pool_timeout=30), pool("5+0", connection_timeout=15)
    assert differing(before, after, answer) == ["DATABASE_POOL_TIMEOUT=15", "DATABASE_CONNECTION_TIMEOUT=15"]
    assert differing(before, before, answer) == []

    class Question:
        application = Application(
            app="main:app",
            mix=RequestMix(((ApplicationRequest(name="home", method="GET", target="/"), 1.0),)),
            variables=read_variables(["url=DB,pool_timeout=DB_WAIT:ms"]),
        )

    class Answered:
        question = Question()

    its: Any = Answered()
    assert differing(before, after, its) == ["DB_WAIT=15000", "connection_timeout=15"]


def test_the_first_line_stands_first(run: Run, tmp_path: Path) -> None:
    from harness.postmortem.draft import draft

    met = incident(run)
    text = draft(met, None, charts=[], settings=None)
    assert text.split("\n\n")[1].startswith("**What would have helped is not known**")


def test_a_patience_that_is_shorter_than_any_timeout_of_the_driver(tmp_path: Path) -> None:
    overrides = Overrides(
        pools=(pool("5+0", driver="psycopg"),), wakes=(read_wake("12"),), requests=REQUESTS, over_s=4, control=False
    )  # fmt: skip
    plan = PlannedRun(scenario=load_scenario("cold_burst"), overrides=overrides)
    done = execute(plan, stack="simulated", options=RunOptions(), out=tmp_path, progress=Quiet(), charts=False)
    run = load(done.folder)
    met = incident(run, patience_s=1.5)
    line = first_line(met, changes(met, run.plan, lambda _: None))
    assert line.startswith("**No setting would have helped**")
    assert "It takes a wake of no more than 1." in line
