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
    """The page. It needs nothing but itself: styles and charts are inside."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    found = compare([run])
    manifest = run.manifest
    return environment.get_template("report.html.j2").render(
        title=f"{run.scenario.name} on {manifest.stack}",
        story=run.scenario.description.partition("\n")[0],
        warnings=_warnings(run, found),
        findings=findings(run.summaries),
        differences=found.sentences(),
        judgements=manifest.expectations,
        tables=list(_tables(found)),
        note=NOTE,
        charts=list(_charts(run, found)),
        timelines=list(_timelines(run)),
        settings=_settings(run),
        measured=_measured(run),
        again=shlex.join(["coldstart", *manifest.argv]),
    )


def _warnings(run: Run, found: Comparison) -> list[str]:
    shortened = run.plan.shortened
    changed = run.plan.changes
    return [
        *([f"The story was shortened for real time: {shortened}."] if shortened else []),
        *([f"The story was changed: {', '.join(changed)}. Its expectations were not judged."] if changed else []),
        *found.doubts,
    ]


def _table(caption: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Any]]]) -> dict[str, Any]:
    return {"caption": caption, "columns": columns, "rows": [{"name": name, "cells": cells} for name, cells in rows]}


def _tables(found: Comparison) -> Iterator[dict[str, Any]]:
    for _, wake, lines in groups(found):
        seeds = f"{lines[0].trials} seeds" if lines[0].trials > 1 else "one seed"
        for what, told in (("what fails", shares(lines)), ("how long it takes", times())):
            yield _table(
                f"{wake}: {what} ({lines[0].requests} requests each, {seeds})",
                [name for name, _ in told],
                [(line.configuration, [value(line).partition("\n")[::2] for _, value in told]) for line in lines],
            )


def _charts(run: Run, found: Comparison) -> Iterator[dict[str, str]]:
    """Every chart twice: as the page is seen on light and on dark screens."""
    light = [(" ".join(figure.get_suptitle().split()), _svg(figure)) for _, figure in figures(run, found)]
    dark = [_svg(figure) for _, figure in figures(run, found, style=DARK)]
    for (title, drawn), on_dark in zip(light, dark, strict=True):
        yield {"title": title, "light": drawn, "dark": on_dark}


def _svg(figure: Figure) -> str:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    return base64.b64encode(drawn.getvalue()).decode()


def _timelines(run: Run) -> Iterator[dict[str, Any]]:
    woken = [one for one in run.summaries if not one.trial.is_control]
    first = [one for one in woken if one.trial.seed == min(other.trial.seed for other in woken)]
    for wake in dict.fromkeys(one.trial.wake_label for one in first):
        met = [one for one in first if one.trial.wake_label == wake]
        rows = [
            (words, [(seconds(moment(one)), "") for one in met])
            for words, moment in MOMENTS
            if any(moment(one) is not None for one in met)
        ]
        yield _table(wake, [one.trial.configuration for one in met], rows)


MOMENTS: tuple[tuple[str, Callable[[TrialSummary], float | None]], ...] = (
    ("an alert on 80 % of the pool in use", lambda one: one.utilization_alert_s),
    ("the first failed answer", lambda one: one.first_failure_s),
    ("the database answers again", lambda one: one.woke_after_s),
    ("nobody waits any more", lambda one: one.recovered_after_s),
    ("the slowest answer took", lambda one: one.latency_s.get("max")),
)


def _settings(run: Run) -> dict[str, Any]:
    pools = list(dict.fromkeys(trial.pool for trial in run.trials))
    told = [pool.to_json() for pool in pools]
    rows = []
    for name in told[0]:
        values = [one[name] for one in told]
        rows.append((name, [(_plain(value), len(set(values)) > 1) for value in values]))
    return _table("", [pool.label for pool in pools], rows)


def _plain(value: float | bool) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def _measured(run: Run) -> list[tuple[str, str]]:
    manifest = run.manifest
    late = max((one.late_start_s.get("p99", 0.0) for one in run.summaries), default=0.0)
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
