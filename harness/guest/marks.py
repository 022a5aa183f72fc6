"""What an application did in virtual time that can't be played there: counted by its words, and said in the results."""

from collections import Counter


class Marks:
    """Of one trial. Any mark makes the trial one that is not to be relied on."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()

    def note(self, what: str, times: int = 1) -> None:
        """It did this, so often."""
        self._times[what] += times

    def all(self) -> dict[str, int]:
        """How often each was done, in the order in which they were first done."""
        return dict(self._times)
