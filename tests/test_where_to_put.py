"""CONTRIBUTING says where the commonest changes go; some are made here, on a copy, in those places and no other."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("### Where do I put")[2].partition("\n\nWhere a second")[0]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout to be changed: the package, and the tests that look at it."""
    for folder in ("harness", "tests", "results", "scenarios"):
        ignored = shutil.ignore_patterns("__pycache__", "runs")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def places(change: str) -> list[str]:
    """The files that the row of this change names."""
    (row,) = re.findall(rf"^\| {re.escape(change)} \|(.*)\|$", TABLE, re.MULTILINE)
    return re.findall(r"`(harness/[\w/]+\.py)`", row)


def insert(copy: Path, file: str, before: str, text: str) -> None:
    path = copy / file
    source = path.read_text(encoding="utf-8")
    assert source.count(before) == 1, f"{file} has no single {before!r}"
    path.write_text(source.replace(before, text + before), encoding="utf-8")


def run(copy: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=copy, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(copy)},
    )  # fmt: skip


def printed(copy: Path, code: str) -> list[str]:
    done = run(copy, "-c", code)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def complaints(copy: Path) -> set[str]:
    """The files that the type check complains about."""
    done = run(copy, "-m", "mypy", "harness")
    found = set(re.findall(r"^(\S+?):\d+: error", done.stdout, re.MULTILINE))
    assert found or done.returncode == 0, done.stdout + done.stderr
    return found


def test_each_change_names_two_places_that_exist() -> None:
    rows = [row.strip("|").split(" | ") for row in TABLE.splitlines() if row.startswith("| a")]
    assert len(rows) >= 10
    for row in rows:
        assert len(row) == 3, row
        files = re.findall(r"`(harness/\S+?)`", " ".join(row))
        assert files, row
        assert all((ROOT / file).exists() for file in files), row


def test_an_outcome_is_one_entry_that_files_documents_and_colours_follow(copy: Path) -> None:
    outcomes, classify = places("an outcome")
    assert (ROOT / classify).is_file()
    insert(copy, outcomes, '    ERROR = "error"', '    SHED = "shed", Facts("Turned away", Role.REFUSED, 503)\n')
    assert printed(
        copy,
        "from harness.model.outcomes import FAILURES, Outcome\n"
        "from harness.model.summary import SUMMARY\n"
        "from harness.analysis.charts.paper import outcome_colour\n"
        "from harness.results.document import page\n"
        "print(Outcome.SHED in FAILURES, [column.name for column in SUMMARY].count('shed'))\n"
        "print('Turned away' in page(), outcome_colour(Outcome.SHED) == outcome_colour(Outcome.CONNECT_ERROR))\n",
    ) == ["True 1", "True True"]


def test_a_statistic_is_one_entry_that_json_csv_and_the_document_follow(copy: Path) -> None:
    insert(
        copy, places("a statistic")[0], "    @property\n    def failed(",
        "    @property\n    def per_slot(self) -> Annotated[float, Statistic('Requests a slot', after='requests')]:\n"
        "        return self.requests / self.trial.pool.capacity\n\n",
    )  # fmt: skip
    assert printed(
        copy,
        "from harness.analysis import load\n"
        "from harness.model.summary import SUMMARY\n"
        "from harness.results.document import page\n"
        "first = load('results/sample/simulated').summaries[0]\n"
        "print(first.to_json()['per_slot'] == first.requests / first.trial.pool.capacity)\n"
        "print([column.name for column in SUMMARY].count('per_slot'), 'Requests a slot' in page())\n",
    ) == ["True", "1 True"]


def test_a_timeline_phase_fails_the_type_check_in_the_other_place_until_it_is_played(copy: Path) -> None:
    timeline, player = places("a timeline phase")
    insert(
        copy, timeline, "TimelinePhase: TypeAlias",
        "@dataclass(frozen=True, slots=True)\nclass Failover:\n    '''The compute moves.'''\n\n\n",
    )  # fmt: skip
    path = copy / timeline
    path.write_text(
        path.read_text().replace("TimelinePhase: TypeAlias = Warm |", "TimelinePhase: TypeAlias = Failover | Warm |")
    )
    assert complaints(copy) == {player}
    insert(copy, player, "            case Idle(", "            case Failover():\n                pass\n")
    path = copy / player
    path.write_text(path.read_text().replace("    Deploy,\n", "    Deploy,\n    Failover,\n", 1))
    assert complaints(copy) == set()
    assert printed(
        copy,
        "from harness.model.story import Story\n"
        "from harness.model.timeline import Burst, Failover\n"
        "from harness.model.wake import profile\n"
        "from harness.converter import from_json, to_json\n"
        "import json\n"
        "story = Story(name='x', wake=profile('neon'), timeline=(Failover(), Burst(1, 1.0)))\n"
        "print(from_json(json.loads(json.dumps(to_json(story))), Story, where='') == story)\n",
    ) == ["True"]


def test_a_request_kind_fails_the_type_check_in_the_other_place_until_it_is_carried_out(copy: Path) -> None:
    arrivals, requests = places("a request kind")
    insert(copy, arrivals, "    SLOW_QUERY =", '    SEARCH = "search", "GET", "/search?after={key}"\n')
    assert complaints(copy) == {requests}
    insert(
        copy, requests, "        case RequestName.SLOW_QUERY:",
        "        case RequestName.SEARCH:\n            return await list_tracks(database, track)\n",
    )  # fmt: skip
    assert complaints(copy) == set()
    assert printed(
        copy,
        "from types import SimpleNamespace\n"
        "from harness.service.app import create_app\n"
        "routes = create_app(SimpleNamespace(shapes={})).routes\n"
        "print(any(getattr(route, 'path', '') == '/search' for route in routes))\n",
    ) == ["True"]


def test_a_scenario_field_is_kept_in_manifests_and_a_test_asks_which_stack_honours_it(copy: Path) -> None:
    story, honoured = places("a scenario field")[0], places("a scenario field")[-1]
    insert(copy, story, "    retry: Retry | None = None", "    regions: int = 1\n    '''How many.'''\n")
    assert complaints(copy) == set()
    assert printed(
        copy,
        "from harness.library import load_scenario\n"
        "from harness.converter import to_json\n"
        "print(to_json(load_scenario('cold_burst'))['regions'])\n",
    ) == ["1"]
    done = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/stacks/test_honoured.py")
    assert done.returncode == 1
    assert "regions" in done.stdout
    text = (copy / honoured).read_text(encoding="utf-8")
    (copy / honoured).write_text(text.replace('        "retry": ', '        "regions": COMMON,\n        "retry": ', 1))
    done = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/stacks/test_honoured.py")
    assert done.returncode == 0, done.stdout
