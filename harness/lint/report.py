"""What was found out, as sentences and as JSON. Nothing here has a URL in it, nor anything else of one."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from harness.analysis.sentences import listed, percent, plural
from harness.lint.case import UPPER, Case, Mend
from harness.lint.linting import Finding, Linted, Result
from harness.lint.rule import Rule, shown
from harness.model.distribution import Constant
from harness.model.outcomes import Outcome
from harness.model.pool_library import PoolLibrary
from harness.model.retry import Retry


def verdict(linted: Linted) -> str:
    """The headline: `2 findings; 5 rules hold`, or that there is nothing to mend."""
    holding = f"{plural(len(linted.holds), 'rule')} {'holds' if len(linted.holds) == 1 else 'hold'}"
    if not linted.findings:
        return f"nothing to mend: {holding}"
    return f"{plural(len(linted.findings), 'finding')}; {holding if linted.holds else 'no rule holds'}"


def surroundings(case: Case) -> Iterator[str]:
    """What was linted, in two lines."""
    pool = case.pool
    timeouts = {
        "connection_timeout": pool.connection_limit_s,
        "pool_timeout": pool.queue_timeout_s,
        "statement_timeout": pool.client_statement_timeout_s,
        "pool_recycle": pool.of_library.pool_recycle_s,
    }
    limits = ", ".join(f"{name} {shown(seconds) if seconds else 'none'}" for name, seconds in timeouts.items())
    ping = "on" if pool.of_library.pool_pre_ping else "off"
    what = {
        PoolLibrary.SQLALCHEMY: f"SQLAlchemy's pool on {pool.runs_on}",
        PoolLibrary.ASYNCPG: "asyncpg's pool",
        PoolLibrary.PSYCOPG_POOL: "psycopg_pool",
    }[pool.pool_library]
    yield f"{case.configuration.source}: {pool.short}, {what}; {limits}, pre-ping {ping}"
    if not case.wake.can_sleep:
        wake = f"{case.wake.name}: the database never sleeps"
    elif isinstance(case.wake.latency, Constant):
        wake = f"{case.wake.name}: a wake takes {shown(case.wake_s)}"
    else:
        wake = f"{case.wake.name}: {UPPER:.0%} of the wakes take {shown(case.wake_s)} or less"
    yield f"{wake}; the client waits {shown(case.client_timeout_s)}"


def counted(result: Result) -> str:
    """How many of the trial's requests fail by the rule, how they end, and after what time."""
    if result.after_s is None:
        return f"none of {result.requests}{_otherwise(result)}"
    least, most = (shown(round(seconds, 3)) for seconds in result.after_s)
    after = f"after {most}" if least == most else f"after {least} to {most}"
    after = "at once" if most == shown(0.0) else after
    share = percent(result.failed / result.requests)
    return f"{result.failed} of {result.requests} ({share}): {_outcomes(result.failing)}, {after}{_otherwise(result)}"


def not_asked(linted: Linted) -> str:
    """Why rules were not asked, in a line; empty: all were."""
    if not linted.not_asked:
        return ""
    reasons = list(dict.fromkeys(left.why for left in linted.not_asked))
    are = "is" if len(linted.not_asked) == 1 else "are"
    return f"{plural(len(linted.not_asked), 'rule')} {are} not asked: {'; '.join(reasons)}"


def mend_lines(case: Case, mend: Mend) -> list[str]:
    """The lines to type, and what is not the service's to set in words."""
    lines = case.configuration.lines(mend.settings) if mend.settings else []
    return [*lines, *_of_clients(mend.client_timeout_s, mend.retry)]


def together_lines(linted: Linted) -> list[str]:
    """All mends at once, as `mend_lines`."""
    case, together = linted.case, linted.together
    if together is None:
        return []
    now = together.case
    waits_s = now.client_timeout_s if now.client_timeout_s != case.client_timeout_s else None
    changes = together.settings(case)
    return mend_lines(case, Mend(settings=changes, client_timeout_s=waits_s, retry=now.retry))


def together_words(linted: Linted) -> str:
    """What became of all rules with all mends at once; empty: there are none."""
    together = linted.together
    if together is None:
        return ""
    if together.still:
        return f"All of it together, played again: what still does not hold is that {_names(together.still)}."
    return "All of it together, played again: every rule holds."


def to_json(linted: Linted) -> dict[str, Any]:
    """One document; durations in seconds, settings under their own names."""
    case = linted.case
    return {
        "verdict": verdict(linted),
        "source": case.configuration.source,
        "pool": case.pool.to_json(),
        "wake": {
            "profile": case.wake.name,
            "upper_s": case.wake_s if case.wake.can_sleep else None,
            "on_suspend": case.wake.on_suspend.value,
            "while_waking": case.wake.while_waking.value,
            "addresses": case.wake.addresses,
        },
        "client_timeout_s": case.client_timeout_s,
        "findings": [_finding(case, finding) for finding in linted.findings],
        "holds": [{"rule": held.rule.name, "trial": _result(held.result)} for held in linted.holds],
        "not_asked": [{"rule": left.rule.name, "why": left.why} for left in linted.not_asked],
        "known": list(linted.known),
        "together": None
        if linted.together is None
        else {
            "mend": together_lines(linted),
            "still_fails": [rule.name for rule in linted.together.still],
        },
        "trials": linted.trials,
    }


def _names(rules: Sequence[Rule]) -> str:
    return "; ".join(rule.name for rule in rules)


def _finding(case: Case, finding: Finding) -> dict[str, Any]:
    mended = finding.mended
    return {
        "rule": finding.rule.name,
        "finding": finding.sentence,
        "trial": _result(finding.result),
        "mend": None if mended is None else mend_lines(case, mended.mend),
        "mended_trial": None if mended is None else _result(mended.result),
    }


def _result(result: Result) -> dict[str, Any]:
    return {
        "requests": result.requests,
        "failing": dict(result.failing),
        "failing_after_s": result.after_s,
        "otherwise": dict(result.otherwise),
    }


def _outcomes(outcomes: Counter[str]) -> str:
    """`connect_timeout`, or `15 connect_timeout and 5 pool_timeout`; an answer that was only late is `ok, too late`."""
    names = {name: "ok, too late" if name == Outcome.OK else name for name in outcomes}
    if len(outcomes) == 1:
        return next(iter(names.values()))
    return listed([f"{times} {names[name]}" for name, times in outcomes.most_common()])


def _otherwise(result: Result) -> str:
    """The failures that are not the rule's."""
    if not result.otherwise:
        return ""
    return f"; otherwise {listed([f'{times} {name}' for name, times in result.otherwise.most_common()])}"


def _of_clients(client_timeout_s: float | None, retry: Retry | None) -> Iterator[str]:
    if client_timeout_s is not None:
        yield f"whoever asks the service waits {shown(client_timeout_s)}"
    if retry is not None:
        yield (
            f"whoever asks the service asks again, {retry.retries} times: after {shown(retry.wait_s)}, then twice as "
            f"long each time, up to {shown(retry.max_wait_s)}"
        )
