"""Two configurations in one picture, and curves that coincide drawn as one: what is said is what was counted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis import Run, load
from harness.analysis.beside import beside, only_two
from harness.analysis.charts.coinciding import Together, in_this_panel, legend, together
from harness.analysis.charts.draw import beside_figures, comparison_figures, draw_beside, draw_comparison
from harness.analysis.charts.paper import Series
from harness.analysis.compare import compare
from harness.cli import coldstart
from harness.cli.progress import watching
from harness.model.errors import UserError
from harness.model.plan import Overrides, PlannedRun
from harness.model.scenario import Scenario, Variant, pool
from harness.model.timeline import Burst, Suspend, Warm
from harness.model.wake import profile
from harness.run import execute
from harness.stacks.base import RunOptions

SAMPLES = Path(__file__).parent.parent.parent / "results" / "sample"
SHORT, LONG = pool("4+2", connection_timeout=3, name="3 s"), pool("4+2", connection_timeout=6, name="6 s")
STORY = Scenario(
    name="two",
    wake=(profile("neon", latency_s=2.0), profile("neon", latency_s=4.0)),
    pools=(SHORT, LONG),
    timeline=(Warm(), Suspend(), Burst(requests=40, over_s=4)),
)


def played(out: Path, scenario: Scenario = STORY, **overrides: int) -> Run:
    plan = PlannedRun(scenario=scenario, overrides=Overrides(**overrides))  # type: ignore[arg-type]
    with watching(plan.trials) as progress:
        done = execute(plan, stack="simulated", options=RunOptions(), progress=progress, out=out, charts=False)
    return load(done.folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return played(tmp_path_factory.mktemp("runs"))


def test_two_lines_say_what_differs_and_what_that_changed(run: Run) -> None:
    held, lost = only_two(run)
    assert (held.wake, lost.wake) == ("wake 2 s", "wake 4 s")
    assert lost.differs() == "connection_timeout 3 → 6 (pool_timeout follows)"
    before, after = (group[0].failed for group in (lost.before, lost.after))
    assert before > after == 0
    assert lost.changed() == (
        f"of 40 requests {before} are saved and none is lost; {before} of 40 ({before / 40:.1%}) → 0 of 40 (0%) fail"
    )
    assert held.changed() == "of 40 requests none is saved and none is lost; 0 of 40 (0%) → 0 of 40 (0%) fail"


def test_over_several_seeds_it_is_said_in_how_many(tmp_path: Path) -> None:
    _, lost = only_two(played(tmp_path, repeat=3))
    assert lost.changed().endswith("better in 3 of 3 seeds, worse in none")
    assert lost.changed().startswith("of 120 requests ")


def test_with_a_patience_it_counts_what_is_answered_in_time(tmp_path: Path) -> None:
    _, lost = only_two(played(tmp_path, replace(STORY, patience_s=3.5)))
    assert lost.changed().endswith("are not answered within 3.5 s")


def test_stories_with_other_arrivals_are_not_paired(tmp_path: Path) -> None:
    other = (Warm(), Suspend(), Burst(requests=30, over_s=4))
    variants = (Variant("as it was"), Variant("fewer", timeline=other))
    _, lost = only_two(played(tmp_path, replace(STORY, pools=(SHORT,), variants=variants)))
    assert lost.differs() == "the story: as it was → fewer"
    assert lost.changed().endswith("of other arrivals")
    assert "saved" not in lost.changed()


def test_the_picture_has_every_request_of_both_on_the_same_axes(run: Run) -> None:
    _, lost = only_two(run)
    ((name, figure),) = beside_figures([lost])
    assert name == "beside-wake-4s"
    above, below = figure.axes
    assert above.get_ylim() == below.get_ylim()
    assert above.get_xlim() == below.get_xlim()
    for panel, group in ((above, lost.before), (below, lost.after)):
        drawn = [line for line in panel.lines if line.get_marker() == "o"]
        latencies = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in drawn])
        assert sorted(latencies) == pytest.approx(sorted(group[0].latencies_s))
        assert any(f"timeout {group[0].trial.pool.connection_timeout_s:g} s" in text.get_text() for text in panel.texts)
    foot = " ".join(figure.legends[0].get_title().get_text().split())
    assert foot.startswith(f"Differs: {lost.differs()} Changed: {lost.changed()} 3 s: 4+2 connection_timeout=3;")


def test_a_chart_a_wake_is_drawn_where_a_run_has_exactly_two(run: Run, tmp_path: Path) -> None:
    names = {path.name for path in draw_comparison([run], tmp_path)}
    assert {"beside-wake-2s.png", "beside-wake-4s.svg"} <= names
    assert only_two(load(SAMPLES / "embedded")) == []
    assert draw_beside([], tmp_path / "none") == []


def test_the_command_draws_the_two_that_are_asked_for(tmp_path: Path) -> None:
    words = ["compare", str(SAMPLES / "embedded"), "--beside", "5+0", "10+5", "--charts", str(tmp_path)]
    done = CliRunner().invoke(coldstart, words)
    assert "wake 12 s: 5+0 beside 10+5\ndiffers: pool_size 5 → 10, max_overflow 0 → 5\n" in done.stdout
    assert (tmp_path / "beside-wake-12s.svg").is_file()
    assert str(tmp_path / "dark" / "beside-wake-8s.png") in done.stderr


@pytest.mark.parametrize(
    ("runs", "two", "says"),
    [
        (["embedded"], ["5+0", "7+7"], "no configuration '7+7' met a wake (allowed: 5+0 pool_timeout=30, 5+0,"),
        (["embedded"], ["5+0", "5+0"], "are one configuration"),
        (["embedded", "simulated"], ["5+0", "10+5"], "about two configurations of one run"),
    ],
)
def test_what_can_not_stand_beside_each_other_is_refused(runs: list[str], two: list[str], says: str) -> None:
    words = ["compare", *(str(SAMPLES / name) for name in runs), "--beside", *two]
    done = CliRunner().invoke(coldstart, words)
    assert isinstance(done.exception, UserError)
    assert says in str(done.exception)


def test_a_named_pool_is_found_by_its_label_too(run: Run) -> None:
    assert beside(run, "3 s", LONG.label)[0].names == ("3 s", "6 s")


STEPS = st.lists(st.integers(0, 20), min_size=1, max_size=30).map(lambda values: np.array(values, dtype=float))


@given(y=STEPS)
def test_a_curve_coincides_with_itself_exactly_and_with_one_far_away_never(y: np.ndarray) -> None:
    x = np.arange(len(y), dtype=float)
    (group,) = together({0: (x, y), 1: (x.copy(), y.copy())})
    assert group == Together((0, 1), exactly=True)
    assert len(together({0: (x, y), 1: (x, y + 50)})) == 2


def test_curves_within_a_lines_width_are_alike_and_not_the_same() -> None:
    x = np.linspace(0, 10, 50)
    (group,) = together({0: (x, x), 1: (x, x + 0.01)})
    assert str(group) == "alike"
    assert together({}) == []


def series(*names: str) -> list[Series]:
    run = load(SAMPLES / "incident")
    return [Series(run, name, name, "#000000", "-") for name in names]


def test_what_coincides_everywhere_is_in_the_legend_and_what_does_in_one_panel_in_its_title() -> None:
    a, b, c = 0, 1, 2
    panels = [
        [Together((a, b), exactly=True), Together((c,), exactly=True)],
        [Together((a, b), exactly=False), Together((c,), exactly=True)],
    ]
    lines = series("a", "b", "c")
    assert legend(lines, panels) == {a: "a and b: alike", c: "c"}
    assert in_this_panel(lines, panels[0], panels) == ""
    panels = [[Together((a, b, c), exactly=True)], [Together((number,), exactly=True) for number in (a, b, c)]]
    assert legend(lines, panels) == {a: "a", b: "b", c: "c"}
    assert in_this_panel(lines, panels[0], panels) == "all the same"
    assert in_this_panel(lines, panels[1], panels) == ""


def test_the_latency_chart_of_the_sample_draws_one_line_where_all_are_the_same() -> None:
    run = load(SAMPLES / "simulated")
    chart = dict(comparison_figures([run], compare([run])))["latency"]
    titles = [panel.get_title(loc="left") for panel in chart.axes]
    assert titles[0] == "wake 6 s; all the same"
    assert len(chart.axes[0].lines) == 1
    assert "15+5 and 10+10: the same" in " ".join(titles[3].split())
    assert len(chart.axes[3].lines) == 4
