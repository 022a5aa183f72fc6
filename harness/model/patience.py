"""How long an answer is worth having: one that comes later counts as a failure."""

import math
from dataclasses import dataclass

from harness.model.errors import UserError

PERSON_WAITS_S = 30.0
"""Nobody waits longer for a page. Heroku's router gives up after the same time
(https://devcenter.heroku.com/articles/request-timeout)."""


@dataclass(frozen=True, slots=True)
class Patience:
    """A request fails when it does not end ok within this time of its arrival."""

    seconds: float
    reason: str
    """Where the number comes from, in words."""

    @classmethod
    def chosen(
        cls, given_s: float | None, *, client_timeout_s: float, of_the_story_s: float | None = None
    ) -> "Patience":
        """The given patience, else the story's; without both the client's timeout, but at most PERSON_WAITS_S.

        Raises `UserError` for a patience that is not positive.
        """
        if given_s is None and of_the_story_s is not None:
            return cls(of_the_story_s, "the story's patience")
        if given_s is None:
            seconds = min(client_timeout_s, PERSON_WAITS_S)
            return cls(
                seconds,
                f"the default: the client's timeout, {client_timeout_s:g} s, but no more than {PERSON_WAITS_S:g} s, "
                "longer than which nobody waits",
            )
        if not 0 < given_s < math.inf:
            raise UserError(f"patience must be positive, got {given_s:g}", where="--patience", allowed="seconds")
        return cls(given_s, "as given with `--patience`")

    def rule(self) -> str:
        """The sentence that defines "fails"."""
        return f"A request fails when it does not end ok within {self.seconds:g} s of its arrival ({self.reason})."
