"""What a run says: sentences with their numbers, a table that fits a terminal, charts that show every outcome."""

import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.colors import to_rgb
from PIL import Image
from rich.console import Console

from harness.analysis import Run, load
from harness.analysis.charts import draw_charts
from harness.analysis.charts.draw import figures
from harness.analysis.charts.paper import outcome_colour
from harness.analysis.compare import compare
from harness.analysis.findings import findings
from harness.analysis.summarise import recovered_after_s, utilization_alert_s
from harness.cli.run_table import comparison
from harness.model.outcomes import Outcome
from harness.model.plan import PlannedRun
from harness.model.scenario import Scenario, pool
from harness.model.status import RunStatus
from harness.model.timeline import Burst, Suspend, Warm
from harness.model.wake import profile
from harness.results import RunWriter

SCENARIO = Scenario(
    name="small",
    wake=profile("neon", latency_s=12.0),
    pools=(pool("5+0", pool_timeout=30), "10+5"),
    timeline=(Warm(), Suspend(), Burst(requests=20, over_s=10, arrivals="even")),
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Two pools, a wake and a control; every outcome occurs."""
    writer = RunWriter.create(tmp_path, plan=PlannedRun(scenario=SCENARIO), stack="embedded", versions={}, parallel=1)
    others = [outcome for outcome in Outcome if outcome is not Outcome.OK]
    for trial in range(4):
        asleep = trial % 2 == 0
        rows = []
        for number in range(20):
            failed = asleep and trial == 2 and number < len(others)
            arrival_s, latency_s = number * 0.5, (10.0 if failed else 12.0 - number * 0.5) if asleep else 0.004
            rows.append({
                "number": number, "request": "read_track", "arrival_s": arrival_s, "start_s": arrival_s,
                "end_s": arrival_s + latency_s, "latency_s": latency_s, "status": None, "error": None,
                "outcome": others[number].value if failed else "ok", "checkout_s": latency_s / 2,
                "connect_s": None, "ping_s": None, "query_s": None,
            })  # fmt: skip
        writer.add_requests(trial, rows)
        counts = {"size": 5, "idle": 0, "overflow": 0}
        writer.add_pool(trial, [
            {"at_s": at_s, **counts, "checked_out": 5, "connecting": 5 * asleep, "waiting": int(at_s) * asleep}
            for at_s in (0.0, 5.0, 11.0, 13.0)
        ])  # fmt: skip
        if asleep:
            writer.add_events(trial, [
                {"at_s": at_s, "event": name, "value_s": None, "detail": None}
                for at_s, name in ((-0.1, "suspended"), (0.0, "first_attempt"), (12.0, "woken"))
            ])  # fmt: skip
        writer.trial_ended(trial, wall_s=1.0)
    writer.close(RunStatus.COMPLETE)
    return load(writer.folder)


def test_the_charts_are_drawn_as_svg_and_png(run: Run, tmp_path: Path) -> None:
    found = {str(path.relative_to(tmp_path)) for path in draw_charts(run, tmp_path)}
    charts = ("outcomes", "rates", "latency", "held", "requests-wake-12s", "pool-wake-12s")
    assert found == {f"{way}{name}.{form}" for way in ("", "dark/") for name in charts for form in ("svg", "png")}


def test_the_charts_are_half_a_pages_width(run: Run, tmp_path: Path) -> None:
    for path in draw_charts(run, tmp_path / "charts"):
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert image.width / image.info["dpi"][0] == pytest.approx(3.5, abs=0.02)


def test_every_outcome_that_occurs_is_in_the_legend_and_the_wake_is_marked(run: Run, tmp_path: Path) -> None:
    draw_charts(run, tmp_path)
    texts = {text.strip() for text in ET.parse(tmp_path / "requests-wake-12s.svg").getroot().itertext()}
    assert {outcome.value for outcome in Outcome} <= texts
    assert {"suspend", "wake"} <= texts
    assert "time since the burst began [s]" in texts
    assert any("10+5: 7 of 20 fail" in text for text in texts)


def test_the_same_run_draws_the_same_files(run: Run, tmp_path: Path) -> None:
    first, second = draw_charts(run, tmp_path / "a"), draw_charts(run, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_outcomes_have_colours_of_their_own() -> None:
    assert len({outcome_colour(outcome) for outcome in Outcome}) == len(Outcome)


@pytest.mark.parametrize("style", ["light", "dark"])
def test_every_number_on_a_bar_can_be_read(run: Run, style: str) -> None:
    chart = dict(figures(run, compare([run]), style=style))["outcomes"]
    (panel,) = chart.axes
    assert len(panel.texts) > 5
    for text in panel.texts:
        at, row = text.get_position()
        (bar,) = (
            bar
            for bar in panel.patches
            if bar.get_x() < at < bar.get_x() + bar.get_width() and row == round(bar.get_y())
        )
        light, dark = sorted((luminance(bar.get_facecolor()), luminance(text.get_color())))[::-1]
        assert (light + 0.05) / (dark + 0.05) >= 3, (text.get_text(), bar.get_facecolor(), text.get_color())


def luminance(colour: Any) -> float:
    """Relative, as WCAG 2 defines it."""
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in to_rgb(colour)]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_the_findings_say_who_survives_and_why_the_others_do_not(run: Run) -> None:
    said = findings(run.summaries)
    assert said[0] == "At a wake of 12 s no request fails with 5+0 pool_timeout=30; with 10+5: 7 of 20 (35.0%)."
    (connect,) = [sentence for sentence in said if sentence.startswith("connect_timeout")]
    assert "connection_timeout, 10 s, is shorter than the wake" in connect
    assert connect.startswith("connect_timeout: 1 with 10+5. ")
    assert "larger" not in connect, "of a single pool nothing is said about larger ones"


def test_the_comparison_fits_a_terminal_of_80_columns(run: Run) -> None:
    lost = ("ok", "pool_timeout", "connect_timeout")
    usual = [one for one in run.summaries if set(one.outcomes) <= set(lost)]
    console = Console(file=io.StringIO(), width=80)
    console.print(comparison(usual))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert any("5+0 pool_timeout=30" in line for line in lines)
    assert "…" not in console.file.getvalue()


def test_recovery_is_the_first_calm_sample_after_the_wake() -> None:
    rows = [
        {"at_s": 1.0, "waiting": 0, "connecting": 0},
        {"at_s": 8.1, "waiting": 3, "connecting": 0},
        {"at_s": 8.2, "waiting": 0, "connecting": 1},
        {"at_s": 8.3, "waiting": 0, "connecting": 0},
    ]
    pool_ = pa.Table.from_pylist(rows)
    assert recovered_after_s(pool_, 8.0) == 8.3
    assert recovered_after_s(pool_[:3], 8.0) is None
    assert recovered_after_s(pool_, None) is None


def test_the_alert_fires_a_second_after_the_share_was_passed_and_stayed() -> None:
    def alert(*samples: tuple[float, int], pool_size: int = 5) -> float | None:
        rows = [{"at_s": at_s, "checked_out": checked_out} for at_s, checked_out in samples]
        return utilization_alert_s(pa.Table.from_pylist(rows), pool_size)

    assert alert((0, 5), (0.5, 4), (0.6, 5), (1.5, 5), (1.7, 5)) == 1.6
    assert alert((0, 5), (0.9, 5), (1.0, 0)) is None
    assert alert((0, 5), (0.9, 5), (1.1, 0)) == 1.0
    assert alert((0, 8), (9, 8), pool_size=10) is None
    assert alert((0, 9), pool_size=10) is None
