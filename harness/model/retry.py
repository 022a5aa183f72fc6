"""What a client does when its request fails: ask again, at once or later, and how often."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from harness.model.limits import LARGEST_FACTOR, LONGEST_S, MOST_RETRIES, check_number, check_whole
from harness.model.outcomes import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Tries after the first one, and the waits between them.

    The wait before retry `n`, from 1, is `wait_s * factor ** (n - 1)`, at most `max_wait_s`; with `jitter` it is
    drawn evenly between 0 and that ("full jitter": Marc Brooker, "Exponential Backoff And Jitter", AWS, 2015).
    """

    retries: int
    wait_s: float = 0.0
    factor: float = 2.0
    max_wait_s: float = 60.0
    jitter: bool = False

    def __post_init__(self) -> None:
        check_whole("retries", self.retries, where="retry", least=1, most=MOST_RETRIES)
        limits = (("wait_s", 0.0, LONGEST_S), ("factor", 1.0, LARGEST_FACTOR), ("max_wait_s", 0.0, LONGEST_S))
        for name, least, most in limits:
            check_number(name, getattr(self, name), where="retry", least=least, most=most)

    def waits_s(self, seed: int, number: int) -> list[float]:
        """The waits of one request, by its number: the same in every trial with this seed."""
        draw = random.Random(f"retry/{seed}/{number}")
        longest = [min(self.max_wait_s, self.wait_s * self.factor**retry) for retry in range(self.retries)]
        return [draw.uniform(0.0, one) for one in longest] if self.jitter else longest


class Attempts:
    """One request's tries: whether its client asks again, decided in one place for every load generator."""

    def __init__(self, waits_s: Sequence[float]) -> None:
        """`waits_s` before each retry; empty: it is tried once."""
        self._waits_s = waits_s
        self.number = 1
        """The try under way, from 1."""

    def wait_after_s(self, outcome: Outcome) -> float | None:
        """What the try under way came to; how long until the next one, None when there is none."""
        if outcome is Outcome.OK or self.number > len(self._waits_s):
            return None
        self.number += 1
        return self._waits_s[self.number - 2]
