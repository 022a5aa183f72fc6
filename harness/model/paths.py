"""Whether a path that somebody typed is there; one that no file system can have is not."""

from pathlib import Path


def is_file(path: Path) -> bool:
    """`Path.is_file`, which raises for a name that is too long, or that may not be looked at."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """`Path.is_dir`, likewise."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
