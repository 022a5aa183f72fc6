"""How quick a core of this machine is: it decides how many trials it plays beside each other in real time."""

from functools import cache
from time import thread_time

SLOWEST_S = 0.0064
"""CPU time of `_work` from which on a core plays three trials, as it did before more were measured anywhere."""
MOST = 2.7
"""Where it takes 1.8 to 2.4 ms, eight a core leave each other's outcomes alone: `python -m benchmarks.beside`."""
TIMES = 7


@cache
def quickness() -> float:
    """How many times as many trials as on a machine of `SLOWEST_S`, from 1 to `MOST`; asked once a process."""
    return min(MOST, max(1.0, SLOWEST_S / min(_took_s() for _ in range(TIMES))))


def _took_s() -> float:
    began_s = thread_time()
    _work()
    return thread_time() - began_s


def _work() -> None:
    counts: dict[int, int] = {}
    for number in range(20_000):
        counts[number % 97] = counts.get(number % 97, 0) + number * 2
