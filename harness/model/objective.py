"""Objectives: what a configuration must meet, in k6's words: `failed<1%`, `p(95)<12s`, `answered_within(10s)>99%`.

The grammar is that of k6's thresholds (https://grafana.com/docs/k6/latest/using-k6/thresholds/), with this project's
words for what is counted. An objective is judged on the requests of one trial, or of several together, and always with
a patience: an answer that comes later is none.
"""

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

from harness.model.distribution import three_figures
from harness.model.errors import UserError
from harness.model.limits import LONGEST_S, check_number, quoted
from harness.model.outcomes import FAILURES, Outcome
from harness.model.patience import Patience

FAILED, ANSWERED_WITHIN = "failed", "answered_within"
OF_LATENCY: Mapping[str, Callable[[Sequence[float]], float]] = {"avg": fmean, "max": max}
SHARES = (FAILED, *(outcome.value for outcome in FAILURES))
ALLOWED = "failed<1%, an outcome such as pool_timeout<0.5%, p(95)<12s, avg<500ms, max<20s, or answered_within(10s)>99%"
EXPRESSION = re.compile(
    r"(?P<measure>[a-z_]+)(\((?P<of>[^()]*)\)|(?P<bare>\d+(\.\d+)?))?(?P<is>[<>]=?)(?P<limit>[^<>=]+)"
)
RELATIONS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
TOLERANCE = 1e-9
"""A share is a quotient: 2 of 200 is not above 1 % by its last bit."""


class Answers(Protocol):
    """What an objective is judged on; a trial's summary is one."""

    @property
    def requests(self) -> int: ...

    @property
    def latencies_s(self) -> Sequence[float]:
        """Of every request, in any order."""
        ...

    def count(self, outcome: Outcome) -> int: ...

    def answered(self, within_s: float) -> int:
        """How many ended ok within this time of their arrival."""
        ...


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective. Create it with `read_objective`.

    `failed` is the share of the requests that don't end ok within the patience; an outcome's name is the share of those
    that end with it; `p(N)`, `avg` and `max` are of every request's latency, in seconds; `answered_within(S)` is the
    share of those that end ok within S seconds, or within the patience where that is shorter.
    """

    measure: str
    relation: str
    limit: float
    """A share from 0 to 1, or seconds."""
    argument: float | None = None
    """The N of `p(N)`, or the seconds of `answered_within`."""

    @property
    def is_share(self) -> bool:
        return self.measure in SHARES or self.measure == ANSWERED_WITHIN

    @property
    def needs_patience(self) -> bool:
        """Whether what it measures depends on how long an answer is worth having."""
        return self.measure in (FAILED, ANSWERED_WITHIN)

    @property
    def measured(self) -> str:
        """What is measured, as one writes it: `p(95)`."""
        unit = "s" if self.measure == ANSWERED_WITHIN else ""
        of = "" if self.argument is None else f"({self.argument:.12g}{unit})"
        return f"{self.measure}{of}"

    def __str__(self) -> str:
        """As one writes it: `p(95)<12s`."""
        limit = f"{100 * self.limit:.12g}%" if self.is_share else f"{self.limit:.12g}s"
        return f"{self.measured}{self.relation}{limit}"

    def value(self, answers: Answers, patience_s: float) -> float:
        """The measured share or seconds; NaN where no request ended."""
        if not answers.requests:
            return math.nan
        if self.measure == FAILED:
            return 1 - answers.answered(patience_s) / answers.requests
        if self.measure == ANSWERED_WITHIN:
            assert self.argument is not None
            return answers.answered(min(self.argument, patience_s)) / answers.requests
        if self.is_share:
            return answers.count(Outcome(self.measure)) / answers.requests
        if self.argument is not None:
            return percentile(answers.latencies_s, self.argument)
        return OF_LATENCY[self.measure](answers.latencies_s)

    def is_met(self, value: float) -> bool:
        """Whether this value meets it; NaN never does."""
        if self.is_share and not math.isnan(value) and abs(value - self.limit) < TOLERANCE:
            return self.relation in ("<=", ">=")
        return RELATIONS[self.relation](value, self.limit)

    def excess(self, value: float) -> float:
        """By how much it is missed: a share of the requests, or the time over the limit's; 0 where it is met."""
        if self.is_met(value):
            return 0.0
        if math.isnan(value):
            return math.inf
        return abs(value - self.limit) / (1 if self.is_share else self.limit or 1)

    def counts_against(self, outcome: str, latency_s: float, patience_s: float) -> bool:
        """Whether a request that ended like this is one of those that the objective limits."""
        upper = self.relation.startswith("<")
        if self.measure in (FAILED, ANSWERED_WITHIN):
            within_s = patience_s if self.argument is None else min(self.argument, patience_s)
            return (outcome != Outcome.OK or latency_s > within_s) == ((self.measure == FAILED) == upper)
        if self.is_share:
            return (outcome == self.measure) == upper
        return (latency_s > self.limit) == upper

    def shown(self, value: float) -> str:
        """A value of its measure in words: `2.5%`, `12.4 s`; with as many figures as tell it from the limit."""
        if math.isnan(value):
            return "nothing"
        texts = [(self._shown(value, more), self._shown(self.limit, more)) for more in range(7)]
        return next((text for text, limit in texts if text != limit), texts[0][0])

    def _shown(self, value: float, more: int) -> str:
        """The value with `more` figures than usual."""
        if not self.is_share:
            return f"{value:.{3 + more}g} s" if more and value < 999.5 else f"{three_figures(value)} s"
        text = f"{100 * value:.{3 + more}g}"
        # 100% is all of them, and nothing less.
        return f"{'99.9' if text == '100' and value < 1 else text}%"


@dataclass(frozen=True, slots=True)
class Missed:
    """An objective that is not met, and the value that misses it."""

    objective: Objective
    value: float

    def __str__(self) -> str:
        """`failed<1%, and it is 2.5%`."""
        return f"{self.objective}, and it is {self.objective.shown(self.value)}"


@dataclass(frozen=True, slots=True)
class Objectives:
    """Every objective that a configuration must meet, and how long an answer is worth having."""

    all: tuple[Objective, ...]
    patience: Patience

    def __str__(self) -> str:
        return ", ".join(map(str, self.all))

    def values(self, answers: Answers) -> dict[str, float]:
        """Each objective's measured value, by the objective as it is written."""
        return {str(one): one.value(answers, self.patience.seconds) for one in self.all}

    def missed(self, answers: Answers) -> tuple[Missed, ...]:
        """Those that these requests miss."""
        values = ((one, one.value(answers, self.patience.seconds)) for one in self.all)
        return tuple(Missed(one, value) for one, value in values if not one.is_met(value))

    def are_met(self, answers: Answers) -> bool:
        return not self.missed(answers)

    def excess(self, answers: Answers) -> float:
        """By how much they are missed, all together; 0 where they are met."""
        return sum(one.objective.excess(one.value) for one in self.missed(answers))


DEFAULT = "failed<1%"


def read_objectives(
    texts: Iterable[str], *, patience: Patience, where: str = "--slo", default: str = DEFAULT
) -> Objectives:
    """Read each objective; without any, the default one. Raises `UserError`."""
    return Objectives(tuple(read_objective(text, where=where) for text in tuple(texts) or (default,)), patience)


def read_objective(text: str, *, where: str = "--slo") -> Objective:
    """Read `failed<1%`, `p(95)<12s` (or `p95<12s`) or `answered_within(10s)>99%`. Raises `UserError` otherwise."""
    found = EXPRESSION.fullmatch("".join(text.split()))
    if found is None:
        raise UserError(f"{quoted(text)} is not an objective", where=where, allowed=ALLOWED)
    measure, of = found["measure"], found["of"] if found["bare"] is None else found["bare"]
    if measure not in (*SHARES, ANSWERED_WITHIN, "p", *OF_LATENCY) or (of is None) != (
        measure not in ("p", ANSWERED_WITHIN)
    ):
        raise UserError(f"{quoted(text)} measures nothing known", where=where, allowed=ALLOWED)
    if found["bare"] is not None and measure != "p":
        raise UserError(f"{quoted(text)} measures nothing known", where=where, allowed=ALLOWED)
    argument = None if of is None else _percent_of(of, text, where) if measure == "p" else _seconds(of, text, where)
    if measure in (*SHARES, ANSWERED_WITHIN):
        limit = _share(found["limit"], text, where)
    else:
        limit = _seconds(found["limit"], text, where)
    objective = Objective(measure, found["is"], limit, argument)
    _check_possible(objective, where)
    return objective


def percentile(values: Sequence[float], percent: float) -> float:
    """The percentile with linear interpolation, as in every summary; of no value NaN."""
    if not values:
        return math.nan
    ordered = sorted(values)
    position = (len(ordered) - 1) * percent / 100
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def _check_possible(objective: Objective, where: str) -> None:
    """Refuse what no result can meet."""
    never = (objective.relation == "<" and objective.limit == 0) or (
        objective.is_share and objective.relation == ">" and objective.limit == 1
    )
    if never:
        possible = str(Objective(objective.measure, f"{objective.relation}=", objective.limit, objective.argument))
        raise UserError(f"{str(objective)!r} can't be met by anything", where=where, allowed=possible)


def _share(text: str, whole: str, where: str) -> float:
    number = _number(text.removesuffix("%"))
    share = None if number is None else number / 100 if text.endswith("%") else number
    if share is None or not 0 <= share <= 1:
        allowed = "a share such as 1% or 0.01"
        raise UserError(f"{quoted(whole)} has no limit from 0 to 100%", where=where, allowed=allowed)
    return share


def _seconds(text: str, whole: str, where: str) -> float:
    for unit, factor in (("ms", 0.001), ("s", 1.0)):
        if text.endswith(unit) and (number := _number(text.removesuffix(unit))) is not None:
            check_number(f"the time of {quoted(whole)}", number * factor, where=where, most=LONGEST_S)
            return number * factor
    raise UserError(f"{quoted(whole)} has no time with its unit", where=where, allowed="such as 12s or 500ms")


def _percent_of(text: str, whole: str, where: str) -> float:
    number = _number(text)
    if number is None or not 0 < number <= 100:
        raise UserError(f"{quoted(whole)} has no percentile", where=where, allowed="p(N), N above 0 and up to 100")
    return number


def _number(text: str) -> float | None:
    # No sign, exponent, nan or inf: nobody means them here.
    return float(text) if re.fullmatch(r"\d{1,12}(\.\d{1,12})?", text, re.ASCII) else None
