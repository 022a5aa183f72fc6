"""Configurations linted in this process: the rules' trials are played as everywhere, each once for all tests."""

import asyncio
from collections.abc import Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from harness.application.variables import read_variables
from harness.cli.questions import read_pool
from harness.lint.case import Case
from harness.lint.configuration import Configuration, of_pool, of_variables
from harness.lint.linting import Finding, Linted, lint
from harness.lint.rule import Rule
from harness.model.times import Times
from harness.model.trial import Trial
from harness.model.wake import profile, read_wake
from harness.search.playing import PlayedTrial
from harness.simulation.trial import simulate


class Here:
    """A `Playing` of one thread: a loop of virtual time can't run inside of the loop that waits for it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._played: dict[Hashable, PlayedTrial] = {}

    @property
    def trials(self) -> int:
        return len(self._played)

    async def play(self, trial: Trial, times: Times) -> PlayedTrial:
        key = (trial.story, trial.pool.resolved)
        if key not in self._played:
            playing = self._thread.submit(lambda: simulate(trial, times, sampled=False).requests)
            self._played[key] = PlayedTrial.of(trial, await asyncio.wrap_future(playing))
        return self._played[key]


HERE = Here()


def pool(text: str) -> Configuration:
    """As with `--pool`."""
    return of_pool(text, read_pool(text))


def variables(text: str, *, env: str | None = None, settings: Mapping[str, str] | None = None) -> Configuration:
    """As with an .env file of these words, and with `--env`."""
    environment = dict(pair.split("=", 1) for pair in text.split())
    named = None if env is None else read_variables([env])
    return of_variables(environment, source=".env", variables=named, settings=settings)


def case(configuration: Configuration | str, wake: str = "neon", *, addresses: int | None = None, **more: Any) -> Case:
    chosen = read_wake(wake).applied_to(profile("neon"))
    chosen = chosen if addresses is None else replace(chosen, addresses=addresses)
    configuration = pool(configuration) if isinstance(configuration, str) else configuration
    return Case(configuration=configuration, wake=chosen, **more)


def linted(configuration: Configuration | str, wake: str = "neon", **more: Any) -> Linted:
    return asyncio.run(lint(case(configuration, wake, **more), HERE))


def found(result: Linted, rule: type[Rule]) -> Finding | None:
    """The rule's finding; None: it holds. Fails where it was not asked."""
    assert not [left for left in result.not_asked if type(left.rule) is rule], "not asked"
    return next((finding for finding in result.findings if type(finding.rule) is rule), None)


def mend_of(result: Linted, rule: type[Rule]) -> dict[str, str]:
    """The settings that mend the rule's finding."""
    finding = found(result, rule)
    assert finding is not None, "no finding"
    assert finding.mended is not None, "no mend"
    assert finding.result.failed > 0 == finding.mended.result.failed
    return dict(finding.mended.mend.settings)


def why_not(result: Linted, rule: type[Rule]) -> str:
    """Why the rule was not asked."""
    return next(left.why for left in result.not_asked if type(left.rule) is rule)
