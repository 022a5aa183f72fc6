"""The layout is the architecture: imports point one way, and locust stays where it belongs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).parent.parent / "harness"

NOUNS = {
    "arrivals", "columns", "compute", "errors", "expectation", "listener", "order", "outcomes", "pool", "protocol",
    "retry", "scenario", "summary", "trial", "wake",
}  # fmt: skip
# Each place may import the nouns, itself, and the places named here.
PLACES: dict[str, set[str]] = {
    "library": set(),
    "process": set(),
    "child": set(),
    "proxy": {"process", "child"},
    "postgres": {"process", "child"},
    "compose": {"child", "proxy"},
    "service": {"child"},
    "load": {"child", "library", "process", "service"},
    "simulation": {"service"},
    "results": set(),
    "analysis": {"results"},
    "postmortem": {"analysis", "results", "simulation"},
    "stacks": {"child", "compose", "library", "process", "proxy", "postgres", "service", "simulation"},
    "run": {"stacks", "results", "analysis"},
}
TOP = {"cli", "__main__"}


def room(path: Path) -> str:
    """The noun or place a file belongs to."""
    return path.relative_to(HARNESS).parts[0].removesuffix(".py")


def rooms_imported(path: Path) -> set[str]:
    """The nouns and places a file imports, `if TYPE_CHECKING` included."""
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
    assert mine in NOUNS or mine in PLACES, f"{mine} is neither a noun nor a place: say what it is"
    allowed = NOUNS | PLACES.get(mine, set()) | {mine}
    assert rooms_imported(path) <= allowed


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
