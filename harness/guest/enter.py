"""`python …/harness/guest/enter.py PART`: a part of coldstart in the process of somebody else's application.

It is started by the application's own interpreter, in the application's folder, whose modules come first on the path.
"""

import importlib.util
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
PARTS = {
    **{part: f"harness.guest.{part}" for part in ("serve", "simulate", "describe")},
    # Somebody else's as well: a locustfile, which needs its own environment.
    "listen": "harness.load.listen",
}


class Beside:
    """Finds the package `harness` that this file belongs to, wherever it is."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> "ModuleSpec | None":  # noqa: ARG004 - importlib's own
        """The package's spec; None for every other module."""
        if name != PACKAGE.name:
            return None
        return importlib.util.spec_from_file_location(
            name, PACKAGE / "__init__.py", submodule_search_locations=[str(PACKAGE)]
        )


def find_beside() -> str | None:
    """Make this package importable from here on. Where that can't be, why, in one line; else None."""
    if sys.version_info < OLDEST:
        version = ".".join(map(str, sys.version_info[:2]))
        return f"the application's Python is {version}, and coldstart needs 3.11 or newer there (--python)"
    theirs = PathFinder.find_spec(PACKAGE.name)
    if theirs is not None and not _is_ours(theirs):
        return f"the application has a module named {PACKAGE.name}, which is coldstart's own name in its process"
    sys.meta_path.insert(0, Beside)
    return None


def enter(part: str) -> None:
    """Make the application's folder and this package importable, and start the part."""
    # Python puts this file's folder first, unless it is told to be safe (PYTHONSAFEPATH).
    if sys.path and Path(sys.path[0]) == Path(__file__).parent:
        del sys.path[0]
    sys.path.insert(0, str(Path.cwd()))
    if (why := find_beside()) is not None:
        sys.exit(why)
    importlib.import_module(PARTS[part]).main()


def _is_ours(spec: ModuleSpec) -> bool:
    return any((Path(folder) / "guest" / "enter.py").is_file() for folder in spec.submodule_search_locations or ())


if __name__ == "__main__":
    enter(sys.argv[1])
