"""The report: one file that says everything and asks the network for nothing, in a real browser too."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.analysis import Run, load
from harness.analysis.report import report
from harness.cli.progress import watching
from harness.cli.report import report as report_command
from harness.library import load_scenario
from harness.model.plan import PlannedRun
from harness.run import execute
from harness.stacks.base import RunOptions

BROWSER = shutil.which("chromium")
PROBE = """
<script>
const errors = []; window.addEventListener("error", event => errors.push(event.message));
window.addEventListener("load", () => {
  const wide = document.documentElement.scrollWidth - window.innerWidth;
  const broken = [...document.images].filter(image => !image.complete || !image.naturalWidth).length;
  const paper = getComputedStyle(document.body).backgroundColor;
  const drawn = document.images[0].currentSrc === document.images[0].src ? "light" : "dark";
  document.title = `wide ${wide} broken ${broken} errors ${errors.length} ${drawn} on ${paper}`;
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
    assert "url(" not in page


def test_the_verdict_is_first_and_the_command_to_run_it_again_last(page: str) -> None:
    headings = re.findall(r'<h2 id="(\w+)">', page)
    assert headings == ["verdict", "numbers", "charts", "timeline", "settings", "measured", "again"]
    assert "At a wake of 12 s requests fail with every configuration" in page
    assert "coldstart run cold_burst --stack simulated" in page[page.index('id="again"') :]


def test_who_can_not_see_it_is_told_what_the_charts_say(page: str) -> None:
    reader = read(page)
    images = [attributes for tag, attributes in reader.tags if tag == "img"]
    assert len(images) == 8
    assert len([1 for tag, _ in reader.tags if tag == "source"]) == 8, "each of them for dark screens too"
    assert all(len(image["alt"]) > 20 for image in images)
    assert ("html", {"lang": "en"}) in reader.tags
    scopes = [attributes.get("scope") for tag, attributes in reader.tags if tag == "th"]
    assert set(scopes) == {"col", "row"}
    regions = [attributes for tag, attributes in reader.tags if attributes.get("role") == "region"]
    assert all(one["tabindex"] == "0" and one["aria-label"] for one in regions)


def test_settings_that_differ_are_marked_and_the_others_are_not(page: str) -> None:
    settings = page[page.index('id="settings"') : page.index('id="measured"')]
    assert re.search(r'<th scope="row">pool_size</th><td><mark>5</mark></td>', settings)
    assert re.search(r'<th scope="row">pool_recycle</th><td>7200</td>', settings)


def test_what_a_scenario_says_can_not_become_markup(run: Run) -> None:
    object.__setattr__(run.scenario, "description", "<script>alert(1)</script>")
    assert "<script>" not in report(run)


def test_the_command_writes_it_beside_the_run(run: Run) -> None:
    done = CliRunner().invoke(report_command, [str(run.folder)])
    assert Path(done.stdout.strip()) == run.folder / "report.html"
    assert (run.folder / "report.html").read_text().startswith("<!doctype html>")


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
@pytest.mark.parametrize("width", [1280, 500])
@pytest.mark.parametrize(("scheme", "drawn"), [(1, "light on rgb(255, 255, 255)"), (0, "dark on rgb(28, 28, 30)")])
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
    found = re.search(r"<title>wide (-?\d+) broken (\d+) errors (\d+) (.*)</title>", done.stdout)
    assert found is not None, done.stdout[:500]
    assert (int(found[1]) <= 0, found[2], found[3], found[4]) == (True, "0", "0", drawn)
