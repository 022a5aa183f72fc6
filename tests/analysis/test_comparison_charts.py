"""The charts of a comparison: what they show is what was counted, and they stay readable when there is much of it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from harness.analysis import Run, load
from harness.analysis.charts import draw_comparison
from harness.analysis.charts.draw import comparison_figures, figures
from harness.analysis.charts.instances import together
from harness.analysis.charts.paper import MAX_POOLS, line_style, run_names
from harness.analysis.compare import compare
from harness.cli.progress import watching
from harness.model.outcomes import Outcome
from harness.model.plan import PlannedRun
from harness.model.scenario import RealTime, Scenario
from harness.model.status import RunStatus
from harness.model.timeline import Burst, Suspend, Warm
from harness.model.wake import profile
from harness.results import RunWriter
from harness.run import execute
from harness.stacks.base import RunOptions

SIZES, OVERFLOWS = (2, 4, 6), (0, 2, 4)
GRID = Scenario(
    name="grid",
    wake=(profile("neon", latency_s=4.0), profile("neon", latency_s=12.0)),
    pools=tuple(f"{size}+{overflow}" for size in SIZES for overflow in OVERFLOWS),
    timeline=(Warm(), Suspend(), Burst(requests=60, over_s=6)),
)


def played(scenario: Scenario, out: Path, *, real_time: bool = False) -> Run:
    plan = PlannedRun(scenario=scenario, real_time=real_time)
    with watching(plan.trials) as progress:
        done = execute(plan, stack="simulated", options=RunOptions(), progress=progress, out=out, charts=False)
    return load(done.folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return played(GRID, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def charts(run: Run) -> dict[str, Figure]:
    return dict(figures(run, compare([run])))


def texts(figure: Figure) -> Iterator[str]:
    for axes in figure.axes:
        yield from (text.get_text() for text in axes.texts)


def test_every_cell_of_the_heat_map_is_the_share_that_failed(run: Run, charts: dict[str, Figure]) -> None:
    panels = charts["failures"].axes
    assert [panel.get_title(loc="left") for panel in panels] == ["wake 4 s", "wake 12 s"]
    cells = np.asarray(panels[1].images[0].get_array())
    for one in run.summaries:
        if one.trial.wake_label == "wake 12 s":
            place = SIZES.index(one.trial.pool.pool_size), OVERFLOWS.index(one.trial.pool.max_overflow)
            assert cells[place] == one.failed / one.requests
    assert not np.asarray(panels[0].images[0].get_array()).any()
    assert {"0"} == {text.get_text() for text in panels[0].texts}


def test_the_rates_are_drawn_at_each_capacity_with_what_was_counted(run: Run, charts: dict[str, Figure]) -> None:
    exhaustion, _ = charts["rates"].axes
    lines = {line.get_label(): line for line in exhaustion.lines if not str(line.get_label()).startswith("_")}
    assert set(lines) == {"wake 4 s", "wake 12 s"}
    counted: dict[int, list[float]] = {}
    for one in run.summaries:
        if one.trial.wake_label == "wake 12 s":
            counted.setdefault(one.trial.pool.capacity, []).append(one.rate(Outcome.POOL_TIMEOUT))
    drawn = lines["wake 12 s"].get_ydata()
    assert list(drawn) == pytest.approx([np.mean(counted[capacity]) for capacity in sorted(counted)])
    assert max(drawn) > 0


def test_pools_that_lie_on_no_grid_have_no_heat_map(tmp_path: Path) -> None:
    scenario = Scenario(
        name="line", wake=profile("neon", latency_s=4.0), pools=("2+0", "4+2", "6+4"), timeline=GRID.timeline
    )
    run = played(scenario, tmp_path)
    names = [name for name, _ in figures(run, compare([run]))]
    assert "rates" in names
    assert "failures" not in names


def test_more_pools_than_can_be_told_apart_are_left_out_and_that_is_said(charts: dict[str, Figure]) -> None:
    assert len(charts["requests-wake-12s"].axes) == MAX_POOLS < len(GRID.pool_configurations)
    said = charts["latency"].legends[0].get_title().get_text()
    assert said == "Shown: 8 of 9 configurations, from the fewest failures to the most."
    assert not charts["rates"].legends[0].get_title().get_text()


def test_the_first_64_lines_are_all_different() -> None:
    assert len({line_style(number) for number in range(64)}) == 64


def test_a_title_is_made_of_the_numbers(run: Run, charts: dict[str, Figure]) -> None:
    worst = max(run.summaries, key=lambda one: one.exhaustion)
    assert f"{worst.exhaustion:.1%} of the requests find" in " ".join(charts["rates"].get_suptitle().split())


@pytest.mark.parametrize("style", ["light", "dark"])
def test_what_must_be_known_of_a_chart_is_within_it_and_over_nothing(run: Run, tmp_path: Path, style: str) -> None:
    shortened = "the five idle minutes are 6 s, and so much more is shortened that it needs a second line to be said"
    scenario = Scenario(
        name="shortened",
        wake=profile("neon", latency_s=3.0),
        pools=("2+0", "4+2"),
        timeline=GRID.timeline,
        real_time=RealTime(shortened),
    )
    run = played(scenario, tmp_path, real_time=True)
    for name, figure in figures(run, compare([run]), style=style):
        figure.savefig(tmp_path / "chart.svg")
        (legend,) = figure.legends
        note = legend.get_title()
        assert f"Shortened for real time: {shortened}." in " ".join(note.get_text().split()), name
        whole, own = figure.bbox, legend.get_window_extent()
        assert (whole.x0 <= own.x0, own.x1 <= whole.x1, whole.y0 <= own.y0) == (True, True, True), name
        for axes in figure.axes:
            box = axes.get_tightbbox()
            assert box is not None
            assert not box.overlaps(own), name


def test_on_dark_paper_the_ink_is_light(run: Run, tmp_path: Path) -> None:
    draw_comparison([run], tmp_path)
    for folder, lightest in ((tmp_path, True), (tmp_path / "dark", False)):
        with Image.open(folder / "latency.png") as image:
            corner = image.convert("L").getpixel((2, image.height - 2))
        assert isinstance(corner, int)
        assert (corner > 200) == lightest
    names = {path.name for path in tmp_path.glob("*.png")}
    assert names == {"rates.png", "failures.png", "latency.png", "held.png"}


def test_runs_side_by_side_are_told_apart(run: Run, tmp_path: Path) -> None:
    other = played(GRID, tmp_path)
    assert run_names([run]) == {run.folder.name: ""}
    said = run_names([run, other])
    assert sorted(said.values()) == sorted({run.folder.name[-4:], other.folder.name[-4:]})
    drawn = dict(comparison_figures([run, other], compare([run, other])))
    legend = [text.get_text() for text in drawn["rates"].legends[0].get_texts()]
    assert {text.partition(":")[0] for text in legend} == set(said.values())
    grid = PlannedRun(scenario=GRID)
    elsewhere = RunWriter.create(
        tmp_path,
        plan=grid,
        trials=grid.trials[:1],
        stack="embedded",
        versions={},
        parallel=1,
    )
    elsewhere.close(RunStatus.COMPLETE)
    assert set(run_names([run, load(elsewhere.folder)]).values()) == {"simulated", "embedded"}


def test_what_all_instances_hold_is_added_up() -> None:
    pool = pd.DataFrame({
        "at_s": [-5.0, 0.0, 0.0, 1.0, 2.0, 3.0],
        "instance": [0, 0, 1, 1, 0, 0],
        "size": [9, 2, 3, 4, 2, 2],
    })  # fmt: skip
    assert together(pool, ["size"])["size"].to_dict() == {0.0: 5.0, 1.0: 6.0, 3.0: 6.0}


def test_a_chart_of_many_requests_is_no_file_of_many_lines(tmp_path: Path) -> None:
    scenario = Scenario(
        name="many",
        wake=profile("neon", latency_s=2.0),
        pools=("5+0",),
        timeline=(Warm(), Suspend(), Burst(requests=20_000, over_s=20, arrivals="even")),
        control=False,
    )
    writer = RunWriter.create(tmp_path, plan=PlannedRun(scenario=scenario), stack="simulated", versions={}, parallel=1)
    writer.add_requests(0, [
        {
            "number": number, "request": "read_track", "arrival_s": number / 1000, "start_s": number / 1000,
            "end_s": number / 1000 + (number % 7919) / 1e4, "latency_s": (number % 7919) / 1e4, "outcome": "ok",
        }
        for number in range(20_000)
    ])  # fmt: skip
    writer.add_pool(0, [
        {"at_s": number / 500, "size": 5, "idle": 0, "checked_out": number % 5, "overflow": 0, "connecting": 0,
         "waiting": number % 3, "instance": 0}
        for number in range(10_000)
    ])  # fmt: skip
    writer.trial_ended(0, wall_s=1.0)
    writer.close(RunStatus.COMPLETE)
    run = load(writer.folder)
    for name, figure in figures(run, compare([run])):
        figure.savefig(tmp_path / f"{name}.svg")
        assert (tmp_path / f"{name}.svg").stat().st_size < 400_000, name
