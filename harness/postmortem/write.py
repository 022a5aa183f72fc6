"""Writes the draft and its charts into the run's folder."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from harness.analysis.charts.draw import figures, in_a_name, save, styled
from harness.analysis.compare import compare
from harness.analysis.load import Run
from harness.model.errors import UserError
from harness.postmortem.changes import changes
from harness.postmortem.chart import changes_chart
from harness.postmortem.draft import NAME, Chart, draft
from harness.postmortem.incident import incident
from harness.results.calibration import read_calibration

CHARTS = "charts"


def write(
    run: Run,
    *,
    configuration: str | None = None,
    began_at: datetime | None = None,
    calibration: Path | None = None,
    patience_s: float | None = None,
    recording: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Write `postmortem.md` and return its path. Raises `UserError` for a configuration that the run does not have."""
    found = incident(run, configuration=configuration, patience_s=patience_s)
    plan = run.plan
    if calibration is not None:
        plan = replace(plan, overrides=replace(plan.overrides, calibration=read_calibration(calibration)))
    if found.can_be_played_again:
        tried = changes(found, plan, say, recording=recording)
    elif recording is None:
        tried = None
    else:
        raise UserError(
            "its application was running already, and virtual time plays one that it can start",
            where="--recording", allowed="a run with --app",
        )  # fmt: skip
    say("drawing the charts")
    folder = run.folder / CHARTS
    titles = {}
    for name, figure in figures(run, compare([run])):
        titles[name] = " ".join(figure.get_suptitle().split())
        save([(name, figure)], folder)
    for name, figure in () if tried is None else styled(changes_chart(tried, found.patience)):
        titles[name] = " ".join(figure.get_suptitle().split())
        save([(name, figure)], folder)
    wake = in_a_name(found.first.trial.wake_label)
    names = [name for name in (f"requests-{wake}", f"pool-{wake}") if name in titles]
    path = run.folder / NAME
    path.write_text(
        draft(
            found,
            tried,
            charts=[Chart(titles[name], f"{CHARTS}/{name}.png") for name in names],
            settings=Chart(titles["settings"], f"{CHARTS}/settings.png") if "settings" in titles else None,
            began_at=began_at,
        ),
        encoding="utf-8",
    )
    return path
