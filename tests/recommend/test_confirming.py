"""A recommendation in real time: what is played, and what a measurement makes of a prediction."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from harness.model.distribution import Constant
from harness.recommend.answer import Answer
from harness.recommend.asking import answer
from harness.recommend.confirming import confirmed, plan_to_confirm, wake_to_confirm
from harness.recommend.judging import Judge
from harness.run import execute
from harness.search.playing import Playing
from harness.stacks.base import Quiet, RunOptions
from tests.recommend.test_recommend import SMALL, asked


@pytest.mark.anyio
async def test_both_are_played_where_each_prediction_is_far_from_its_edge() -> None:
    question = asked("cold_burst", "--wake", "2:4", *SMALL, "--pool-size", "5", "--repeat", "2")
    async with Playing.running(say=lambda _: None) as playing:
        found = await answer(question, playing, lambda _: None)
        wake_s = await wake_to_confirm(found, playing)
        judge = Judge(question, playing)
        cheaper = found.refused[0]
        assert await judge.meets(found.found, wake_s + 0.2, (cheaper.seed,))  # type: ignore[arg-type]
        assert not await judge.meets(cheaper.pool, wake_s - 0.2, (cheaper.seed,))
    plan = plan_to_confirm(found, wake_s)
    assert [trial.pool for trial in plan.trials] == [found.found, cheaper.pool]
    assert {trial.seed for trial in plan.trials} == {cheaper.seed}
    assert all(trial.wake is not None and trial.wake.latency == Constant(wake_s) for trial in plan.trials)
    assert plan.overrides.service_time_s is None, "in real time the database has its own"


@pytest.mark.anyio
async def test_without_a_cheaper_one_it_is_played_alone() -> None:
    question = asked(
        "cold_burst", "--wake", "2", *SMALL, "--pool-size", "5", "--repeat", "2", "--set", "connection_timeout=5"
    )
    async with Playing.running(say=lambda _: None) as playing:
        found = await answer(question, playing, lambda _: None)
        assert not found.refused
        assert await wake_to_confirm(found, playing) == 2.0
    assert len(plan_to_confirm(found, 2.0).trials) == 1


def test_a_measurement_says_whether_the_prediction_held(tmp_path: Path) -> None:
    question = asked("cold_burst", "--wake", "2:4", *SMALL, "--pool-size", "5", "--repeat", "2")

    async def answered() -> tuple[Answer, float]:
        async with Playing.running(say=lambda _: None) as playing:
            found = await answer(question, playing, lambda _: None)
            return found, await wake_to_confirm(found, playing)

    found, wake_s = asyncio.run(answered())
    # In virtual time: what is tested is what is made of the trials.
    plan = replace(plan_to_confirm(found, wake_s), real_time=False)
    done = execute(plan, stack="simulated", options=RunOptions(), out=tmp_path, progress=Quiet(), charts=False)
    recommended, cheaper = confirmed(found, done.summaries)
    assert (recommended.predicted, recommended.measured, recommended.held) == (True, True, True)
    assert (cheaper.predicted, cheaper.measured, cheaper.held) == (False, False, True)
    late = confirmed(found, [replace(summary, kept_schedule=False) for summary in done.summaries])
    assert not any(one.held for one in late)
