"""The summary of one trial: the numbers of `--json`, of summary.csv and of every table and expectation.

Each number is defined here by a field or property whose type has its meaning; harness/analysis/summarise.py computes
the fields. The JSON document, summary.csv, results/README.md and the terminal follow from these definitions.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, get_type_hints

from harness.model.columns import TRIALS, Column
from harness.model.doubt import Doubt, Reason
from harness.model.outcomes import Outcome
from harness.model.part import Part
from harness.model.pool import MEANINGS, SETTINGS, PoolConfiguration
from harness.model.statistic import ByOutcome, OnTerminal, Quantiles, Reasons, Statistic, column, statistics_of
from harness.model.trial import Trial


def _has_retries(summary: "TrialSummary") -> bool:
    return summary.attempts > summary.requests


def _woke_often(summary: "TrialSummary") -> bool:
    return summary.wakes > 1


def _takes_the_oldest_first(summary: "TrialSummary") -> bool:
    return not summary.trial.pool.of_library.use_lifo


def _has_a_patience(summary: "TrialSummary") -> bool:
    return summary.patience_s is not None


def within_patience(shown: Sequence["TrialSummary"]) -> str:
    """The heading over numbers of answers in time: `within`, and below it the patience if all trials have the same."""
    patiences = {summary.patience_s for summary in shown}
    patience_s = next(iter(patiences)) if len(patiences) == 1 else None
    return "within\npatience" if patience_s is None else f"within\n{patience_s:g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSummary:
    """The numbers of one trial. Durations are in seconds, moments in seconds from the start of the burst."""

    trial: Trial
    requests: Annotated[int, Statistic("Requests that ended; of a trial that was cut short, fewer than planned")]
    outcomes: Annotated[dict[Outcome, int], ByOutcome("Requests by their outcome")]
    latency_s: Annotated[
        dict[str, float],
        Quantiles("Latency of all requests since their arrival", of=("p50", "p95", "p99", "max")),
    ]
    checkout_wait_s: Annotated[dict[str, float], Quantiles("Time in the pool's queue", of=("p50", "p95", "max"))]
    peak_checked_out: Annotated[int | None, Statistic("Most slots in use at a time; empty: the pool was not seen")]
    peak_waiting: Annotated[int | None, Statistic("Most requests in the queue at a time; empty: the pool was not seen")]
    woke_after_s: Annotated[float | None, Statistic("When the compute answered again")]
    recovered_after_s: Annotated[
        float | None,
        Statistic(
            "When nobody waits any more and no connection is being made: the first such moment after the database "
            "answered again; where it was never away, the first from which on it stays so, if ever anybody waited"
        ),
    ]
    utilization_alert_s: Annotated[
        float | None,
        Statistic("When an alert on 80 % of the pool in use would have come; empty: never, or the pool was not seen"),
    ]
    first_failure_s: Annotated[float | None, Statistic("When the first failure was answered")]
    errors: Annotated[
        dict[str, int], Statistic("The failures by the name of what was raised", in_csv=False)
    ] = field(default_factory=dict)  # fmt: skip
    attempts: Annotated[
        int,
        Statistic("Requests that the service was sent, retries included", terminal=OnTerminal("sent", _has_retries)),
    ] = 0
    wakes: Annotated[int, Statistic("How often the compute woke", terminal=OnTerminal("wakes", _woke_often))] = 0
    awake_s: Annotated[
        float | None,
        Statistic(
            "How long the compute was awake between the trial's first and last event: what it is paid for",
            terminal=OnTerminal("awake", _woke_often),
        ),
    ] = None
    live_after: Annotated[
        int | None,
        Statistic("Connections the pool holds at the end", terminal=OnTerminal("live\nafter", _takes_the_oldest_first)),
    ] = None
    idle_p95_s: Annotated[
        float | None,
        Statistic(
            "Of the connections given out: how long they had been idle, 95th percentile",
            terminal=OnTerminal("idle\np95", _takes_the_oldest_first),
        ),
    ] = None
    waited_s: Annotated[
        float | None,
        Statistic(
            "Connection-seconds waited for: the time of all requests in the pool's queue, added up; empty: not known"
        ),
    ] = 0.0
    connects: Annotated[
        int | None,
        Statistic("Connections made in the whole trial, by all instances, warming included; empty: not recorded"),
    ] = None
    connects_failed: Annotated[
        int | None, Statistic("Connections that could not be made, counted in the same way")
    ] = None  # fmt: skip
    pings_failed: Annotated[int | None, Statistic("Pre-pings that failed, counted in the same way")] = None
    listener_attempts: Annotated[
        int, Statistic("How often the queue listener tried to connect, in the whole trial")
    ] = 0  # fmt: skip
    wall_s: Annotated[float, Statistic("How long the trial took, by the clock on the wall", csv_place=2)]
    complete: Annotated[bool, Statistic("Whether every scheduled request ended", csv_place=1)] = True
    late_start_s: Annotated[
        dict[str, float], Quantiles("How late the load generator started requests", of=("p99", "max"))
    ] = field(default_factory=dict)  # fmt: skip
    kept_schedule: Annotated[
        bool, Statistic("Whether the load generator kept its schedule: if not, it is no measurement")
    ] = True
    answers: Annotated[
        dict[str, int],
        Statistic(
            "How an application's statements were answered from its recording: how many in which way", in_csv=False
        ),
    ] = field(default_factory=dict)
    not_played: Annotated[
        dict[str, int],
        Statistic(
            "What an application did that virtual time can't play, and how often: then it is not to be relied on",
            in_csv=False,
        ),
    ] = field(default_factory=dict)
    wake_late_s: Annotated[
        dict[str, float],
        Statistic("detected, woken, first_released, last_released: how long after its due time each was", in_csv=False),
    ] = field(default_factory=dict)
    disturbances: tuple[Doubt, ...] = ()
    """What else than the pool its numbers show, beside the three above: `doubts` are all of them."""
    releases: Sequence[tuple[float, int]] = field(default=(), repr=False)
    """When the database answered again, and how many requests were under way at that moment."""
    began_at_s: float | None = field(default=None, repr=False)
    """When the first burst began, in seconds since 1970; None: in virtual time, or not known."""
    latencies_s: Sequence[float] = field(default=(), repr=False, compare=False)
    """Every request's latency, in the order of their numbers."""
    ok_latencies_s: Sequence[float] = field(default=(), repr=False, compare=False)
    """The latencies of the requests that ended ok, the shortest first."""
    listener: Sequence[tuple[str, float, float | None]] = field(default=(), repr=False)
    """The queue listener's events: name, moment, and duration if there is one."""
    bursts_started_s: Mapping[int, float] = field(default_factory=dict, repr=False)
    """When each burst started, by its number in the timeline."""
    part_of: Callable[[Part], "TrialSummary"] | None = field(default=None, repr=False, compare=False)
    """Makes the same summary of a part of the requests, from the trial's rows."""

    @property
    def saw_the_pool(self) -> bool:
        """Whether there are samples of the pool: not of an application that is running already."""
        return self.peak_waiting is not None

    @property
    def as_recorded(self) -> bool:
        """Whether an application did nothing that virtual time can't play; always so for the service under test."""
        return not self.not_played

    @property
    def doubts(
        self,
    ) -> Annotated[
        tuple[Doubt, ...],
        Reasons("Why it is no measurement, each reason by its name; empty: it is one", after="kept_schedule"),
    ]:
        late_s = self.late_start_s.get("max")
        found = [
            *([] if self.complete else [Doubt(Reason.CUT_SHORT)]),
            *([] if self.kept_schedule else [Doubt(Reason.LATE_LOAD, late_s)]),
            *self.disturbances,
            *([] if self.as_recorded else [Doubt(Reason.NOT_AS_RECORDED)]),
        ]
        return tuple(found)

    @property
    def is_measurement(self) -> bool:
        """Whether its numbers are the pool's; if not, it is marked (!) and nothing is concluded from it."""
        return not self.doubts

    @property
    def failed(self) -> Annotated[int, Statistic("Those that did not end ok", in_json=False, after="requests")]:
        return self.requests - self.outcomes.get(Outcome.OK, 0)

    @property
    def patience_s(
        self,
    ) -> Annotated[
        float | None, Statistic("How long an answer is worth having; empty: any answer is", after="outcomes")
    ]:  # fmt: skip
        return self.trial.story.patience_s

    @property
    def answered_within(
        self,
    ) -> Annotated[
        int | None,
        Statistic(
            "Requests that ended ok within that time of their arrival; empty: the story has no patience",
            after="patience_s",
            terminal=OnTerminal(within_patience, _has_a_patience),
        ),
    ]:
        return None if self.patience_s is None else self.answered(self.patience_s)

    @property
    def unanswered(self) -> int:
        """Requests that were not answered within the patience; without one, those that failed."""
        return self.failed if self.answered_within is None else self.requests - self.answered_within

    @property
    def exhaustion(
        self,
    ) -> Annotated[float, Statistic("pool_timeout as a share of the requests", in_json=False, after="outcomes")]:
        return self.rate(Outcome.POOL_TIMEOUT)

    @property
    def alert_lead_s(
        self,
    ) -> Annotated[
        float | None,
        Statistic(
            "How long before the first failure that alert came; negative: after it; empty: one of them never came",
            after="first_failure_s",
        ),
    ]:
        if self.utilization_alert_s is None or self.first_failure_s is None:
            return None
        return self.first_failure_s - self.utilization_alert_s

    def count(self, outcome: Outcome) -> int:
        return self.outcomes.get(outcome, 0)

    def rate(self, outcome: Outcome) -> float:
        """The outcome's share of all requests; 0 without any request."""
        return self.count(outcome) / self.requests if self.requests else 0.0

    def answered(self, within_s: float) -> int:
        """How many requests ended ok within this time of their arrival."""
        return bisect_right(self.ok_latencies_s, within_s)

    def part(self, part: Part) -> "TrialSummary":
        """The summary of a part of the requests; the numbers of the pool stay the trial's, or are the instance's."""
        if part.is_whole:
            return self
        if self.part_of is None:
            raise ValueError("this summary was made without the trial's rows")
        return replace(self.part_of(part), disturbances=self.disturbances)

    @property
    def bursts(self) -> list["TrialSummary"]:
        """A summary of each burst's requests, in the order of the timeline."""
        return [self.part(Part(burst=number)) for number in range(len(self.trial.story.bursts))]

    def longer_than(self, seconds: float) -> int:
        """How many requests took longer than this."""
        return sum(1 for latency_s in self.latencies_s if latency_s > seconds)

    def to_json(self) -> dict[str, Any]:
        """The trial in the JSON document of `--json`."""
        return {
            **({"name": self.trial.pool.name} if self.trial.pool.name else {}),
            "pool": self.trial.pool.to_json(),
            **({"variant": self.trial.variant} if self.trial.variant else {}),
            "wake": self.trial.wake_json(),
            "seed": self.trial.seed,
            **{named.name: named.json_of(self) for named in STATISTICS if named.statistic.in_json},
            **({"bursts": self._bursts_json()} if len(self.trial.story.bursts) > 1 and self.part_of else {}),
        }

    def _bursts_json(self) -> list[dict[str, Any]]:
        """What is in the JSON document of each burst: those of a trial's numbers that are of requests."""
        written = [named for named in STATISTICS if named.name in OF_A_BURST]
        return [
            {
                "burst": number,
                "starts_s": self.bursts_started_s.get(number),
                **{named.name: named.json_of(burst) for named in written},
            }
            for number, burst in enumerate(self.bursts)
        ]

    def to_row(self) -> dict[str, Any]:
        """The row of summary.csv, with the columns of SUMMARY.

        Settings have their unit in their names, so `pool_timeout_s` is a setting, and `pool_timeout` counts requests.
        """
        pool = self.trial.pool.resolved
        wake = self.trial.wake_json() or {"profile": None, "latency_s": None, "on_suspend": None, "while_waking": None}
        row = {
            "trial": self.trial.number,
            "seed": self.trial.seed,
            "control": self.trial.is_control,
            "variant": self.trial.variant or None,
            **{f"wake_{name}": value for name, value in wake.items()},
            **{name: getattr(pool, name) for name, _ in SETTINGS.values()},
        }
        for named in IN_CSV:
            row |= named.cells_of(self)
        return row


OF_A_BURST = frozenset({"requests", "outcomes", "latency_s", "answered_within"})
"""The numbers that the JSON document has of each burst."""
STATISTICS = statistics_of(TrialSummary)
"""Every number of a summary, in the order of the JSON document."""
IN_CSV = sorted(
    (named for named in STATISTICS if named.statistic.in_csv), key=lambda named: named.statistic.csv_place
)  # fmt: skip


def _settings() -> tuple[Column, ...]:
    """The columns of the pool's settings; they come from `resolved`, so none can be empty."""
    types = get_type_hints(PoolConfiguration)
    columns = []
    for setting, (name, _) in SETTINGS.items():
        meaning = MEANINGS[setting]
        named = column(name, types[name], f"{meaning[:1].upper()}{meaning[1:]}")
        columns.append(Column(named.name, named.type, named.meaning))
    return tuple(columns)


SUMMARY: tuple[Column, ...] = (*TRIALS, *_settings(), *(column for named in IN_CSV for column in named.columns))
"""The columns of summary.csv."""
