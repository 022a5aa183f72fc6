"""The layout is the architecture: imports point one way, in no circle, and locust stays where it belongs."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

HARNESS = Path(__file__).parent.parent / "harness"

# The rooms in the order in which they build on each other: each may import the model, itself, and the rooms named
# here, which stand before it.
ROOMS: dict[str, set[str]] = {
    "model": set(),
    # Every model as JSON, for files and for messages.
    "converter": set(),
    # What a scenario file imports.
    "scenario": set(),
    "wake": set(),
    "shipped": set(),
    "scenario_file": set(),
    "access_log": set(),
    "library": {"access_log", "scenario_file", "shipped"},
    "player": set(),
    # How long a loop stood still, in every process.
    "heartbeat": set(),
    # What says that a connection failed.
    "asyncpg_errors": set(),
    # What an application's recording is read by, inside of that application's own Python.
    "recording": set(),
    "processes": set(),
    "proxy": {"converter", "heartbeat", "processes"},
    "postgres": {"asyncpg_errors", "heartbeat", "processes"},
    "up": {"postgres", "processes", "proxy"},
    "pgbouncer": {"asyncpg_errors", "converter", "postgres", "processes"},
    "compose": {"postgres", "processes", "proxy", "shipped"},
    "sleeper": {"asyncpg_errors", "compose", "processes", "proxy"},
    "service": {"asyncpg_errors", "converter", "heartbeat", "postgres", "processes"},
    "results": {"converter", "shipped"},
    "simulation": {"converter", "player", "processes", "recording", "results", "service"},
    # Dask's scheduler and its workers, which play trials in virtual time.
    "cluster": {"converter", "processes", "simulation"},
    # Runs in the process of a user's own application.
    "guest": {"heartbeat", "player", "recording", "service", "simulation"},
    # The same application from outside: its files, and its processes.
    "application": {"guest", "postgres", "processes", "service", "simulation"},
    "analysis": {"results"},
    # What plays many trials to find an answer: recommend, lint, the worst story.
    "search": {"application", "simulation"},
    "recommend": {"analysis", "results", "search", "simulation"},
    "worst": {"analysis", "converter", "recommend", "search", "simulation"},
    "postmortem": {"analysis", "processes", "recommend", "results", "search", "simulation"},
    "lint": {"analysis", "application", "search"},
    "stacks": {
        "application",
        "cluster",
        "compose",
        "converter",
        "guest",
        "heartbeat",
        "recording",
        "library",
        "up",
        "pgbouncer",
        "player",
        "processes",
        "proxy",
        "postgres",
        "service",
        "simulation",
    },
    # It brings up a stack for Locust's own command line; the stacks start it as a program.
    "load": {"converter", "guest", "heartbeat", "library", "player", "processes", "service", "stacks"},
    "run": {"analysis", "processes", "results", "stacks"},
    # Objectives that fail a build, judged on runs.
    "gate": {"analysis", "results", "run", "stacks"},
}
TOP = {"cli", "__main__", "pytest_plugin"}


def room(path: Path) -> str:
    """The folder or file directly under harness/ that it belongs to."""
    return path.relative_to(HARNESS).parts[0].removesuffix(".py")


def files() -> list[Path]:
    return sorted(path for path in HARNESS.rglob("*.py") if path != HARNESS / "__init__.py")


def module_of(path: Path, root: Path = HARNESS) -> str:
    """`harness.proxy.proxy`; of a package's `__init__.py`, the package."""
    return ".".join(("harness", *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")


MODULES = frozenset(module_of(path) for path in files())


def modules_imported(source: str, modules: Iterable[str] = MODULES) -> set[str]:
    """Which of the modules a file imports, anywhere in it: in functions and under `if TYPE_CHECKING` too."""
    known, named = set(modules), set[str]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            named |= {name if name in known else node.module or "" for name in names}
    return named & known


def circle(imports: Mapping[str, set[str]]) -> list[str] | None:
    """One circle of the graph, its first module again at its end; None: there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return None


def imports_of_every_file() -> dict[str, set[str]]:
    return {module_of(path): modules_imported(path.read_text()) - {module_of(path)} for path in files()}


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(HARNESS)))
def test_imports_point_one_way(path: Path) -> None:
    mine = room(path)
    if mine in TOP:
        return
    assert mine in ROOMS, f"{mine} is a new room: say what it may import"
    allowed = {mine} if mine == "model" else {"model", mine} | ROOMS[mine]
    assert {module.split(".")[1] for module in modules_imported(path.read_text())} <= allowed


def test_the_rooms_stand_in_the_order_in_which_they_build_on_each_other() -> None:
    order = list(ROOMS)
    for name, builds_on in ROOMS.items():
        assert builds_on <= set(order[: order.index(name)]), f"{name} builds on what comes after it"
    assert set(order) | TOP == {room(path) for path in files()}


def test_no_file_imports_in_a_circle() -> None:
    imports = imports_of_every_file()
    found = circle(imports)
    assert found is None, " imports ".join(reversed(found or []))


def test_a_circle_is_found_under_type_checking_in_functions_and_from_packages() -> None:
    modules = {"harness.a", "harness.b", "harness.c"}
    sources = {
        "harness.a": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from harness.b import Thing\n",
        "harness.b": "def thing():\n    import harness.c\n",
        "harness.c": "from harness import a\n",
    }
    imports = {module: modules_imported(source, modules) for module, source in sources.items()}
    assert set(circle(imports) or []) == modules
    assert circle({**imports, "harness.b": set()}) is None


@pytest.mark.parametrize(
    "modules",
    [
        [module_of(path) for path in files() if room(path) in ("model", "scenario", "wake")],
        # Inside of the Python of somebody else's application, which has nothing of ours installed.
        [module_of(path) for path in files() if room(path) in ("model", "recording")]
        + ["harness.simulation.backend", "harness.simulation.loop", "harness.simulation.network"],
    ],
    ids=["scenario files", "recordings and the simulated server"],
)
def test_what_strangers_import_loads_the_standard_library_only(modules: list[str]) -> None:
    code = (
        "import importlib, sys\n"
        "before = set(sys.modules)\n"
        f"for module in {modules!r}: importlib.import_module(module)\n"
        "loaded = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "found = sorted(loaded - set(sys.stdlib_module_names) - {'harness'})\n"
        "sys.exit(f'imported: {found}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_everything_but_the_locust_part_leaves_gevent_alone() -> None:
    modules = [module_of(path) for path in files() if room(path) != "load" and path.name != "__main__.py"]
    code = (
        "import importlib, sys\n"
        f"for module in {modules!r}: importlib.import_module(module)\n"
        "found = sorted({name.partition('.')[0] for name in sys.modules} & {'gevent', 'locust'})\n"
        "sys.exit(f'imported: {found}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(HARNESS)))
def test_a_module_is_one_thing(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


def test_what_comes_into_an_applications_process_needs_sqlalchemy_and_uvicorn_only() -> None:
    modules = [module_of(path) for path in files() if room(path) == "guest"]
    code = (
        "import importlib, sys\n"
        # Theirs, what those two are installed with, and what the standard library makes as it is built.
        "allowed = {'harness', 'sqlalchemy', 'greenlet', 'typing_extensions', 'uvicorn', 'click', 'h11'}\n"
        "class Nothing:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        top = name.partition('.')[0]\n"
        "        if top not in allowed | sys.stdlib_module_names and not top.startswith('_sysconfigdata'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Nothing)\n"
        f"for module in {modules!r}: importlib.import_module(module)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
