"""The pytest plugin: a database that sleeps, and an application played through a wake in virtual time.

    def test_nobody_is_turned_away(coldstart_app):
        coldstart_app("main:app", pool="10+5", wake=12).expect(none("failure"), answered_within(15))

    def test_the_first_request_waits(coldstart_postgres):
        coldstart_postgres.suspend()
        connect(coldstart_postgres.url)

Installed with the package; nothing else is imported until a test asks for a fixture.
"""

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.model.expectation import Expectation
    from harness.model.summary import TrialSummary
    from harness.up import SleepingPostgres

SCENARIO = "cold_burst"


@dataclass(frozen=True, slots=True)
class Played:
    """An application that was played through a scenario."""

    trials: "Sequence[TrialSummary]"
    """Each trial's numbers: a pool with a wake and a seed."""
    command: str
    """What plays the same again, to the last request."""

    def expect(self, *expectations: "Expectation") -> "Played":
        """Assert that every trial meets each of these (harness.scenario: `none`, `answered_within`, …).

        Raises `AssertionError` with what happened in words and the command, also where a trial is not to be relied on.
        """
        __tracebackhide__ = True
        failed = [
            f"{summary.trial.label}: expected {expectation}, but {_what_happened(summary, expectation)}"
            for summary in self.trials
            for expectation in expectations
            if not expectation.holds(summary.part(expectation.part))
        ]
        failed += [
            f"{summary.trial.label} (!) is not to be relied on: {what}"
            for summary in self.trials
            for what in summary.not_played
        ]
        if failed:
            raise AssertionError("\n".join([*failed, f"To play it again: {self.command}"]))
        return self


def _what_happened(summary: "TrialSummary", expectation: "Expectation") -> str:
    from harness.analysis.judge import what_happened

    return what_happened(summary.part(expectation.part), expectation)


@pytest.fixture
def coldstart_app(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Played]:
    """Plays an application: `coldstart_app("main:app", pool="10+5", wake=12)`.

    Every option of `coldstart run` by its name, a list for one that is repeated: `pool=["5+0", "10+5"]`,
    `set="connection_timeout=3"`, `requests=200`. Left out, the scenario is `cold_burst`, the stack `simulated`, the
    application's folder pytest's root folder, where its requests.toml and recording.jsonl are, and there is no control.
    """

    def play(app: str, *, scenario: str = SCENARIO, **options: Any) -> Played:  # noqa: ANN401 - of a command line
        from harness.cli.run import plan_of
        from harness.run import execute
        from harness.stacks.base import Quiet

        options = {"stack": "simulated", "app_dir": request.config.rootpath, **options}
        words = [scenario, "--app", app, *_words(options)]
        if "control" not in options:
            words.append("--no-control")
        command = f"coldstart run {shlex.join(words)}"
        stack, plan, run_options = plan_of(words)
        done = execute(plan, stack=stack, options=run_options, progress=Quiet(), out=tmp_path / "runs", charts=False)
        return Played(done.summaries, command)

    return play


@pytest.fixture
def coldstart_postgres(request: pytest.FixtureRequest) -> "Iterator[SleepingPostgres]":
    """A PostgreSQL that really sleeps, awake at first: `url`, `suspend()`, `wake()`, `state`, `wakes`.

    The marker `coldstart` sets it up: `@pytest.mark.coldstart(wake=2, suspend_after=300, init="schema.sql")`.
    """
    from harness.up import sleeping_postgres

    marker = request.node.get_closest_marker("coldstart")
    with sleeping_postgres(**({} if marker is None else marker.kwargs)) as database:
        yield database


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "coldstart(wake=, suspend_after=, init=): how the coldstart_postgres of this test sleeps and wakes"
    )


def _words(options: dict[str, Any]) -> Iterator[str]:
    """Keyword arguments as the options of a command line."""
    for name, given in options.items():
        option = f"--{name.replace('_', '-')}"
        for value in given if isinstance(given, list | tuple) else [given]:
            if isinstance(value, bool):
                yield option if value else option.replace("--", "--no-", 1)
            else:
                yield option
                yield str(value)
