"""The candidates: sizes × timeouts × whatever else is searched, in the order of what they cost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from harness.model.errors import UserError
from harness.model.pool import PoolConfiguration

SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50)
"""The pool sizes that are tried unless others are given."""
TIMEOUTS_S = (
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 25, 28, 30, 35, 40, 45, 50, 60, 75, 90, 105, 120,
    150, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 3600,
)  # fmt: skip
"""The timeouts that are tried: whole seconds, which every driver takes, and steps that a person would make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How many connections the database has for all instances together."""

    usable: int
    """Those that are no superuser's."""
    instances: int
    listeners: int
    """Connections outside of the pools: a queue listener of each instance."""

    @property
    def capacity(self) -> int:
        """The largest capacity of one instance's pool."""
        return max(0, (self.usable - self.listeners) // self.instances)


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What is searched. A candidate is the base with a size, a timeout and one value of each further axis."""

    base: PoolConfiguration
    """The settings that are not searched."""
    sizes: Sequence[tuple[int, int]]
    """pool_size and max_overflow, the cheapest first: by the capacity, then by the connections that are kept."""
    timeouts_s: Sequence[float]
    """Of connection_timeout, with pool_timeout the same, ascending; empty: both are the base's."""
    others: Sequence[Mapping[str, str]]
    """Further settings, as for `--set`: one mapping for each combination."""

    @classmethod
    def of(
        cls,
        base: PoolConfiguration,
        *,
        sizes: Sequence[int],
        overflows: Sequence[int],
        axes: Mapping[str, Sequence[str]],
        longest_s: float,
        most: int | None,
        least: int,
    ) -> "Space":
        """The space of these ranges. `axes` are further settings with their values; a timeout there is not searched.

        `longest_s`: a timeout beyond it helps nobody. Pools of more than `most` connections or of fewer than `least`
        are left out. Raises `UserError` where nothing is left.
        """
        shapes = sorted(
            {(size, overflow) for size, overflow in product(sizes, overflows) if size},
            key=lambda shape: (sum(shape), shape[0]),
        )
        fitting = [shape for shape in shapes if least <= sum(shape) <= (sum(shape) if most is None else most)]
        if not fitting:
            most_in_words = f"up to {most} connections" if most is not None else "any number of connections"
            raise UserError(
                f"no pool of these sizes fits: the story needs {least} or more, and the database has {most_in_words} "
                "for each instance",
                where="recommend",
                allowed="other sizes, a larger --max-connections, fewer --instances",
            )
        timeouts_s = () if "connection_timeout" in axes else cls.timeouts(longest_s)
        others = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
        return cls(base=base, sizes=fitting, timeouts_s=timeouts_s, others=others)

    @staticmethod
    def timeouts(longest_s: float) -> tuple[float, ...]:
        """The timeouts that are tried, up to the longest that helps anybody."""
        return tuple(seconds for seconds in TIMEOUTS_S if seconds <= longest_s) or (longest_s,)

    def candidates(self, size: tuple[int, int]) -> Iterator[PoolConfiguration]:
        """The candidates of this size, the smallest timeouts first. What a driver can't have is left out."""
        for timeout_s in self.timeouts_s or (None,):
            for settings in self.others:
                if pool := self._candidate(size, timeout_s, settings):
                    yield pool

    def _candidate(
        self, size: tuple[int, int], timeout_s: float | None, settings: Mapping[str, str]
    ) -> PoolConfiguration | None:
        searched = {"pool_size": f"{size[0]}", "max_overflow": f"{size[1]}"}
        if timeout_s is not None:
            searched |= {"connection_timeout": f"{timeout_s:g}", "pool_timeout": f"{timeout_s:g}"}
        if not self.base.accepts({**searched, **settings}):
            return None
        return self.base.with_settings({**searched, **settings})

    def __len__(self) -> int:
        """How many candidates there are."""
        return sum(1 for size in self.sizes for _ in self.candidates(size))
