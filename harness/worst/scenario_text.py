"""The scenario file of a story that breaks a configuration."""

from collections.abc import Sequence
from dataclasses import replace

from harness.model.objective import Objectives
from harness.model.pool import PoolConfiguration
from harness.worst.case import Case
from harness.worst.python_text import WIDTH, Argument, Call, Writing, exploded, rendered


def scenario_text(
    case: Case, pool: PoolConfiguration, objectives: Objectives, *, name: str, about: Sequence[str]
) -> str:
    """A file with this story alone, that expects its objectives to be missed. `about` is its docstring's lines."""
    writing = Writing()
    writing.words.update(("Scenario", "misses"))
    missed: list[Argument] = [("", writing.node(str(one))) for one in objectives.all]
    expectation = Call("misses", [*missed, ("patience_s=", writing.node(objectives.patience.seconds))])
    story = replace(case.story, name=name)
    arguments = writing.story(story, wake=case.wake, pool=pool)
    arguments.append(("control=", "False"))
    arguments.append(("expect=", Call("", [(f"{rendered(writing.node(pool))}: ", expectation)], brackets="{}")))
    scenario = Call("SCENARIO = Scenario", arguments)
    lines = [f'"""{about[0]}', "", *about[1:], '"""'] if len(about) > 1 else [f'"""{about[0]}"""']
    imports = [
        *sorted(line for line in writing.others if line.startswith("from dataclasses")),
        *([""] if any(line.startswith("from dataclasses") for line in writing.others) else []),
        *sorted(line for line in writing.others if not line.startswith("from dataclasses")),
        _imported("harness.scenario", writing.words),
        _imported("harness.wake", writing.of_wakes),
    ]
    return "\n".join([*lines, "", *imports, "", exploded(scenario)]) + "\n"


def _imported(module: str, names: set[str]) -> str:
    # Constants, classes, functions: the order of a linter.
    ordered = sorted(names, key=lambda name: (name.islower(), name))
    line = f"from {module} import {', '.join(ordered)}"
    if len(line) <= WIDTH:
        return line
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in ordered) + ")"
