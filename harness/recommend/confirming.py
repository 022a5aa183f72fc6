"""Plays a recommendation and its refused neighbour in real time: does the prediction hold?"""

from collections.abc import Sequence
from dataclasses import replace

from harness.model.distribution import Constant
from harness.model.errors import UserError
from harness.model.plan import PlannedRun
from harness.model.summary import TrialSummary
from harness.model.wake import WakeChoice
from harness.recommend.answer import Answer, Confirmed


def check_confirmable(plan: PlannedRun) -> None:
    """Raise `UserError` where a real trial would be of another story."""
    if plan.scenario.real_time is not None:
        raise UserError(
            f"in real time the story is another one ({plan.scenario.real_time.description})",
            where="--confirm",
            allowed="without it",
        )


def plan_to_confirm(answer: Answer) -> PlannedRun:
    """The trials: both configurations at the wake and with the arrivals that the cheaper one is refused for."""
    assert answer.found is not None
    question = answer.question
    refused = answer.refused[:1]
    wake_s = refused[0].wake_s if refused else question.upper_s
    assert wake_s is not None
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
                is_a_measurement=all(one.complete and one.kept_schedule and one.as_recorded for one in of_pool),
            )
        )
    return tuple(found)
