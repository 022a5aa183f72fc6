"""`coldstart scenario from-log` and `coldstart new` write scenario files that load and play as they are."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import coldstart
from harness.library import load_scenario
from harness.model.errors import UserError
from harness.model.timeline import At, Burst, Traffic

LINE = '203.0.113.9 - - [02/Dec/2025:01:{minute:02}:{second:02} +0000] "{request} HTTP/1.1" 200 512\n'


def invoked(*arguments: str) -> Result:
    return CliRunner().invoke(coldstart, arguments, catch_exceptions=False)


def from_log(*arguments: str) -> Result:
    done = invoked("scenario", "from-log", *arguments)
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two minutes at one request a second, one at ten; a fifth of them are writes."""
    monkeypatch.chdir(tmp_path)
    moments = [*range(120), *(120 + tenth // 10 for tenth in range(600))]
    requests = ("POST /plays", "GET /tracks/1", "GET /tracks/2?x=1", "GET /", "GET /tracks/3")
    lines = [
        LINE.format(minute=moment // 60, second=moment % 60, request=requests[number % 5])
        for number, moment in enumerate(moments)
    ]
    (tmp_path / "night.log").write_text("".join(lines))
    return tmp_path


def played(path: str) -> Result:
    return invoked("run", path, "--stack", "simulated", "--no-charts", "--no-control")


def test_the_log_is_cut_into_phases_of_one_rate() -> None:
    told = from_log("night.log").stdout
    written = Path("night.py").read_text()
    assert "Burst.rate(1, for_s=120, mix=mix),\n    Burst.rate(10, for_s=60, mix=mix),\n" in written
    assert 'RequestMix.of({"write_play": 144, "read_track": 576})' in written
    assert len(written.splitlines()) <= 25
    (_, _, traffic) = load_scenario("night.py").timeline
    assert isinstance(traffic, Traffic)
    assert traffic.requests == 720
    assert "720 requests, from 2025-12-02 01:00:00 UTC to 2025-12-02 01:02:59 UTC" in told
    assert "most in a second: 10; in a minute: 600, 10 a second" in told
    assert "taken for 576 read_track, 144 write_play" in told
    assert "in 2 phases of one rate" in told


def test_what_is_written_plays(folder: Path) -> None:
    from_log("night.log", "--speed", "20")
    from_log("night.log", "--speed", "20", "--replay", "--out", "replayed.py")
    for name in ("night", "replayed"):
        done = played(f"{name}.py")
        assert done.exit_code == 0, done.output
        assert "720" in done.stdout
    assert len(list((folder / "results" / "runs").iterdir())) == 2


def test_a_replay_reads_the_log_from_wherever_the_file_is(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "night.csv").write_text("at,what\n2025-12-02T01:00:00,POST /a\n2025-12-02T01:00:05.5,GET /b\n")
    columns = ["--time-column", "at", "--request-column", "what"]
    from_log("night.csv", *columns, "--replay", "--speed", "2", "--rate", "2", "--out", "mine/night.py")
    replay = 'Replay("../night.csv", speed=2, rate=2, columns=("at", "what"), requests={"POST *": "write_play"})'
    assert replay in (folder / "mine" / "night.py").read_text()
    (burst,) = load_scenario(str(folder / "mine" / "night.py")).bursts
    assert burst.given_s == (0.0, 0.0, 2.75, 2.75)
    assert burst.given_requests == ("write_play", "write_play", "read_track", "read_track")


def test_after_a_stretch_without_requests_the_bursts_have_their_moments() -> None:
    moments = [*range(300), *range(2_000, 2_300)]
    Path("gap.jsonl").write_text("".join(json.dumps({"time": moment}) + "\n" for moment in moments))
    told = from_log("gap.jsonl").stdout
    assert "from 0 s to 2299 s" in told
    (_, _, traffic) = load_scenario("gap.py").timeline
    assert isinstance(traffic, Traffic)
    first, second = traffic.phases
    assert isinstance(first, Burst)
    assert isinstance(second, At)
    assert (first.requests, traffic.requests, second.at_s) == (300, 600, 2_000)


def test_pools_are_written_as_a_scenario_has_them() -> None:
    from_log("night.log", "--pool", "20+0", "--pool", "5+0,pool_timeout=2.5,use_lifo=false")
    first, second = load_scenario("night.py").pool_configurations
    assert first.short == "20+0"
    assert (second.short, second.pool_timeout_s, second.use_lifo) == ("5+0", 2.5, False)


def test_a_file_that_is_there_is_kept_unless_forced() -> None:
    Path("night.py").write_text("mine\n")
    with pytest.raises(UserError, match=r"night.py: is there already \(allowed: another --out, or --force"):
        from_log("night.log")
    assert Path("night.py").read_text() == "mine\n"
    from_log("night.log", "--force")
    assert load_scenario("night.py").name == "night"


def test_a_log_of_any_name_gives_a_scenario_with_a_name() -> None:
    Path('a "b" \\ c.csv').write_text("time\n1\n2\n")
    from_log('a "b" \\ c.csv')
    assert load_scenario("a_b_c.py").description.startswith("The load of a _b_ _ c.csv, ")
    from_log('a "b" \\ c.csv', "--replay", "--force")
    assert load_scenario("a_b_c.py").bursts[0].requests == 2


def test_new_writes_a_scenario_that_plays_as_it_is(folder: Path) -> None:
    (folder / "mine").mkdir()
    invoked("new", "first", "--out", "mine")
    scenario = load_scenario("mine/first.py")
    assert (scenario.name, len(scenario.pools)) == ("first", 2)
    done = played("mine/first.py")
    assert done.exit_code == 0, done.output
    assert "reproduced" in done.stdout


def test_new_keeps_a_file_that_is_there() -> None:
    Path("first.py").write_text("mine\n")
    with pytest.raises(UserError, match=r"first.py: is there already \(allowed: another name, or another folder"):
        invoked("new", "first")
    assert Path("first.py").read_text() == "mine\n"
