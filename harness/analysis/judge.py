"""Verdicts on a scenario's expectations: reproduced, not reproduced, or unknown; unknown is never a pass.

An expectation is about the story as the scenario's file has it. Where a user changed it (another wake, other times,
other settings), the trials don't test that story: the verdict is unknown and names the changes. Trials that the
changes don't affect are judged as usual.
"""

from collections.abc import Sequence

from harness.model.doubt import Reason
from harness.model.expectation import Expectation, Judgement, Verdict
from harness.model.plan import POOLS_NAMED, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.summary import TrialSummary


def judge(plan: PlannedRun, summaries: Sequence[TrialSummary]) -> list[Judgement]:
    """One judgement for each expectation, and one for all pools that the file does not have.

    Expectations about pools and wakes that this run did not play are left out.
    """
    own: dict[PoolConfiguration, list[TrialSummary]] = {}
    changed: dict[PoolConfiguration | None, set[str]] = {}
    for summary in summaries:
        trial = summary.trial
        if plan.is_the_files_own(trial):
            own.setdefault(trial.pool.resolved, []).append(summary)
        elif not trial.is_control:
            changed.setdefault(plan.pool_in_the_file(trial.pool), set()).add(trial.variant)
    found = []
    for pool, expectation in plan.expectations:
        met = [summary for summary in own.get(pool.resolved, []) if expectation.is_about(summary.trial)]
        variants = changed.get(pool.resolved, set())
        if met:
            found.append(_judged(pool, expectation, met))
        elif variants if expectation.variant is None else expectation.variant in variants:
            found.append(_changed(plan, pool.called, str(expectation)))
    return [*found, *_of_other_pools(plan, summaries)]


def _judged(pool: PoolConfiguration, expectation: Expectation, summaries: Sequence[TrialSummary]) -> Judgement:
    summaries = [summary.part(expectation.part) for summary in summaries]
    failing: list[TrialSummary] = []
    if doubt := no_measurement(summaries):
        verdict, why = Verdict.UNKNOWN, doubt
    elif any(not summary.requests for summary in summaries):
        verdict, why = Verdict.UNKNOWN, f"no request was made {expectation.part}".rstrip()
    else:
        failing = [summary for summary in summaries if not expectation.holds(summary)]
        verdict = Verdict.NOT_REPRODUCED if failing else Verdict.REPRODUCED
        why = "; ".join(what_happened(summary, expectation) for summary in failing or summaries)
    # As the run's other results call it, which may be a name that the user gave it.
    called = summaries[0].trial.pool.name or pool.called
    return Judgement(
        pool=called, statement=str(expectation), verdict=verdict, why=why, shown=expectation.shows is not None
    )


def no_measurement(summaries: Sequence[TrialSummary]) -> str:
    """Why these trials, together, are no measurement; empty: they are one."""
    reasons = {doubt.reason for summary in summaries for doubt in summary.doubts}
    return next((reason.clause for reason in Reason if reason in reasons), "")


def _changed(plan: PlannedRun, pool: str, what: str) -> Judgement:
    why = f"the story was changed: {', '.join(plan.changes)}"
    return Judgement(pool=pool, statement=what, verdict=Verdict.UNKNOWN, why=why)


def _of_other_pools(plan: PlannedRun, summaries: Sequence[TrialSummary]) -> list[Judgement]:
    played = (summary.trial.pool for summary in summaries if not summary.trial.is_control)
    labels = list(dict.fromkeys(pool.called for pool in played if plan.pool_in_the_file(pool) is None))
    if not labels or not plan.expectations:
        return []
    pools = ", ".join(labels) if len(labels) <= POOLS_NAMED else f"{len(labels)} pools"
    return [_changed(plan, pools, "nothing: the file has no such pool")]


def what_happened(summary: TrialSummary, expectation: Expectation) -> str:
    """The numbers that an expectation was checked by, in words."""
    if expectation.shows is not None:
        return expectation.shows(summary)
    return ", ".join(f"{outcome} {count}" for outcome, count in summary.outcomes.items())
