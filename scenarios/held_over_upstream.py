"""Held over an upstream call: requests keep their connection while they wait for another service.

20 requests a second, each with one query and a call of half a second to two seconds. Held meanwhile, the call needs
20 × 1.25 = 25 connections; given back before it, the same traffic needs less than one.
"""

from harness.scenario import (
    Burst, Checkout, Query, RequestMix, RequestShape, Scenario, Uniform, Upstream, Variant, Warm, at_least, none,
    pool,
)  # fmt: skip
from harness.wake import profile

call = Upstream(Uniform(0.5, 2.0))


def traffic(*steps: Checkout | Upstream) -> tuple[Warm, Burst]:
    return Warm(), Burst.rate(20, for_s=15, mix=RequestMix.of({RequestShape("checkout_order", *steps): 1}))


usual, large = pool("10+5", pool_timeout=3), pool("30+10", pool_timeout=3)

SCENARIO = Scenario(
    name="held_over_upstream",
    wake=profile("always-on"),
    pools=(usual, large),
    timeline=traffic(Checkout(Query(), call)),
    variants=(Variant("held"), Variant("given back first", timeline=traffic(Checkout(Query()), call))),
    expect={
        usual: (
            at_least("pool_timeout", count=60).in_variant("held"),
            none("failure").in_variant("given back first"),
        ),
        large: none("failure"),
    },
)
