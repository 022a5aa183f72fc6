"""What a recommendation costs: seconds and trials by the number of seeds, and bisection beside plain sampling.

The first table is of whole processes, one after the other. In the second a configuration's probability to miss its
objective is estimated twice, with the same code for a trial: by bisecting the longest wake that each of a few arrival
sequences survives, and by drawing wakes and arrivals as a run does.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from math import sqrt
from statistics import mean, median, stdev
from typing import Any

from scipy import stats

from benchmarks.report import write_table
from harness.analysis.statistics import rate
from harness.library import load_scenario
from harness.model.objective import read_objectives
from harness.model.patience import Patience
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.scenario import pool
from harness.model.wake import read_wake
from harness.recommend.judging import Judge
from harness.recommend.question import Question, the_wake
from harness.recommend.space import Space
from harness.search.margin import RESOLUTION_S, longest_wake
from harness.search.playing import Playing

COMMAND = (
    "recommend", "cold_burst", "--wake", "5:10", "--requests", "200", "--over", "5", "--slo", "failed<1%",
    "--instances", "2", "--max-connections", "104", "--service-time", "0.02", "--connect-time", "0.1", "--json",
)  # fmt: skip
SEEDS = (15, 30, 59, 118)
BISECTED = 8
"""Arrival sequences whose longest wake is bisected."""
STEP_S = 0.2
SAMPLED = 400
CASES = {
    "neon, connection_timeout 2 s": ("neon", pool("5+0", connection_timeout=2)),
    "aurora-serverless-v2, connection_timeout 16 s": ("aurora-serverless-v2", pool("5+0", connection_timeout=16)),
    "xata, connection_timeout 1 s": ("xata", pool("10+5", connection_timeout=1)),
}


def whole_process(seeds: int) -> tuple[float, dict[str, Any]]:
    """Seconds of one recommendation, start and end of its process included, and its document."""
    with tempfile.TemporaryDirectory() as out:
        began_s = time.perf_counter()
        argv = [sys.executable, "-m", "harness", *COMMAND, "--repeat", str(seeds), "--out", out]
        done = subprocess.run(argv, check=True, capture_output=True, text=True)
        return time.perf_counter() - began_s, json.loads(done.stdout)


def speed(rounds: int) -> None:
    taken: dict[int, list[float]] = {seeds: [] for seeds in SEEDS}
    trials: dict[int, int] = {}
    candidates = 0
    for _ in range(rounds):
        for seeds in SEEDS:
            seconds, document = whole_process(seeds)
            taken[seeds].append(seconds)
            trials[seeds], candidates = document["trials"], document["candidates"]
    first = median(taken[SEEDS[0]])
    rows = [
        [
            str(seeds), str(trials[seeds]), f"{trials[seeds] / (candidates * seeds):.1%}",
            f"{median(taken[seeds]):.1f} s", f"{median(taken[seeds]) / first:.1f}", f"{seeds / SEEDS[0]:.1f}",
        ]
        for seeds in SEEDS
    ]  # fmt: skip
    header = [
        "seeds",
        "trials",
        "of every candidate × seed",
        "whole process",
        "times the first",
        "seeds, times the first",
    ]
    write_table("recommend-speed", header, rows)


def question_of(wake: str, configuration: PoolConfiguration) -> Question:
    overrides = Overrides(wakes=(read_wake(wake),), requests=100, over_s=5, service_time_s=0.02, connect_time_s=0.1)
    plan = PlannedRun(scenario=load_scenario("cold_burst"), overrides=overrides)
    space = Space.of(configuration, sizes=(5,), overflows=(0,), axes={}, longest_s=30.0, most=None, least=1)
    return Question(
        plan=plan, wake=the_wake(plan), objectives=read_objectives([], patience=Patience(30.0, "the benchmark's")),
        space=space, share=0.99, seeds=tuple(range(1, SAMPLED + 1)), budget=None, today=configuration,
    )  # fmt: skip


async def bisected(judge: Judge, configuration: PoolConfiguration) -> list[float]:
    """The longest wake that each of the first arrival sequences survives, in seconds."""
    found: list[float] = []
    for seed in judge.question.seeds[:BISECTED]:

        async def survives(wake_s: float, seed: int = seed) -> bool:
            return await judge.meets(configuration, wake_s, (seed,))

        held: list[float] = []
        broken: list[float] = []
        # The sequence before it says where to begin.
        for wake_s in (found[-1], found[-1] + STEP_S, found[-1] - STEP_S) if found else ():
            if not held or not broken:
                (held if await survives(round(wake_s, 6)) else broken).append(round(wake_s, 6))
        longest = await longest_wake(
            survives, known_s=max(held, default=None), broken_s=min(broken, default=None), most_s=60.0
        )
        assert longest.survived_s is not None
        found.append(longest.survived_s)
    return found


async def estimates(name: str) -> list[str]:
    wake, configuration = CASES[name]
    question = question_of(wake, configuration)
    latency = question.wake.latency
    async with Playing.running(say=print) as playing:
        judge = Judge(question, playing)
        longest_s = await bisected(judge, configuration)
        trials = judge.trials
        drawn = [(configuration, question.wake.latencies_s(seed, wakes=1)[0], seed) for seed in question.seeds]
        missed = sum(not verdict.meets for verdict in await judge.judge_all(drawn))
    shares = [latency.share_above(seconds) for seconds in longest_s]
    share, sampled = mean(shares), rate(missed, SAMPLED)
    # The resolution of the bisection is a part of its interval.
    resolution = latency.share_above(mean(longest_s)) - latency.share_above(mean(longest_s) + RESOLUTION_S)
    half = float(stats.t.ppf(0.975, BISECTED - 1)) * stdev(shares) / sqrt(BISECTED) + resolution
    needed = round(float(stats.norm.ppf(0.975)) ** 2 * share * (1 - share) / half**2)
    return [
        name, str(trials), f"{share:.1%} ± {half:.1%}", str(SAMPLED),
        f"{sampled.value:.1%} ({sampled.low:.1%} to {sampled.high:.1%})", str(needed), f"{trials / needed:.2f}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    header = [
        "case", "bisection: trials", "misses", "sampling: trials", "misses", "sampling, for the interval of bisection",
        "bisection / sampling",
    ]  # fmt: skip
    write_table("recommend-sampling", header, [asyncio.run(estimates(name)) for name in CASES])
    speed(rounds)


if __name__ == "__main__":
    main()
