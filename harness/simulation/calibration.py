"""Measured times for the simulation: what `coldstart calibrate` writes and `--calibration` reads."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Self

from harness.model.errors import UserError
from harness.model.wake import Empirical
from harness.simulation.times import Times, given


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Samples of each time, in seconds, from a database that is awake."""

    round_trip_s: tuple[float, ...]
    service_s: tuple[float, ...]
    """What a statement takes beyond its round trips."""
    connect_s: tuple[float, ...]
    """What a new connection takes beyond its round trips."""
    source: str

    def times(self) -> Times:
        """The simulation's times: each draw is one of the samples."""
        return Times(
            round_trip=Empirical(self.round_trip_s),
            service=Empirical(self.service_s),
            connect=Empirical(self.connect_s),
            measured=True,
        )

    def medians_s(self) -> dict[str, float]:
        """The middle of each, by name."""
        named = {"round trip": self.round_trip_s, "statement": self.service_s, "connect": self.connect_s}
        return {name: median(values) for name, values in named.items()}

    def write(self, path: Path) -> None:
        """Write it. Raises `UserError` when that can't be done."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(asdict(self), indent=1) + "\n")
        except OSError as error:
            raise UserError(f"can't be written: {error.strerror}", where=str(path)) from error

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read one. Raises `UserError` for a file that is none."""
        try:
            document = json.loads(path.read_text())
            samples = {name: tuple(map(float, document[name])) for name in ("round_trip_s", "service_s", "connect_s")}
            calibration = cls(**samples, source=document["source"])
            calibration.times()
        except OSError as error:
            raise UserError(f"can't be read: {error.strerror}", where=str(path)) from error
        except (ValueError, KeyError, TypeError) as error:
            allowed = "a file that coldstart calibrate wrote"
            raise UserError("is no calibration", where=str(path), allowed=allowed) from error
        return calibration


def times_of(asked: Mapping[str, float], calibration: Path | None = None) -> Times:
    """The simulation's times: measured ones where there are any, and those that were asked for in their place.

    `asked` is by name, `service_time_s` and `connect_time_s`. Raises `UserError` for what can't be a time.
    """
    times = Times() if calibration is None else Calibration.read(calibration).times()
    if "service_time_s" in asked:
        times = replace(times, service=given(asked["service_time_s"], "--service-time"))
    if "connect_time_s" in asked:
        times = replace(times, connect=given(asked["connect_time_s"], "--connect-time"))
    return times
