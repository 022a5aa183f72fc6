"""What a client does when its request fails: how often it retries, and how long it waits before."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from harness.model.limits import LARGEST_FACTOR, LONGEST_S, MAX_RETRIES, check_number, check_whole
from harness.model.outcomes import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """The retries after a first try, and the waits before them.

    The wait before retry `n`, from 1, is `wait_s * factor ** (n - 1)`, at most `max_wait_s`; with `jitter` it is
    drawn evenly between 0 and that ("full jitter": Marc Brooker, "Exponential Backoff And Jitter", AWS, 2015).
    """

    retries: int
    wait_s: float = 0.0
    factor: float = 2.0
    max_wait_s: float = 60.0
    jitter: bool = False

    def __post_init__(self) -> None:
        check_whole("retries", self.retries, where="retry", least=1, most=MAX_RETRIES)
        limits = (("wait_s", 0.0, LONGEST_S), ("factor", 1.0, LARGEST_FACTOR), ("max_wait_s", 0.0, LONGEST_S))
        for name, least, most in limits:
            check_number(name, getattr(self, name), where="retry", least=least, most=most)

    def waits_s(self, seed: int, number: int) -> list[float]:
        """The waits before each retry of one request, by its number: the same in every trial with this seed."""
        draw = random.Random(f"retry/{seed}/{number}")
        longest_s = [min(self.max_wait_s, self.wait_s * self.factor**retry) for retry in range(self.retries)]
        return [draw.uniform(0.0, wait_s) for wait_s in longest_s] if self.jitter else longest_s


class Attempts:
    """The tries of one request: decides, for every load generator, whether its client tries again."""

    def __init__(self, waits_s: Sequence[float]) -> None:
        """`waits_s` are the waits before each retry; empty: no retries."""
        self._waits_s = waits_s
        self.number = 1
        """The number of the current try, from 1."""

    def wait_after_s(self, outcome: Outcome) -> float | None:
        """The current try ended with this outcome: the wait before the next one, None when there is none."""
        if outcome is Outcome.OK or self.number > len(self._waits_s):
            return None
        self.number += 1
        return self._waits_s[self.number - 2]
