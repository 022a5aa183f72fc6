"""What a search found, as the document of `--json`."""

from typing import Any

from harness.converter import to_json as model_to_json
from harness.worst.case import Case
from harness.worst.judging import Verdict
from harness.worst.search import Found
from harness.worst.words import headline, story_in_words


def to_json(found: Found) -> dict[str, Any]:
    """The document; times are in seconds."""
    question = found.question
    return {
        "scenario": question.plan.title,
        "pool": question.pool.to_json(),
        "objectives": [str(one) for one in question.objectives.all],
        "patience_s": question.objectives.patience.seconds,
        "bounds": question.bounds.to_json(),
        "seed": question.seed,
        "verdict": headline(found),
        "searched": found.searched,
        "trials": found.trials,
        "unplayed": dict(found.unplayed or {}),
        "marks": list(found.marks),
        "smallest": None if found.smallest is None else _verdict(found.smallest),
        "is_smallest": found.is_smallest,
        "first": None if found.first is None else _verdict(found.first),
        "is_the_scenarios_own": found.is_the_scenarios_own,
        "closest": None if found.closest is None else _verdict(found.closest),
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    row = verdict.breaking
    return {
        **_case(verdict.case),
        "missed": [{"objective": str(missed.objective), "value": missed.value} for missed in verdict.missed],
        "outcomes": dict(verdict.played.outcomes),
        "request": None if row is None else {
            "number": row["number"], "arrival_s": row["arrival_s"], "outcome": row["outcome"], "error": row["error"],
            "latency_s": row["latency_s"],
        },
    }  # fmt: skip


def _case(case: Case) -> dict[str, Any]:
    return {
        "story": list(story_in_words(case)),
        "events": len(case.events),
        "requests": case.requests,
        "wake": {
            "profile": case.wake.name, "latency_s": case.wake_s, "on_suspend": case.wake.on_suspend.value,
            "while_waking": case.wake.while_waking.value,
        },
        "seed": case.seed,
        "variant": case.variant,
        "timeline": model_to_json(case.story)["timeline"],
    }  # fmt: skip
