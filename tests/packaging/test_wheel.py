"""From the wheel alone, in an empty folder, every command works: nothing of the checkout is needed or found."""

import functools
import http.server
import json
import os
import subprocess
import sys
import sysconfig
import threading
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.cli import COMMANDS

ROOT = Path(__file__).parent.parent.parent
SIMULATED = [
    "cold_burst",
    "--stack",
    "simulated",
    "--pool",
    "5+0",
    "--pool",
    "10+5",
    "--wake",
    "12",
    "--requests",
    "50",
    "--no-charts",
]
SWEEP = ["cold_burst", "--pool-size", "5:10:5", "--max-overflow", "0:0:1", "--wake", "8", "--requests", "40",
         "--no-charts"]  # fmt: skip
EMBEDDED = [
    "cold_burst",
    "--stack",
    "embedded",
    "--pool",
    "5+0",
    "--wake",
    "0.5",
    "--requests",
    "20",
    "--over",
    "1",
    "--no-charts",
]


@dataclass(frozen=True, slots=True)
class Installed:
    """A virtual environment with the wheel in it, and a folder that was empty."""

    programs: Path
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [self.programs / program, *words]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def start(self, *words: str) -> "subprocess.Popen[str]":
        command = [self.programs / "coldstart", *words]
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True)

    def coldstart(self, *words: str) -> str:
        """What it prints. Fails when it does not end with status 0."""
        done = self.run("coldstart", *words)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel is built here, offline, and installed by itself; what it depends on is that of this environment.

    A line in a .pth file makes the same packages importable without the .pth file beside them that leads to the
    checkout.
    """
    top = tmp_path_factory.mktemp("wheel")
    python = top / "environment" / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    made: Sequence[Sequence[str]] = [
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(top / "dist")],
        [*uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(top / "environment")],
    ]
    for command in made:
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (top / "dist").glob("*.whl")
    install = [*uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(python), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    variables = {"base": str(top / "environment"), "platbase": str(top / "environment")}
    packages = Path(sysconfig.get_path("purelib", "venv", variables))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (top / "empty").mkdir()
    return Installed(python.parent, top / "empty")


@contextmanager
def start_http_server(folder: Path) -> Iterator[str]:
    """The files of a folder on loopback; the URL."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def run_id(installed: Installed) -> str:
    """A simulated run that is there."""
    return str(json.loads(installed.coldstart("run", *SIMULATED, "--json"))["run"])


@pytest.fixture(scope="module")
def with_examples(installed: Installed) -> Installed:
    installed.coldstart("examples")
    return installed


def test_it_is_the_wheel_that_runs(installed: Installed) -> None:
    done = installed.run("python", "-c", "import harness, sys; print(harness.__file__); print(sys.path)")
    assert str(installed.programs.parent) in done.stdout
    assert str(ROOT / "harness") not in done.stdout
    assert f"'{ROOT}'" not in done.stdout


def test_both_names_of_the_command_say_the_version(installed: Installed) -> None:
    first, second = (installed.run(name, "--version").stdout for name in ("coldstart", "pg-coldstart"))
    assert first == second == f"coldstart, version {_version()}\n"


def test_a_run_names_the_version_and_no_commit_of_a_repository_around_it(installed: Installed, run_id: str) -> None:
    document = json.loads((installed.folder / "results" / "runs" / run_id / "manifest.json").read_text())
    assert document["versions"]["coldstart"] == _version()
    assert document["git_commit"] is None


def test_list_has_the_scenarios(installed: Installed) -> None:
    shown = installed.coldstart("list", "scenarios")
    names = {path.stem for path in (ROOT / "scenarios").glob("*.py")} - {"locustfile"}
    assert all(name in shown for name in names)


def test_doctor_finds_what_is_installed(installed: Installed) -> None:
    assert "stack embedded: yes" in installed.coldstart("doctor")


def test_run_in_real_time(installed: Installed) -> None:
    assert "20" in installed.coldstart("run", *EMBEDDED)


def test_sweep(installed: Installed) -> None:
    assert "10+0" in installed.coldstart("sweep", *SWEEP)


def test_resume(installed: Installed) -> None:
    # By a path of its own: the newest run is other tests'.
    installed.coldstart("sweep", *SWEEP, "--out", "cut-short")
    (manifest,) = (installed.folder / "cut-short").glob("*/manifest.json")
    document = json.loads(manifest.read_text())
    document["trials"][0]["wall_s"] = None
    manifest.write_text(json.dumps({**document, "status": "aborted"}))
    assert "10+0" in installed.coldstart("resume", str(manifest.parent), "--no-charts")
    assert json.loads(manifest.read_text())["status"] == "complete"


def test_recommend(installed: Installed) -> None:
    times = ["--service-time", "0.02", "--connect-time", "0.1"]
    arguments = [
        "cold_burst",
        "--wake",
        "2",
        "--requests",
        "20",
        "--over",
        "1",
        "--repeat",
        "2",
        "--pool-size",
        "5",
        *times,
    ]
    assert "DATABASE_CONNECTION_TIMEOUT=3" in installed.coldstart("recommend", *arguments)


def test_lint(installed: Installed) -> None:
    assert "nothing to mend" in installed.coldstart("lint", "--pool", "10+5", "--wake", "neon")


def test_check(installed: Installed) -> None:
    story = 'scenario = "cold_burst"\nrequests = 40\nwake = 12\npool = "5+0"'
    (installed.folder / "coldstart.toml").write_text(f'[[check]]\n{story}\nslo = "failed<1%"\n')
    done = installed.run("coldstart", "check", "--junit", "junit.xml")
    assert done.returncode == 4, done.stderr
    assert "1 missed in 1 check" in done.stdout
    assert "<failure " in (installed.folder / "junit.xml").read_text()
    # A check is a command of its own where it is met, too.
    (installed.folder / "coldstart.toml").write_text(f'[[check]]\n{story}\nslo = "failed<=100%"\n')
    assert "1 met in 1 check" in installed.coldstart("check")


def test_worst_finds_a_story_that_its_file_plays(installed: Installed) -> None:
    words = ("cold_burst", "--pool", "2+0", "--set", "connection_timeout=1", "--requests", "5", "--out", "bad.py")
    done = installed.run("coldstart", "worst", *words)
    assert done.returncode == 4, done.stderr
    assert "reproduced" in installed.coldstart("run", "bad.py", "--stack", "simulated", "--no-charts")


def test_two_pools_of_a_run_part(installed: Installed, run_id: str) -> None:
    done = installed.run("coldstart", "diff", run_id, "--pool", "5+0", "--pool", "10+5")
    assert done.returncode == 1, done.stderr
    assert "They part at request" in done.stdout
    assert "Both did the same" in installed.coldstart("diff", run_id, run_id, "--tolerance", "0")


def test_compare(installed: Installed, run_id: str) -> None:
    assert "10+5" in installed.coldstart("compare", run_id, "--markdown")


def test_report(installed: Installed, run_id: str) -> None:
    assert Path(installed.folder, installed.coldstart("report", run_id).strip()).stat().st_size > 50_000


def test_runs(installed: Installed, run_id: str) -> None:
    assert json.loads(installed.coldstart("runs", "--json"))["runs"]


def test_calibrate(installed: Installed) -> None:
    assert "median" in installed.coldstart("calibrate")


def test_toxiproxy(installed: Installed) -> None:
    assert "Toxiproxy" in installed.coldstart("toxiproxy", "--help")


def test_up_and_its_commands(installed: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    words = ("up", "--port", "0", "--wake", "0.1")
    with installed.start(*words) as up:
        assert up.stdout is not None
        assert up.stdout.readline().startswith("postgresql://coldstart:")
        while "Ctrl-C stops it" not in up.stdout.readline():
            assert up.poll() is None
        assert installed.coldstart("suspend") == "suspended\n"
        assert installed.coldstart("wake").startswith("awake after 0.1")
        up.terminate()
        assert up.wait(timeout=30) == 0
    assert list(runtime.iterdir()) == []


def test_an_application_is_asked_recorded_and_played(installed: Installed) -> None:
    for name in ("main.py", "schema.sql", "requests.toml"):
        (installed.folder / name).write_bytes((ROOT / "examples" / "minimal" / name).read_bytes())
    installed.coldstart("record", "--app", "main:app", "--init", "schema.sql", "--times", "3")
    words = ("cold_burst", "--app", "main:app", "--pool", "2+0", "--wake", "1", "--requests", "20", "--over", "2")
    (trial,) = json.loads(installed.coldstart("run", *words, "--stack", "simulated", "--no-control", "--json"))[
        "trials"
    ]
    assert trial["outcomes"] == {"ok": 20}
    assert trial["not_played"] == {}


def test_requests_of_an_access_log(installed: Installed) -> None:
    (installed.folder / "day.csv").write_text("time,request\n0,GET /tracks/7\n1,GET /tracks/9\n")
    written = installed.coldstart("requests", "from-log", "day.csv")
    assert 'path = "/tracks/{key}"' in written
    assert "keys = [7, 9]" in written


def test_requests_of_a_locustfile(installed: Installed) -> None:
    lines = "from locust import HttpUser, task\n\nclass One(HttpUser):\n    @task\n    def ask(self):\n"
    (installed.folder / "locustfile.py").write_text(f'{lines}        self.client.get("/day.csv", name="day")\n')
    (installed.folder / "day.csv").touch()
    with start_http_server(installed.folder) as url:
        written = installed.coldstart("requests", "from-locustfile", "locustfile.py", "--target", url, "--tasks", "5")
    assert 'path = "/day.csv"' in written
    assert "weight = 5" in written


def test_the_guests_folder_has_its_module(installed: Installed) -> None:
    folder = installed.coldstart("guest-path").strip()
    assert Path(folder, "coldstart_guest.py").is_file()
    assert str(installed.programs.parent) in folder


def test_examples_are_the_checkouts_own_files(with_examples: Installed) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "scenarios", "results"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    for name in tracked:
        assert (with_examples.folder / name).read_bytes() == (ROOT / name).read_bytes(), name


def test_examples_never_write_over_a_file(with_examples: Installed) -> None:
    mine = with_examples.folder / "scenarios" / "cold_burst.py"
    before = mine.read_text()
    mine.write_text(before + "# mine\n")
    done = with_examples.run("coldstart", "examples")
    assert (done.returncode, mine.read_text()) == (2, before + "# mine\n")
    assert "is there already" in done.stderr
    mine.write_text(before)


def test_postmortem_of_the_incidents_sample(with_examples: Installed) -> None:
    words = ("postmortem", "results/sample/incident", "--at", "2025-12-02T01:55:56Z")
    draft = with_examples.folder / with_examples.coldstart(*words).strip()
    assert "2025-12-02" in draft.read_text()


def test_locust_plays_a_scenario(with_examples: Installed) -> None:
    done = with_examples.run("python", "-m", "locust", "-f", "scenarios/locustfile.py", "--list")
    assert "ScenarioUser" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "written"), [(("new", "shop"), "shop.py"), (("scenario", "from-log", "night.csv"), "night.py")]
)
def test_a_scenario_is_written_and_played(installed: Installed, words: tuple[str, ...], written: str) -> None:
    lines = "".join(f"{moment},GET /tracks/7\n" for moment in range(60))
    (installed.folder / "night.csv").write_text(f"time,request\n{lines}")
    installed.coldstart(*words)
    document = json.loads(installed.coldstart("run", written, "--stack", "simulated", "--no-control", "--json"))
    assert document["trials"][0]["requests"] > 0


def test_every_command_is_tried_here() -> None:
    source = Path(__file__).read_text()
    assert [name for name in COMMANDS if f'("{name}"' not in source and f'"coldstart", "{name}"' not in source] == []


def _version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
