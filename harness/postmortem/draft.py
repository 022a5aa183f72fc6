"""Puts the draft, `postmortem.md`, together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from harness.analysis.tables import literal, markdown_table
from harness.model.visible import command_line
from harness.postmortem import sentences, verdict
from harness.postmortem.changes import AWAKE, Changes
from harness.postmortem.incident import Incident
from harness.postmortem.timeline import Moment, timeline

NAME = "postmortem.md"


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart in the draft: its title, which says what it shows, and its path, relative to the draft."""

    title: str
    path: str

    def __str__(self) -> str:
        return f"![{literal(self.title)}]({quote(self.path)})"


def draft(
    incident: Incident,
    changes: Changes | None,
    *,
    charts: Sequence[Chart],
    settings: Chart | None,
    began_at: datetime | None = None,
) -> str:
    """The draft in Markdown; `began_at` is when the real burst began, None: when the run's did.

    `changes` and their chart are None where the run can't be played again with other settings.
    """
    manifest = incident.run.manifest
    utc = began_at or incident.began_at()
    others = incident.measured_beside()
    sections = {
        f"# Postmortem: {literal(incident.run.plan.title)}, {literal(incident.configuration)}": [
            literal(verdict.first_line(incident, changes)),
            f"*A draft, made by `coldstart postmortem` from run `{manifest.id}`. Every number in it was measured or "
            "simulated, as said beside it; what it does not know stands at its end.*",
        ],
        "## Summary": [literal(sentences.summary(incident)), incident.patience.rule()],
        "## Impact": [_impact(incident), _items(sentences.impact_in_words(incident))],
        "## Timeline": [
            literal(sentences.clock(incident, utc, given=began_at is not None)),
            _timeline(timeline(incident), utc),
            *map(str, charts),
        ],
        "## Root cause, as far as the data shows it": [_items(sentences.causes(incident))],
        **(
            {}
            if changes is None
            else {
                "## What each setting would have changed": [
                    literal(sentences.basis(incident, changes)),
                    _changes(changes),
                    _items(sentences.table_in_words(changes)),
                    str(settings),
                    *([_measured_beside(incident), _items(others)] if others else []),
                ],
            }
        ),
        "## To decide": [_items(sentences.actions(incident, changes), mark="- [ ]")],
        "## What this draft does not know": [_items(sentences.unknown(incident, changes))],
        "## Run it again": [
            f"```\n{command_line(['coldstart', *manifest.argv])}\n```",
            literal(sentences.measured(incident)),
        ],
    }
    parts = [part for heading, body in sections.items() for part in (heading, *body) if part]
    return "\n\n".join(parts) + "\n"


def _items(texts: Iterable[str], *, mark: str = "-") -> str:
    return "\n".join(f"{mark} {literal(sentence)}" for sentence in texts)


def _measured_beside(incident: Incident) -> str:
    """The words before what the run's other configurations did; where the story has a patience, they name it."""
    if incident.first.patience_s is None:
        return "Measured in the same run, whatever an answer's time:"
    return "Measured in the same run:"


def _impact(incident: Incident) -> str:
    return markdown_table(
        ["", "with the wake" if incident.sleeps else "as it was", *(["awake (control)"] if incident.controls else [])],
        sentences.impact(incident),
    )


def _timeline(moments: Sequence[Moment], utc: datetime | None) -> str:
    if utc is None:
        return markdown_table(["since the burst began", ""], ((moment.relative(), moment.what) for moment in moments))
    rows = ((moment.utc(utc.astimezone(UTC)), moment.relative(), moment.what) for moment in moments)
    return markdown_table(["UTC", "since the burst began", ""], rows)


def _changes(changes: Changes) -> str:
    shown = [change for change in changes.tried if not change.changes_nothing or change.what == AWAKE]
    return markdown_table(
        sentences.columns(changes), [sentences.row_of(change, changes) for change in (changes.again, *shown)]
    )
