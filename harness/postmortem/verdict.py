"""The first line of the draft: the change that would have helped, in the words of the setting that one types."""

from harness.analysis.sentences import Failures, plural, seconds
from harness.model.pool import PoolConfiguration
from harness.model.typed import as_typed
from harness.postmortem.changes import Changes
from harness.postmortem.incident import Incident
from harness.recommend.answer import Answer, WouldHelp
from harness.recommend.margin import shown_s
from harness.recommend.words import named

NOT_PLAYED = "**What would have helped is not known**: the application was running already, and can't be played again."


def first_line(incident: Incident, changes: Changes | None) -> str:
    """What would have helped. Every number is of virtual time, with the arrivals that the run measured."""
    failures = incident.failures(incident.summaries)
    if not failures.failed:
        return "**Nothing failed**, so nothing had to be set otherwise."
    if changes is None:
        return NOT_PLAYED
    doubt = "" if changes.agrees else " (Virtual time differs from the run by more than 2%: a direction, not a number.)"
    answer = changes.searched
    if answer is None:
        return _without_a_search(changes) + doubt
    if answer.found is None or changes.best is None:
        return _nothing(answer) + doubt
    lines = " ".join(f"`{line}`" for line in differing(incident.first.trial.pool, answer.found, answer))
    if not lines:
        return f"**What was set was enough in virtual time**, where {changes.again.failures} requests fail.{doubt}"
    margin = answer.margin
    holds = f" It holds to a wake of {shown_s(margin.survives_s)}." if margin is not None and margin.monotone else ""
    return (
        f"**What would have helped: {lines}.** {_with_it(changes.best.failures, changes.again.failures)}; the slowest "
        f"answer takes {seconds(changes.best.max_s)}.{holds}{doubt}"
    )


def _with_it(after: Failures, before: Failures) -> str:
    """`With it 1 of 200 requests fails, where 5 did`."""
    fail = "no request fails" if not after.failed else f"{after.failed} of {after.requests} requests fail"
    fail += "s" if after.failed == 1 else ""
    return f"With it {fail}, where {before.failed} did"


def differing(before: PoolConfiguration, after: PoolConfiguration, answer: Answer) -> list[str]:
    """The variables to set, and only those that change, by the application's own names where it has some."""
    was, now = before.to_json(), after.to_json()
    typed = as_typed(after, [name for name in now if now[name] != was[name]], answer.question.application)
    return [f"{name}={value}" for name, value in (typed.variables | typed.others).items()]


def _without_a_search(changes: Changes) -> str:
    """Too few failed for an objective to be missed, or nothing slept: the best of the single changes."""
    helping = changes.helping()
    if not helping:
        return "**No single setting would have helped.**"
    best = helping[0]
    return f"**What would have helped: `{best.what}`.** {_with_it(best.failures, changes.again.failures)}."


def _nothing(answer: Answer) -> str:
    would_help = answer.would_help
    assert would_help is not None, "where nothing was found, it says what would have to change"
    least = would_help.closest.missed[0]
    text = (
        f"**No setting would have helped**: of {plural(len(answer.question.space), 'candidate')} "
        f"{least.objective.shown(least.value)} of the requests fail even with {named(would_help.closest.pool)}."
    )
    ways = list(_ways(would_help))
    return f"{text} It takes {', or '.join(ways)}." if ways else text


def _ways(would_help: WouldHelp) -> list[str]:
    ways = []
    if would_help.wake_s is not None:
        ways.append(f"a wake of no more than {shown_s(would_help.wake_s)}")
    if would_help.patience_s is not None:
        ways.append(f"clients that wait {would_help.patience_s:g} s")
    if would_help.awake.meets:
        ways.append("a database that does not sleep")
    return ways
