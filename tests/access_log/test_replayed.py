"""A scenario's logs are read when it has been loaded: what is played and kept is a burst with their moments."""

import json
from pathlib import Path

import pytest

from harness.access_log import with_logs_read
from harness.converter import from_json, to_json
from harness.library import load_scenario
from harness.model.errors import UserError
from harness.model.plan import Overrides, PlannedRun
from harness.model.replay import Replay
from harness.model.scenario import RealTime, Scenario, Variant
from harness.model.timeline import At, Burst, Suspend, Traffic, Warm
from harness.model.wake import profile
from harness.scenario_file import import_file

LOG = "time,request\n0.5,GET /a\n1.5,POST /a\n3.0,GET /b\n"
FILE = '''"""A night."""

from harness.scenario import At, Checkout, Query, Replay, RequestShape, Scenario, Suspend, Traffic, Warm
from harness.wake import profile

upload = RequestShape("upload", Checkout(Query()))

SCENARIO = Scenario(
    name="mine",
    wake=profile("neon", latency_s=2.0),
    pools=("5+0",),
    timeline=(Warm(), Traffic(Replay("night.csv", requests={"POST *": upload}), At(1, Suspend()))),
)
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "night.csv").write_text(LOG)
    (tmp_path / "mine.py").write_text(FILE)
    return tmp_path


def test_the_log_beside_the_file_is_in_its_place(folder: Path) -> None:
    traffic = load_scenario(str(folder / "mine.py")).timeline[1]
    assert isinstance(traffic, Traffic)
    assert [type(phase) for phase in traffic.phases] == [Burst, At]
    assert traffic.bursts[0].given_s == (0.0, 1.0, 2.5)
    assert [arrival.request.value for arrival in traffic.schedule(1)] == ["read_track", "upload", "read_track"]


def test_a_log_in_the_current_directory_is_found_and_the_one_beside_the_file_comes_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "here").mkdir()
    monkeypatch.chdir(folder / "here")
    (folder / "here" / "night.csv").write_text("time\n1\n")
    assert load_scenario("../mine.py").bursts[0].requests == 3
    (folder / "night.csv").unlink()
    assert load_scenario("../mine.py").bursts[0].requests == 1


def test_a_manifest_needs_no_log(folder: Path) -> None:
    plan = PlannedRun(scenario=load_scenario(str(folder / "mine.py")))
    document = json.dumps(to_json(plan))
    (folder / "night.csv").unlink()
    assert "night.csv" not in document
    again = from_json(json.loads(document), PlannedRun, where="a manifest")
    assert again == plan
    assert again.trials[0].story.bursts[0].schedule(1) == plan.trials[0].story.bursts[0].schedule(1)


def test_executing_the_file_reads_no_log(folder: Path) -> None:
    (folder / "night.csv").unlink()
    assert isinstance(import_file(folder / "mine.py").SCENARIO, Scenario)
    with pytest.raises(UserError, match=r"^Replay\('night.csv'\): no such file \(allowed: a path from the scenario's"):
        load_scenario(str(folder / "mine.py"))
    (folder / "night.csv").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        load_scenario(str(folder / "mine.py"))


def test_a_line_that_cant_be_read_is_named_when_the_scenario_is_loaded(folder: Path) -> None:
    (folder / "night.csv").write_text("time\nsoon\n")
    with pytest.raises(UserError, match=r"night.csv, line 2: 'soon' is not a moment \(allowed: ISO 8601"):
        load_scenario(str(folder / "mine.py"))


def test_logs_are_read_in_variants_and_in_what_is_shortened_for_real_time(folder: Path) -> None:
    replayed = (Warm(), Replay("night.csv", speed=2))
    scenario = Scenario(
        name="mine",
        wake=profile("neon"),
        pools=("5+0",),
        timeline=replayed,
        variants=(Variant("as it was", timeline=replayed), Variant("calm", timeline=(Burst(2, 1.0),))),
        real_time=RealTime("short", timeline=replayed, variants=(Variant("only", timeline=replayed),)),
    )
    read = with_logs_read(scenario, beside=folder)
    for real_time in (False, True):
        for story in PlannedRun(scenario=read, real_time=real_time).stories.values():
            assert {type(burst) for burst in story.bursts} == {Burst}
    assert [burst.requests for story in read.stories.values() for burst in story.bursts] == [3, 2]
    assert read.timeline[1] == Burst.at(0.0, 0.5, 1.25, requests=["read_track"] * 3)


def test_other_numbers_on_the_command_line_keep_what_the_log_asks_for(folder: Path) -> None:
    scenario = load_scenario(str(folder / "mine.py"))
    (burst,) = PlannedRun(scenario=scenario, overrides=Overrides(requests=9)).trials[0].story.bursts
    assert (burst.requests, burst.arrivals, burst.given_requests) == (9, "poisson", ())
    assert burst.mix == scenario.bursts[0].mix


def test_a_scenario_without_logs_is_left_as_it_is() -> None:
    scenario = Scenario(
        name="mine", wake=profile("neon"), pools=("5+0",),
        timeline=(Warm(), Suspend(), Burst(3, 1.0)),
    )  # fmt: skip
    assert with_logs_read(scenario, beside=Path()) == scenario
