"""Two configurations of a run beside each other: which setting differs, and what that changed, in a line each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.analysis.compare import effect_of
from harness.analysis.labels import wake_name
from harness.analysis.load import Run
from harness.analysis.sentences import Failures, answered_within
from harness.model.errors import UserError
from harness.model.pool import PoolConfiguration
from harness.model.summary import TrialSummary

WHERE = "--beside"


@dataclass(frozen=True, slots=True)
class Beside:
    """Two configurations at one wake, over the seeds that were played with both."""

    run: Run
    wake: str
    before: Sequence[TrialSummary]
    after: Sequence[TrialSummary]

    @property
    def names(self) -> tuple[str, str]:
        return self.before[0].trial.configuration, self.after[0].trial.configuration

    def differs(self) -> str:
        """`connection_timeout 10 → 15 (pool_timeout follows)`."""
        one, other = self.before[0].trial, self.after[0].trial
        story = [f"the story: {one.variant} → {other.variant}"] if one.variant != other.variant else []
        return ", ".join([*story, *_settings(one.pool, other.pool)])

    def changed(self) -> str:
        """`of 200 requests 15 are saved and none is lost; 15 of 200 (7.5%) → 0 of 200 (0%) fail`."""
        counts = [_failures(summaries) for summaries in (self.before, self.after)]
        answered = answered_within(summary.patience_s for summary in (*self.before, *self.after))
        fail = f"are not {answered}" if answered else "fail"
        sums = f"{counts[0]} → {counts[1]} {fail}"
        if self.before[0].trial.story.bursts != self.after[0].trial.story.bursts:
            return f"{sums}, of other arrivals"
        effect = effect_of(self.run, self.before, self.after)
        return "; ".join([effect.counts(), sums, *([effect.in_seeds()] if len(effect.seeds) > 1 else [])])


def beside(run: Run, first: str, second: str) -> list[Beside]:
    """The two at each wake that both met, the shortest first. Raises `UserError` for a configuration that is none."""
    woken = [summary for summary in run.summaries if not summary.trial.is_control and summary.requests]
    chosen = [_chosen(woken, name) for name in (first, second)]
    if chosen[0][0].trial.configuration == chosen[1][0].trial.configuration:
        raise UserError(f"{first!r} and {second!r} are one configuration", where=WHERE, allowed="two of a run")
    ordered = sorted(chosen[0], key=lambda summary: summary.trial.wake_latency_s or 0.0)
    found = []
    for wake in dict.fromkeys(wake_name(summary.trial) for summary in ordered):
        of_both = [[summary for summary in group if wake_name(summary.trial) == wake] for group in chosen]
        if all(of_both):
            found.append(Beside(run, wake, *of_both))
    return found


def only_two(run: Run) -> list[Beside]:
    """The same for a run of exactly two configurations; empty for any other."""
    names = list(dict.fromkeys(summary.trial.configuration for summary in run.summaries if summary.requests))
    woken = {one.trial.configuration for one in run.summaries if one.requests and not one.trial.is_control}
    return beside(run, *names) if len(names) == 2 and len(woken) == 2 else []


def _chosen(woken: Sequence[TrialSummary], name: str) -> list[TrialSummary]:
    """The trials of a configuration: by its name or, of a story without variants, by its pool's label."""
    by_name = [summary for summary in woken if summary.trial.configuration == name]
    found = by_name or [one for one in woken if not one.trial.variant and one.trial.pool.label == name]
    if not found:
        known = dict.fromkeys(summary.trial.configuration for summary in woken)
        raise UserError(f"no configuration {name!r} met a wake", where=WHERE, allowed=", ".join(known) or "none did")
    return found


def _settings(one: PoolConfiguration, other: PoolConfiguration) -> Iterator[str]:
    before, after = one.to_json(), other.to_json()
    follows = all(pool.queue_timeout_s == pool.connection_timeout_s for pool in (one, other))
    for name in before:
        if before[name] == after[name] or (follows and name == "pool_timeout"):
            continue
        moved = " (pool_timeout follows)" if follows and name == "connection_timeout" else ""
        yield f"{name} {_plain(before[name])} → {_plain(after[name])}{moved}"


def _plain(value: float | bool | str) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def _failures(summaries: Sequence[TrialSummary]) -> Failures:
    return sum(
        (Failures(summary.unanswered, summary.requests) for summary in summaries), start=Failures(0, 0)
    )  # fmt: skip
