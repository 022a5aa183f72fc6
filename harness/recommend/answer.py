"""The answer: a configuration with its margin and what was refused, or what would have to change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.model.pool import PoolConfiguration
from harness.recommend.judging import Verdict
from harness.recommend.margin import Margin
from harness.recommend.question import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """A configuration on the same arrivals with the database awake, over a few seeds."""

    pool: PoolConfiguration
    requests: int
    failed: int
    p95_s: float
    connects: int
    """Requests that had to connect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WouldHelp:
    """What would have to change where no configuration meets the objectives."""

    closest: Verdict
    """The configuration that misses them by least, at the wake's upper quantile."""
    largest: Verdict
    """The largest pool that was tried, with its own timeouts: what size alone can do."""
    smallest: Verdict
    wake_s: float | None
    """The longest wake that some configuration survives; None: not even a wake of 0."""
    with_wake: PoolConfiguration
    """That configuration."""
    patience_s: float | None
    """The patience with which a configuration that waits would meet them; None: none would do."""
    with_patience: PoolConfiguration
    awake: Verdict
    """The closest configuration with the database awake: what a keepalive would make of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A configuration in real time beside its prediction."""

    pool: PoolConfiguration
    predicted: bool
    """Whether virtual time said that it meets the objectives."""
    measured: bool
    values: Mapping[str, float]
    """Each objective's measured value."""
    is_a_measurement: bool

    @property
    def held(self) -> bool:
        return self.is_a_measurement and self.predicted == self.measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What `coldstart recommend` says."""

    question: Question
    found: PoolConfiguration | None
    """None: no configuration meets the objectives."""
    refused: tuple[Verdict, ...] = ()
    margin: Margin | None = None
    warm: tuple[Warm, ...] = ()
    """The recommendation, and what is set today where that is another pool."""
    today: Verdict | None = None
    """What is set today, at the wake's upper quantile: its first miss, or its first seed."""
    would_help: WouldHelp | None = None
    trials: int = 0
    marks: tuple[str, ...] = ()
    """What an application did in these trials that virtual time can't play."""
    confirmed_at_s: float | None = None
    """The wake at which it is confirmed in real time; None: it is not."""
    confirmed: tuple[Confirmed, ...] = ()
    stack: str = ""
    """Where it was confirmed."""

    @property
    def confidence(self) -> float:
        """With 95 % confidence a smaller share of other arrival sequences than this misses the objectives."""
        return 1.0 - float(0.05 ** (1 / len(self.question.seeds)))

    def to_json(self) -> dict[str, Any]:
        """The document of `--json`."""
        question = self.question
        return {
            "scenario": question.plan.title,
            "objectives": [str(one) for one in question.objectives.all],
            "patience_s": question.objectives.patience.seconds,
            "wake": {
                "profile": question.wake.name,
                "latency": str(question.wake.latency),
                "share": question.share,
                "survived_at_least_s": round(question.upper_s, 3),
            },
            "instances": next(iter(question.plan.stories.values())).instances,
            "largest_capacity": None if question.budget is None else question.budget.capacity,
            "seeds": len(question.seeds),
            "candidates": len(question.space),
            "trials": self.trials,
            "recommendation": None if self.found is None else self.found.to_json(),
            "margin": None if self.margin is None else self.margin.to_json(),
            "refused": [_refused_json(verdict) for verdict in self.refused],
            "today": None if self.today is None else _refused_json(self.today),
            "warm": [
                {
                    "pool": warm.pool.to_json(), "requests": warm.requests, "failed": warm.failed,
                    "p95_s": round(warm.p95_s, 6), "connects": warm.connects,
                }
                for warm in self.warm
            ],
            "would_help": None if self.would_help is None else _would_help_json(self.would_help),
            "marks": list(self.marks),
            "confirmed": [
                {
                    "stack": self.stack, "wake_s": self.confirmed_at_s, "pool": one.pool.to_json(),
                    "predicted": one.predicted, "measured": one.measured, "values": dict(one.values),
                    "measurement": one.is_a_measurement, "held": one.held,
                }
                for one in self.confirmed
            ],
        }  # fmt: skip


def _refused_json(verdict: Verdict) -> dict[str, Any]:
    row = verdict.breaking
    return {
        "pool": verdict.pool.to_json(),
        "wake_s": None if verdict.wake_s is None else round(verdict.wake_s, 3),
        "seed": verdict.seed,
        "missed": [{"objective": str(missed.objective), "value": missed.value} for missed in verdict.missed],
        "request": None if row is None else {
            "number": row["number"], "arrival_s": row["arrival_s"], "outcome": row["outcome"],
            "error": row["error"], "latency_s": row["latency_s"],
        },
    }  # fmt: skip


def _would_help_json(would_help: WouldHelp) -> dict[str, Any]:
    return {
        "closest": _refused_json(would_help.closest),
        "wake_of_at_most_s": would_help.wake_s,
        "with_pool": would_help.with_wake.to_json(),
        "patience_of_s": would_help.patience_s,
        "with_patience_pool": would_help.with_patience.to_json(),
        "awake_meets": would_help.awake.meets,
    }
