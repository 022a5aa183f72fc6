"""Answers a question: the search, the margin, what it costs awake; or what would have to change."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from harness.model.distribution import three_figures
from harness.model.objective import Objectives, percentile
from harness.model.patience import Patience
from harness.model.pool import PoolConfiguration
from harness.recommend.answer import Answer, Warm, WouldHelp
from harness.recommend.judging import Judge, Verdict
from harness.recommend.question import Question
from harness.recommend.search import SCREENED, Say, search
from harness.search.margin import longest_wake
from harness.search.playing import Playing

WARM_SEEDS = 3
ENOUGH = 1.25
"""A timeout that is to outlast the wake, where nothing shorter was enough: the wake times this."""


async def answer(question: Question, playing: Playing, say: Say) -> Answer:
    """The answer to this question. Raises what playing a trial raises."""
    judge = Judge(question, playing)
    say(f"{len(question.space)} candidates, wakes up to {three_figures(question.upper_s)} s")
    today = await _today(judge) if _fits(question, question.today) else None
    found = await search(judge, say)
    if found is None:
        say("no candidate meets the objectives: what would have to change")
        would_help = await _would_help(judge)
        return Answer(question=question, found=None, today=today, would_help=would_help, trials=judge.trials)
    pools = [found.pool, *([question.today] if today is not None and _is_other(question.today, found.pool) else [])]
    warm = [await _warm(judge, pool) for pool in pools]
    return Answer(
        question=question, found=found.pool, refused=found.refused, margin=found.margin, warm=tuple(warm), today=today,
        trials=judge.trials, marks=tuple(playing.marks),
    )  # fmt: skip


async def _today(judge: Judge) -> Verdict:
    """What becomes of the configuration that is set today: its first miss, or what the first seed made of it."""
    question = judge.question
    miss = await judge.first_miss(question.today, question.upper_s, question.seeds[:SCREENED])
    return miss if miss is not None else await judge.judge(question.today, question.upper_s, question.seeds[0])


def _is_other(pool: PoolConfiguration, than: PoolConfiguration) -> bool:
    return pool.resolved != than.resolved


def _fits(question: Question, pool: PoolConfiguration) -> bool:
    """Whether the story can be played with this pool: it warms no more connections than the pool holds."""
    return pool.capacity >= min(sum(size) for size in question.space.sizes)


async def _warm(judge: Judge, pool: PoolConfiguration) -> Warm:
    seeds = judge.question.seeds[:WARM_SEEDS]
    verdicts = await judge.judge_all([(pool, None, seed) for seed in seeds])
    played = [verdict.played for verdict in verdicts]
    patience_s = judge.question.objectives.patience.seconds
    return Warm(
        pool=pool,
        requests=sum(trial.requests for trial in played),
        failed=sum(trial.requests - trial.answered(patience_s) for trial in played),
        p95_s=percentile([latency_s for trial in played for latency_s in trial.latencies_s], 95),
        connects=sum(trial.connects for trial in played),
    )


async def _would_help(judge: Judge) -> WouldHelp:
    question = judge.question
    seed = question.seeds[0]
    space = question.space
    at_ends = [list(space.candidates(size))[-1] for size in (space.sizes[0], space.sizes[-1])]
    smallest, largest = await judge.judge_all([(pool, question.upper_s, seed) for pool in at_ends])
    closest = judge.closest or min(smallest, largest, key=lambda verdict: verdict.excess)
    wake_s, with_wake = await _longest_of(judge, [closest.pool, largest.pool, smallest.pool])
    patience_s, with_patience = await _patience(judge, [largest.pool, smallest.pool])
    return WouldHelp(
        closest=closest,
        smallest=smallest,
        largest=largest,
        wake_s=wake_s,
        with_wake=with_wake,
        patience_s=patience_s,
        with_patience=with_patience,
        awake=await judge.judge(with_wake, None, seed),
    )


async def _longest_of(judge: Judge, pools: Iterable[PoolConfiguration]) -> tuple[float | None, PoolConfiguration]:
    """The longest wake that one of these survives with the first seed, and which."""
    seeds = judge.question.seeds[:1]
    found: list[tuple[float, PoolConfiguration]] = []
    distinct = list({pool.resolved: pool for pool in pools}.values())
    for pool in distinct:

        async def survives(wake_s: float, pool: PoolConfiguration = pool) -> bool:
            return await judge.meets(pool, wake_s, seeds)

        longest = await longest_wake(
            survives, known_s=None, most_s=judge.question.upper_s, broken_s=judge.question.upper_s
        )
        if longest.survived_s is not None:
            found.append((longest.survived_s, pool))
    if not found:
        return None, distinct[0]
    return max(found, key=lambda one: one[0])


async def _patience(judge: Judge, pools: Sequence[PoolConfiguration]) -> tuple[float | None, PoolConfiguration]:
    """The shortest patience, in whole seconds, with which one of these pools meets the objectives if it waits as long.

    Its timeouts are then longer than the wake. None: no patience is enough.
    """
    question = judge.question
    enough_s = math.ceil(question.upper_s * ENOUGH)
    found: list[tuple[float, PoolConfiguration]] = []
    for pool in pools:
        settings = {"connection_timeout": f"{enough_s}", "pool_timeout": f"{enough_s}"}
        if not pool.accepts(settings):
            continue
        waiting = pool.with_settings(settings)
        verdict = await judge.judge(waiting, question.upper_s, question.seeds[0])
        needed_s = _needed(verdict, question.objectives)
        if needed_s is not None:
            found.append((needed_s, waiting))
    return min(found, key=lambda one: one[0]) if found else (None, pools[0])


def _needed(verdict: Verdict, objectives: Objectives) -> float | None:
    """The shortest patience in whole seconds with which this trial's requests meet the objectives; None: none."""
    for seconds in sorted({float(max(1, math.ceil(latency_s))) for latency_s in verdict.played.ok_latencies_s}):
        if replace(objectives, patience=Patience(seconds, "tried")).are_met(verdict.played):
            return seconds
    return None
