"""Sums over a comparison's lines, by the name of the configuration."""

from collections.abc import Sequence

from harness.analysis.compare import Line
from harness.analysis.labels import Names
from harness.analysis.sentences import Failures


def failures_of(lines: Sequence[Line], names: Names) -> dict[str, Failures]:
    """How many requests fail with each configuration, over all its lines."""
    found: dict[str, Failures] = {}
    for line in lines:
        name = names[line.configuration]
        found[name] = found.get(name, Failures(0, 0)) + Failures(line.failed, line.requests)
    return found


def capacities_of(lines: Sequence[Line], names: Names) -> dict[str, int]:
    """Each configuration's capacity; empty for lines of several variants, which are not compared by size."""
    if len({line.variant for line in lines}) > 1:
        return {}
    return {names[line.configuration]: line.pool.capacity for line in lines}
