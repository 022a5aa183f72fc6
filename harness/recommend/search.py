"""The search: the first candidate, in the order of cost, that meets the objectives with every seed.

A size is given up when its largest timeout, its smallest that can outlast the wake, and one between them all miss the
objectives with the first seed; nothing is found where that is so of the smallest, the middle and the largest size.
Within a size every timeout is tried, the smallest first.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from harness.model.pool import PoolConfiguration
from harness.recommend.judging import Judge, Verdict
from harness.recommend.margin import Margin, margin
from harness.recommend.question import Question
from harness.recommend.space import Space

Say = Callable[[str], None]
SCREENED = 8
"""The seeds that a candidate meets at the wake's upper quantile before its margin is looked for."""
STATEMENTS_S = (1, 2, 3, 5, 8, 10, 12, 15, 20, 30)
"""The values of statement_timeout that are tried where the own one is not enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The cheapest candidate, and the cheaper ones next to it that miss an objective."""

    pool: PoolConfiguration
    margin: Margin
    refused: tuple[Verdict, ...]
    """The next cheaper one in its timeouts, and the next cheaper one in its size, where there is one."""


async def search(judge: Judge, say: Say) -> Found | None:
    """The cheapest candidate that meets the objectives at the wake's upper quantile; None: none does."""
    space = judge.question.space
    found = await _cheapest(judge, space, say)
    if found is None and (by_statement := _with_statement_timeouts(judge.question)) is not None:
        say("no connection_timeout is enough: statement_timeout is searched too")
        space = by_statement
        found = await _cheapest(judge, space, say)
    while found is not None:
        pool, its_margin = found
        refused: list[Verdict] = []
        for cheaper in _next_cheaper(pool, space):
            tried = await _margin_of(judge, cheaper)
            if isinstance(tried, Margin):
                # A size was given up too early, or the candidates are not in order: this one is cheaper, and meets.
                found = cheaper, tried
                break
            refused.append(tried)
        else:
            return Found(pool=pool, margin=its_margin, refused=tuple(refused))
    return None


async def _cheapest(judge: Judge, space: Space, say: Say) -> tuple[PoolConfiguration, Margin] | None:
    ends = {space.sizes[-1], space.sizes[0], space.sizes[len(space.sizes) // 2]}
    if not any([await _is_promising(judge, space, size) for size in ends]):
        return None
    for size in space.sizes:
        if not await _is_promising(judge, space, size):
            continue
        say(f"pools of {size[0]}+{size[1]}")
        for pool in _possible(judge, space, size):
            tried = await _margin_of(judge, pool)
            if isinstance(tried, Margin):
                return pool, tried
    return None


async def _margin_of(judge: Judge, pool: PoolConfiguration) -> Margin | Verdict:
    """The margin of a candidate, or the verdict with which it is out: most are with one of the first seeds."""
    miss = await judge.first_miss(pool, judge.question.upper_s, judge.question.seeds[:SCREENED])
    return miss if miss is not None else await margin(judge, pool)


async def _is_promising(judge: Judge, space: Space, size: tuple[int, int]) -> bool:
    """Whether, with the first seed, one of a few candidates of this size meets the objectives.

    Of each combination of the other settings these are the ones with the largest, the middle and the smallest timeout.
    """
    by_settings: dict[PoolConfiguration, list[PoolConfiguration]] = {}
    for pool in _possible(judge, space, size):
        alike = replace(pool, connection_timeout_s=0.0, pool_timeout_s=1.0)
        by_settings.setdefault(alike, []).append(pool)
    chosen = [pools[index] for pools in by_settings.values() for index in sorted({0, len(pools) // 2, len(pools) - 1})]
    asked = [(pool, judge.question.upper_s, judge.question.seeds[0]) for pool in reversed(chosen)]
    return bool(asked) and any(verdict.meets for verdict in await judge.judge_all(asked))


def _possible(judge: Judge, space: Space, size: tuple[int, int]) -> list[PoolConfiguration]:
    return [pool for pool in space.candidates(size) if _may_outlast(pool, judge.question)]


def _may_outlast(pool: PoolConfiguration, question: Question) -> bool:
    """Whether the timeouts are longer than the shortest wakes, where connecting takes as long as the wake."""
    limits_s = [seconds for seconds in (pool.connection_limit_s, pool.queue_timeout_s) if seconds]
    return not question.waits_out_the_wake or min(limits_s, default=question.lower_s + 1) > question.lower_s


def _with_statement_timeouts(question: Question) -> Space | None:
    """The space with statement_timeout as a further axis; None: it has one already, or its driver has no such timeout.

    It decides where a connection survives the suspend: what waits for the wake, or for ever, is then a statement.
    """
    space = question.space
    if any("statement_timeout" in settings for settings in space.others):
        return None
    others = [
        {**settings, "statement_timeout": f"{timeout_s:g}"} for timeout_s in STATEMENTS_S for settings in space.others
    ]
    fitting = [settings for settings in others if space.base.accepts(settings)]
    return replace(space, others=fitting) if fitting else None


def _next_cheaper(pool: PoolConfiguration, space: Space) -> list[PoolConfiguration]:
    """The next smaller timeouts at this size, and the next smaller size with these timeouts."""
    size = (pool.pool_size, pool.max_overflow)
    of_size = list(space.candidates(size))
    found = []
    position = of_size.index(pool)
    smaller = [one for one in of_size[:position] if _longest_wait_s(one) < _longest_wait_s(pool)]
    if smaller:
        found.append(smaller[-1])
    sizes = list(space.sizes)
    if place := sizes.index(size):
        pool_size, max_overflow = sizes[place - 1]
        settings = {"pool_size": f"{pool_size}", "max_overflow": f"{max_overflow}"}
        if pool.accepts(settings):
            found.append(pool.with_settings(settings))
    return found


def _longest_wait_s(pool: PoolConfiguration) -> tuple[float, float, float]:
    return pool.connection_timeout_s, pool.queue_timeout_s, pool.client_statement_timeout_s
