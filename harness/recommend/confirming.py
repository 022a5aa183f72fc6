"""Plays a recommendation and its refused neighbour in real time: does the prediction hold?"""

from collections.abc import Sequence
from dataclasses import replace

from harness.model.distribution import Constant
from harness.model.errors import UserError
from harness.model.plan import PlannedRun
from harness.model.summary import TrialSummary
from harness.model.wake import WakeChoice
from harness.recommend.answer import Answer, Confirmed
from harness.recommend.judging import Judge
from harness.search.margin import longest_wake
from harness.search.playing import Playing


def check_confirmable(plan: PlannedRun) -> None:
    """Raise `UserError` where a real trial would be of another story."""
    if plan.scenario.real_time is not None:
        raise UserError(
            f"in real time the story is another one ({plan.scenario.real_time.description})",
            where="--confirm",
            allowed="without it",
        )


async def wake_to_confirm(answer: Answer, playing: Playing) -> float:
    """The wake halfway between the longest that the refused neighbour survives and the longest that the answer does.

    At the quantile itself one of them may be a few milliseconds from its edge, which is no prediction for real time.
    """
    assert answer.found is not None
    assert answer.margin is not None
    question = answer.question
    if not answer.refused:
        return question.upper_s
    judge, refused = Judge(question, playing), answer.refused[0]

    async def survives(wake_s: float) -> bool:
        return await judge.meets(refused.pool, wake_s, (refused.seed,))

    neighbour = await longest_wake(survives, known_s=None, most_s=question.upper_s, broken_s=question.upper_s)
    halfway_s = round(((neighbour.broken_s or 0.0) + answer.margin.survives_s) / 2, 2)
    is_between = not await survives(halfway_s) and await judge.meets(answer.found, halfway_s, (refused.seed,))
    return halfway_s if is_between else question.upper_s


def plan_to_confirm(answer: Answer, wake_s: float) -> PlannedRun:
    """The trials: both configurations at this wake, with the arrivals that the cheaper one is refused for."""
    assert answer.found is not None
    question = answer.question
    refused = answer.refused[:1]
    wake = replace(question.wake, latency=Constant(wake_s))
    overrides = replace(
        question.plan.overrides,
        pools=(answer.found, *(verdict.pool for verdict in refused)),
        wakes=(WakeChoice(text=f"{wake_s:g}", profile=wake),),
        seed=refused[0].seed if refused else question.seeds[0],
        repeat=1,
        control=False,
        # Those of a simulated database; here is a real one.
        service_time_s=None,
        connect_time_s=None,
        calibration=None,
        kernel=None,
    )
    return replace(question.plan, overrides=overrides, real_time=True)


def confirmed(answer: Answer, summaries: Sequence[TrialSummary]) -> tuple[Confirmed, ...]:
    """What real time says of each configuration; of several variants the one that misses the objectives most."""
    objectives = answer.question.objectives
    found = []
    for pool in dict.fromkeys(summary.trial.pool.resolved for summary in summaries):
        of_pool = [summary for summary in summaries if summary.trial.pool.resolved == pool]
        worst = max(of_pool, key=objectives.excess)
        found.append(
            Confirmed(
                pool=worst.trial.pool,
                predicted=answer.found is not None and answer.found.resolved == pool,
                measured=objectives.are_met(worst),
                values=objectives.values(worst),
                is_a_measurement=all(one.is_measurement for one in of_pool),
            )
        )
    return tuple(found)
