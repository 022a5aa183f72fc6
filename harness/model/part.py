"""A part of a trial's requests: those of one burst, of one request name, or on one instance."""

from dataclasses import dataclass
from typing import Any

from harness.model.errors import UserError
from harness.model.story import Story


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which requests of a trial; None: whatever they have there. Without any limit it is the whole trial."""

    burst: int | None = None
    """The burst's number in the timeline, from 0, as in the column `burst`."""
    request: str | None = None
    """The request's name, as in the column `request`."""
    instance: int | None = None
    """The instance of the service, from 0. Within a load, requests go to the instances in turn."""

    @property
    def is_whole(self) -> bool:
        return self == WHOLE

    def check(self, story: Story, *, where: str) -> None:
        """Raise `UserError` for a part that the story does not have."""
        bursts = story.bursts
        _check_number("burst", self.burst, len(bursts), where=where)
        _check_number("instance", self.instance, story.instances, where=where)
        if self.request is not None:
            mixes = [burst.mix for burst in (bursts if self.burst is None else (bursts[self.burst],))]
            names = list(dict.fromkeys(request.value for mix in mixes for request, _ in mix.weights))
            if self.request not in names:
                of_burst = "" if self.burst is None else f" in burst {self.burst}"
                raise UserError(f"no request {self.request!r}{of_burst}", where=where, allowed=", ".join(names))

    def __str__(self) -> str:
        """`among nested requests in burst 1 on instance 0`; empty for the whole."""
        return " ".join([
            *([] if self.request is None else [f"among {self.request} requests"]),
            *([] if self.burst is None else [f"in burst {self.burst}"]),
            *([] if self.instance is None else [f"on instance {self.instance}"]),
        ])  # fmt: skip


WHOLE = Part()


def _check_number(what: str, number: Any, count: int, *, where: str) -> None:  # noqa: ANN401 - from a scenario's file
    if number is None or (type(number) is int and 0 <= number < count):
        return
    raise UserError(f"no {what} {number!r}", where=where, allowed="0" if count == 1 else f"0 to {count - 1}")
