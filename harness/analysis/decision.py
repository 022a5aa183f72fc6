"""What to set, as far as a run shows it; where it does not, the commands that answer it.

A run shows that a configuration is enough for its own stories, wakes and arrivals, when each of its trials is to be
relied on. It never shows more: not another wake, and of one seed not other arrivals.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from harness.analysis.labels import Names, wake_name
from harness.analysis.load import Run
from harness.analysis.measured import by_reason
from harness.analysis.next_command import next_commands
from harness.analysis.sentences import MAX_LISTED, Failures, answered_within, listed, percent, plural, ranking, span
from harness.model.application import Application
from harness.model.arrivals import RequestName
from harness.model.doubt import Reason
from harness.model.pool import PoolConfiguration
from harness.model.status import RunStatus
from harness.model.summary import TrialSummary
from harness.model.typed import as_typed

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to "what do I set?"."""

    sentences: tuple[str, ...]
    settings: tuple[str, ...] = ()
    """`NAME=VALUE`, to paste."""
    commands: tuple[str, ...] = ()
    """What to type next, one after another."""
    asked: str = field(default="What to set, this answers:", kw_only=True)
    """The words before the commands."""


def decide(run: Run) -> Decision:
    """The decision that the run allows."""
    commands = next_commands(run)
    if (application := run.plan.overrides.application) is not None and application.target is not None:
        return Decision(("The application was running already: this run changed none of its settings.",))
    if reason := _unknown(run):
        return Decision((f"This run can't say what to set: {reason}.",), (), commands)
    shown = _Shown(run)
    if not shown.failing:
        return Decision(
            (shown.nothing_to_set(), *shown.limits()), (), commands, asked="How far that holds, this answers:"
        )
    if shown.clean:
        lines, elsewhere = settings_of(shown.chosen, application)
        sentences = (shown.choice(), *([elsewhere] if elsewhere else []), *shown.limits())
        return Decision(sentences, lines, commands, asked="Whether something smaller does, and how far, this answers:")
    return Decision(tuple(shown.no_choice()), (), commands)


def settings_of(pool: PoolConfiguration, application: Application | None) -> tuple[tuple[str, ...], str]:
    """The variables that set a pool, without those that are the default, and a sentence on what no variable carries."""
    typed = as_typed(pool, pool.beyond_defaults, application)
    lines = tuple(f"{name}={value}" for name, value in typed.variables.items())
    others = [f"{name}={value}" for name, value in typed.others.items()]
    return lines, f"Where the application makes its engine: {listed(others)}." if others else ""


def _unknown(run: Run) -> str:
    """Why the run shows nothing of what to set; empty: it does."""
    woken = [summary for summary in run.summaries if not summary.trial.is_control]
    planned = sum(not trial.is_control for trial in run.trials)
    if not planned or not woken:
        return "only controls were played" if run.summaries else "nothing was played"
    if not any(summary.requests for summary in woken):
        return "no request has ended"
    if run.manifest.status is not RunStatus.COMPLETE or len(woken) < planned:
        return f"it was {run.manifest.status}, with {len(woken)} of {planned} trials measured"
    cut_short = [summary for summary in woken if not summary.complete]
    reasons = [f"{_trials(cut_short, woken)} cut short"] if cut_short else []
    for reason, marked in by_reason(woken).items():
        if reason is not Reason.CUT_SHORT:
            reasons.append(f"in {_trials(marked, woken, verb=False)} {reason.clause}")
    return listed(reasons) if reasons else ""


def _trials(some: Sequence[TrialSummary], every: Sequence[TrialSummary], *, verb: bool = True) -> str:
    was = "" if not verb else " was" if len(some) == 1 else " were"
    return f"{len(some)} of {plural(len(every), 'trial')}{was}"


class _Shown:
    """What a run of reliable trials shows of its configurations, over all its wakes, variants and seeds."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._woken = [summary for summary in run.summaries if not summary.trial.is_control]
        self._names = Names.of(summary.trial for summary in run.summaries)
        self._answered = answered_within(summary.patience_s for summary in self._woken)
        self._pools: dict[str, PoolConfiguration] = {}
        self._failures: dict[str, Failures] = {}
        for summary in self._woken:
            called = summary.trial.pool.called
            self._pools[called] = summary.trial.pool
            counted = Failures(summary.unanswered, summary.requests)
            self._failures[called] = self._failures.get(called, Failures(0, 0)) + counted

    @property
    def failing(self) -> list[str]:
        return [name for name, counts in self._failures.items() if counts.failed]

    @cached_property
    def clean(self) -> list[str]:
        """The configurations without a failure: the smallest first, of these the one that changes fewest settings."""
        names = [name for name, counts in self._failures.items() if not counts.failed]
        return sorted(names, key=lambda name: (self._pools[name].capacity, len(self._pools[name].beyond_defaults)))

    @property
    def chosen(self) -> PoolConfiguration:
        return self._pools[self.clean[0]]

    def nothing_to_set(self) -> str:
        names = self._listed(list(self._pools))
        who = f"with {names}" if len(self._pools) == 1 else "with any configuration"
        return f"Nothing to set: {self._no_failure()} {who}, {self._met()}."

    def choice(self) -> str:
        first, *others = self.clean
        pool = self._pools[first]
        alike = [name for name in others if self._pools[name].capacity == pool.capacity]
        which = "the only configuration" if not others else "the smallest configuration"
        if others and len(alike) == len(others):
            which = f"one of the {len(self.clean)} configurations"
        means = f" ({pool.label})" if pool.name else ""
        also = f" As large, and as good: {self._listed(alike)}." if alike else ""
        default = "" if pool.beyond_defaults else " All of its settings are the defaults."
        called = self._listed([first])
        return (
            f"Set {called}{means}: {which} of this run with which {self._no_failure()}, {self._met()}.{also}{default}"
        )

    def no_choice(self) -> Iterator[str]:
        found = ranking({name: counts.share for name, counts in self._failures.items()})
        if found.least == 1:
            none = f"no request is {self._answered}, with any" if self._answered else "every request fails, with every"
            yield f"Nothing in this run is worth setting: {none} configuration."
        elif len(self._pools) == 1:
            ((name, counts),) = self._failures.items()
            yield f"{self._listed([name])} is not enough: {_requests(counts)} {self._fail()}, {self._met()}."
        else:
            fewest = self._failures[found.lowest[0]]
            each = " each" if len(found.lowest) > 1 else ""
            yield (
                f"None of these {len(self._pools)} configurations is enough: with the best, "
                f"{self._listed(found.lowest)}, {_requests(fewest)}{each} {self._fail()}, {self._met()}."
            )
        variants = list(dict.fromkeys(summary.trial.variant for summary in self._woken))
        harmless = [
            variant
            for variant in variants
            if not any(summary.unanswered for summary in self._woken if summary.trial.variant == variant)
        ]
        if harmless:
            where = self._quoted(harmless)
            yield f"The story decides more than the pool: with every configuration {self._no_failure()} in {where}."

    def limits(self) -> Iterator[str]:
        """What a run without a failure does not show."""
        seeds = len({summary.trial.seed for summary in self._woken})
        different = len({_drawn(summary) for summary in self._of_one_cell()})
        if seeds == 1:
            yield "One seed was played: other arrivals can do worse; --repeat 20 shows it."
        elif different == seeds:
            share = 1 - (1 - CONFIDENCE) ** (1 / seeds)
            yield f"None of {seeds} seeds has one: with 95% confidence, fewer than {percent(share)} of all others have."
        if self._run.manifest.stack == "simulated" and not self._takes_time():
            yield "A statement takes no time here, so how many connections are needed does not show: calibrate first."

    def _takes_time(self) -> bool:
        """Whether a request has its connection for any time in the simulated database while that is awake."""
        plan = self._run.plan
        holds = {RequestName.HOLD_CONNECTION, RequestName.SLOW_QUERY}
        return plan.overrides.application is not None or any(
            story.shapes
            or plan.times(story).service.quantile(1.0) > 0
            or any(request in holds for burst in story.bursts for request, _ in burst.mix.weights)
            for story in plan.stories.values()
        )

    def _of_one_cell(self) -> list[TrialSummary]:
        first = self._woken[0].trial
        return [
            summary
            for summary in self._woken
            if (summary.trial.configuration, wake_name(summary.trial)) == (first.configuration, wake_name(first))
        ]

    def _no_failure(self) -> str:
        return f"every request is {self._answered}" if self._answered else "no request fails"

    def _fail(self) -> str:
        return f"are not {self._answered}" if self._answered else "fail"

    def _met(self) -> str:
        """`at wakes of 8 s and 12 s`."""
        asleep = [one.trial for one in self._woken if one.trial.wake is not None and one.trial.wake.can_sleep]
        if not asleep:
            return "with the database awake"
        latencies_s = sorted({trial.wake_latency_s or 0.0 for trial in asleep})
        if len(latencies_s) > MAX_LISTED:
            return f"at {len(latencies_s)} wakes of {span(latencies_s)}"
        shown = [f"{latency_s:g} s" for latency_s in latencies_s]
        return f"at a wake of {shown[0]}" if len(shown) == 1 else f"at wakes of {listed(shown)}"

    def _listed(self, names: Sequence[str]) -> str:
        return listed(list(names), most=MAX_LISTED)

    @staticmethod
    def _quoted(variants: Sequence[str]) -> str:
        return listed([f"“{variant}”" for variant in variants], most=MAX_LISTED)


def _requests(counts: Failures) -> str:
    return f"{counts.failed} of {counts.requests} requests ({percent(counts.share)})"


def _drawn(summary: TrialSummary) -> tuple[object, ...]:
    """What a seed decides of a trial: its arrivals and its wakes."""
    trial = summary.trial
    arrivals = (
        arrival.at_s
        for number, burst in enumerate(trial.story.bursts)
        for arrival in burst.schedule(trial.burst_seed(number))
    )
    return (*arrivals, trial.wake_latency_s)
