"""Turns the command line's options into the question that `coldstart worst` answers."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.cli.questions import configuration_of, env_file_of, overrides_of
from harness.library import load_scenario
from harness.model.objective import read_objectives
from harness.model.patience import Patience
from harness.model.plan import PlannedRun
from harness.stacks.base import RunOptions
from harness.stacks.choose import choose
from harness.worst.bounds import Bounds
from harness.worst.search import Question

PASSED_ON = {
    "calibration": "--calibration", "kernel": "--kernel", "app": "--app", "python": "--python",
    "folder": "--app-dir", "variables": "--env", "requests_file": "--requests-file", "init": "--init",
    "prepare": "--prepare", "recording": "--recording", "stubs": "--stub",
}  # fmt: skip
"""Options that no scenario file can hold, so that the command which replays one needs them again."""


def question_of(given: Mapping[str, Any]) -> Question:
    """The question that these options ask. Raises `UserError` for what can't be meant, or can't be played."""
    scenario = load_scenario(given["scenario"])
    not_asked = {"on_suspend": None, "while_waking": None, "alert_sustained_s": None, "control": False, "repeat": 1}
    plan = PlannedRun(scenario=scenario, overrides=overrides_of({**given, "pools": (), "wakes": (), **not_asked}))
    pool = configuration_of(given, env_file_of(given), plan).with_settings(plan.overrides.settings)
    plan = replace(plan, overrides=replace(plan.overrides, pools=(pool,), settings={}))
    first = next(iter(plan.stories.values()))
    patience = Patience.chosen(
        given["patience_s"], client_timeout_s=first.client_timeout_s, of_the_story_s=first.patience_s
    )
    bounds = Bounds.of(
        plan, wake_s=given["wake_s"], requests=given["most_requests"], over_s=given["longest_s"],
        allowed=given["allowed"],
    )  # fmt: skip
    # What the simulated stack refuses of a story is refused here too.
    chosen, _ = choose("simulated")
    chosen.check(plan, RunOptions())
    return Question(
        plan=plan, pool=pool, objectives=read_objectives(given["objectives"], patience=patience), bounds=bounds,
        seed=given["seed"], trials=given["trials"],
    )  # fmt: skip


def replay(path: Path, seed: int, given: Mapping[str, Any]) -> str:
    """The command that plays the found story again."""
    words = ["coldstart", "run", str(path), "--stack", "simulated"]
    if seed != 1:
        words += ["--seed", str(seed)]
    for name, option in PASSED_ON.items():
        value = given[name]
        for one in value if isinstance(value, tuple) else [value] if value is not None else []:
            words += [option, str(one)]
    if given["cpu"]:
        words.append("--cpu")
    return shlex.join(words)
