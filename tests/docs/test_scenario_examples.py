"""Every example of docs/scenarios.md is played in virtual time; what that refuses, a pooler, is refused by name."""

import re
from pathlib import Path
from typing import Any

import pytest

import harness.scenario
from harness.library import load_scenario
from harness.model.errors import UserError
from harness.model.plan import PlannedRun
from harness.model.scenario import Scenario
from harness.simulation.trial import simulate
from harness.stacks.base import RunOptions
from harness.stacks.simulated import SimulatedStack
from harness.wake import profile

PAGE = (Path(__file__).parent.parent.parent / "docs" / "scenarios.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
DEFAULTS, WHOLE, *FIELDS = EXAMPLES
WORDS = {name: getattr(harness.scenario, name) for name in harness.scenario.__all__} | {"profile": profile}


def said(example: str) -> dict[str, Any]:
    """The fields of a scenario that an example sets."""
    names: dict[str, Any] = dict(WORDS)
    exec(example, names)  # noqa: S102 - the project's own page
    return {name: value for name, value in names.items() if name in Scenario.__dataclass_fields__}


@pytest.mark.parametrize("example", [example for example in FIELDS if "PgBouncer" in example])
def test_an_example_with_a_pooler_is_one_that_virtual_time_refuses(example: str) -> None:
    plan = PlannedRun(scenario=Scenario(**{**said(DEFAULTS), **said(example)}))
    with pytest.raises(UserError, match="a pooler"):
        SimulatedStack().check(plan, RunOptions())
    with pytest.raises(UserError, match="a pooler"):
        simulate(plan.trials[0])


@pytest.mark.parametrize("example", [example for example in FIELDS if "PgBouncer" not in example])
def test_an_example_is_played_by_every_pool_and_every_request_ends(example: str) -> None:
    plan = PlannedRun(scenario=Scenario(**{**said(DEFAULTS), **said(example)}))
    for trial in plan.trials:
        rows = simulate(trial, plan.times(trial.story)).requests
        assert len(rows) == sum(burst.requests for burst in trial.story.bursts)


@pytest.mark.parametrize(("seconds", "pools_that_fail"), [("1.0", set()), ("2.0", {"5+10"})])
def test_the_worked_example_says_what_the_page_says(tmp_path: Path, seconds: str, pools_that_fail: set[str]) -> None:
    assert len(WHOLE.strip().splitlines()) <= 20
    path = tmp_path / "newsletter.py"
    path.write_text(WHOLE.replace("Upstream(1.0)", f"Upstream({seconds})"), encoding="utf-8")
    failing, bursts = set(), set()
    for trial in PlannedRun(scenario=load_scenario(str(path))).trials:
        rows = simulate(trial, sampled=False).requests
        assert len(rows) == 4740
        bursts |= {row["burst"] for row in rows if row["outcome"] != "ok"}
        failing |= {trial.pool.label for row in rows if row["outcome"] != "ok"}
    assert failing == pools_that_fail
    assert bursts <= {2, 3}


TYPES = {"Expectation", "PoolConfiguration", "RequestName", "TrialSummary"}
"""For annotations: a file can be written without them."""


@pytest.mark.parametrize("word", sorted(set(harness.scenario.__all__) - TYPES))
def test_every_word_of_the_language_is_on_the_page(word: str) -> None:
    assert re.search(rf"\b{word}\b", PAGE)
