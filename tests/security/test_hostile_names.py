"""Names and messages that are an attack: a path, Markdown, HTML, a terminal's escapes, a spreadsheet's formula."""

import contextlib
import csv
import io
import json
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pyarrow as pa
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.tables import literal, markdown_table
from harness.cli import coldstart, main
from harness.cli.console import console
from harness.cli.table import Column, Row, Sheet
from harness.cli.terminal import echo
from harness.gate.annotations import command
from harness.model.application_request import ApplicationRequest
from harness.model.errors import UserError
from harness.model.pool import PoolConfiguration
from harness.model.scenario import RealTime, Scenario, Variant
from harness.model.shape import Query, RequestShape
from harness.model.timeline import Burst
from harness.model.visible import command_line, spreadsheet_row, visible
from harness.model.wake import profile
from harness.results.folder import MANIFEST
from tests.fuzz.small_run import small_run

ATTACKS = (
    "a\0b", "a|b", "a\nb", "a\r\n::error::b", "a\x1b[31mb",
    "\x1b]8;;http://127.0.0.1\x07a\x1b]8;;\x07", "\x9b31m", "a\u202eb", "a\u2028b", "<b>a</b>", "a`b", "![a](b)",
    "[a](b)", "[bold]a", "a\ud800b", "x" * 500, "",
)  # fmt: skip
EVIL = (
    "\x1b[31m\x1b]8;;http://evil\x07[bold red]<img src=x onerror=alert(1)>\u202e| cell |\n# Heading\n```\n"
    "![a](http://evil)[b](http://evil)\n::error::x\n</script>"
)
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys, or turns a line by."""


PATHS = ("../../elsewhere", "/elsewhere", "a/b", "..", ".", "a\\b")


@pytest.mark.parametrize("text", PATHS)
def test_what_becomes_a_file_name_is_no_path(text: str) -> None:
    burst = Burst(1, 1.0)
    for made in (
        lambda: Scenario(name=text, wake=profile("neon"), pools=("5+0",), timeline=(burst,)),
        lambda: replace(profile("neon"), name=text),
        lambda: ApplicationRequest(name=text, target="/"),
        lambda: RequestShape(text, Query()),
    ):
        with pytest.raises(UserError):
            made()


@pytest.mark.parametrize("text", ATTACKS)
def test_no_name_can_be_markup_or_more_than_a_line(text: str) -> None:
    burst = Burst(1, 1.0)
    for made in (
        lambda: Scenario(name=text, wake=profile("neon"), pools=("5+0",), timeline=(burst,)),
        lambda: ApplicationRequest(name=text, target="/"),
        lambda: RequestShape(text, Query()),
        lambda: Variant(text),
        lambda: RealTime(text),
        lambda: PoolConfiguration.from_short("5+0").named(text),
    ):
        with pytest.raises(UserError) as refused:
            made()
        assert "\n" not in str(refused.value)


def test_a_scenario_cannot_write_outside_of_its_runs_folder(tmp_path: Path) -> None:
    out, file = tmp_path / "deep" / "runs", tmp_path / "evil.py"
    for name in ("../../elsewhere", str(tmp_path / "elsewhere"), "a/../../elsewhere"):
        file.write_text(
            f"from harness.scenario import *\nfrom harness.wake import profile\n"
            f"SCENARIO = Scenario(name={name!r}, wake=profile('neon'), pools=('1+0',), timeline=(Burst(1, 1.0),))\n"
        )
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(UserError, match="is not a name"):
            coldstart.main(["run", str(file), "--stack", "simulated", "--out", str(out)], standalone_mode=False)
        assert sorted(tmp_path.rglob("*")) == before


def test_pools_and_variants_are_called_like_paths_and_charts_stay_in_their_folder(tmp_path: Path) -> None:
    file, out = tmp_path / "named.py", tmp_path / "runs"
    file.write_text(
        "from harness.scenario import *\nfrom harness.wake import profile\n"
        "SCENARIO = Scenario(name='named', wake=profile('neon', latency_s=1.0), timeline=(Suspend(), Burst(5, 1.0)),"
        " pools=(pool('1+0', name='../../up'), pool('2+0', name='/x/y')), variants=(Variant('../a'), Variant('..')))\n"
    )
    said("run", str(file), "--stack", "simulated", "--out", str(out), "--charts")
    (run,) = out.iterdir()
    assert list((run / "charts").iterdir())
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")} == {"named.py", "runs"}
    assert not list(out.parent.parent.glob("up*"))


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder as somebody might send it: every text that coldstart does not check is an attack."""
    folder = small_run(tmp_path_factory.mktemp("runs"))
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest.update(
        notes=[EVIL], argv=["run", EVIL], versions={"coldstart": EVIL, EVIL: "1"},
        machine=dict.fromkeys(manifest["machine"], EVIL),
        expectations=[{"pool": EVIL, "statement": EVIL, "why": EVIL, "verdict": "not reproduced"}],
    )  # fmt: skip
    manifest["plan"]["scenario"]["description"] = EVIL
    (folder / MANIFEST).write_text(json.dumps(manifest))

    def changed(table: str, change: Any) -> None:
        old = pyarrow.parquet.read_table(folder / f"{table}.parquet")
        rows = [new for row in old.to_pylist() for new in change(row)]
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows, old.schema), folder / f"{table}.parquet")

    changed("requests", lambda row: [{**row, "request": EVIL, "error": None if row["outcome"] == "ok" else EVIL}])

    def more(row: dict[str, Any]) -> list[dict[str, Any]]:
        if row["event"] != "suspended":
            return [row]
        failed = {"event": "listener_connect_failed", "detail": json.dumps({"error": EVIL})}
        left_out = {"event": "not_played", "detail": json.dumps({"what": EVIL, "times": 1})}
        return [{**row, "detail": json.dumps({EVIL: EVIL})}, {**row, **failed}, {**row, **left_out}]

    changed("events", more)
    return folder


def said(*words: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        coldstart.main(list(words), standalone_mode=False)
    return out.getvalue()


@pytest.mark.parametrize(
    "words",
    [
        ["compare"], ["compare", "--markdown"], ["compare", "--csv"], ["compare", "--json"], ["report"], ["postmortem"],
        ["diff", "--pool", "1+0 pool_timeout=1 (as it is)", "--pool", "the fix (as it is)"],
        ["diff", "--json", "--pool", "1+0 pool_timeout=1 (as it is)", "--pool", "the fix (as it is)"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_no_command_prints_what_a_terminal_obeys(evil: Path, words: list[str]) -> None:
    assert not OBEYED.search(said(words[0], str(evil), *words[1:]).replace("\r\n", "\n"))


def test_a_run_whose_folder_has_a_hostile_name_is_listed_literally(evil: Path, tmp_path: Path) -> None:
    shutil.copytree(evil, tmp_path / "runs" / "=a\x1b[31m|[bold]b\u202e")
    listed = said("runs", "--out", str(tmp_path / "runs"))
    assert not OBEYED.search(listed)
    assert "=a?[31m|[bold]" in listed


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def test_the_report_has_no_tag_handler_or_address_of_theirs(evil: Path) -> None:
    said("report", str(evil))
    text = (evil / "report.html").read_text()
    page = Page()
    page.feed(text)
    # matplotlib's own images, where a chart is rasterized, are <image> and data.
    assert not {"img", "script", "iframe", "link", "object"} & set(page.tags)
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert not any((value or "").startswith("http://evil") for _, value in page.attributes)
    assert "&lt;img src=x" in text
    assert not OBEYED.search(text)


def test_markdown_has_no_html_link_image_heading_or_column_of_theirs(evil: Path) -> None:
    said("postmortem", str(evil))
    pages = {"postmortem": (evil / "postmortem.md").read_text(), "compare": said("compare", str(evil), "--markdown")}
    for name, page in pages.items():
        outside = re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE)
        assert page.count("```") % 2 == 0
        assert not re.search(r"<(img|/script)", outside), name
        assert not re.search(r"(?<!\\)\[[ab]\]\(http", outside), name
        assert "\n# Heading" not in page, name
        assert "\n::error" not in page, name
        assert not OBEYED.search(page), name
        for table in re.findall(r"(?:^\|.*\n)+", outside, re.MULTILINE):
            assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1, table


def test_csv_has_no_formula_and_nothing_that_a_terminal_obeys(evil: Path) -> None:
    rows = list(csv.reader(io.StringIO(said("compare", str(evil), "--csv"))))
    assert len({len(row) for row in rows}) == 1
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_a_text_that_begins_like_a_formula_is_text_in_a_spreadsheet(text: str) -> None:
    assert spreadsheet_row({"a": text, "b": -1.5}) == {"a": f"'{text.strip()}", "b": -1.5}
    assert spreadsheet_row({"a": "10+5", "b": None}) == {"a": "10+5", "b": None}


ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(ATTACKS[:-3] + PATHS)


@given(ANYTHING)
def test_a_cell_of_markdown_is_one_cell_of_one_line(text: str) -> None:
    table = markdown_table(["a", "b"], [[text, "x"]]).splitlines()
    assert len(table) == 3
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in table} <= {3} or text.endswith("\\")
    assert not OBEYED.search(literal(text))
    assert not re.search("<[a-zA-Z/!?]", literal(text))


@given(ANYTHING)
def test_what_is_printed_is_literal_in_every_way_of_printing(text: str) -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        screen = console()
        screen.print(text)
        screen.print(Sheet(text, [Column(text)], [Row(text, [text])]))
        echo(text)
    assert not OBEYED.search(out.getvalue())
    assert visible(visible(text)) == visible(text)


def test_markup_is_printed_as_it_is_written() -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        console().print("[bold red]a[/] :smile: [link=http://127.0.0.1]b[/link]")
    assert out.getvalue() == "[bold red]a[/] :smile: [link=http://127.0.0.1]b[/link]\n"


def test_an_error_is_one_line_that_a_terminal_shows(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", f"no\x1b[31m\u202e\n{'such ' * 900}.py"])
    assert ended.value.code == 2
    said_ = capfd.readouterr().err
    assert said_.count("\n") == 1
    assert not OBEYED.search(said_)
    assert len(said_) < 1_200
    assert said_.startswith("coldstart: no?[31m? such")


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12), max_size=4))
def test_a_command_is_one_line_that_a_shell_reads_as_the_same_words(words: list[str]) -> None:
    line = command_line(words)
    assert not OBEYED.search(line)
    assert len(line.splitlines()) <= 1
    if all(word.isprintable() for word in words):
        assert shlex.split(line) == words


def test_a_real_shell_reads_it_so() -> None:
    words = ["a b", "c'd", "e\nf", "g\x1b[31m", "\u202eh\\", "ü\t", EVIL]
    printing = f"printf '%s\\0' {command_line(words)}"
    done = subprocess.run(["/bin/bash", "-c", printing], capture_output=True, text=True, check=True)
    assert done.stdout.split("\0")[:-1] == words


@given(ANYTHING)
def test_an_annotation_is_one_command_whatever_is_in_it(text: str) -> None:
    line = command("error", text, file=text, title=text)
    assert line.count("\n") == line.count("\r") == 0
    assert line.startswith("::error file=")


CHECKS = """
[[check]]
name = "a, (b) %c"
scenario = "{scenario}"
pool = ["the = fix: 1+0,pool_timeout=1", "3+0"]
slo = ["failed<1%"]
"""


def test_a_gate_with_hostile_variants_and_server_messages_is_whole_in_every_form(tmp_path: Path) -> None:
    scenario = tmp_path / "gated.py"
    scenario.write_text(
        "from harness.scenario import *\nfrom harness.wake import profile\n"
        "SCENARIO = Scenario(name='gated', wake=profile('neon', latency_s=2.0), pools=('1+0',),"
        " timeline=(Suspend(), Burst(12, 1.0)), variants=(Variant('a, 100% (b): c'), Variant('=d')))\n"
    )
    file, xml, page = tmp_path / "coldstart.toml", tmp_path / "out.xml", tmp_path / "out.md"
    file.write_text(CHECKS.format(scenario=scenario))
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": ""}
    words = ["check", str(file), "--out", str(tmp_path / "runs"), "--junit", str(xml), "--markdown", str(page)]
    done = CliRunner(env=environment).invoke(coldstart, words, catch_exceptions=False, standalone_mode=False)
    cases = ET.parse(xml).getroot().iter("testcase")
    assert len(list(cases)) == 4
    for table in re.findall(r"(?:^\|.*\n)+", page.read_text(), re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1
    annotations = [line for line in done.output.splitlines() if line.startswith("::")]
    assert annotations
    assert all(line.startswith("::error ") for line in annotations)
