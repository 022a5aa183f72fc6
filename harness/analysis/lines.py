"""Sums over a comparison's lines, by the name of the configuration."""

from collections.abc import Callable, Sequence

from harness.analysis.compare import Line
from harness.analysis.labels import Names
from harness.analysis.sentences import Failures


def failures_of(lines: Sequence[Line], names: Names) -> dict[str, Failures]:
    """How many requests fail with each configuration, over all its lines."""
    return _counted(lines, names, lambda line: line.failed)


def unanswered_of(lines: Sequence[Line], names: Names) -> dict[str, Failures]:
    """How many requests are not answered within the story's patience; without one, how many fail."""
    return _counted(lines, names, lambda line: line.unanswered)


def _counted(lines: Sequence[Line], names: Names, count: Callable[[Line], int]) -> dict[str, Failures]:
    found: dict[str, Failures] = {}
    for line in lines:
        name = names[line.configuration]
        found[name] = found.get(name, Failures(0, 0)) + Failures(count(line), line.requests)
    return found


def capacities_of(lines: Sequence[Line], names: Names) -> dict[str, int]:
    """Each configuration's capacity; empty for lines of several variants, which are not compared by size."""
    if len({line.variant for line in lines}) > 1:
        return {}
    return {names[line.configuration]: line.pool.capacity for line in lines}
