"""What changed since the baseline, in sentences: what is an effect on these arrivals, and what may be chance."""

import math

from harness.analysis.differences import MIN_DIFFERENCE_S, SIGNIFICANT, longer
from harness.analysis.effect import Verdict
from harness.gate.baseline import Change


def change_in_words(change: Change) -> str:
    """`wake 12 s, 10+5: better than the baseline: of 1000 requests 4 are saved and none is lost; …`"""
    name = f"{change.wake}, {change.configuration}"
    if change.before != change.configuration:
        name = f"{name} (in the baseline {change.before})"
    effect = change.effect
    if change.same:
        return f"{name}: no difference, {_each(effect.requests)} ends exactly as in the baseline."
    if effect.verdict is Verdict.NONE:
        return f"{name}: {'; '.join([_same_fail(change), *_times(change)])}."
    if effect.verdict is Verdict.DEPENDS:
        verdict = "better or worse than the baseline, which depends on the arrivals"
    else:
        verdict = f"{effect.verdict} than the baseline"
    seeds = [effect.in_seeds()] if len(effect.seeds) > 1 else []
    return f"{name}: {verdict}: {'; '.join([effect.counts(), *seeds, _chance(change), *_times(change)])}."


def _each(requests: int) -> str:
    return f"each of the {requests} requests" if requests != 1 else "the one request"


def _same_fail(change: Change) -> str:
    if not change.failed_before:
        return "no request fails, nor did one in the baseline"
    if change.failed_before == change.effect.requests:
        return "every request fails, as in the baseline"
    if change.failed_before == 1:
        return f"the same request of {change.effect.requests} fails as in the baseline"
    return f"the same {change.failed_before} of {change.effect.requests} requests fail as in the baseline"


def _chance(change: Change) -> str:
    """What the seeds say of other arrivals. For the arrivals that were played the counts are what happened."""
    effect = change.effect
    if len(effect.seeds) == 1:
        return "one seed, so this is known of its arrivals only"
    test = f"sign test over the seeds: p = {effect.chance:.2g}"
    return f"not by chance ({test})" if effect.chance < SIGNIFICANT else f"on other arrivals it can be chance ({test})"


def _times(change: Change) -> list[str]:
    """How the answers' times changed, where there is something to say."""
    mean_s = change.longer_s
    if math.isnan(mean_s.value):
        return []
    if text := longer(mean_s):
        return [text]
    if mean_s.low is not None or abs(mean_s.value) < MIN_DIFFERENCE_S:
        return []
    which = "longer" if mean_s.value > 0 else "shorter"
    return [f"a request that is ok in both takes {abs(mean_s.value):.2f} s {which} on average, with these arrivals"]
