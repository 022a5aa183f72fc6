"""The draft of a postmortem: its numbers are the run's and its changes', and what it can't know is said."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.analysis import Run, load
from harness.analysis.charts.draw import styled
from harness.analysis.columns import numbers
from harness.analysis.sentences import Failures
from harness.cli import main
from harness.cli.postmortem import postmortem as command
from harness.cli.progress import watching
from harness.library import load_scenario
from harness.model.errors import UserError
from harness.model.outcomes import Outcome
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.scenario import Scenario, pool
from harness.model.status import RunStatus
from harness.model.timeline import Burst, Suspend, Warm
from harness.model.wake import profile
from harness.postmortem import NAME, write
from harness.postmortem.changes import AWAKE, Changes, changes, settings
from harness.postmortem.chart import changes_chart
from harness.postmortem.draft import Chart, draft
from harness.postmortem.incident import Incident, incident
from harness.postmortem.sentences import basis
from harness.postmortem.timeline import Moment, timeline
from harness.results import RunWriter
from harness.run import execute
from harness.stacks.base import RunOptions

STORY = Scenario(
    name="night",
    wake=(profile("neon", latency_s=4.0), profile("neon", latency_s=12.0)),
    pools=("3+0", pool("3+0", pool_timeout=30), "9+0"),
    timeline=(Warm(), Suspend(), Burst(requests=60, over_s=6)),
)
BEGAN_AT = datetime(2025, 12, 2, 1, 55, 56, tzinfo=UTC)


def played(scenario: Scenario, out: Path, *, repeat: int = 1, control: bool = True) -> Run:
    plan = PlannedRun(scenario=scenario, overrides=Overrides(repeat=repeat, control=control))
    with watching(plan.trials) as progress:
        done = execute(
            plan, stack="simulated", options=RunOptions(), progress=progress, out=out, charts=False,
            argv=["run", "night", "--stack", "simulated"],
        )  # fmt: skip
    return load(done.folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return played(STORY, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def found(run: Run) -> Incident:
    return incident(run)


@pytest.fixture(scope="module")
def tried(found: Incident) -> Changes:
    return changes(found, found.run.plan, lambda _: None)


@pytest.fixture(scope="module")
def page(found: Incident, tried: Changes) -> str:
    return draft(found, tried, charts=[Chart("Requests", "charts/requests.png")], settings=Chart("Settings", "s.png"))


def section(page: str, heading: str) -> str:
    return page.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def test_it_tells_of_the_runs_first_pool_at_the_wake_that_cost_it_most(found: Incident) -> None:
    assert (found.configuration, found.wake_latency_s) == ("3+0", 12.0)
    at_the_other = next(one for one in found.run.summaries if one.trial.label == "3+0, wake 4 s")
    assert [one.failed > at_the_other.failed for one in found.summaries] == [True]
    assert [one.trial.is_control for one in found.controls] == [True]


def test_another_pool_can_be_the_one_in_production(run: Run) -> None:
    assert incident(run, configuration="9+0").first.trial.pool.capacity == 9
    with pytest.raises(UserError, match=r"no such configuration.*3\+0, 3\+0 pool_timeout=30, 9\+0"):
        incident(run, configuration="7+0")


def test_a_run_without_a_wake_has_no_incident(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, plan=PlannedRun(scenario=STORY), stack="simulated", versions={}, parallel=1)
    writer.close(RunStatus.ABORTED)
    with pytest.raises(UserError, match="measured no trial"):
        incident(load(writer.folder))


def test_its_sections_are_those_of_a_postmortem(page: str) -> None:
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == [
        "Summary",
        "Impact",
        "Timeline",
        "Root cause, as far as the data shows it",
        "What each setting would have changed",
        "To decide",
        "What this draft does not know",
        "Run it again",
    ]
    assert "\n\n\n" not in page
    assert "coldstart run night --stack simulated" in section(page, "Run it again")


def test_the_summary_and_the_impact_are_counted_from_the_rows(run: Run, found: Incident, page: str) -> None:
    rows = run.of(found.first.trial, "requests")
    exhausted = int((rows["outcome"] == "pool_timeout").sum())
    assert f"{exhausted} pool_timeout" in section(page, "Summary")
    impact = section(page, "Impact")
    assert f"| pool_timeout (HTTP 503) | {exhausted} | 0 |" in impact
    assert f"| slower than 1 s | {int((rows['latency_s'] > 1).sum())} | 0 |" in impact


def test_the_cold_start_is_blamed_for_what_the_control_does_not_lose(page: str) -> None:
    assert "none of the same arrivals fails: all of it is the cold start's" in section(
        page, "Root cause, as far as the data shows it"
    )


def test_who_met_the_wake_is_counted_from_the_rows(run: Run, found: Incident, page: str) -> None:
    rows = run.of(found.first.trial, "requests")
    met = rows["arrival_s"] < found.first.woke_after_s
    lost = rows["outcome"] != "ok"
    told = f"{met.sum()} of 60 requests met the database while it was waking; {(met & lost).sum()} of them failed"
    assert told in section(page, "Root cause, as far as the data shows it")


def test_moments_are_in_order_and_those_of_the_rows(run: Run, found: Incident) -> None:
    told = timeline(found)
    assert [moment.at_s for moment in told] == sorted(moment.at_s for moment in told)
    at_s = {moment.what: moment.at_s for moment in told}
    rows = run.rows(found.first.trial, "requests")
    assert at_s["The first request arrives"] == numbers(rows, "arrival_s").min()
    assert at_s["The last request has ended"] == numbers(rows, "end_s").max()
    assert at_s["The database answers again"] - at_s["The first connection attempt: the database begins to wake"] == (
        pytest.approx(12.0)
    )
    assert at_s["The pool is full: all 3 slots in use"] >= 0


def test_the_clock_is_the_runs_own_or_the_one_that_is_given(found: Incident, tried: Changes, page: str) -> None:
    assert "in virtual time: there is no clock to give" in section(page, "Timeline")
    chart = Chart("Settings", "s.png")
    dated = section(draft(found, tried, charts=[], settings=chart, began_at=BEGAN_AT), "Timeline")
    assert "Zero is 2025-12-02 01:55:56 UTC, as given with `--at`." in dated
    woke_s = found.first.woke_after_s
    assert woke_s is not None
    assert f"| {Moment(woke_s, '').utc(BEGAN_AT)} | +{woke_s:.1f} s | The database answers again |" in dated


def test_moments_read_like_a_clock() -> None:
    assert Moment(8.06, "").utc(BEGAN_AT) == "01:56:04.0"
    assert [Moment(at_s, "").relative() for at_s in (-0.11, 0.0, 8.06, 725.0)] == [
        "−0.110 s",
        "+0.000 s",
        "+8.1 s",
        "+12 min 5 s",
    ]


def test_virtual_time_plays_the_incident_again_before_it_changes_anything(tried: Changes) -> None:
    assert (tried.again.failures, tried.again.changes_nothing) == (tried.measured, True)
    assert tried.agrees
    by_name = {change.what: change for change in tried.tried}
    assert by_name[AWAKE].failures.failed == 0
    assert by_name["pool_timeout: 10 → 5"].failures.requests == 60


def test_the_pools_timeout_moves_with_the_connection_timeout_unless_it_was_set_apart(run: Run, tried: Changes) -> None:
    by_name = {change.what: change for change in tried.tried}
    assert by_name["connection_timeout: 10 → 15 (pool_timeout follows)"].failures.failed == 0
    assert not [what for what in by_name if what.startswith("both")]
    apart = incident(run, configuration="3+0 pool_timeout=30")
    assert apart.first.trial.pool.pool_timeout_s == 30
    assert incident(run).first.trial.pool.pool_timeout_s is None


def test_a_change_is_paired_request_by_request(run: Run, tried: Changes) -> None:
    # The run has one of the changes too: the same pool with pool_timeout 30 instead of 15 outlives the wake as well.
    other = next(one for one in run.summaries if one.trial.label == "3+0 pool_timeout=30, wake 12 s")
    change = next(change for change in tried.tried if change.what == "pool_timeout: 10 → 15")
    assert change.failures.failed == other.failed
    assert change.measured.saved - change.measured.lost == tried.again.failures.failed - change.failures.failed
    assert change.helps


@pytest.mark.parametrize("told", ["by the story", "by the user"])
def test_it_is_played_again_with_the_times_it_was_played_with(told: str, tmp_path: Path) -> None:
    # 40 requests at once, four slots and 0.5 s a query: who is not through in 3 s is lost, and with no time nobody is.
    story = Scenario(
        name="busy",
        wake=profile("always-on"),
        pools=(pool("4+0", pool_timeout=3),),
        timeline=(Warm(), Burst(requests=40, over_s=0.1)),
        service_time_s=0.5 if told == "by the story" else None,
    )
    plan = PlannedRun(scenario=story, overrides=Overrides(service_time_s=0.5 if told == "by the user" else None))
    with watching(plan.trials) as progress:
        done = execute(plan, stack="simulated", options=RunOptions(), progress=progress, out=tmp_path, charts=False)
    path = write(load(done.folder))
    again = section(path.read_text(), "What each setting would have changed")
    assert done.summaries[0].failed > 10
    assert f"as it was, {done.summaries[0].failed} of 40 requests fail in virtual time" in again


def test_every_setting_has_values_worth_trying_and_its_own_is_none_of_them() -> None:
    given = PoolConfiguration(pool_size=1, max_overflow=4, statement_timeout_s=0.0, pool_timeout_s=60.0)
    found = list(settings(given, 12.0))
    assert all(given.with_settings({name: value}) != given for name, value in found)
    assert ("max_overflow", "0") in found
    assert ("pool_timeout", "120") in found
    assert ("statement_timeout", "15") in found
    assert not [value for name, value in found if name == "pool_size" and int(value) < 1]


def test_where_virtual_time_disagrees_it_says_so(found: Incident, tried: Changes) -> None:
    other = replace(tried, measured=Failures(3, 60))
    page = draft(found, other, charts=[], settings=Chart("", ""))
    assert "what follows is a direction, not numbers" in page
    assert "virtual time and the run differ" in section(page, "What this draft does not know")


def test_it_says_what_it_does_not_know(page: str) -> None:
    unknown = section(page, "What this draft does not know")
    assert "60 requests over 6 s are the scenario's" in unknown
    assert "How much of this is due to just these arrivals: the run measured 1 seed" in unknown
    assert "latency p50" not in unknown, "the story gave the latency: that of the profile plays no part"


def test_of_several_seeds_all_count(tmp_path: Path) -> None:
    run = played(STORY, tmp_path, repeat=3)
    found = incident(run)
    assert [one.trial.seed for one in found.summaries] == [1, 2, 3]
    tried = changes(found, found.run.plan, lambda _: None)
    assert tried.measured.requests == tried.again.failures.requests == 180
    assert (tried.measured_seeds, tried.other_seeds) == ((1, 2, 3), (4, 5))
    page = draft(found, tried, charts=[], settings=Chart("", ""))
    assert "those of 3 seeds together" in page
    assert "just these arrivals" not in page


def test_of_many_seeds_those_replayed_are_named_and_compared_with_what_the_run_lost_of_the_same(
    run: Run, found: Incident, tried: Changes
) -> None:
    # 20 measured, 5 of them played again: the run's numbers for the table are those of the five.
    many = replace(found, summaries=[replace(found.first, trial=replace(found.first.trial)) for _ in range(20)])
    only_five = replace(tried, measured_seeds=(1, 2, 3, 4, 5), other_seeds=(), measured=Failures(25, 300))
    told = basis(many, only_five)
    assert "those of seeds 1 to 5, which the run measured (the first 5 of its 20; over all of them" in told
    assert "and 25 of 300 (8.3%) did in the run" in told
    assert "Better in" not in told


def test_an_answer_that_nobody_waits_for_any_more_is_a_failure(tmp_path: Path) -> None:
    # Nobody is turned away: three hang in a connect without a timeout, the others in a queue that is as patient.
    patient = pool("3+0", pool_timeout=900, connection_timeout=0, statement_timeout=0)
    story = Scenario(
        name="patient", wake=profile("neon", latency_s=254.0), pools=(patient,), client_timeout_s=600,
        timeline=(Warm(), Suspend(), Burst(requests=20, over_s=6)), control=False,
    )  # fmt: skip
    run = played(story, tmp_path, control=False)
    assert run.summaries[0].failed == 0
    found = incident(run)
    assert (found.patience.seconds, found.failures(found.summaries)) == (30.0, Failures(20, 20))
    tried = changes(found, found.run.plan, lambda _: None)
    assert not [change.what for change in tried.helping() if change.what.startswith("pool_timeout")]
    page = draft(found, tried, charts=[], settings=Chart("", ""))
    assert "**20 of 20 requests failed (100%)**: 20 ok, but too late." in page
    assert "A request fails when it does not end ok within 30 s of its arrival (the default: the client's" in page
    assert incident(run, patience_s=400.0).failures(found.summaries).failed == 0
    with pytest.raises(UserError, match="patience must be positive"):
        incident(run, patience_s=0.0)


def test_the_default_run_is_told_what_helps(tmp_path: Path) -> None:
    # `coldstart run cold_burst`, its first pool at its worse wake: five of 200 fail, and one change saves all five.
    story = replace(load_scenario("cold_burst"), pools=("5+0",), expect=None)
    first = load_scenario("cold_burst").pool_configurations[0]
    run = played(replace(story, pools=(first,)), tmp_path, control=False)
    found = incident(run)
    assert found.failures(found.summaries) == Failures(5, 200)
    tried = changes(found, found.run.plan, lambda _: None)
    best = tried.helping()[0]
    assert (best.what, best.measured.saved, best.measured.lost) == ("connection_timeout: 10 → 15", 5, 0)
    assert (best.replayed.better_in, best.replayed.worse_in) == (5, 0)
    page = draft(found, tried, charts=[], settings=Chart("", ""))
    assert "- [ ] `connection_timeout: 10 → 15`: saves 5 of the 5 that fail and loses none;" in page
    assert "No setting alone" not in page
    (_, chart), *_ = styled(changes_chart(tried, found.patience))
    title = " ".join(chart.get_suptitle().split())
    assert title == "connection_timeout: 10 → 15: no request fails, where 5 of 200 did"


def test_a_story_that_every_seed_plays_alike_is_not_counted_five_times(tmp_path: Path) -> None:
    story = Scenario(
        name="given", wake=profile("neon", latency_s=12.0), pools=("3+0",), control=False,
        timeline=(Warm(), Suspend(), Burst.at(0.0, 1.0, 2.0, 3.0, 4.0)),
    )  # fmt: skip
    found = incident(played(story, tmp_path, control=False))
    tried = changes(found, found.run.plan, lambda _: None)
    assert (tried.measured_seeds, tried.other_seeds) == ((1,), ())
    assert "Every seed brings the same arrivals and wake" in draft(found, tried, charts=[], settings=Chart("", ""))


def test_nothing_failed_is_a_draft_too(run: Run, tmp_path: Path) -> None:
    calm = played(
        Scenario(name="calm", wake=profile("neon", latency_s=1.0), pools=("3+0",), timeline=STORY.timeline), tmp_path
    )
    found = incident(calm)
    page = draft(found, changes(found, found.run.plan, lambda _: None), charts=[], settings=Chart("", ""))
    assert "No request failed; the slowest answer took" in page
    assert "there is no cause to name" in page
    assert all(outcome.value not in section(page, "Impact") for outcome in Outcome if outcome is not Outcome.OK)


def test_the_command_writes_it_with_its_charts_beside_it(run: Run) -> None:
    done = CliRunner().invoke(command, [str(run.folder), "--at", "2025-12-02T01:55:56Z"])
    assert done.exit_code == 0, done.output
    page = (run.folder / NAME).read_text()
    assert done.stdout.strip() == str(run.folder / NAME)
    shown = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", page)
    assert [path for _, path in shown] == [
        "charts/requests-wake-12s.png", "charts/pool-wake-12s.png", "charts/settings.png",
    ]  # fmt: skip
    assert all((run.folder / path).is_file() and len(title) > 20 for title, path in shown)
    assert "01:55:56.0" in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--at", "yesterday"], "is no moment"), (["--pool", "1+1"], "no such configuration")],
)
def test_bad_input_is_one_line(run: Run, arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["postmortem", str(run.folder), *arguments])
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert said in line
