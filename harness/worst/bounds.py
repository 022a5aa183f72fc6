"""The bounds of a search: which stories it may tell, as a user states them and as a sentence says them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, TypeVar

from harness.analysis.sentences import either, listed
from harness.model.arrivals import Pattern
from harness.model.compute import OnSuspend, WhileWaking
from harness.model.errors import UserError
from harness.model.limits import LONGEST_S, MAX_REQUESTS, check_number, check_whole, quoted
from harness.model.plan import PlannedRun

EVENTS = ("suspend", "deploy", "outage:SECONDS", "loss:SHARE", "slow:SECONDS", "none")
ALLOWED = ", ".join([*EVENTS, *OnSuspend, *WhileWaking])
Word = TypeVar("Word", bound=StrEnum)
MOST_EVENTS = 3
"""Of one drawn story: of more nobody learns more."""
ARRIVE: Mapping[str, str] = {
    Pattern.POISSON: "at random", Pattern.EVEN: "evenly", Pattern.GIVEN: "at listed moments",
    Pattern.AT_ONCE: "at once",
}  # fmt: skip
PATTERNS = (Pattern.POISSON, Pattern.EVEN, Pattern.AT_ONCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """What may happen while requests come; None: not this."""

    suspend: bool = False
    deploy: bool = False
    outage_s: float | None = None
    """The longest outage, in seconds."""
    loss: float | None = None
    """The largest share of the connections that may die."""
    slow_s: float | None = None
    """By how much a round trip may become longer, in seconds."""

    @property
    def kinds(self) -> list[str]:
        """Those that are allowed."""
        allowed = {
            "suspend": self.suspend, "deploy": self.deploy, "outage": self.outage_s is not None,
            "loss": self.loss is not None, "slow": self.slow_s is not None,
        }  # fmt: skip
        return [kind for kind, is_allowed in allowed.items() if is_allowed]

    def __str__(self) -> str:
        """`a suspend and a deploy`."""
        named = {
            "suspend": "a suspend", "deploy": "a deploy", "outage": f"an outage of up to {self.outage_s or 0:g} s",
            "loss": f"the loss of up to {100 * (self.loss or 0):g}% of the connections",
            "slow": f"round trips up to {self.slow_s or 0:g} s longer",
        }  # fmt: skip
        return listed([named[kind] for kind in self.kinds])


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Which stories a search may tell."""

    wake_s: float
    """The longest wake."""
    requests: int
    """The most requests."""
    over_s: float
    """The longest time in which they come."""
    patterns: tuple[Pattern, ...]
    on_suspend: tuple[OnSuspend, ...]
    """What may happen to open connections at a suspend; the scenario's own first."""
    while_waking: tuple[WhileWaking, ...]
    events: Events

    @classmethod
    def of(
        cls,
        plan: PlannedRun,
        *,
        wake_s: float | None,
        requests: int | None,
        over_s: float | None,
        allowed: Sequence[str],
    ) -> Self:
        """The scenario's own measures where no others are given. Raises `UserError` for what can't be meant."""
        stories, wakes = list(plan.stories.values()), plan.wakes
        if wake_s is not None:
            check_number("the longest wake", wake_s, where="--wake-up-to")
        if requests is not None:
            check_whole("the most requests", requests, where="--requests-up-to", least=1, most=MAX_REQUESTS)
        if over_s is not None:
            check_number("the longest burst", over_s, where="--over-up-to", above_least=True)
        events, words = _events(allowed)
        if events is None:
            # What happens on any day. A compute does not suspend under traffic, unless somebody makes it.
            events = Events(deploy=True)
        own_over_s = max((load.over_s for story in stories for load in story.loads), default=0.0)
        chosen = plan.overrides.arrivals
        return cls(
            wake_s=max(wake.latency.quantile(1.0) for wake in wakes) if wake_s is None else wake_s,
            requests=max(sum(burst.requests for burst in story.bursts) for story in stories)
            if requests is None
            else requests,
            over_s=(own_over_s or 1.0) if over_s is None else over_s,
            patterns=PATTERNS if chosen is None else (chosen,),
            on_suspend=_each((wake.on_suspend for wake in wakes), words, OnSuspend),
            while_waking=_each((wake.while_waking for wake in wakes), words, WhileWaking),
            events=events,
        )

    def sentence(self) -> str:
        """What was allowed, in one sentence."""
        requests = "1 request" if self.requests == 1 else f"1 to {self.requests} requests"
        patterns = either([ARRIVE[pattern] for pattern in self.patterns])
        text = f"{requests} over up to {self.over_s:g} s ({patterns}), wakes of up to {self.wake_s:g} s"
        behaviours = f"open connections: {either(self.on_suspend)}; new ones: {either(self.while_waking)}"
        events = f"meanwhile up to {MOST_EVENTS} of: {self.events}" if self.events.kinds else "no events meanwhile"
        return f"{text}; {behaviours}; {events}."

    def to_json(self) -> dict[str, object]:
        events = self.events
        return {
            "wake_s": self.wake_s, "requests": self.requests, "over_s": self.over_s,
            "arrivals": [pattern.value for pattern in self.patterns],
            "on_suspend": [word.value for word in self.on_suspend],
            "while_waking": [word.value for word in self.while_waking],
            "events": {
                "suspend": events.suspend, "deploy": events.deploy, "outage_s": events.outage_s,
                "loss": events.loss, "slow_s": events.slow_s,
            },
        }  # fmt: skip


def _each(own: Iterable[Word], words: Sequence[str], kind: type[Word]) -> tuple[Word, ...]:
    """The scenario's own first, then those that a user allows."""
    known = {word.value: word for word in kind}
    return tuple(dict.fromkeys([*own, *(known[word] for word in words if word in known)]))


def _events(allowed: Sequence[str]) -> tuple[Events | None, list[str]]:
    """The events that `--allow` names, None where it names none; and its words for behaviours."""
    behaviours: list[str] = []
    found: dict[str, bool | float] = {}
    for text in allowed:
        name, colon, amount = text.strip().partition(":")
        if name in {*OnSuspend, *WhileWaking} and not colon:
            behaviours.append(name)
        elif name in ("suspend", "deploy", "none") and not colon:
            found[name] = True
        elif name in ("outage", "slow", "loss") and colon:
            found["loss" if name == "loss" else f"{name}_s"] = _amount(name, amount, text)
        else:
            raise UserError(f"{quoted(text)} can't be allowed", where="--allow", allowed=ALLOWED)
    if found.pop("none", False) and found:
        raise UserError("none, and others too", where="--allow", allowed="one of the two")
    named = any(text.strip().partition(":")[0] not in {*OnSuspend, *WhileWaking} for text in allowed)
    return (Events(**found) if named else None), behaviours  # type: ignore[arg-type]  # each has its own type above


def _amount(name: str, text: str, whole: str) -> float:
    """`5`, `5s`, or a share as `50%` or `0.5`."""
    share = name == "loss"
    try:
        number = float(text.removesuffix("%" if share else "s")) / (100 if share and text.endswith("%") else 1)
    except ValueError:
        unit = "a share such as 50%" if share else "seconds such as 5"
        raise UserError(f"{quoted(whole)} has no amount", where="--allow", allowed=f"{name}: and {unit}") from None
    check_number(name, number, where="--allow", above_least=True, most=1.0 if share else LONGEST_S)
    return number
