"""Nested checkout: a request asks for a second connection while it holds the first, and so do all the others.

Ten requests at once take the ten connections of the pool, and each waits for an eleventh: nobody can go on until
pool_timeout ends the wait. A larger pool only needs more requests. What ends it: one connection a request, or a gate
that lets in fewer requests than there are connections.
"""

from harness.scenario import (
    Burst, Checkout, Query, RequestMix, RequestShape, Scenario, Variant, Warm, at_least, none, pool,
)  # fmt: skip
from harness.wake import profile


def burst(shape: RequestShape) -> tuple[Warm, Burst]:
    return Warm(), Burst(20, 0, "at_once", RequestMix.of({shape: 1}))


nested = Checkout(Query(0.01), Checkout(Query(0.01)))
ten, twenty = pool("10+0", pool_timeout=3), pool("10+11", pool_timeout=3)

SCENARIO = Scenario(
    name="nested_checkout",
    wake=profile("always-on"),
    pools=(ten, twenty),
    timeline=burst(RequestShape("nested", nested)),
    variants=(
        Variant("nested"),
        Variant("one after the other", timeline=burst(RequestShape("flat", *[Checkout(Query(0.01))] * 2))),
        Variant("nine at a time", timeline=burst(RequestShape("gated", nested, at_most=9))),
    ),
    expect={
        ten: (
            at_least("pool_timeout", count=10).in_variant("nested"),
            none("failure").in_variant("one after the other"),
            none("failure").in_variant("nine at a time"),
        ),
        # One connection more than there are requests: as long as no twenty-first comes.
        twenty: none("failure"),
    },
)
