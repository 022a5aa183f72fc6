"""Verdicts on a scenario's expectations: reproduced, not reproduced, or unknown; unknown is never a pass."""

from collections.abc import Sequence

from harness.model.expectation import Judgement, Statement, Verdict
from harness.model.pool import PoolConfiguration
from harness.model.scenario import Scenario
from harness.model.summary import TrialSummary


def judge(scenario: Scenario, summaries: Sequence[TrialSummary]) -> list[Judgement]:
    """One judgement a statement; a statement about pools and wakes that did not run is left out."""
    found = []
    for pool, statement in scenario.expectations():
        spoken_of = [one for one in summaries if one.trial.pool == pool and statement.speaks_of(one.trial)]
        if spoken_of:
            found.append(_judged(scenario, pool, statement, spoken_of))
    return found


def _judged(
    scenario: Scenario, pool: PoolConfiguration, statement: Statement, spoken_of: Sequence[TrialSummary]
) -> Judgement:
    failing = [one for one in spoken_of if not statement.holds(one)]
    if scenario.changed:
        verdict, why = Verdict.UNKNOWN, f"the story was changed: {', '.join(scenario.changed)}"
    elif any(not one.complete for one in spoken_of):
        verdict, why = Verdict.UNKNOWN, "a trial was cut short"
    elif any(not one.kept_schedule for one in spoken_of):
        verdict, why = Verdict.UNKNOWN, "the load generator did not keep its schedule"
    elif failing:
        verdict, why = Verdict.NOT_REPRODUCED, "; ".join(_what_happened(one, statement) for one in failing)
    else:
        verdict, why = Verdict.REPRODUCED, "; ".join(_what_happened(one, statement) for one in spoken_of)
    return Judgement(
        pool=pool.label, statement=str(statement), verdict=verdict, why=why, shown=statement.shows is not None
    )


def _what_happened(summary: TrialSummary, statement: Statement) -> str:
    if statement.shows is not None:
        return statement.shows(summary)
    return ", ".join(f"{outcome} {count}" for outcome, count in summary.outcomes.items())
