"""`coldstart run --target`: a user's own application as it is running, on the database of a running `coldstart up`."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.analysis import load
from harness.model.exit_status import EXIT_UNKNOWN
from tests.stacks.running import UP_WAKE_S, Up, application, coldstart, free_port, interrupted, up

SMALL = ["--pool", "2+1,pool_timeout=0.3", "--wake", "1", "--requests", "20", "--over", "1.5", "--no-charts"]


@pytest.fixture(scope="module", autouse=True)
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where every `coldstart up` of this module has its folder: nobody else's is found."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("runtime")
        folder.chmod(0o700)
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop")


@pytest.fixture(scope="module")
def database(folder: Path, runtime: Path) -> Iterator[Up]:
    del runtime
    with up(folder) as running:
        yield running


@pytest.fixture(scope="module")
def shop(folder: Path, database: Up) -> Iterator[str]:
    with application(folder, database.url) as url:
        yield url


@pytest.fixture(scope="module")
def observed_shop(folder: Path, database: Up) -> Iterator[str]:
    with application(folder, database.url, observed=True) as url:
        yield url


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs cold_burst at a target; the document of --json."""

    def at(url: str, *more: str) -> dict[str, Any]:
        done = coldstart(folder, "run", "cold_burst", "--target", url, *SMALL, "--json", "--out", str(tmp_path), *more)
        assert done.returncode in (0, EXIT_UNKNOWN), done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    return at


def test_without_the_line_a_failure_is_its_status_and_nothing_of_the_pool_is_known(
    run: Callable[..., dict[str, Any]], shop: str, database: Up
) -> None:
    before = database.settings()
    found = run(shop)
    (trial,), (control,) = found["trials"], found["controls"]
    assert found["stack"] == "target"
    assert control["outcomes"] == {"ok": 20}
    # Pool and queue hold 3 and wait 0.3 s; the wake takes 1 s.
    assert trial["outcomes"]["error"] > 5
    assert set(trial["outcomes"]) == {"ok", "error"}
    assert set(trial["errors"]) == {"HTTP 500"}
    assert trial["wake"]["latency_s"] == 1.0
    assert trial["woke_after_s"] == pytest.approx(1.0, abs=0.5)
    assert trial["wakes"] == 1
    for name in ("peak_checked_out", "peak_waiting", "recovered_after_s", "utilization_alert_s", "live_after",
                 "connects", "waited_s"):  # fmt: skip
        assert trial[name] is control[name] is None, name
    assert trial["checkout_wait_s"] == {}
    assert trial["complete"]
    assert database.settings() == before


def test_with_the_line_the_answers_tell_what_the_pool_did(
    run: Callable[..., dict[str, Any]], observed_shop: str
) -> None:
    found = run(observed_shop, "--no-control")
    (trial,) = found["trials"]
    assert trial["outcomes"]["pool_timeout"] > 5
    assert set(trial["outcomes"]) == {"ok", "pool_timeout"}
    assert trial["checkout_wait_s"]["max"] >= 0.29
    assert trial["waited_s"] > 1
    # Its queue's times are in the answers; how many waited is not.
    assert trial["peak_waiting"] is None


def test_every_trial_is_played_after_the_other_with_its_own_wake_and_the_events_of_the_proxy(
    run: Callable[..., dict[str, Any]], shop: str, database: Up
) -> None:
    found = run(shop, "--wake", "0.5", "--repeat", "2", "--no-control", "--set", "connection_timeout=5")
    assert [(trial["seed"], trial["wake"]["latency_s"]) for trial in found["trials"]] == [
        (1, 1.0), (1, 0.5), (2, 1.0), (2, 0.5),
    ]  # fmt: skip
    recorded = load(found["folder"])
    for trial in recorded.trials:
        events = recorded.of(trial, "events").sort_values("at_s")
        names = list(events["event"])
        for one in ("suspended", "first_attempt", "woken", "first_released", "last_released", "warmed"):
            assert names.count(one) == 1, (one, names)
        order = [name for name in names if name in ("warmed", "suspended", "first_attempt", "woken")]
        assert order == ["warmed", "suspended", "first_attempt", "woken"]
        # pool_size of cold_burst's warm phase: that of the label.
        assert json.loads(events[events["event"] == "warmed"]["detail"].iloc[0])["connections"] >= 2
    notes = " ".join(recorded.manifest.notes)
    assert "the pool 2+1 pool_timeout=0.3 connection_timeout=5 is what you say it runs with" in notes
    assert "warmed by requests" in notes
    assert notes.count("its answers don't say what their database did") == 1
    assert recorded.manifest.versions["postgresql"].endswith("(coldstart up)")
    assert "asyncpg" not in recorded.manifest.versions
    assert database.settings()["wake_latency_s"] == {UP_WAKE_S}


def test_what_it_writes_about_such_a_run_has_no_number_of_the_pool(
    run: Callable[..., dict[str, Any]], folder: Path, shop: str
) -> None:
    written = run(shop, "--charts")["folder"]
    charts = {file.name for file in (Path(written) / "charts").glob("*.svg")}
    assert "requests-wake-1s.svg" in charts
    assert not any(name.startswith(("pool", "held")) for name in charts)
    for command in ("compare", "report", "postmortem"):
        done = coldstart(folder, command, written)
        assert done.returncode in (0, EXIT_UNKNOWN), done.stderr
        if command == "compare":
            assert "–          –" in done.stdout
    draft = (Path(written) / "postmortem.md").read_text()
    assert "| longest queue | not known | not known |" in draft
    assert "The pool was not seen" in draft
    assert "the application was running already, and virtual time plays one" in draft
    for said in ("would not have come", "An alert that comes before", "What each setting would have changed\n"):
        assert said not in draft
    report = (Path(written) / "report.html").read_text()
    assert "never comes" not in report
    # The label's timeout explains nothing: nobody has seen that it is the pool's.
    assert "The queue waits no longer" not in report + draft


def test_a_story_with_a_slow_network_an_outage_and_lost_connections_leaves_nothing_behind(
    folder: Path, tmp_path: Path, shop: str, database: Up
) -> None:
    before = database.settings()
    (folder / "harm.py").write_text(
        "from harness.scenario import Burst, ConnectionLoss, Outage, Scenario, Slow, Warm\n"
        "from harness.wake import profile\n"
        "SCENARIO = Scenario(name='harm', wake=profile('neon', latency_s=1.0), pools=('2+1',), timeline=(\n"
        "    Warm(2), Slow(0.02), ConnectionLoss(0.5), Outage(0.5), Burst(10, 1.0)))\n"
    )
    done = coldstart(
        folder, "run", "harm.py", "--target", shop, "--pool", "2+1", "--no-charts", "--no-control", "--json",
        "--out", str(tmp_path),
    )  # fmt: skip
    assert done.returncode in (0, EXIT_UNKNOWN), done.stderr
    recorded = load(json.loads(done.stdout)["folder"])
    names = set(recorded.of(recorded.trials[0], "events")["event"])
    assert {"slow", "outage", "connections_lost", "woken"} <= names
    # `settings` looks at the toxics too.
    assert database.settings() == before


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_in_the_middle_gives_back_what_up_had_and_leaves_nothing_running(
    folder: Path, tmp_path: Path, shop: str, database: Up, how: signal.Signals
) -> None:
    before = database.settings()
    status, started = interrupted(
        folder, "run", "cold_burst", "--target", shop, "--pool", "2+1", "--wake", "60", "--no-charts",
        "--out", str(tmp_path),
        when=lambda: database.compute()["state"] == "waking", how=how,
    )  # fmt: skip
    assert status == (-how if how is signal.SIGKILL else 130)
    if how is not signal.SIGKILL:
        assert load(next(tmp_path.iterdir())).manifest.status == "aborted"
    assert started, "Locust was driving the burst"
    assert not psutil.wait_procs(started, timeout=10)[1]
    deadline_s = time.monotonic() + 10
    while database.compute()["lent"] and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert database.settings() == before
    assert before["state"] == "active"


def one_line(done: Any) -> str:
    assert done.returncode == 2, done.stderr
    lines: list[str] = [line for line in done.stderr.splitlines() if line.startswith("coldstart: ")]
    assert len(lines) == 1
    assert "Traceback" not in done.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--pool", "2+1"], ""),
        ([], "--target: no pool is given: the application has one, and only you know which (allowed: --pool 10+5, "),
        (["--set", "pool_size=3"], "--target: no pool is given"),
        (["--pool", "2+1", "--pool", "3+0"], "--target: 2 pools are given"),
        (["--pool", "2+1", "--parallel", "2"], "--parallel: there is one application, so one trial is played after"),
        (["--pool", "2+1", "--stack", "embedded"], "--target: a running application is on no embedded stack"),
        (["--pool", "2+1", "--stack", "simulated"], "--target: a running application is on no simulated stack"),
        (["--pool", "2+1", "--app", "main:app"], "--app: is for an application that is started, and --target is one"),
        (["--pool", "2+1", "--env", "url=DB"], "--env: is for an application that is started"),
        (["--pool", "2+1", "--prepare", "alembic"], "--prepare: is for an application that is started"),
        (["--pool", "2+1", "--recording", "r.jsonl"], "--recording: is for an application that is started"),
        (["--pool", "2+1", "--requests-file", "no.toml"], "no.toml: can't be read: No such file or directory"),
        (["--pool", "2+1", "--warm", "0"], "a pool that never connected (warm 0) is one of an application that has "),
        (["--pool", "2+1", "--service-time", "1"], "stack target: --service-time belongs to the simulated stack"),
        (["--pool", "2+1", "--up-port", "1"], "no coldstart up is running on port 1 (allowed: --up-port "),
    ],
)
def test_what_a_running_application_can_not_be_asked_is_refused_in_one_line(
    folder: Path, tmp_path: Path, shop: str, arguments: list[str], says: str
) -> None:
    if not says:
        # Beside the refusals: the same command without a mistake is played.
        arguments = [*arguments, "--stack", "target", "--wake", "0.1", "--requests", "2", "--over", "0.1"]
        arguments += ["--no-control", "--no-charts"]
    done = coldstart(folder, "run", "cold_burst", "--target", shop, *arguments, "--out", str(tmp_path / "runs"))
    if not says:
        assert done.returncode in (0, EXIT_UNKNOWN), done.stderr
        return
    assert says in one_line(done)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("localhost:8000", "--target: 'localhost:8000' is not a URL (allowed: http://HOST:PORT"),
        ("http://", "--target: 'http://' is not a URL"),
        ("http://me:secret@127.0.0.1", "--target: has a user in it: a run keeps it"),
        ("http://127.0.0.1:99999", "--target: is not a URL"),
        ("http://127.0.0.1/?a=1", "--target: 'http://127.0.0.1/?a=1' is more than an address"),
        ("http://127.0.0.1:{free}", "--target: nobody answers at http://127.0.0.1:"),
    ],
)
def test_what_is_no_address_of_an_application_is_refused_in_one_line(
    folder: Path, database: Up, target: str, says: str
) -> None:
    assert database.process.poll() is None
    line = one_line(coldstart(
        folder, "run", "cold_burst", "--pool", "2+1", "--target", target.replace("{free}", str(free_port()))
    ))  # fmt: skip
    assert says in line
    assert "secret" not in line


@pytest.mark.parametrize(
    ("scenario", "says"),
    [
        ("two_instances", "2 instances can't be played here (allowed: --stack simulated, --stack embedded"),
        ("deploys", "a deploy replaces its pool, which no request reaches (allowed: --app, which starts"),
        ("pooled", "a pooler (PgBouncer) can't be played here (allowed: --stack embedded"),
        ("limited", "max_connections = 20 can't be played here"),
        ("reaped", "a reaper of idle connections (IdleReaper) can't be played here"),
        ("costly", "a cost of connecting (ConnectCost) can't be played here"),
        ("aged", "ages_s of a warm phase are its pool's, which no request reaches"),
    ],
)
def test_a_story_that_needs_more_than_requests_is_refused_by_name(
    folder: Path, shop: str, scenario: str, says: str
) -> None:
    parts = {
        "two_instances": "instances=2, timeline=BURST",
        "deploys": "timeline=(Warm(), Deploy(), *BURST)",
        "pooled": "pooler=PgBouncer(), timeline=BURST",
        "limited": "max_connections=20, timeline=BURST",
        "reaped": "reaper=IdleReaper(after_s=10), timeline=BURST",
        "costly": "connect_cost=ConnectCost(takes_s=0.1), timeline=BURST",
        "aged": "timeline=(Warm(ages_s=(1.0, 0.0)), *BURST)",
    }
    (folder / f"{scenario}.py").write_text(
        "from harness.scenario import (\n"
        "    Burst, ConnectCost, Deploy, IdleReaper, PgBouncer, Scenario, Suspend, Warm\n)\n"
        "from harness.wake import profile\n"
        "BURST = (Suspend(), Burst(5, 0.5))\n"
        "COMMON = {'wake': profile('neon', latency_s=1), 'pools': ('2+1',)}\n"
        f"SCENARIO = Scenario(name='{scenario}', **COMMON, {parts[scenario]})\n"
    )
    done = coldstart(folder, "run", f"./{scenario}.py", "--target", shop, "--pool", "2+1")
    line = one_line(done)
    assert says in line
    assert f"scenario {scenario} on stack target" in line


def test_the_only_coldstart_up_is_taken_and_one_of_several_is_named(folder: Path, shop: str, database: Up) -> None:
    with up(folder) as other:
        run = ["run", "cold_burst", "--target", shop, "--pool", "2+1", "--no-charts"]
        assert "2 coldstart up are running (allowed: --up-port" in one_line(coldstart(folder, *run))
        # The application's database is not this one's.
        line = one_line(coldstart(folder, *run, "--up-port", str(other.port)))
        assert f"its requests opened no connection to the database of coldstart up on port {other.port}" in line
        assert shop in line
        assert other.settings()["state"] == "active"
    assert database.settings()["lent"] is False


def test_without_a_coldstart_up_one_line_says_how_to_start_one(folder: Path, tmp_path: Path, shop: str) -> None:
    done = coldstart(folder, "run", "cold_burst", "--target", shop, "--pool", "2+1", XDG_RUNTIME_DIR=str(tmp_path),
                     TMPDIR=str(tmp_path))  # fmt: skip
    assert one_line(done) == (
        "coldstart: no coldstart up is running: start one in another terminal, coldstart up --wake 8"
    )


def test_a_request_that_can_not_succeed_is_refused_before_a_trial(folder: Path, tmp_path: Path, shop: str) -> None:
    (tmp_path / "wrong.toml").write_text('[[request]]\nname = "wrong"\npath = "/nothing"\n')
    done = coldstart(
        folder, "run", "cold_burst", "--target", shop, "--pool", "2+1", "--out", str(tmp_path / "runs"),
        "--requests-file", str(tmp_path / "wrong.toml"),
    )  # fmt: skip
    assert "request wrong (GET /nothing): was answered with 404: Not Found while the database was" in one_line(done)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--up-port", "5433"], "--up-port: is about an application that is running (allowed: with --target)"),
        (["--stack", "target"], "stack target: is an application that is running (allowed: --target URL)"),
        (["--requests-file", "r.toml"], "run: --requests-file is about an application of one's own (allowed: with --"),
    ],
)
def test_what_belongs_to_a_target_is_refused_without_one(folder: Path, arguments: list[str], says: str) -> None:
    assert says in one_line(coldstart(folder, "run", "cold_burst", *arguments))
