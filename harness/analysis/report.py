"""`report.html`: one self-contained page about a run, the verdict first."""

import base64
import io
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from harness.analysis.charts.draw import DARK, figures
from harness.analysis.compare import Comparison, compare
from harness.analysis.findings import findings
from harness.analysis.load import Run
from harness.analysis.sentences import seconds
from harness.analysis.tables import NOTE, groups, shares, times
from harness.model.summary import TrialSummary

TEMPLATES = Path(__file__).parent
NAME = "report.html"


def report(run: Run) -> str:
    """The page as HTML. Styles and charts are embedded, so the file needs no other."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    comparison = compare([run])
    manifest = run.manifest
    return environment.get_template("report.html.j2").render(
        title=f"{run.plan.title} on {manifest.stack}",
        story=run.scenario.description.partition("\n")[0],
        warnings=_warnings(run, comparison),
        findings=findings(run.summaries),
        differences=comparison.sentences(),
        judgements=manifest.expectations,
        tables=list(_tables(comparison)),
        note=NOTE,
        charts=list(_charts(run, comparison)),
        timelines=list(_timelines(run)),
        settings=_settings(run),
        measured=_measured(run),
        again=shlex.join(["coldstart", *manifest.argv]),
    )


def _warnings(run: Run, comparison: Comparison) -> list[str]:
    shortened = run.plan.shortened
    changed = run.plan.changes
    return [
        *([f"The story was shortened for real time: {shortened}."] if shortened else []),
        *([f"The story was changed: {', '.join(changed)}. Its expectations were not judged."] if changed else []),
        *comparison.doubts,
    ]


def _table(caption: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Any]]]) -> dict[str, Any]:
    return {"caption": caption, "columns": columns, "rows": [{"name": name, "cells": cells} for name, cells in rows]}


def _tables(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for _, wake, lines in groups(comparison):
        seeds = f"{lines[0].trials} seeds" if lines[0].trials > 1 else "one seed"
        for what, columns in (("what fails", shares(lines)), ("how long it takes", times())):
            yield _table(
                f"{wake}: {what} ({lines[0].requests} requests each, {seeds})",
                [name for name, _ in columns],
                [(line.configuration, [value(line).partition("\n")[::2] for _, value in columns]) for line in lines],
            )


def _charts(run: Run, comparison: Comparison) -> Iterator[dict[str, str]]:
    """Every chart twice, for light and for dark screens."""
    light = [(" ".join(figure.get_suptitle().split()), _svg(figure)) for _, figure in figures(run, comparison)]
    dark = [_svg(figure) for _, figure in figures(run, comparison, style=DARK)]
    for (title, drawn), on_dark in zip(light, dark, strict=True):
        yield {"title": title, "light": drawn, "dark": on_dark}


def _svg(figure: Figure) -> str:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    return base64.b64encode(drawn.getvalue()).decode()


def _timelines(run: Run) -> Iterator[dict[str, Any]]:
    woken = [summary for summary in run.summaries if not summary.trial.is_control]
    first_seed = [summary for summary in woken if summary.trial.seed == min(other.trial.seed for other in woken)]
    for wake in dict.fromkeys(summary.trial.wake_label for summary in first_seed):
        summaries = [summary for summary in first_seed if summary.trial.wake_label == wake]
        rows = [
            (words, [(seconds(moment(summary)), "") for summary in summaries])
            for words, moment in MOMENTS
            if any(moment(summary) is not None for summary in summaries)
        ]
        yield _table(wake, [summary.trial.configuration for summary in summaries], rows)


MOMENTS: tuple[tuple[str, Callable[[TrialSummary], float | None]], ...] = (
    ("an alert on 80 % of the pool in use", lambda summary: summary.utilization_alert_s),
    ("the first failed answer", lambda summary: summary.first_failure_s),
    ("the database answers again", lambda summary: summary.woke_after_s),
    ("nobody waits any more", lambda summary: summary.recovered_after_s),
    ("the slowest answer took", lambda summary: summary.latency_s.get("max")),
)


def _settings(run: Run) -> dict[str, Any]:
    pools = list(dict.fromkeys(trial.pool for trial in run.trials))
    configurations = [pool.to_json() for pool in pools]
    rows = []
    for name in configurations[0]:
        values = [settings[name] for settings in configurations]
        rows.append((name, [(_plain(value), len(set(values)) > 1) for value in values]))
    return _table("", [pool.called for pool in pools], rows)


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
