"""The terminal's table of a run: a row a trial or, where several seeds were played, a row for all of them together."""

from collections.abc import Callable, Sequence
from statistics import median
from typing import TypeAlias

import numpy as np
from rich.text import Text

from harness.analysis.labels import CONTROL, Names, wake_name
from harness.analysis.sentences import plural, seconds
from harness.analysis.statistics import Measure, quantiles, rate
from harness.cli.table import Column, Heading, Row, Sheet
from harness.model.outcomes import FAILURES, Outcome
from harness.model.statistic import Named, OnTerminal
from harness.model.summary import STATISTICS, TrialSummary

OptionalColumn: TypeAlias = tuple[Named, OnTerminal]
OPTIONAL: list[OptionalColumn] = [
    (named, terminal) for named in STATISTICS if (terminal := named.statistic.terminal) is not None
]
"""Columns that are shown only when their condition holds for some trial."""


def comparison(summaries: Sequence[TrialSummary]) -> Sheet:
    """The run's table: rows grouped by wake; the controls, which are always awake, come last.

    Where a story has a patience, the answers within it take the median's place: both do not fit into 80 columns.
    """
    return _over_seeds(summaries) if has_many_seeds(summaries) else _of_one_seed(summaries)


def has_many_seeds(summaries: Sequence[TrialSummary]) -> bool:
    return len({summary.trial.seed for summary in summaries}) > 1


def seeds_note(summaries: Sequence[TrialSummary]) -> str:
    """What the table of several seeds needs to be read; empty for one seed."""
    if not has_many_seeds(summaries):
        return ""
    seeds = len({summary.trial.seed for summary in summaries})
    requests = {sum(summary.requests for summary in group) for group in _groups(summaries).values()}
    each = f", {requests.pop()} requests a row" if len(requests) == 1 else ""
    return (
        f"{seeds} seeds together{each}. Below a share and p95: the 95% interval (Wilson's; for p95 whole trials "
        "resampled, from three seeds on). The others but max are medians of the seeds, with the least and the most."
    )


def is_reliable(summary: TrialSummary) -> bool:
    """Whether a trial's numbers are what they seem; one of which they are not is marked (!)."""
    return summary.is_measurement


def _of_one_seed(summaries: Sequence[TrialSummary]) -> Sheet:
    names = Names.of(summary.trial for summary in summaries)
    failures, optional = _failures(summaries), _optional(summaries)
    within = any(summary.patience_s is not None for summary in summaries)
    times = ("p95", "max") if within else ("p50", "p95", "max")
    # A column for each failure outcome that occurred; its name is two words, one above the other.
    headers = ["ok", *map(_two_lines, failures), *times, "most\nwaiting", *_headings(optional, summaries), RECOVERED]
    parts: list[Heading | Row] = []
    ordered = sorted(summaries, key=lambda summary: (summary.trial.is_control, summary.trial.wake_latency_s or 0.0))
    for wake in dict.fromkeys(summary.trial.wake_label for summary in ordered):
        parts.append(Heading(CONTROL if wake == "awake" else wake))
        parts.extend(
            Row(
                names[summary.trial.configuration] + ("" if is_reliable(summary) else " (!)"),
                _cells(summary, failures, times, optional),
            )
            for summary in summaries
            if summary.trial.wake_label == wake
        )
    return Sheet("pool", [Column(name) for name in headers], parts)


RECOVERED = "recovered\nafter"


def _cells(
    summary: TrialSummary, failures: Sequence[Outcome], times: Sequence[str], optional: Sequence[OptionalColumn]
) -> list[Text]:
    counts = [summary.count(outcome) for outcome in failures]
    return [
        Text(str(summary.count(Outcome.OK)), "green" if not summary.failed else ""),
        *(Text(str(count), "bold red" if count else "dim") for count in counts),
        *(Text(short_seconds(summary.latency_s.get(name))) for name in times),
        Text("–" if summary.peak_waiting is None else str(summary.peak_waiting)),
        *(Text(_value(named, getattr(summary, named.name))) for named, _ in optional),
        Text(_recovered(summary.recovered_after_s)),
    ]


def _over_seeds(summaries: Sequence[TrialSummary]) -> Sheet:
    """A row for each configuration and wake, over all seeds."""
    names = Names.of(summary.trial for summary in summaries)
    failures, optional = _failures(summaries), _optional(summaries)
    within = any(summary.patience_s is not None for summary in summaries)
    headers = [
        "fails", *map(_two_lines, failures), "p95", *([] if within else ["max"]), "most\nwaiting",
        *_headings(optional, summaries), RECOVERED,
    ]  # fmt: skip
    seeds = len({summary.trial.seed for summary in summaries})
    parts: list[Heading | Row] = []
    shown = ""
    for (wake, name), group in _groups(summaries).items():
        if wake != shown:
            parts.append(Heading(wake))
            shown = wake
        parts.append(
            Row(names[name] + _remarks(group, of=seeds), _cells_over_seeds(group, failures, optional, within=within))
        )
    return Sheet("pool", [Column(name) for name in headers], parts)


def _groups(summaries: Sequence[TrialSummary]) -> dict[tuple[str, str], list[TrialSummary]]:
    """The trials of each wake and configuration, the shortest wake first and the controls last."""
    ordered = sorted(summaries, key=lambda summary: (summary.trial.is_control, summary.trial.wake_latency_s or 0.0))
    groups: dict[tuple[str, str], list[TrialSummary]] = {
        (wake, configuration): []
        for wake in dict.fromkeys(wake_name(summary.trial) for summary in ordered)
        for configuration in dict.fromkeys(summary.trial.configuration for summary in summaries)
    }
    for summary in summaries:
        groups[wake_name(summary.trial), summary.trial.configuration].append(summary)
    return {row: group for row, group in groups.items() if group}


def _remarks(group: Sequence[TrialSummary], *, of: int) -> str:
    """How many of the seeds are missing in this row, and how many are not to be relied on."""
    missing = f", {len(group)} of {plural(of, 'seed')}" if len(group) < of else ""
    marked = sum(not is_reliable(summary) for summary in group)
    if not marked:
        return missing
    return f"{missing} (!)" if marked == len(group) else f"{missing} (! {marked} of {len(group)})"


def _cells_over_seeds(
    group: Sequence[TrialSummary], failures: Sequence[Outcome], optional: Sequence[OptionalColumn], *, within: bool
) -> list[Text]:
    requests = sum(summary.requests for summary in group)
    failed = sum(summary.failed for summary in group)
    counts = [sum(summary.count(outcome) for summary in group) for outcome in failures]
    (p95,) = quantiles([np.asarray(summary.latencies_s) for summary in group if summary.requests], [95.0])
    low, high = seconds(p95.low), seconds(p95.high)
    slowest = [summary.latency_s["max"] for summary in group if summary.latency_s]
    return [
        Text(_share(rate(failed, requests)), "bold red" if failed else "green"),
        *(Text(_share(rate(count, requests)), "bold red") if count else Text("0%", "dim") for count in counts),
        Text(seconds(p95.value) + ("" if low == high else f"\n{_from_to(low, high)}")),
        *([] if within else [Text(short_seconds(max(slowest, default=None)))]),
        Text(_spread([summary.peak_waiting for summary in group], lambda value: f"{value:.0f}")),
        *(Text(_optional_over_seeds(named, group)) for named, _ in optional),
        Text(_spread([summary.recovered_after_s for summary in group], _recovered)),
    ]


def _optional_over_seeds(named: Named, group: Sequence[TrialSummary]) -> str:
    if named.name == "answered_within":
        known = [summary for summary in group if summary.answered_within is not None]
        answered = sum(summary.answered_within or 0 for summary in known)
        return _share(rate(answered, sum(summary.requests for summary in known))) if known else "–"
    return _spread([getattr(summary, named.name) for summary in group], lambda value: _value(named, value))


def _spread(values: Sequence[float | None], show: Callable[[float], str]) -> str:
    """The median of the seeds that have a value, and below it the least and the most, or how many have one."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return "–"
    middle = show(median(known))
    if len(known) < len(values):
        return f"{middle}\n{len(known)} of {len(values)}"
    least, most = show(known[0]), show(known[-1])
    return middle if least == most else f"{middle}\n{_from_to(least, most)}"


def _from_to(least: str, most: str) -> str:
    """`8.3–8.5`, or `80 ms–1.2 s` where the units differ."""
    (low, _, low_unit), (high, _, high_unit) = least.partition(" "), most.partition(" ")
    return f"{low}–{high}" if low_unit == high_unit else f"{least}–{most}"


def _share(measure: Measure) -> str:
    """`2.5%`, and below it the interval."""
    if measure.low is None or measure.high is None:
        return "–"
    # With one digit less from 10% on, three columns of shares fit beside the times.
    low, high = (f"{100 * end:.1f}" if end < 0.0995 else f"{100 * end:.0f}" for end in (measure.low, measure.high))
    # 1 of 4,000 is not 0.0%, and 3,999 are not 100.0%.
    digits = 0 if measure.value in (0.0, 1.0) else 1 if 0.0005 <= measure.value < 0.9995 else 3
    return f"{measure.value:.{digits}%}\n{low}–{high}"


def _failures(summaries: Sequence[TrialSummary]) -> list[Outcome]:
    return [outcome for outcome in FAILURES if any(outcome in summary.outcomes for summary in summaries)]


def _optional(summaries: Sequence[TrialSummary]) -> list[OptionalColumn]:
    return [(named, terminal) for named, terminal in OPTIONAL if any(map(terminal.where, summaries))]


def _headings(optional: Sequence[OptionalColumn], summaries: Sequence[TrialSummary]) -> list[str]:
    return [terminal.heading_over(summaries) for _, terminal in optional]


def _two_lines(outcome: Outcome) -> str:
    return outcome.value.replace("_", "\n")


def _value(named: Named, value: float | None) -> str:
    if named.name.endswith("_s"):
        return duration(value)
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _recovered(value: float | None) -> str:
    return "before" if value is not None and value < 0 else short_seconds(value)


def duration(value: float | None) -> str:
    """Seconds, or hours for a long duration."""
    return f"{value / 3600:.1f} h" if value is not None and value >= 3600 else short_seconds(value)


def short_seconds(value: float | None) -> str:
    """`8.0 s`, or `80 ms` below a tenth of a second."""
    if value is None:
        return "–"
    return f"{value * 1000:.0f} ms" if value < 0.0995 else f"{value:.2f} s" if value < 0.995 else f"{value:.1f} s"
