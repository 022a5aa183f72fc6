"""The calibration file, which `coldstart calibrate` writes and `--calibration` reads."""

import json
from pathlib import Path

from harness.converter import from_json, to_json
from harness.model.errors import UserError
from harness.model.times import Calibration

ALLOWED = "a file that coldstart calibrate wrote"


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Write a calibration. Raises `UserError` when the file can't be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(to_json(calibration), indent=1) + "\n")
    except OSError as error:
        raise UserError(f"can't be written: {error.strerror}", where=str(path)) from error


def read_calibration(path: Path) -> Calibration:
    """Read a calibration. Raises `UserError` for a file that is none."""
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"can't be read: {error.strerror}", where=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise UserError("is no calibration: it is not JSON", where=str(path), allowed=ALLOWED) from error
    try:
        return from_json(document, Calibration, where=str(path))
    except UserError as error:
        raise UserError(f"is no calibration: {error.what}", where=str(path), allowed=ALLOWED) from error
