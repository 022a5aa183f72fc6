"""What others read: JUnit XML, GitHub's annotations and Markdown, whatever the texts are."""

import re
from dataclasses import replace
from pathlib import Path

import junitparser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.effect import Effect, SeedEffect
from harness.analysis.statistics import Measure
from harness.gate.annotations import annotations, command
from harness.gate.baseline import Against, Change
from harness.gate.checks import Checked, Gate
from harness.gate.junit import junit
from harness.gate.markdown import markdown
from harness.gate.verdict import Judged, Verdict
from harness.model.objective import read_objective
from harness.model.patience import Patience

ONE = Judged(
    objective=read_objective("failed<1%"), configuration="10+5", wake="wake 12 s", verdict=Verdict.MISSED,
    value=0.075, requests=200, seeds=1, missed_in=1, patience=Patience(30.0, "a test's"),
)  # fmt: skip
MET = replace(ONE, verdict=Verdict.MET, value=0.0, missed_in=0, wake="wake 8 s")
UNKNOWN = replace(ONE, verdict=Verdict.UNKNOWN, why="a trial was cut short")
CHANGE = Change(
    configuration="10+5", wake="wake 12 s", before="5+0", effect=Effect((SeedEffect(1, 200, 0, 4),)), failed_before=11,
    same=False, longer_s=Measure(0.0), values={"failed<1%": 0.055},
)  # fmt: skip


def checked(*judged: Judged, name: str = "night", line: int | None = 3, against: Against | None = None) -> Checked:
    return Checked(
        name=name, line=line, title="cold_burst", stack="simulated", judged=judged, run="20260101-run", wall_s=1.5,
        against=against, notes=("the end",),
    )  # fmt: skip


def against(*changes: Change, differs: tuple[str, ...] = ()) -> Against:
    return Against(baseline="20250101-run", differs=differs, changes=changes, left_out=())


GATE = Gate("coldstart.toml", (checked(ONE, MET), checked(UNKNOWN, name="day", line=None)))


def test_a_reader_of_junit_finds_every_verdict_as_what_it_is() -> None:
    document = junitparser.JUnitXml.fromstring(junit(GATE).encode())
    assert (document.tests, document.failures, document.errors, document.time) == (3, 1, 1, 3.0)
    first, second = document
    assert (first.name, first.tests, first.failures, first.errors, first.skipped) == ("night", 2, 1, 0, 0)
    missed, met = first
    assert (missed.name, missed.classname) == ("failed<1% with 10+5, wake 12 s", "coldstart.night")
    assert missed.is_failure
    assert missed.result[0].message == "10+5, wake 12 s: failed<1% is missed, it is 7.5% (15 of 200)"
    assert met.is_passed
    (unknown,) = second
    assert unknown.is_error
    assert not unknown.is_skipped
    properties = {one.name: one.value for one in first.properties()}  # type: ignore[no-untyped-call]
    assert properties["run"] == "20260101-run"
    assert "all seeds together" in properties["rule"]


texts = st.text(max_size=40)


@given(texts, texts, texts)
def test_any_text_is_well_formed_in_junit(configuration: str, why: str, note: str) -> None:
    one = replace(UNKNOWN, configuration=configuration, why=why)
    gate = Gate("a.toml", (replace(checked(one), notes=(note,)),))
    (suite,) = junitparser.JUnitXml.fromstring(junit(gate).encode())
    (case,) = suite
    assert case.is_error


def unescaped(line: str) -> tuple[str, dict[str, str], str]:
    """As GitHub's runner reads a command."""
    found = re.fullmatch(r"::(\w+) (.*?)::(.*)", line)
    assert found is not None
    pairs = dict(pair.split("=", 1) for pair in found[2].split(","))

    def plain(text: str) -> str:
        for escaped, sign in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
            text = text.replace(escaped, sign)
        return text

    return found[1], {key: plain(value) for key, value in pairs.items()}, plain(found[3])


def test_whatever_is_not_met_is_marked_in_the_file() -> None:
    lines = list(annotations(GATE, {}))
    assert lines[0] == (
        "::error file=coldstart.toml,line=3,title=night%3A failed<1%25 is missed::"
        "10+5, wake 12 s: failed<1%25 is missed, it is 7.5%25 (15 of 200)"
    )
    assert [unescaped(line)[1] for line in lines] == [
        {"file": "coldstart.toml", "line": "3", "title": "night: failed<1% is missed"},
        {"file": "coldstart.toml", "title": "day: failed<1% is unknown"},
    ]


@given(
    st.text(max_size=30).filter(lambda text: "%" not in text), st.text(max_size=30).filter(lambda text: "%" not in text)
)
def test_no_text_ends_a_command_or_begins_another(title: str, message: str) -> None:
    line = command("error", message, title=title)
    assert len(line.split("\n")) == 1
    assert "\r" not in line
    assert unescaped(line)[1:] == ({"title": title}, message)


def test_a_percent_sign_is_escaped_first() -> None:
    assert command("error", "%0A\n") == "::error ::%250A%0A"
    assert command("error", "", title="%3A:,") == "::error title=%253A%3A%2C::"


def test_the_file_is_named_from_the_repositorys_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "service").mkdir()
    monkeypatch.chdir(tmp_path / "service")
    workspace = {"GITHUB_WORKSPACE": str(tmp_path)}
    (line, _) = annotations(GATE, workspace)
    assert "file=service/coldstart.toml," in line
    (line, _) = annotations(GATE, {"GITHUB_WORKSPACE": str(tmp_path / "elsewhere")})
    assert "file=coldstart.toml," in line


def test_markdown_has_before_and_after_where_there_is_a_baseline() -> None:
    differs = ("versions: asyncpg 0.31 → 0.32",)
    page = markdown(
        Gate("coldstart.toml", (checked(replace(ONE, before=0.055), MET, against=against(CHANGE, differs=differs)),))
    )
    assert page.startswith("## ❌ coldstart check: 1 missed, 1 met in 1 check\n")
    assert "|  | wake | pool | objective | baseline | now |" in page
    assert "| ❌ missed | wake 12 s | `10+5` | `failed<1%` | 5.5% | 7.5% (15 of 200) |" in page
    assert "| ✅ met | wake 8 s | `10+5` | `failed<1%` | – | 0% (0 of 200) |" in page
    assert (
        "- wake 12 s, 10+5 (in the baseline 5+0): worse than the baseline: of 200 requests none is saved and 4" in page
    )
    assert "- The baseline was not made under the same conditions: versions: asyncpg 0.31 → 0.32." in page
    assert "baseline" not in markdown(GATE)


def test_every_row_of_a_markdown_table_has_the_cells_of_its_header() -> None:
    seeds = replace(ONE, seeds=5, missed_in=2)
    unknown = replace(UNKNOWN, seeds=5)
    for gate in (GATE, Gate("a.toml", (checked(seeds, unknown, replace(MET, before=0.5)),))):
        for table in re.findall(r"(?:^\|.*\n)+", markdown(gate), re.MULTILINE):
            assert len({line.count("|") for line in table.splitlines()}) == 1
    assert "| 2 of 5 |" in markdown(Gate("a.toml", (checked(seeds),)))
    assert "a trial was cut short" in markdown(GATE)
