"""What `coldstart run` prints: the headline of several bursts, the table that tells them apart, answers in time."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.analysis import Run, load
from harness.cli.console import console
from harness.cli.run import run as run_command
from harness.cli.run_output import bursts, unshown_bursts
from harness.cli.run_table import comparison

FILE = """
from harness.scenario import *
from harness.wake import profile
SCENARIO = Scenario(name="phases", wake=profile("neon", latency_s=4.0), pools={pools}, timeline={timeline}, {more})
"""
SLEEPS = "Warm(), Suspend()"
TWO = f"({SLEEPS}, Traffic(Burst(30, 6.0), Burst(90, 3.0)))"
FOUR = f"({SLEEPS}, Traffic(*[Burst(10, 2.0)] * 3, At(1.0, Burst(20, 3.0))))"
APART = f"({SLEEPS}, *[Burst(5, 1.0)] * 8)"
ONE = f"({SLEEPS}, Burst(30, 6.0))"


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    return tmp_path / "phases.py"


def printed(scenario: Path, timeline: str, *arguments: str, pools: str = '("2+0",)', more: str = "") -> str:
    scenario.write_text(FILE.format(timeline=timeline, pools=pools, more=more), encoding="utf-8")
    out = ["--out", str(scenario.parent / "runs")]
    played = [str(scenario), "--stack", "simulated", "--no-charts", *out, *arguments]
    done = CliRunner(env={"COLUMNS": "80"}).invoke(run_command, played, catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def newest(scenario: Path) -> Run:
    (folder,) = (scenario.parent / "runs").iterdir()
    return load(folder)


@pytest.mark.parametrize(
    ("timeline", "headline"),
    [
        (ONE, "30 requests over 6 s"),
        (TWO, "30 requests over 6 s then 90 requests over 3 s"),
        (FOUR, "50 requests in 4 bursts over 6 s"),
        (APART, "40 requests in 8 bursts of 8 s in all"),
    ],
)
def test_the_headline_of_many_bursts_is_their_number_and_sum(scenario: Path, timeline: str, headline: str) -> None:
    assert f"phases on simulated: {headline}\n" in printed(scenario, timeline)


def test_a_single_burst_has_no_table_of_its_own(scenario: Path) -> None:
    assert "Bursts" not in printed(scenario, ONE)


def test_the_bursts_are_told_apart_and_fit_a_terminal_of_80_columns(scenario: Path) -> None:
    text = printed(scenario, TWO, pools='("2+0", pool("2+0", pool_timeout=3))', more="patience_s=2.0")
    table = text.partition("Bursts\n")[2].partition("\n•")[0]
    assert max(map(len, table.splitlines())) <= 80
    run = newest(scenario)
    for summary in run.summaries:
        heading, found = f"{summary.trial.pool.label}, {summary.trial.wake_label}", summary.bursts
        assert (heading in table) != summary.trial.is_control
        if not summary.trial.is_control:
            rows = table.partition(f"{heading} ")[2].splitlines()[1:3]
            for row, burst, label in zip(
                rows, found, ("0: 30 requests over 6 s", "1: 90 requests over 3 s"), strict=True
            ):
                counts = re.match(rf" +{label} +(\d+) +(\d+) +(\d+) ", row)
                assert counts, row
                assert [int(count) for count in counts.groups()] == [
                    burst.requests - burst.failed, burst.failed, burst.answered_within,
                ]  # fmt: skip
    assert "within\n" not in table
    assert re.search(r"\b2 s +p50", table)


def test_with_a_patience_the_default_story_still_fits_a_terminal_of_80_columns(scenario: Path) -> None:
    lasting = [f'"{size}"' for size in ("5+0", "10+5", "15+5")]
    pools = f'(pool("5+0", pool_timeout=30), {", ".join(lasting)})'
    timeline = "(Warm(), Suspend(), Burst(requests=200, over_s=20))"
    table = printed(scenario, timeline, "--wake", "12", pools=pools, more="patience_s=12.0").partition("\n•")[0]
    assert max(map(len, table.splitlines())) <= 80
    assert re.search(r"^pool +ok timeout timeout +p95 +max waiting +12 s +after$", table, re.MULTILINE), table


def test_of_many_bursts_the_first_are_shown_and_the_rest_is_said_to_be_elsewhere(scenario: Path) -> None:
    text = printed(scenario, APART, "--repeat", "2")
    table = text.partition("Bursts\n")[2].partition("\n•")[0]
    assert re.findall(r"^ +(\d): 5 requests over 1 s", table, re.MULTILINE) == list("012345")
    assert " ".join(table.split()).endswith(
        "Not shown: 2 more bursts, the other seeds and the controls. The document of --json has them; in "
        "requests.parquet the column is burst."
    )


def test_the_document_has_what_the_table_leaves_out(scenario: Path) -> None:
    document = json.loads(printed(scenario, APART, "--json"))
    for trial in document["trials"] + document["controls"]:
        assert [burst["burst"] for burst in trial["bursts"]] == list(range(8))
        starts_s = [burst["starts_s"] for burst in trial["bursts"]]
        assert starts_s == sorted(starts_s)
        assert starts_s[0] == 0.0
        assert sum(burst["requests"] for burst in trial["bursts"]) == trial["requests"]


def test_a_document_of_one_burst_has_no_list_of_them(scenario: Path) -> None:
    document = json.loads(printed(scenario, ONE, "--json"))
    assert "bursts" not in document["trials"][0]
    assert document["trials"][0]["answered_within"] is None
    assert document["trials"][0]["connects"] >= 2


def test_many_trials_do_not_fill_the_terminal(scenario: Path) -> None:
    text = printed(scenario, TWO, *[f"--pool={size}+0" for size in range(1, 14)])
    table = text.partition("Bursts\n")[2].partition("\n•")[0]
    assert len(re.findall(r", wake 4 s", table)) == 10
    assert "Not shown: 3 more trials and the controls." in " ".join(table.split())


def test_bursts_of_controls_are_shown_where_there_is_nothing_else(scenario: Path) -> None:
    printed(scenario, TWO)
    controls = [summary for summary in newest(scenario).summaries if summary.trial.is_control]
    assert unshown_bursts(controls) == ""
    assert unshown_bursts([]) == ""
    output = console()
    with output.capture() as captured:
        output.print(bursts(controls))
    assert re.search(r"2\+0, awake.*\n +0: 30 requests over 6 s +30 ", captured.get())


@pytest.mark.parametrize(
    ("more", "heading"),
    [
        ("patience_s=2.5", "within 2.5 s"),
        ('variants=(Variant("a", patience_s=2.0), Variant("b", patience_s=3.0))', "within patience"),
        ("", None),
    ],
)
def test_answers_in_time_have_a_column_where_a_story_has_a_patience(
    scenario: Path, more: str, heading: str | None
) -> None:
    printed(scenario, ONE, more=more)
    output = console()
    output.width = 200
    with output.capture() as captured:
        output.print(comparison(newest(scenario).summaries))
    above, below, *_ = captured.get().splitlines()
    words = [above[match.start() : match.end()] for match in re.finditer(r"within", above)]
    assert bool(words) == (heading is not None)
    if heading is not None:
        assert heading.split(" ", 1)[1] in below
