"""The layout is the architecture: imports point one way, and locust stays where it belongs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).parent.parent / "harness"

# Each room may import the model, itself, and the rooms named here: they stand in the order in which they build on
# each other.
ROOMS: dict[str, set[str]] = {
    "model": set(),
    # What a scenario file imports.
    "scenario": set(),
    "wake": set(),
    "library": set(),
    "processes": set(),
    "proxy": {"processes"},
    "postgres": {"processes"},
    "compose": {"processes", "proxy"},
    "service": {"processes"},
    "load": {"library", "processes", "service"},
    "simulation": {"service"},
    "results": set(),
    "analysis": {"results"},
    "postmortem": {"analysis", "results", "simulation"},
    "stacks": {"compose", "library", "processes", "proxy", "postgres", "service", "simulation"},
    "run": {"stacks", "results", "analysis"},
}
TOP = {"cli", "__main__"}


def room(path: Path) -> str:
    """The folder or file directly under harness/ that it belongs to."""
    return path.relative_to(HARNESS).parts[0].removesuffix(".py")


def rooms_imported(path: Path) -> set[str]:
    """The rooms a file imports, `if TYPE_CHECKING` included."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = {f"harness.{alias.name}" for alias in node.names} if node.module == "harness" else set()
            modules |= names or {node.module or ""}
    return {module.split(".")[1] for module in modules if module.startswith("harness.")} - {"__version__"}


def files() -> list[Path]:
    return sorted(path for path in HARNESS.rglob("*.py") if path != HARNESS / "__init__.py")


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(HARNESS)))
def test_imports_point_one_way(path: Path) -> None:
    mine = room(path)
    if mine in TOP:
        return
    assert mine in ROOMS, f"{mine} is a new room: say what it may import"
    allowed = {mine} if mine == "model" else {"model", mine} | ROOMS[mine]
    assert rooms_imported(path) <= allowed


def test_the_model_and_what_scenario_files_import_load_the_standard_library_only() -> None:
    modules = [
        "harness." + ".".join(path.relative_to(HARNESS).with_suffix("").parts).removesuffix(".__init__")
        for path in files()
        if room(path) in ("model", "scenario", "wake")
    ]
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
    modules = [
        "harness." + ".".join(path.relative_to(HARNESS).with_suffix("").parts).removesuffix(".__init__")
        for path in files()
        if room(path) != "load" and path.name != "__main__.py"
    ]
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
