"""Turns the command line's options into the question that `coldstart recommend` answers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.application.env_file import EnvFile
from harness.cli.questions import configuration_of, overrides_of, read_axes
from harness.cli.ranges import is_range, number_range, whole_range
from harness.library import load_scenario
from harness.model.distribution import Empirical, Uniform
from harness.model.errors import UserError
from harness.model.limits import check_number
from harness.model.objective import read_objectives
from harness.model.patience import Patience
from harness.model.plan import PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.scenario import Scenario
from harness.model.wake import WakeChoice, read_wake
from harness.recommend.confirming import check_confirmable
from harness.recommend.question import (
    Question,
    arrivals_depend_on_the_seed,
    check_times,
    the_wake,
)
from harness.recommend.space import SIZES, Budget, Space
from harness.stacks.base import RunOptions
from harness.stacks.choose import choose


def question_of(given: Mapping[str, Any], env_file: EnvFile | None) -> Question:
    """The question that these options ask. Raises `UserError` for what can't be meant, or can't be answered."""
    scenario, usable = _for_instances(load_scenario(given["scenario"]), given)
    wakes = () if given["wake"] is None else (_wake(given["wake"]),)
    overrides = replace(
        overrides_of({**given, "pools": (), "settings": (), "wakes": (), "control": True, "repeat": 1}), wakes=wakes
    )
    plan = PlannedRun(scenario=scenario, overrides=overrides)
    if given["confirm"] is not None:
        check_confirmable(plan)
    check_times(plan)
    wake = the_wake(plan)
    today = configuration_of(given, env_file, plan)
    first = next(iter(plan.stories.values()))
    patience = Patience.chosen(
        given["patience_s"], client_timeout_s=first.client_timeout_s, of_the_story_s=first.patience_s
    )
    listeners = first.instances if first.listener is not None else 0
    budget = None if usable is None else Budget(usable=usable, instances=first.instances, listeners=listeners)
    axes = _axes(given["settings"])
    base = replace(today, pool_timeout_s=None, name="")
    space = Space.of(
        base,
        sizes=SIZES if given["sizes"] is None else whole_range(given["sizes"], where="--pool-size"),
        overflows=whole_range(given["overflows"], where="--max-overflow"),
        axes=axes,
        longest_s=patience.seconds,
        most=None if budget is None else budget.capacity,
        least=max(1, *(story.warmed for story in plan.stories.values())),
    )
    seeds = tuple(range(given["seed"], given["seed"] + given["repeat"]))
    if not arrivals_depend_on_the_seed(plan, today, wake, given["seed"]):
        seeds = seeds[:1]
    question = Question(
        plan=plan, wake=wake, objectives=read_objectives(given["objectives"], patience=patience), space=space,
        share=_share(given["share"]), seeds=seeds, budget=budget, today=today,
    )  # fmt: skip
    # What the simulated stack refuses of a story is refused here too.
    chosen, _ = choose("simulated")
    smallest = next(iter(space.candidates(space.sizes[0])), None)
    if smallest is None:
        raise UserError("no candidate can have these settings", where="--set", allowed="what the driver can do")
    chosen.check(replace(plan, overrides=replace(plan.overrides, pools=(smallest,))), RunOptions())
    return question


def _for_instances(scenario: Scenario, given: Mapping[str, Any]) -> tuple[Scenario, int | None]:
    """The scenario with so many instances and connections, and how many connections are usable; None: no limit."""
    changes: dict[str, Any] = {}
    if given["instances"] is not None:
        changes["instances"] = given["instances"]
    if given["max_connections"] is not None:
        usable = given["max_connections"] - given["reserved"]
        if usable < 1:
            raise UserError(
                f"of {given['max_connections']} connections {given['reserved']} are reserved: none is left",
                where="--max-connections", allowed="more, or a smaller --reserved",
            )  # fmt: skip
        changes["max_connections"] = usable
    if varied := sorted({name for variant in scenario.variants for name in variant.changes if name in changes}):
        raise UserError(
            f"the scenario's variants set {varied[0]} themselves", where="recommend", allowed="a scenario without"
        )
    scenario = replace(scenario, **changes)
    return scenario, scenario.max_connections


def _wake(text: str) -> WakeChoice:
    """A wake of `run`, or a range: `5:10` is any wake between, `5:10:1` and `5,8` each of their values."""
    if not is_range(text) or not (":" in text or "," in text):
        return read_wake(text, where="--wake")
    values = number_range(text, where="--wake")
    first, last = min(values), max(values)
    for seconds in (first, last):
        check_number("wake latency", seconds, where="--wake")
    is_uniform = text.count(":") == 1 and first < last
    return WakeChoice(text=text, latency=Uniform(first, last) if is_uniform else Empirical(tuple(values)))


def _share(text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0.5 <= value <= 1:
        raise UserError(f"{text!r} is not a share of the wakes", where="--quantile", allowed="50% to 100%")
    return value


def _axes(texts: Sequence[str]) -> dict[str, list[str]]:
    axes = read_axes(texts)
    for name, values in axes.items():
        if name in ("pool_size", "max_overflow"):
            raise UserError(f"{name} has an option of its own", where="--set", allowed=f"--{name.replace('_', '-')}")
        for value in values:
            # A wrong name or value is refused before anything is played.
            PoolConfiguration().with_settings({name: value} if name not in ("driver", "pool_library") else {})
    return axes
