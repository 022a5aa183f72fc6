"""Which trials have ended while a run is under way: a line each, so that a run that is killed can go on after them."""

from collections.abc import Container
from pathlib import Path
from typing import Annotated

import msgspec

from harness.model.errors import UserError

ENDED = "ended"
"""Its file is named as those of the tables are, and is there as long as those are."""


class Ended(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A trial whose rows are all written."""

    trial: int
    wall_s: Annotated[float, msgspec.Meta(ge=0)]
    """How long it took."""


_DECODER = msgspec.json.Decoder(Ended)


def ended_line(trial: int, wall_s: float) -> bytes:
    return msgspec.json.encode(Ended(trial=trial, wall_s=wall_s)) + b"\n"


def read_ended(folder: Path, trials: Container[int]) -> dict[int, float]:
    """How long each trial took that had ended when the run was cut short; a last line without an end is skipped.

    Empty where the run is closed: its manifest has them then. Raises `UserError` for what is no such file.
    """
    path = folder / f"{ENDED}.jsonl"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    lines = content[: content.rfind(b"\n") + 1]
    try:
        ended = _DECODER.decode_lines(lines)
    except msgspec.DecodeError as error:
        raise UserError(f"has a line that is no trial's end: {error}", where=str(path)) from None
    if unknown := [one.trial for one in ended if one.trial not in trials]:
        raise UserError(f"names trial {unknown[0]}, which the run has not", where=str(path))
    return {one.trial: one.wall_s for one in ended}
