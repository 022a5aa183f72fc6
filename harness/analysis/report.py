"""`report.html`: one self-contained page about a run, the verdict first.

It stays small enough to send: charts are drawn once for light and dark screens (harness/analysis/inline.py), and of a
run of many configurations or wakes it has those that decide, and says which it leaves out.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from harness.analysis.beside import only_two
from harness.analysis.charts.draw import beside_figures, figures
from harness.analysis.charts.paper import MAX_POOLS, PAGE
from harness.analysis.compare import Comparison, Line, compare
from harness.analysis.findings import findings
from harness.analysis.inline import Inline
from harness.analysis.labels import Names
from harness.analysis.load import Run
from harness.analysis.sentences import listed, plural, seconds
from harness.analysis.tables import NOTE, groups, shares, times
from harness.model.pool import PoolConfiguration
from harness.model.summary import TrialSummary
from harness.model.visible import command_line, visible

TEMPLATES = Path(__file__).parent
NAME = "report.html"
MOST_ROWS = 40
"""The most configurations in a table."""
MOST_PANELS = 20
"""The most panels of a kind in the charts that a wake has of its own: each panel is a configuration at a wake."""
MOST_DIFFERENCES = 20
"""The most sentences about pairs of configurations."""


class _Breakable(str):
    """Text of our own with places where a line may break: signs that `_shown` would make visible."""

    __slots__ = ()


def _shown(value: object) -> object:
    """What a page shows of a value: a sign that turns the direction of a line would hide what stands there."""
    return visible(value) if type(value) is str else value


def report(run: Run) -> str:
    """The page as HTML. Styles and charts are embedded, so the file needs no other."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=_shown,
    )
    comparison = compare([run])
    manifest, inline = run.manifest, Inline()
    differences = comparison.sentences()
    shown, wakes = _configurations(comparison), _wakes(run)
    return environment.get_template("report.html.j2").render(
        title=f"{run.plan.title} on {manifest.stack}",
        story=run.scenario.description.partition("\n")[0],
        warnings=_warnings(run, comparison),
        decision=next(iter(comparison.decisions.values())),
        meanings=Names.of(run.trials).meanings(),
        findings=findings(run.summaries),
        differences=differences[:MOST_DIFFERENCES],
        more_differences=max(0, len(differences) - MOST_DIFFERENCES),
        judgements=manifest.expectations,
        left_out=_left_out(comparison, run, shown, wakes),
        tables=list(_tables(comparison, shown)),
        note=NOTE,
        charts=[
            inline.svg(figure, " ".join(figure.get_suptitle().split()))
            for _, figure in _figures(run, comparison, wakes)
        ],
        chart_css=inline.css(),
        timelines=list(_timelines(run, shown)),
        settings=_settings(run, shown),
        same_settings=_same_settings(run),
        measured=_measured(run),
        again=command_line(["coldstart", *manifest.argv]),
        run=manifest.id,
    )


def _figures(run: Run, comparison: Comparison, wakes: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """The run's charts and, of a run of two configurations, both in one picture a wake."""
    if pairs := [pair for pair in only_two(run) if pair.before[0].trial.wake_label in wakes]:
        yield from beside_figures(pairs, style=PAGE)
    yield from figures(run, comparison, style=PAGE, wakes=wakes)


def _warnings(run: Run, comparison: Comparison) -> list[str]:
    shortened = run.plan.shortened
    changed = run.plan.changes
    return [
        *([f"The story was shortened for real time: {shortened}."] if shortened else []),
        *([f"The story was changed: {', '.join(changed)}. Its expectations were not judged."] if changed else []),
        *comparison.doubts,
    ]


def _configurations(comparison: Comparison) -> set[str]:
    """The configurations that the tables have: of too many those with the fewest failures, of these the smallest."""
    of: dict[str, list[Line]] = {}
    for line in comparison.lines:
        of.setdefault(line.configuration, []).append(line)

    def cost(name: str) -> tuple[float, int]:
        woken = [line for line in of[name] if not line.is_control]
        lost = sum(line.unanswered for line in woken) / max(1, sum(line.requests for line in woken))
        return lost, of[name][0].pool.capacity

    return set(sorted(of, key=cost)[:MOST_ROWS])


def _wakes(run: Run) -> list[str]:
    """The wakes that have charts of their own: of too many some, from the shortest to the longest."""
    most = max(2, MOST_PANELS // max(1, min(MAX_POOLS, len({trial.configuration for trial in run.trials}))))
    first_seed = min((trial.seed for trial in run.trials), default=0)
    asleep = [trial for trial in run.trials if not trial.is_control and trial.seed == first_seed]
    labels = list(
        dict.fromkeys(trial.wake_label for trial in sorted(asleep, key=lambda one: one.wake_latency_s or 0.0))
    )
    if len(labels) <= most:
        return labels
    return [labels[round(place * (len(labels) - 1) / (most - 1))] for place in range(most)]


def _left_out(comparison: Comparison, run: Run, shown: set[str], wakes: Sequence[str]) -> list[str]:
    """Sentences on what this page does not have."""
    configurations = len({line.configuration for line in comparison.lines})
    every = len({trial.wake_label for trial in run.trials if not trial.is_control})
    return [
        *(
            [f"The tables have the {len(shown)} of {configurations} configurations with the fewest failures."]
            if len(shown) < configurations
            else []
        ),
        *([f"Of {every} wakes these have charts of their own: {listed(wakes)}."] if len(wakes) < every else []),
    ]


def _table(caption: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Any]]]) -> dict[str, Any]:
    return {"caption": caption, "columns": columns, "rows": [{"name": name, "cells": cells} for name, cells in rows]}


def _tables(comparison: Comparison, shown: set[str]) -> Iterator[dict[str, Any]]:
    for _, wake, of_wake in groups(comparison):
        lines = [line for line in of_wake if line.configuration in shown]
        if not lines:
            continue
        seeds = plural(lines[0].trials, "seed") if lines[0].trials > 1 else "one seed"
        for what, columns in (("what fails", shares(lines)), ("how long it takes", times())):
            yield _table(
                f"{wake}: {what} ({lines[0].requests} requests each, {seeds})",
                [name for name, _ in columns],
                [(line.configuration, [value(line).partition("\n")[::2] for _, value in columns]) for line in lines],
            )


def _timelines(run: Run, shown: set[str]) -> Iterator[dict[str, Any]]:
    woken = [summary for summary in run.summaries if not summary.trial.is_control]
    first_seed = [summary for summary in woken if summary.trial.seed == min(other.trial.seed for other in woken)]
    for wake in dict.fromkeys(summary.trial.wake_label for summary in first_seed):
        summaries = [
            summary
            for summary in first_seed
            if summary.trial.wake_label == wake and summary.trial.configuration in shown
        ]
        moments = [(words, of) for words, of in MOMENTS if any(of(summary) is not None for summary in summaries)]
        rows = [
            (summary.trial.configuration, [(seconds(of(summary)), "") for _, of in moments]) for summary in summaries
        ]
        if rows:
            yield _table(wake, [words for words, _ in moments], rows)


MOMENTS: tuple[tuple[str, Callable[[TrialSummary], float | None]], ...] = (
    ("alert on 80 %\nof the pool", lambda summary: summary.utilization_alert_s),
    ("first failed\nanswer", lambda summary: summary.first_failure_s),
    ("the database\nanswers again", lambda summary: summary.woke_after_s),
    ("nobody waits\nany more", lambda summary: summary.recovered_after_s),
    ("the slowest\nanswer took", lambda summary: summary.latency_s.get("max")),
)


def _pools(run: Run) -> dict[str, PoolConfiguration]:
    return {trial.pool.called: trial.pool for trial in run.trials}


def _settings(run: Run, shown: set[str]) -> dict[str, Any] | None:
    """The settings that differ, a row a pool; None: there is only one pool."""
    pools = {name: pool.to_json() for name, pool in _pools(run).items()}
    named = {trial.pool.called for trial in run.trials if trial.configuration in shown}
    if len(pools) < 2:
        return None
    differing = [name for name, values in _values(pools).items() if len(values) > 1]
    rows = [
        (called, [_plain(settings[name]) for name in differing])
        for called, settings in pools.items()
        if called in named
    ]
    heads = [_Breakable(name.replace("_", "_\u200b")) for name in differing]
    return _table("What differs between the pools", heads, rows)


def _same_settings(run: Run) -> list[tuple[str, str]]:
    """The settings that every pool has, with their values."""
    pools = {name: pool.to_json() for name, pool in _pools(run).items()}
    return [(name, next(iter(values))) for name, values in _values(pools).items() if len(values) == 1]


def _values(pools: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """The different values of each setting, as text."""
    names = next(iter(pools.values()), {})
    return {name: list(dict.fromkeys(_plain(settings[name]) for settings in pools.values())) for name in names}


def _plain(value: float | bool) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def _measured(run: Run) -> list[tuple[str, str]]:
    manifest = run.manifest
    late = max((summary.late_start_s.get("p99", 0.0) for summary in run.summaries), default=0.0)
    return [
        ("run", manifest.id),
        ("started", manifest.started_at),
        ("status", manifest.status),
        ("stack", f"{manifest.stack}; {'; '.join(manifest.notes)}"),
        ("trials", str(len(manifest.trials))),
        ("load generator", f"late by {late * 1000:.1f} ms at the 99th percentile, in the worst trial"),
        ("versions", ", ".join(f"{name} {version}" for name, version in manifest.versions.items())),
        ("machine", ", ".join(f"{name} {value}" for name, value in manifest.machine.items())),
        ("commit", manifest.git_commit or "unknown"),
    ]
