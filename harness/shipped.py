"""What comes beside the code: the scenarios, the sample runs, the notebooks and docker-compose.yml.

A checkout has them in places of their own. A wheel carries them in `harness/data`, under the same names
(pyproject.toml, force-include), so nothing is kept twice.
"""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
PACKED = PACKAGE / "data"


def shipped(name: str) -> Path:
    """The file or folder of that name, as a checkout calls it: `scenarios`, `results/sample`."""
    return (PACKED if PACKED.is_dir() else PACKAGE.parent) / name


def checkout() -> Path | None:
    """The checkout that this package is in; None when it was installed from a wheel."""
    return None if PACKED.is_dir() else PACKAGE.parent
