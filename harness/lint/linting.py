"""Plays every rule that is asked of a case, and of each that fails the mends until one with which it doesn't."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from harness.lint.budget_rules import AnswersBeforeTheClientLeaves, ConnectionsFit
from harness.lint.case import Case, Mend
from harness.lint.connection_rules import (
    ClosedConnectionsAreNoticed,
    ForgottenConnectionsAreNotTried,
    HalfOpenConnectionsAreGivenUp,
    HalfOpenConnectionsAreNotTried,
)
from harness.lint.driver_rules import (
    ConnectionTimeoutIsWhatIsWritten,
    OneTimeoutForAllAddresses,
    TimeoutsReachTheDriver,
)
from harness.lint.known import known
from harness.lint.rule import Row, Rule
from harness.lint.wake_rules import (
    ClientOutlastsTheWake,
    ConnectingOutlastsTheWake,
    QueueOutlastsTheWake,
    RefusedWhileWaking,
    StatementOutlastsTheWake,
)
from harness.model.errors import UserError
from harness.model.outcomes import Outcome
from harness.model.times import Times
from harness.model.trial import Trial
from harness.search.playing import PlayedTrial

RULES: tuple[Rule, ...] = (
    TimeoutsReachTheDriver(),
    ConnectionTimeoutIsWhatIsWritten(),
    OneTimeoutForAllAddresses(),
    ClientOutlastsTheWake(),
    ConnectingOutlastsTheWake(),
    QueueOutlastsTheWake(),
    StatementOutlastsTheWake(),
    RefusedWhileWaking(),
    AnswersBeforeTheClientLeaves(),
    HalfOpenConnectionsAreGivenUp(),
    HalfOpenConnectionsAreNotTried(),
    ClosedConnectionsAreNoticed(),
    ForgottenConnectionsAreNotTried(silently=False),
    ForgottenConnectionsAreNotTried(silently=True),
    ConnectionsFit(),
)
"""In the order in which their mends are made together: what a later one changes must not undo an earlier one."""
CHAIN: tuple[Rule, ...] = (
    ConnectingOutlastsTheWake(),
    QueueOutlastsTheWake(),
    StatementOutlastsTheWake(),
    AnswersBeforeTheClientLeaves(),
)
"""Rules that want timeouts longer, and one that wants them shorter: a mend for one is not to break another."""
PASSES = 3
"""Of making all mends together: two rules that want opposite things go on for ever."""
TIMES = Times()
"""Statements, connects and round trips take no time: what is played are limits."""


class Playing(Protocol):
    """Where trials are played, each once: `harness.search.playing.Playing`."""

    @property
    def trials(self) -> int:
        """How many distinct ones have been asked for."""
        ...

    async def play(self, trial: Trial, times: Times) -> PlayedTrial:
        """Play one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one rule's trial."""

    requests: int
    failing: Counter[str]
    """How many requests fail by the rule, by their outcome; `ok` is one that took too long."""
    after_s: tuple[float, float] | None
    """The shortest and the longest latency of those; None: there are none."""
    otherwise: Counter[str]
    """The outcomes of the others, `ok` apart."""

    @property
    def failed(self) -> int:
        return self.failing.total()

    @classmethod
    def of(cls, rule: Rule, case: Case, played: PlayedTrial) -> "Result":
        failing: list[Row] = [row for row in played.rows if rule.fails(case, row)]
        counted = Counter(str(row["outcome"]) for row in failing)
        others = played.outcomes - counted
        others.pop(Outcome.OK.value, None)
        latencies_s = [row["latency_s"] for row in failing]
        return cls(
            requests=played.requests,
            failing=counted,
            after_s=(min(latencies_s), max(latencies_s)) if latencies_s else None,
            otherwise=others,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """A mend, and the same trial with it."""

    mend: Mend
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule whose trial fails, and what mends it."""

    rule: Rule
    sentence: str
    result: Result
    mended: Mended | None
    """None: no mend was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """A rule whose trial does not fail."""

    rule: Rule
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAsked:
    """A rule that has no meaning here, or that can't be played; `why` is a clause."""

    rule: Rule
    why: str


Verdict: TypeAlias = Finding | Holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """All mends made at once, each where its rule still failed with those before it."""

    case: Case
    still: Sequence[Rule]
    """What fails then."""

    def settings(self, before: Case) -> dict[str, str]:
        """What is written otherwise than before."""
        was, now = before.configuration.written, self.case.configuration.written
        return {name: text for name, text in now.items() if was.get(name) != text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Linted:
    """All that was found out about a case."""

    case: Case
    findings: Sequence[Finding]
    holds: Sequence[Holds]
    not_asked: Sequence[NotAsked]
    known: Sequence[str]
    together: Together | None
    """None: there is no mend."""
    trials: int
    """Distinct ones that were played."""


async def lint(case: Case, playing: Playing) -> Linted:
    """Every rule. Raises `UserError` for a case of which nothing can be played."""
    reasons = {rule: _not_asked(rule, case) for rule in RULES}
    asked = [rule for rule, why in reasons.items() if not why]
    if not asked:
        raise UserError(
            "nothing of this can be played: virtual time has no pooler, and no rule about what it leaves applies",
            where="lint",
            allowed="--idle-timeout, another --wake, or lint without --pooler",
        )
    verdicts = await asyncio.gather(*(check(rule, case, playing) for rule in asked))
    findings = [verdict for verdict in verdicts if isinstance(verdict, Finding)]
    return Linted(
        case=case,
        findings=findings,
        holds=[verdict for verdict in verdicts if isinstance(verdict, Holds)],
        not_asked=[NotAsked(rule=rule, why=why) for rule, why in reasons.items() if why],
        known=tuple(known(case)),
        together=await _together(case, findings, playing),
        trials=playing.trials,
    )


async def check(rule: Rule, case: Case, playing: Playing) -> Verdict:
    """The rule's trial, and where it fails the first mend with which it does not."""
    result = await _played(rule, case, playing)
    if not result.failed:
        return Holds(rule=rule, result=result)
    return Finding(rule=rule, sentence=rule.finding(case), result=result, mended=await _mended(rule, case, playing))


async def _mended(rule: Rule, case: Case, playing: Playing, *, keeping: Sequence[Rule] = ()) -> Mended | None:
    """The first mend with which the rule holds; rather one that breaks none of the rules `keeping` that hold now."""
    kept = [other for other in keeping if await _holds(other, case, playing)]
    found: list[Mended] = []
    for mend in rule.mends(case):
        if mend.settings and not case.configuration.accepts(mend.settings):
            continue
        mended = case.mended(mend)
        result = await _played(rule, mended, playing)
        if result.failed:
            continue
        found.append(Mended(mend=mend, result=result))
        if all([await _holds(other, mended, playing) for other in kept]):
            return found[-1]
    return found[0] if found else None


async def _holds(rule: Rule, case: Case, playing: Playing) -> bool:
    """Whether it is asked, and nothing fails by it."""
    return not _not_asked(rule, case) and not (await _played(rule, case, playing)).failed


async def _played(rule: Rule, case: Case, playing: Playing) -> Result:
    return Result.of(rule, case, await playing.play(case.trial(rule.story(case)), TIMES))


async def _together(case: Case, findings: Sequence[Finding], playing: Playing) -> Together | None:
    """Rule by rule the mend that it still needs with the mends before it; and again, because one may undo another."""
    if all(finding.mended is None for finding in findings):
        return None
    now = case
    for _ in range(PASSES):
        before = now
        for rule in RULES:
            if _not_asked(rule, now) or not (await _played(rule, now, playing)).failed:
                continue
            if (mended := await _mended(rule, now, playing, keeping=CHAIN)) is not None:
                now = now.mended(mended.mend)
        if now == before:
            break
    asked = [rule for rule in RULES if not _not_asked(rule, now)]
    results = await asyncio.gather(*(_played(rule, now, playing) for rule in asked))
    return Together(case=now, still=[rule for rule, result in zip(asked, results, strict=True) if result.failed])


def _not_asked(rule: Rule, case: Case) -> str:
    if case.pooler is not None and not rule.through_pooler:
        return "virtual time has no pooler"
    return rule.beside_the_point(case)
