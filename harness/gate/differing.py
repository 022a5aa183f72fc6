"""What two runs differ in besides their results, in words: such runs are never compared in silence."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from harness.analysis import Run
from harness.analysis.sentences import MAX_LISTED, listed
from harness.model.plan import PlannedRun
from harness.model.story import Story

NAMED = ("name", "wake")
"""Fields of a story that are spoken of elsewhere: by the scenario's name, and by each wake."""
COMMIT_SHOWN = 12


def what_differs(before: Run, now: Run) -> list[str]:
    """A clause for each difference of their conditions: stack, versions, machine, scenario, application, seeds.

    Pools and wakes are left out: they are what is compared.
    """
    old, new = before.manifest, now.manifest
    found = [
        *_changed("stack", old.stack, new.stack),
        *_changed_keys("versions", old.versions, new.versions),
        *_changed("commit of coldstart", _short(old.git_commit), _short(new.git_commit)),
        *_changed_keys("machine", old.machine, new.machine),
        *_changed("scenario", before.scenario.name, now.scenario.name),
        *_stories(before.plan, now.plan),
        *_application(before.plan, now.plan),
        *_times(before.plan, now.plan),
    ]
    seeds = [seeds_in_words({trial.seed for trial in run.trials}) for run in (before, now)]
    return [*found, *_changed("seeds", *seeds)]


def seeds_in_words(seeds: set[int]) -> str:
    """`1 to 5`, `3`, or the numbers where some are missing between them."""
    ordered = sorted(seeds)
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{ordered[0]} to {ordered[-1]}"
    return listed([str(seed) for seed in ordered], most=MAX_LISTED)


def _changed(what: str, before: object, now: object) -> Iterator[str]:
    if before != now:
        yield f"{what}: {_value(before)} in the baseline, now {_value(now)}"


def _changed_keys(what: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    names = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    if names:
        each = [f"{name} {_value(before.get(name))} → {_value(now.get(name))}" for name in names]
        yield f"{what}: {listed(each, most=MAX_LISTED)}"


def _stories(before: PlannedRun, now: PlannedRun) -> Iterator[str]:
    """The fields of the played stories that differ, each variant's own where there are several."""
    old, new = before.stories, now.stories
    yield from _changed("variants of the story", listed(list(old)), listed(list(new)))
    for variant in (name for name in new if name in old):
        names = [
            field.name
            for field in fields(Story)
            if field.name not in NAMED and getattr(old[variant], field.name) != getattr(new[variant], field.name)
        ]
        each = [_field(name, getattr(old[variant], name), getattr(new[variant], name)) for name in names]
        if each:
            yield f"story{f' ({variant})' if variant else ''}: {listed(each, most=MAX_LISTED)}"


def _field(name: str, before: object, now: object) -> str:
    plain = (int, float, str, type(None))
    if isinstance(before, plain) and isinstance(now, plain):
        return f"{name} {_value(before)} → {_value(now)}"
    return name


def _application(before: PlannedRun, now: PlannedRun) -> Iterator[str]:
    old, new = before.overrides.application, now.overrides.application
    if old is None or new is None:
        yield from _changed("application", old and old.name, new and new.name)
        return
    names = [field.name for field in fields(new) if getattr(old, field.name) != getattr(new, field.name)]
    if names:
        yield f"application: {listed([_field(name, getattr(old, name), getattr(new, name)) for name in names])}"


def _times(before: PlannedRun, now: PlannedRun) -> Iterator[str]:
    old, new = before.overrides.calibration, now.overrides.calibration
    if old != new:
        yield from (
            _changed("calibration", old and old.source, new and new.source)
            if ((old and old.source) != (new and new.source))
            else iter(["calibration: other measured times of the same source"])
        )
    yield from _changed("kernel", before.kernel.name, now.kernel.name)


def _short(commit: str | None) -> str | None:
    if commit is None:
        return None
    hash_, plus, changes = commit.partition("+")
    return hash_[:COMMIT_SHOWN] + plus + changes


def _value(value: object) -> str:
    return "none" if value is None or value == "" else f"{value:g}" if isinstance(value, float) else str(value)
