"""The verdicts in Markdown, for a build's summary or a comment: before and after where there is a baseline."""

from harness.analysis.tables import literal, markdown_table
from harness.gate.checks import Checked, Gate
from harness.gate.verdict import RULE, Judged, Verdict

SIGNS = {Verdict.MISSED: "❌", Verdict.UNKNOWN: "❔", Verdict.MET: "✅"}


def markdown(gate: Gate) -> str:
    """The whole page; it ends with a newline."""
    head = f"## {SIGNS[gate.verdict]} coldstart check: {gate.headline}"
    return "\n\n".join([head, *map(_check, gate.checks), f"{RULE} `{literal(gate.file)}`"]) + "\n"


def _check(check: Checked) -> str:
    parts = [f"### {SIGNS[check.verdict]} {literal(check.name)}", f"`{literal(check.title)}` on {check.stack}."]
    if check.patience:
        parts[1] = f"{parts[1]} {literal(check.patience)}"
    parts.append(_table(check))
    if said := check.remarks:
        parts.append("\n".join(f"- {literal(sentence)}" for sentence in said))
    if check.run is not None:
        parts.append(f"Run `{check.run}`")
    return "\n\n".join(parts)


def _table(check: Checked) -> str:
    """Columns that would be empty in every row are left out."""
    before = any(one.before is not None for one in check.judged)
    seeds = any(one.seeds > 1 for one in check.judged)
    header = ["", "wake", "pool", "objective", *(["baseline"] if before else []), "now" if before else "measured"]
    rows = [
        [
            f"{SIGNS[one.verdict]} {one.verdict}", one.wake, f"`{one.configuration}`", f"`{one.objective}`",
            *([_before(one)] if before else []), _now(one), *([one.seeds_missed] if seeds else []),
        ]
        for one in check.judged
    ]  # fmt: skip
    return markdown_table([*header, *(["seeds missed"] if seeds else [])], rows)


def _before(one: Judged) -> str:
    return "–" if one.before is None else one.objective.shown(one.before)


def _now(one: Judged) -> str:
    return one.why if one.verdict is Verdict.UNKNOWN else one.measured
