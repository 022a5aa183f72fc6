"""What a comparison says in words, every number in it from the trials: which pool survives what, and why."""

from collections.abc import Sequence

from harness.outcomes import Outcome
from harness.summary import TrialSummary


def findings(summaries: Sequence[TrialSummary]) -> list[str]:
    """A sentence or two a wake: who survived, who did not and why, and what that suggests; then what is doubtful."""
    found: list[str] = []
    for latency_s in dict.fromkeys(one.trial.wake_latency_s for one in summaries if not one.trial.is_control):
        assert latency_s is not None
        met = [one for one in summaries if one.trial.wake_latency_s == latency_s]
        found += _at(latency_s, met)
    return found + _doubts(summaries)


def _at(latency_s: float, met: Sequence[TrialSummary]) -> list[str]:
    when = f"At a wake of {latency_s:.3g} s"
    safe = [one for one in met if one.failed == 0]
    if len(safe) == len(met):
        slowest = max(one.latency_s["max"] for one in met)
        return [f"{when} no pool loses a request; the slowest answer takes {slowest:.1f} s."]
    fewest = min(met, key=lambda one: (one.failed, one.trial.pool.capacity))
    if safe:
        smallest = min(safe, key=lambda one: one.trial.pool.capacity)
        said = [f"{when} {_names(safe)} {_s(safe, 'loses', 'lose')} nothing; the smallest is {_name(smallest)}."]
    else:
        said = [f"{when} every pool loses requests; the fewest, {_share(fewest)}, with {_name(fewest)}."]
    for one in met:
        said += [f"{_name(one)} loses {_share(one)}: {'; '.join(_reasons(one, latency_s))}."] if one.failed else []
    return said


def _reasons(one: TrialSummary, latency_s: float) -> list[str]:
    return [_reason(outcome, count, one, latency_s) for outcome, count in one.outcomes.items() if outcome != Outcome.OK]


def _reason(outcome: Outcome, count: int, one: TrialSummary, latency_s: float) -> str:
    pool = one.trial.pool
    said = f"{count} {outcome}"
    if outcome is Outcome.POOL_TIMEOUT:
        return f"{said}, because its queue waits {pool.pool_timeout_s:g} s (pool_timeout)"
    if outcome is Outcome.CONNECT_TIMEOUT:
        relation = "shorter than" if pool.connection_timeout_s < latency_s else "spent before the end of"
        return f"{said}, because connection_timeout ({pool.connection_timeout_s:g} s) was {relation} the wake"
    if outcome is Outcome.STATEMENT_TIMEOUT:
        return f"{said}, because a statement may take {pool.statement_timeout_s:g} s (statement_timeout)"
    if outcome is Outcome.CONNECTION_LOST and not pool.pool_pre_ping:
        return f"{said}, because a connection that died in the pool is used without a pre-ping"
    if outcome is Outcome.CLIENT_TIMEOUT:
        return f"{said}, because a client waits {one.trial.scenario.client_timeout_s:g} s"
    return said


def _doubts(summaries: Sequence[TrialSummary]) -> list[str]:
    late = [one for one in summaries if not one.kept_schedule]
    short = [one for one in summaries if not one.complete]
    doubts = []
    if late:
        worst = max(one.late_start_s["max"] for one in late)
        doubts.append(
            f"Not a measurement: {_names(late)}, because the load generator started requests up to "
            f"{worst:.2f} s late. Run fewer trials at a time (--parallel)."
        )
    if short:
        doubts.append(f"Cut short, so lower bounds only: {_names(short)}.")
    return doubts


def _name(one: TrialSummary) -> str:
    return one.trial.pool.label


def _names(some: Sequence[TrialSummary]) -> str:
    names = list(dict.fromkeys(_name(one) for one in some))
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _s(some: Sequence[TrialSummary], one: str, many: str) -> str:
    return one if len({_name(each) for each in some}) == 1 else many


def _share(one: TrialSummary) -> str:
    return f"{one.failed} of {one.requests} ({one.failed / one.requests:.1%})"
