"""What to set: only what the run shows, and else a command that can be typed as it is."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis import Run, load
from harness.analysis.decision import Decision, decide, settings_of
from harness.analysis.next_command import next_commands
from harness.cli import coldstart
from harness.cli.decision import in_lines
from harness.model.application import Application, Variable
from harness.model.application_request import ApplicationRequest
from harness.model.arrivals import RequestMix
from harness.model.kernel import LINUX_5
from harness.model.outcomes import Outcome
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.scenario import Scenario, Variant, pool
from harness.model.status import RunStatus
from harness.model.summary import TrialSummary
from harness.model.timeline import Burst, Suspend, Warm
from harness.model.times import Calibration
from harness.model.trial import Trial
from harness.model.wake import profile, read_wake
from harness.results import TABLES
from harness.results.manifest import Manifest, RecordedTrial
from harness.results.read import schema

SAMPLES = Path(__file__).parent.parent.parent / "results" / "sample"
LONG = pool("5+0", connection_timeout=20)
STORY = Scenario(
    name="two_wakes",
    wake=(profile("neon", latency_s=8.0), profile("neon", latency_s=12.0)),
    pools=(LONG, "10+5", "15+5"),
    timeline=(Warm(), Suspend(), Burst(requests=10, over_s=2)),
    service_time_s=0.01,
    connect_time_s=0.02,
)
ONE_REQUEST = RequestMix(((ApplicationRequest(name="one", target="/a"), 1.0),))
Lost = Callable[[Trial], int]


def run(
    scenario: Scenario = STORY,
    *,
    lost: Lost = lambda _: 0,
    stack: str = "simulated",
    status: RunStatus = RunStatus.COMPLETE,
    argv: str = "run two_wakes",
    change: Callable[[TrialSummary], TrialSummary | None] = lambda summary: summary,
    **overrides: Any,
) -> Run:
    """A run whose trials lose so many of their ten requests; `change` has the last word, None: it was not played."""
    plan = PlannedRun(scenario=scenario, overrides=Overrides(**overrides))
    manifest = Manifest(
        id="a-run", status=status, stack=stack, plan=plan, trials=[RecordedTrial.of(trial) for trial in plan.trials],
        parallel=1, notes=[], argv=shlex.split(argv), versions={}, machine={}, git_commit=None, started_at="",
    )  # fmt: skip
    made = Run(
        folder=Path("a-run"),
        manifest=manifest,
        trials=plan.trials,
        tables={name: schema(columns).empty_table() for name, columns in TABLES.items()},
    )
    found = [change(summary(trial, lost=0 if trial.is_control else lost(trial))) for trial in plan.trials]
    made.__dict__["summaries"] = [one for one in found if one is not None]
    return made


def summary(trial: Trial, *, lost: int) -> TrialSummary:
    return TrialSummary(
        trial=trial, requests=10, outcomes={Outcome.OK: 10 - lost, Outcome.CONNECT_TIMEOUT: lost},
        latency_s={"p50": 1.0, "p95": 1.0, "p99": 1.0, "max": 1.0}, checkout_wait_s={}, peak_checked_out=1,
        peak_waiting=0, woke_after_s=None, recovered_after_s=None, utilization_alert_s=None, first_failure_s=None,
        wall_s=1.0, ok_latencies_s=[1.0] * (10 - lost),
    )  # fmt: skip


def lost_by(**of: int) -> Lost:
    """So many at every wake, by the capacity: `lost_by(c15=3)`."""
    return lambda trial: of.get(f"c{trial.pool.capacity}", 0)


def said(decision: Decision) -> str:
    return " ".join(decision.sentences)


def test_the_smallest_without_a_failure_is_said_with_the_lines_that_set_it() -> None:
    found = decide(run(lost=lost_by(c15=2)))
    assert found.sentences[0] == (
        "Set 5+0 connection_timeout=20: the smallest configuration of this run with which no request fails, at wakes "
        "of 8 s and 12 s."
    )
    assert found.settings == (
        "DATABASE_POOL_SIZE=5", "DATABASE_MAX_OVERFLOW=0", "DATABASE_CONNECTION_TIMEOUT=20",
    )  # fmt: skip
    assert "--repeat 20" in said(found)
    assert found.commands


def test_a_single_one_is_not_called_the_smallest_and_the_defaults_are_named_as_such() -> None:
    found = decide(run(lost=lost_by(c5=1, c20=1)))
    assert found.sentences[0].startswith("Set 10+5: the only configuration of this run with which no request fails")
    assert "All of its settings are the defaults." in said(found)
    assert found.settings == ()


def test_a_failure_at_one_wake_in_one_seed_is_a_failure() -> None:
    found = decide(run(lost=lambda trial: int(trial.wake_latency_s == 12 and trial.seed == 3), repeat=3))
    assert "None of these 3 configurations is enough" in said(found)
    assert "1 of 60 requests (1.7%) each fail" in said(found)
    assert not found.settings


def test_in_a_tie_the_one_that_changes_fewest_settings_is_taken_and_the_others_are_named() -> None:
    pools = (pool("15+0", pool_timeout=30), "10+5", "2+0")
    found = decide(run(replace(STORY, pools=pools), lost=lost_by(c2=1)))
    assert found.sentences[0].startswith("Set 10+5: one of the 2 configurations of this run")
    assert "As large, and as good: 15+0 pool_timeout=30." in said(found)
    assert "smallest" not in said(found)


def test_where_nothing_fails_there_is_nothing_to_set() -> None:
    found = decide(run())
    assert found.sentences[0] == "Nothing to set: no request fails with any configuration, at wakes of 8 s and 12 s."
    assert not found.settings
    assert found.asked.startswith("How far that holds")
    (only,) = [decide(run(replace(STORY, pools=("5+0",)))).sentences[0]]
    assert only == "Nothing to set: no request fails with 5+0, at wakes of 8 s and 12 s."


def test_where_everything_fails_nothing_is_recommended() -> None:
    found = decide(run(lost=lambda _: 10))
    assert found.sentences == ("Nothing in this run is worth setting: every request fails, with every configuration.",)
    assert found.commands
    assert not found.settings


def test_of_one_pool_it_is_said_that_it_is_not_enough() -> None:
    found = decide(run(replace(STORY, pools=("5+0",), wake=profile("neon", latency_s=12.0)), lost=lambda _: 4))
    assert found.sentences == ("5+0 is not enough: 4 of 10 requests (40.0%) fail, at a wake of 12 s.",)


def test_a_late_answer_is_none_where_the_story_has_a_patience() -> None:
    patient = replace(STORY, patience_s=0.5)
    found = decide(run(patient))
    assert found.sentences == (
        "Nothing in this run is worth setting: no request is answered within 0.5 s, with any configuration.",
    )
    found = decide(run(replace(STORY, patience_s=2.0)))
    assert "every request is answered within 2 s" in said(found)


@pytest.mark.parametrize(
    ("changed", "status", "says"),
    [
        ({"complete": False}, RunStatus.COMPLETE, "6 of 6 trials were cut short"),
        ({"kept_schedule": False}, RunStatus.COMPLETE, "in 6 of 6 trials the load generator did not keep its schedule"),
        ({"not_played": {"a thread": 1}}, RunStatus.COMPLETE, "the application did what virtual time can't play"),
        ({}, RunStatus.ABORTED, "it was aborted, with 6 of 6 trials measured"),
    ],
)
def test_what_is_not_to_be_relied_on_decides_nothing(changed: Mapping[str, Any], status: RunStatus, says: str) -> None:
    found = decide(run(lost=lost_by(c15=1), status=status, change=lambda one: replace(one, **changed)))
    assert found.sentences[0].startswith("This run can't say what to set: ")
    assert says in said(found)
    assert not found.settings
    assert found.commands


def test_one_marked_trial_of_many_is_enough_to_doubt_and_a_marked_control_is_not() -> None:
    first = run().summaries[0].trial.number
    found = decide(run(change=lambda one: replace(one, kept_schedule=one.trial.number != first)))
    assert "in 1 of 6 trials the load generator did not keep its schedule" in said(found)
    found = decide(run(change=lambda one: replace(one, kept_schedule=not one.trial.is_control)))
    assert found.sentences[0].startswith("Nothing to set")


def test_trials_that_are_missing_and_controls_alone_decide_nothing() -> None:
    some = decide(run(change=lambda one: one if one.trial.number < 4 or one.trial.is_control else None))
    assert "trials measured" in said(some)
    controls = decide(run(change=lambda one: one if one.trial.is_control else None))
    assert controls.sentences == ("This run can't say what to set: only controls were played.",)
    nothing = decide(run(change=lambda _: None))
    assert nothing.sentences == ("This run can't say what to set: nothing was played.",)
    unended = decide(run(change=lambda one: replace(one, requests=0, outcomes={})))
    assert unended.sentences == ("This run can't say what to set: no request has ended.",)


def test_clean_seeds_bound_the_share_of_others_only_where_they_differ() -> None:
    many = decide(run(lost=lost_by(c15=1), repeat=20))
    assert "None of 20 seeds has one: with 95% confidence, fewer than 13.9% of all others have." in many.sentences
    same = replace(STORY, timeline=(Warm(), Suspend(), Burst(requests=10, over_s=2, arrivals="even")))
    assert "confidence" not in said(decide(run(same, lost=lost_by(c15=1), repeat=20)))


def test_where_a_statement_takes_no_time_the_size_is_not_shown() -> None:
    timeless = replace(STORY, service_time_s=None, connect_time_s=None)
    assert "calibrate first" in said(decide(run(timeless, lost=lost_by(c15=1))))
    assert "calibrate first" not in said(decide(run(lost=lost_by(c15=1))))
    assert "calibrate first" not in said(decide(run(timeless, lost=lost_by(c15=1), stack="embedded", argv="run x")))


def test_where_the_story_decides_that_is_said() -> None:
    variants = (Variant("held"), Variant("given back"))
    found = decide(run(replace(STORY, variants=variants), lost=lambda trial: int(trial.variant == "held")))
    assert "with every configuration no request fails in “given back”" in said(found)
    assert not found.settings


def test_a_configuration_is_set_by_its_name_and_what_that_means() -> None:
    named = replace(STORY, pools=(LONG.named("the fix"), "10+5"))
    found = decide(run(named, lost=lost_by(c15=1)))
    assert found.sentences[0].startswith("Set the fix (5+0 connection_timeout=20): the only configuration")


def test_an_application_is_set_by_its_own_variables_and_the_rest_where_it_makes_its_engine() -> None:
    variables = (Variable(carries="pool_size", name="DB_POOL"), Variable(carries="pool_timeout", name="W", unit="ms"))
    shop = Application(app="main:app", mix=ONE_REQUEST, variables=variables)
    lines, elsewhere = settings_of(pool("5+0", pool_timeout=2.5), shop)
    assert lines == ("DB_POOL=5", "W=2500")
    assert elsewhere == "Where the application makes its engine: max_overflow=0."
    assert settings_of(PoolConfiguration(), shop) == ((), "")


def test_of_an_application_that_runs_already_nothing_is_said() -> None:
    target = Application(target="http://127.0.0.1:1", mix=ONE_REQUEST)
    found = decide(run(application=target))
    assert found.sentences == ("The application was running already: this run changed none of its settings.",)
    assert found.commands == ()


@pytest.mark.parametrize(
    ("argv", "overrides", "command"),
    [
        ("run two_wakes", {}, "coldstart recommend two_wakes --slo 'failed<1%' --wake 12"),
        (
            "run 'my own/night 1.py' --wake 15",
            {"wakes": (read_wake("15"),)},
            "coldstart recommend 'my own/night 1.py' --slo 'failed<1%' --wake 15",
        ),
        (
            "run two_wakes",
            {"wakes": (read_wake("xata"),)},
            "coldstart recommend two_wakes --slo 'failed<1%' --wake xata",
        ),
        (
            "run two_wakes --requests 50 --over 3",
            {"requests": 50, "over_s": 3.0, "warm": 0, "kernel": LINUX_5, "service_time_s": 0.5},
            "coldstart recommend two_wakes --slo 'failed<1%' --wake 12 --requests 50 --over 3 --warm 0 "
            "--kernel linux-5 --service-time 0.5",
        ),
        (
            "run two_wakes --pool 5+0",
            {"pools": (pool("5+0", pool_timeout=3, driver="psycopg").named("a b"),)},
            "coldstart recommend two_wakes --slo 'failed<1%' --wake 12 --pool 5+0,driver=psycopg,pool_timeout=3",
        ),
    ],
)
def test_the_command_has_what_the_run_was_told(argv: str, overrides: Mapping[str, Any], command: str) -> None:
    assert next_commands(run(argv=argv, **overrides)) == (command,)


def test_times_that_are_not_known_are_calibrated_first_and_those_of_the_command_line_stay() -> None:
    timeless = replace(STORY, service_time_s=None, connect_time_s=None)
    assert next_commands(run(timeless)) == (
        "coldstart calibrate",
        "coldstart recommend two_wakes --slo 'failed<1%' --wake 12 --calibration results/calibration.json",
    )
    measured = Calibration(round_trip_s=(0.1,), service_s=(0.1,), connect_s=(0.1,), source="a test")
    (command,) = next_commands(run(timeless, argv="run two_wakes --calibration=c.json", calibration=measured))
    assert command.endswith("--calibration=c.json")


def test_a_run_in_real_time_fills_in_the_times_that_it_measured(tmp_path: Path) -> None:
    words = ["run", "cold_burst", "--stack", "simulated", "--no-charts", "--requests", "100", "--over", "4",
             "--wake", "2", "--pool", "1+9", "--service-time", "0.2", "--connect-time", "0.07",
             "--out", str(tmp_path)]  # fmt: skip
    assert CliRunner().invoke(coldstart, words, standalone_mode=False).exception is None
    found = load(next(tmp_path.iterdir()))
    found.manifest.stack = "embedded"
    found.manifest.plan = replace(found.plan, overrides=replace(found.plan.overrides, service_time_s=None))
    assert next_commands(found) == (
        "coldstart recommend cold_burst --slo 'failed<1%' --wake 2 --requests 100 --over 4 --pool 1+9 "
        "--service-time 0.2 --connect-time 0.07",
    )
    found.manifest.plan = replace(found.plan, overrides=replace(found.plan.overrides, connect_time_s=None))
    measured = shlex.split(next_commands(found)[-1])
    assert float(measured[-1]) == pytest.approx(0.07, rel=0.05)


def test_times_that_a_run_in_real_time_did_not_measure_are_calibrated() -> None:
    """In the sample nobody connects while the database is awake."""
    assert next_commands(load(SAMPLES / "embedded"))[0] == "coldstart calibrate"


def test_an_application_is_recorded_first_unless_it_is() -> None:
    shop = Application(app="main:app", mix=ONE_REQUEST)
    argv = "run two_wakes --app main:app --python .venv --cpu --wake 8"
    record, recommend = next_commands(run(argv=argv, application=shop))
    assert record == "coldstart record --app main:app --python .venv"
    assert recommend.endswith("--app main:app --python .venv --cpu")
    recorded = replace(shop, recording="recording.jsonl")
    assert len(next_commands(run(argv=argv, application=recorded))) == 1


def test_a_wake_that_behaves_otherwise_than_the_files_first_is_named_with_its_behaviour() -> None:
    wakes = tuple(profile("neon", latency_s=3.0, on_suspend=how) for how in ("close", "freeze"))
    longest = (*wakes[:1], wakes[1].with_changes(latency_s=4.0))
    (command,) = next_commands(run(replace(STORY, wake=longest)))
    assert "--wake 4 --on-suspend freeze" in command


def test_a_database_that_never_sleeps_is_swept() -> None:
    (command,) = next_commands(run(replace(STORY, wake=profile("always-on"), timeline=(Burst(10, 2.0),))))
    assert command == "coldstart sweep two_wakes"


@pytest.mark.parametrize("sample", ["embedded", "simulated", "incident", "compose"])
def test_the_commands_are_there_with_their_options(sample: str) -> None:
    for shown in next_commands(load(SAMPLES / sample)):
        program, name, *words = shlex.split(shown)
        assert program == "coldstart"
        command = coldstart.get_command(click.Context(coldstart), name)
        if name != "recommend":
            assert command is not None
            known = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= known


@given(words=st.lists(st.text("ab '<\\", min_size=1, max_size=20), min_size=1, max_size=12), width=st.integers(30, 100))
def test_a_command_on_several_lines_is_the_same_command(words: list[str], width: int) -> None:
    lines = in_lines(shlex.join(words), width)
    assert shlex.split("\n".join(lines).replace(" \\\n", " ")) == words
    assert all(line.endswith(" \\") for line in lines[:-1])


def test_every_command_ends_with_it(tmp_path: Path) -> None:
    words = ["run", "cold_burst", "--stack", "simulated", "--no-charts", "--requests", "40", "--wake", "12",
             "--pool", "the fix: 10+5,connection_timeout=20", "--pool", "5+0", "--out", str(tmp_path)]  # fmt: skip
    played = CliRunner(env={"COLUMNS": "80"}).invoke(coldstart, words, standalone_mode=False)
    (folder,) = tmp_path.iterdir()
    for done in (played, CliRunner(env={"COLUMNS": "80"}).invoke(coldstart, ["compare", str(folder)])):
        last = done.stdout.partition("What to set\n")[2]
        assert last.startswith("Set the fix (10+5 connection_timeout=20): the only configuration of this run")
        assert "\n  DATABASE_CONNECTION_TIMEOUT=20\n" in last
        assert "\n  coldstart recommend cold_burst --slo 'failed<1%' --wake 12" in last
        assert max(map(len, last.splitlines())) <= 80
    markdown = CliRunner().invoke(coldstart, ["compare", str(folder), "--markdown"]).stdout
    assert markdown.startswith("**What to set**: Set the fix")
    assert "```\nDATABASE_CONNECTION_TIMEOUT=20\n```" in markdown
