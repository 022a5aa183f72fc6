"""The report: one file that says everything and asks the network for nothing, in a real browser too."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib.style
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

from harness.analysis import Run, load
from harness.analysis.charts.paper import PAGE, STYLES
from harness.analysis.inline import COLOURS, Inline
from harness.analysis.report import report
from harness.cli import coldstart
from harness.cli.progress import watching
from harness.cli.report import report as report_command
from harness.library import load_scenario
from harness.model.plan import Overrides, PlannedRun
from harness.run import execute
from harness.stacks.base import RunOptions

BROWSER = shutil.which("chromium")
PROBE = """
<script>
const errors = []; window.addEventListener("error", event => errors.push(event.message));
window.addEventListener("load", () => {
  const wide = document.documentElement.scrollWidth - window.innerWidth;
  const charts = [...document.querySelectorAll("figure svg")];
  const broken = charts.filter(chart => chart.getBoundingClientRect().height < 50).length;
  const paper = getComputedStyle(document.body).backgroundColor;
  const text = getComputedStyle(document.querySelector("figure svg text")).fill;
  document.title = `wide ${wide} broken ${broken} of ${charts.length} errors ${errors.length} ${text} on ${paper}`;
});
</script>
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    scenario = load_scenario("cold_burst")
    plan = PlannedRun(scenario=scenario)
    with watching(plan.trials) as progress:
        done = execute(
            plan, stack="simulated", options=RunOptions(), progress=progress,
            out=tmp_path_factory.mktemp("runs"), charts=False, argv=["run", "cold_burst", "--stack", "simulated"],
        )  # fmt: skip
    return load(done.folder)


@pytest.fixture(scope="module")
def page(run: Run) -> str:
    return report(run)


class Reader(HTMLParser):
    """What a page's tags are, and whether they close in order."""

    VOID = frozenset({"meta", "img", "source", "br", "link", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, Any]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def test_it_is_whole_and_asks_the_network_for_nothing(page: str) -> None:
    for tag, attributes in read(page).tags:
        assert tag not in ("script", "link", "iframe")
        for name in ("src", "href"):
            assert not (attributes.get(name) or "data:").startswith(("http", "//", "file"))
    assert not re.search(r"url\((?!#)", page)


def test_the_verdict_is_first_and_the_command_to_run_it_again_last(page: str) -> None:
    headings = re.findall(r'<h2 id="(\w+)"', page)
    assert headings == [
        "decision", "verdict", "expected", "numbers", "charts", "timeline", "settings", "measured", "again",
    ]  # fmt: skip
    assert "At a wake of 12 s requests fail with every configuration" in page
    assert "coldstart run cold_burst --stack simulated" in page[page.index('id="again"') :]


def test_who_can_not_see_it_is_told_what_the_charts_say(page: str) -> None:
    reader = read(page)
    charts = [attributes for tag, attributes in reader.tags if tag == "svg"]
    assert len(charts) == 8
    assert all(chart["role"] == "img" and len(chart["aria-label"]) > 20 for chart in charts)
    assert ("html", {"lang": "en"}) in reader.tags
    scopes = [attributes.get("scope") for tag, attributes in reader.tags if tag == "th"]
    assert set(scopes) == {"col", "row"}
    regions = [attributes for tag, attributes in reader.tags if attributes.get("role") == "region"]
    assert all(one["tabindex"] == "0" and one["aria-label"] for one in regions)


def test_settings_that_differ_are_a_table_and_the_others_are_listed_once(page: str) -> None:
    settings = page[page.index('id="settings"') : page.index('id="measured"')]
    heads = re.findall(r'<th scope="col">(.*?)</th>', settings)
    assert [head.replace("\u200b", "") for head in heads] == ["pool", "pool_size", "max_overflow", "pool_timeout"]
    assert '<th scope="row">10+5</th><td>10</td><td>5</td><td>10</td>' in settings
    assert "<dt>pool_recycle</dt><dd>7200</dd>" in settings


def test_what_a_scenario_says_can_not_become_markup(run: Run) -> None:
    object.__setattr__(run.scenario, "description", "<script>alert(1)</script>")
    assert "<script>" not in report(run)


def test_the_command_writes_it_beside_the_run(run: Run) -> None:
    done = CliRunner().invoke(report_command, [str(run.folder)])
    assert Path(done.stdout.strip()) == run.folder / "report.html"
    assert (run.folder / "report.html").read_text().startswith("<!doctype html>")


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
@pytest.mark.parametrize("width", [1280, 500, 400])
@pytest.mark.parametrize(
    ("scheme", "drawn"), [(1, "rgb(85, 85, 85) on rgb(255, 255, 255)"), (0, "rgb(184, 184, 184) on rgb(28, 28, 30)")]
)
def test_a_browser_shows_it_without_errors_or_overflow_on_light_and_dark_screens(
    page: str, tmp_path: Path, width: int, scheme: int, drawn: str
) -> None:
    probed = tmp_path / "page.html"
    probed.write_text(page.replace("<head>", f"<head>{PROBE}", 1))
    assert BROWSER is not None
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},2000", "--dump-dom",
         f"--blink-settings=preferredColorScheme={scheme}", f"--user-data-dir={tmp_path / 'profile'}", probed.as_uri()],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    found = re.search(r"<title>wide (-?\d+) broken (\d+) of 8 errors (\d+) (.*)</title>", done.stdout)
    assert found is not None, done.stdout[:500]
    assert (int(found[1]) <= 0, found[2], found[3], found[4]) == (True, "0", "0", drawn)


SAMPLES = Path(__file__).parent.parent.parent / "results" / "sample"
MOST_BYTES = 1_000_000


@pytest.mark.parametrize("sample", sorted(path.name for path in SAMPLES.iterdir()))
def test_a_report_is_small_enough_to_send(sample: str) -> None:
    page = report(load(SAMPLES / sample))
    assert len(page.encode()) < MOST_BYTES
    for sentinel in COLOURS:
        assert sentinel not in page, "a colour of the style that is not the page's"


def test_a_report_of_a_large_sweep_is_small_too_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    words = ["sweep", "cold_burst", "--pool-size", "2:23:3", "--max-overflow", "0:25:5", "--wake", "4:14:5",
             "--requests", "20", "--no-control", "--no-charts", "--out", str(tmp_path)]  # fmt: skip
    assert CliRunner().invoke(coldstart, words, standalone_mode=False).exception is None
    found = load(next(tmp_path.iterdir()))
    page = report(found)
    assert len(page.encode()) < MOST_BYTES
    configurations = len({trial.configuration for trial in found.trials})
    assert f"The tables have the 40 of {configurations} configurations with the fewest failures." in page
    assert "Of 3 wakes these have charts of their own: wake 4 s and wake 14 s." in page
    assert "more sentences like these are left out: coldstart compare" in page
    assert page.count('<th scope="row">') < 40 * (2 * 3 + 3 + 2)


def test_every_entry_of_the_contents_is_there(page: str) -> None:
    targets = re.findall(r'<a href="#(\w+)">', page)
    assert len(targets) == 8
    assert all(f'id="{target}"' in page for target in targets)


def test_what_to_set_stands_above_everything_else_with_its_lines(tmp_path: Path) -> None:
    words = ["run", "cold_burst", "--stack", "simulated", "--no-charts", "--requests", "40", "--wake", "12",
             "--pool", "the fix: 10+5,connection_timeout=20", "--pool", "5+0", "--out", str(tmp_path)]  # fmt: skip
    assert CliRunner().invoke(coldstart, words, standalone_mode=False).exception is None
    page = report(load(next(tmp_path.iterdir())))
    top = page[page.index("<h1>") : page.index("<nav")]
    assert "Set the fix (10+5 connection_timeout=20)" in top
    assert "<code>DATABASE_CONNECTION_TIMEOUT=20</code>" in top
    assert "<li>the fix: 10+5 connection_timeout=20</li>" in page


def test_a_run_of_controls_alone_has_a_report(tmp_path: Path) -> None:
    plan = PlannedRun(scenario=load_scenario("cold_burst"), overrides=Overrides(requests=20))
    with watching(plan.trials) as progress:
        done = execute(plan, stack="simulated", options=RunOptions(), progress=progress, out=tmp_path, charts=False)
    found = load(done.folder)
    controls = [summary for summary in found.summaries if summary.trial.is_control]
    found.__dict__["summaries"] = controls
    page = report(found)
    assert "No trial with a wake was played" in page
    read(page)


def test_a_drawing_for_a_page_has_each_style_once_and_the_pages_colours() -> None:
    inline = Inline()
    with matplotlib.style.context(STYLES[PAGE]):
        figure = Figure(figsize=(3, 2))
        axes = figure.subplots()
        axes.plot(range(30), [number % 3 for number in range(30)], linestyle="", marker=".", markersize=1.6)
        axes.plot([0, 10, 10, 20], [1, 1, 2, 2], color="#0072b2")
        figure.suptitle("a <title>")
        drawn = inline.svg(figure, "a <title> & more")
    ET.fromstring(drawn)
    assert "style=" not in drawn
    assert 'aria-label="a &lt;title&gt; &amp; more"' in drawn
    dots = re.search(r'class="(\w+) dot" d="([^"]*)"', drawn)
    assert dots is not None
    assert dots[2].count("h0") == 30
    assert re.search(r'd="M[\d.]+ [\d.]+H[\d.]+V[\d.]+H[\d.]+"', drawn)
    css = inline.css()
    assert "var(--ink)" in css
    assert not any(sentinel in css + drawn for sentinel in COLOURS)
