"""What a client does when its request fails: ask again, at once or later, and how often."""

import math
import random
from dataclasses import dataclass

from harness.model.errors import UserError


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
        if self.retries < 1:
            raise UserError(f"retries must be at least 1, got {self.retries}", where="retry")
        for name, least in (("wait_s", 0.0), ("factor", 1.0), ("max_wait_s", 0.0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise UserError(f"{name} must be {least:g} or more, got {value:g}", where="retry")

    def waits_s(self, seed: int, number: int) -> list[float]:
        """The waits of one request, by its number: the same in every trial with this seed."""
        draw = random.Random(f"retry/{seed}/{number}")
        longest = [min(self.max_wait_s, self.wait_s * self.factor**retry) for retry in range(self.retries)]
        return [draw.uniform(0.0, one) for one in longest] if self.jitter else longest
