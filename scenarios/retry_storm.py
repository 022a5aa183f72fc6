"""Retry storm: what clients that ask again make of a wake that is longer than the timeouts.

The wake takes 25 s, every timeout is 10 s. Clients ask once; at once again, up to five times; with a backoff of 1 s
that doubles; with the same and full jitter. A retry brings most requests through in the end, and each one takes a
place in the same queue: the service is asked twice as often while it can do least.
"""

from harness.scenario import Burst, Expectation, Retry, Scenario, Suspend, Variant, Warm, at_least, at_most, that
from harness.wake import profile

once, hasty, patient, jittered = "asked once", "retried at once", "with backoff", "with backoff and jitter"


def asked(least: int) -> Expectation:
    return that(f"asked at least {least} times in all", lambda trial: trial.attempts >= least)


SCENARIO = Scenario(
    name="retry_storm",
    wake=profile("neon", latency_s=25.0),
    pools=("10+5",),
    timeline=(Warm(), Suspend(), Burst(200, over_s=20)),
    variants=(
        Variant(once, retry=None),
        Variant(hasty, retry=Retry(retries=5)),
        Variant(patient, retry=Retry(retries=5, wait_s=1.0)),
        Variant(jittered, retry=Retry(retries=5, wait_s=1.0, jitter=True)),
    ),
    control=False,
    expect={
        "10+5": (
            at_least("pool_timeout", count=100).in_variant(once),
            asked(300).in_variant(hasty),
            at_most("pool_timeout", count=20).in_variant(hasty),
            asked(300).in_variant(patient),
            asked(300).in_variant(jittered),
        )
    },
)
