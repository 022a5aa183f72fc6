"""`postmortem.md`: the draft, put together."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from harness.analysis.tables import markdown_table
from harness.postmortem import sentences
from harness.postmortem.changes import AWAKE, Changes
from harness.postmortem.incident import Incident
from harness.postmortem.timeline import Moment, timeline

NAME = "postmortem.md"


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart beside the draft: its title, which says what it shows, and its path from there."""

    title: str
    path: str

    def __str__(self) -> str:
        return f"![{self.title}]({self.path})"


def draft(
    found: Incident, changes: Changes, *, charts: Sequence[Chart], settings: Chart, began_at: datetime | None = None
) -> str:
    """The draft in Markdown; `began_at` is when the real burst began, where that is not when the run's did."""
    manifest = found.run.manifest
    utc = began_at or found.began_at()
    others = found.measured_beside()
    sections = {
        f"# Postmortem: {found.run.scenario.name}, {found.configuration}": [
            f"*A draft, made by `coldstart postmortem` from run `{manifest.id}`. Every number in it was measured or "
            "simulated, as said beside it; what it does not know stands at its end.*"
        ],
        "## Summary": [sentences.summary(found), found.patience.rule()],
        "## Impact": [_impact(found), _items(sentences.impact_in_words(found))],
        "## Timeline": [
            sentences.clock(found, utc, asked=began_at is not None),
            _timeline(timeline(found), utc),
            *map(str, charts),
        ],
        "## Root cause, as far as the data shows it": [_items(sentences.causes(found))],
        "## What each setting would have changed": [
            sentences.basis(found, changes),
            _changes(changes),
            _items(sentences.table_in_words(changes)),
            str(settings),
            *(["Measured in the same run, whatever an answer's time:", _items(others)] if others else []),
        ],
        "## To decide": [_items(sentences.actions(found, changes), mark="- [ ]")],
        "## What this draft does not know": [_items(sentences.unknown(found, changes))],
        "## Run it again": [
            f"```\n{shlex.join(['coldstart', *manifest.argv])}\n```",
            sentences.measured(found),
        ],
    }
    parts = [part for heading, body in sections.items() for part in (heading, *body) if part]
    return "\n\n".join(parts) + "\n"


def _items(said: Iterable[str], *, mark: str = "-") -> str:
    return "\n".join(f"{mark} {sentence}" for sentence in said)


def _impact(found: Incident) -> str:
    return markdown_table(
        ["", "with the wake" if found.sleeps else "as it was", *(["awake (control)"] if found.controls else [])],
        sentences.impact(found),
    )


def _timeline(moments: Sequence[Moment], utc: datetime | None) -> str:
    if utc is None:
        return markdown_table(["since the burst began", ""], ((one.relative(), one.what) for one in moments))
    rows = ((one.utc(utc.astimezone(UTC)), one.relative(), one.what) for one in moments)
    return markdown_table(["UTC", "since the burst began", ""], rows)


def _changes(changes: Changes) -> str:
    shown = [change for change in changes.tried if not change.changes_nothing or change.what == AWAKE]
    return markdown_table(
        sentences.columns(changes), [sentences.row_of(one, changes) for one in (changes.again, *shown)]
    )
