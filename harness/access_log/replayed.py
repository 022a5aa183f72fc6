"""Puts the burst that a log is in the place of each `Replay` of a scenario."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from harness.access_log.read import read_log
from harness.model.errors import UserError
from harness.model.paths import is_file, is_folder
from harness.model.replay import Logged, Replay
from harness.model.scenario import RealTime, Scenario, Variant
from harness.model.timeline import Burst, TimelinePhase, Traffic


def with_logs_read(scenario: Scenario, *, beside: Path) -> Scenario:
    """The scenario with its logs read; their paths are relative to the folder `beside`, or to the current one."""

    @cache
    def read(log: str, columns: tuple[str, str]) -> list[Logged]:
        return read_log(found(log, beside=beside), columns=columns)

    def burst(phase: Burst) -> Burst:
        return phase.burst(read(phase.log, phase.columns)) if isinstance(phase, Replay) else phase

    own = _changed({"timeline": scenario.timeline, "variants": scenario.variants}, burst)
    real_time = scenario.real_time
    if real_time is not None:
        real_time = RealTime(real_time.description, **_changed(real_time.changes, burst))
    return replace(scenario, **own, real_time=real_time)


def found(log: str, *, beside: Path) -> Path:
    """The log's file."""
    places = [folder / log for folder in (beside, Path())]
    for place in places:
        if is_file(place):
            return place
    what = "is a folder" if any(is_folder(place) for place in places) else "no such file"
    raise UserError(what, where=f"Replay({log!r})", allowed="a path from the scenario's folder or from the current one")


def _changed(fields: Mapping[str, Any], change: Callable[[Burst], Burst]) -> dict[str, Any]:
    """Fields of a scenario with each burst of a timeline in them changed."""
    changed = dict(fields)
    if "timeline" in fields:
        changed["timeline"] = tuple(_phase(phase, change) for phase in fields["timeline"])
    if "variants" in fields:
        changed["variants"] = tuple(
            Variant(variant.name, **_changed(variant.changes, change)) for variant in fields["variants"]
        )
    return changed


def _phase(phase: TimelinePhase, change: Callable[[Burst], Burst]) -> TimelinePhase:
    if isinstance(phase, Burst):
        return change(phase)
    return phase.with_bursts(change) if isinstance(phase, Traffic) else phase
