"""Shrinks a case that breaks: fewest events first, then fewest requests, the shortest wake, the calmest arrivals."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from harness.model.arrivals import Pattern
from harness.model.distribution import Constant
from harness.model.errors import UserError
from harness.model.timeline import Burst, ConnectionLoss, Deploy, Outage, Slow
from harness.model.wake import WakeProfile
from harness.worst.bounds import Bounds
from harness.worst.case import Case
from harness.worst.judging import Judge, SpentError, Verdict
from harness.worst.parts import Phase, Place, moment_s, moved, phases, replaced, without

HALVINGS = 6
"""How often the time of a burst is halved in search of the calmest that breaks."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What shrinking came to."""

    verdict: Verdict
    is_smallest: bool
    """Whether every single step to a smaller story was tried; False: no trial was left for it."""


async def shrunk(verdict: Verdict, judge: Judge, bounds: Bounds, *, plain: WakeProfile, seed: int) -> Shrunk:
    """The smallest case that is found from this one, which breaks. It breaks too."""
    shrinking = _Shrinking(verdict, judge, bounds, plain, seed)
    try:
        await shrinking.to_the_end()
    except SpentError:
        return Shrunk(shrinking.best, is_smallest=False)
    return Shrunk(shrinking.best, is_smallest=True)


class _Shrinking:
    """The steps, each of which replaces the best case by a smaller one that breaks, or leaves it."""

    def __init__(self, verdict: Verdict, judge: Judge, bounds: Bounds, plain: WakeProfile, seed: int) -> None:
        self.best = verdict
        self._judge = judge
        self._bounds = bounds
        self._plain = plain
        self._seed = seed

    async def to_the_end(self) -> None:
        """Until no step makes it smaller."""
        before = None
        while before != self.best.case:
            before = self.best.case
            for step in (
                self._events, self._requests, self._wake, self._behaviour, self._arrivals, self._base_seed,
                self._amounts, self._moments,
            ):  # fmt: skip
                await step()

    async def _try(self, made: Callable[[], Case]) -> bool:
        """Whether this case breaks; then it is the best, where it is smaller."""
        try:
            case = made()
        except UserError:
            # The model refuses such a story: a traffic without a burst, a burst over no time.
            return False
        verdict = await self._judge.judge(case)
        if verdict is None or not verdict.breaks:
            return False
        if case.size(self._plain, self._seed) < self.best.case.size(self._plain, self._seed):
            self.best = verdict
        return True

    async def _least(self, top: int, made: Callable[[int], Case], *, bottom: int = 0) -> None:
        """Make a whole number below `top` as small as it breaks, taking it that every larger one does too.

        Where that is not so the result still breaks, as everything here; another round then starts from there.
        """
        if top <= bottom or await self._try(lambda: made(bottom)):
            return
        low, high = bottom, top
        while high - low > 1:
            middle = (low + high) // 2
            if await self._try(lambda middle=middle: made(middle)):  # type: ignore[misc]
                high = middle
            else:
                low = middle

    # The steps, in the order in which a story becomes smaller:

    async def _events(self) -> None:
        """Without each of its events, as it is or at the longest wake. The last goes first: it matters least."""
        number = len(self.best.case.events)
        while number:
            number -= 1
            case = self.best.case
            if number < len(case.events):
                place = case.events[number]

                def left(case: Case = case, place: Place = place) -> Case:
                    return case.with_timeline(without(case.timeline, place))

                if not await self._try(left):
                    await self._try(lambda left=left: self._at_longest(left()))  # type: ignore[misc]

    async def _requests(self) -> None:
        for number in range(len(self.best.case.bursts)):
            _, burst = self.best.case.bursts[number]
            if burst.given_s:
                await self._fewer_given(number)
            else:
                await self._fewer(number)

    async def _fewer(self, number: int) -> None:
        """As few requests of this burst as break: at the longest wake, all at once where that is allowed; or as is."""
        most = self.best.case.bursts[number][1].requests
        at_once = Pattern.AT_ONCE in self._bounds.patterns

        async def breaks(requests: int) -> bool:
            hardest: dict[str, Any] = {"over_s": 0.0, "arrivals": Pattern.AT_ONCE} if at_once else {}
            return await self._try(
                lambda: self._at_longest(
                    self._with_burst(number, lambda burst: replace(burst, requests=requests, **hardest))
                )
            ) or await self._try(lambda: self._with_burst(number, lambda burst: replace(burst, requests=requests)))

        low, high = 0, 1
        while high < most and not await breaks(high):
            low, high = high, 2 * high
        high = min(high, most)
        while high - low > 1:
            middle = (low + high) // 2
            if await breaks(middle):
                high = middle
            else:
                low = middle

    async def _fewer_given(self, number: int) -> None:
        """Of a burst whose moments are given, leave out halves, then quarters, down to single requests."""
        chunk = self.best.case.bursts[number][1].requests // 2
        while chunk:
            start = 0
            while start < (left := self.best.case.bursts[number][1].requests) and left > 1:
                if not await self._try(
                    lambda start=start, chunk=chunk: self._with_burst(  # type: ignore[misc]
                        number, lambda burst: _without_requests(burst, start, start + chunk)
                    )
                ):
                    start += chunk
            chunk //= 2

    async def _wake(self) -> None:
        """The shortest wake, in tenths of a second."""
        tenths = -int(-self.best.case.wake_s * 10 // 1)
        await self._least(tenths, lambda wake: self._with_wake(latency=Constant(wake / 10)))

    async def _behaviour(self) -> None:
        await self._try(
            lambda: self._with_wake(on_suspend=self._plain.on_suspend, while_waking=self._plain.while_waking)
        )
        await self._try(lambda: self._with_wake(on_suspend=self._plain.on_suspend))
        await self._try(lambda: self._with_wake(while_waking=self._plain.while_waking))

    async def _arrivals(self) -> None:
        """The calmest arrivals of each burst: even ones, over a long time."""
        for number in range(len(self.best.case.bursts)):
            before = self.best.case
            if before.bursts[number][1].requests == 1 and await self._try(
                lambda number=number: self._with_arrivals(number, Pattern.AT_ONCE, 0.0)  # type: ignore[misc]
            ):
                continue
            await self._calmer(number)

    async def _calmer(self, number: int) -> None:
        for pattern in (Pattern.EVEN, Pattern.POISSON):
            if pattern not in self._bounds.patterns:
                continue
            over_s = self._bounds.over_s
            for _ in range(HALVINGS):
                own = self.best.case.bursts[number][1]
                if own.arrivals == pattern and own.over_s >= over_s:
                    return
                if await self._try(
                    lambda pattern=pattern, over_s=over_s: self._with_arrivals(number, pattern, over_s)  # type: ignore[misc]
                ):
                    return
                over_s = round(over_s / 2, 1) or over_s / 2

    async def _base_seed(self) -> None:
        await self._try(lambda: replace(self.best.case, seed=self._seed))

    async def _amounts(self) -> None:
        """Outages as short, losses and slowness as small as break."""
        for place, phase in list(phases(self.best.case.timeline)):
            match phase:
                case Outage(for_s=for_s):
                    tenths = -int(-for_s * 10 // 1)
                    await self._least(
                        tenths, lambda n, place=place: self._with_phase(place, for_s=n / 10), bottom=1  # type: ignore[misc]
                    )  # fmt: skip
                case ConnectionLoss(share=share):
                    await self._least(
                        round(100 * share),
                        lambda n, place=place: self._with_phase(place, share=n / 100),  # type: ignore[misc]
                        bottom=1,
                    )
                case Slow(slow_s):
                    await self._least(
                        round(1000 * slow_s),
                        lambda n, place=place: self._with_phase(place, round_trip_s=n / 1000),  # type: ignore[misc]
                    )
                case Deploy(every_s):
                    await self._least(
                        round(every_s), lambda n, place=place: self._with_phase(place, every_s=float(n))  # type: ignore[misc]
                    )  # fmt: skip
                case _:
                    pass

    async def _moments(self) -> None:
        """Events at the beginning, or else as early as they break, in tenths of a second."""
        for place in self.best.case.events:
            at_s = moment_s(self.best.case.timeline, place)
            if at_s:
                tenths = -int(-at_s * 10 // 1)
                await self._least(
                    tenths,
                    lambda n, place=place: self.best.case.with_timeline(  # type: ignore[misc]
                        moved(self.best.case.timeline, place, n / 10)
                    ),
                )

    # The case with one thing changed:

    def _with_burst(self, number: int, change: Callable[[Burst], Burst]) -> Case:
        case = self.best.case

        def changed(phase: Phase) -> Phase:
            assert isinstance(phase, Burst)
            return change(phase)

        return case.with_timeline(replaced(case.timeline, case.bursts[number][0], changed))

    def _with_arrivals(self, number: int, pattern: Pattern, over_s: float) -> Case:
        return self._with_burst(
            number,
            lambda burst: replace(burst, arrivals=pattern, over_s=over_s, given_s=(), given_requests=()),
        )

    def _with_phase(self, place: Place, **changes: float) -> Case:
        case = self.best.case
        change: Callable[[Any], Phase] = lambda phase: replace(phase, **changes)  # noqa: E731 - of the kind it is
        return case.with_timeline(replaced(case.timeline, place, change))

    def _at_longest(self, case: Case) -> Case:
        return replace(case, wake=replace(case.wake, latency=Constant(self._bounds.wake_s)))

    def _with_wake(self, **changes: object) -> Case:
        return replace(self.best.case, wake=replace(self.best.case.wake, **changes))  # type: ignore[arg-type]


def _without_requests(burst: Burst, start: int, end: int) -> Burst:
    moments_s = (*burst.given_s[:start], *burst.given_s[end:])
    names = (*burst.given_requests[:start], *burst.given_requests[end:])
    return replace(
        burst, requests=len(moments_s), given_s=moments_s, given_requests=names, over_s=max(moments_s, default=0.0)
    )
