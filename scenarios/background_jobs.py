"""Background jobs: a nightly import runs beside the visitors, on their pool or on one of its own.

Each job checks a connection out three times for half a second. Without a gate, on the visitors' pool, forty jobs at
once are forty requests before everybody else. A gate of four leaves the pool to the visitors; a pool of their own
does too, and costs the database its connections.
"""

from harness.scenario import (
    At, Burst, Checkout, Query, RequestMix, RequestShape, Scenario, Traffic, Variant, Warm, at_least, none, pool,
)  # fmt: skip
from harness.wake import profile

steps = [Checkout(Query(0.5))] * 3


def night(job: RequestShape) -> tuple[Warm, Traffic]:
    jobs = Burst(40, 0, "at_once", RequestMix.of({job: 1}))
    return Warm(), Traffic(Burst.rate(10, for_s=20), At(5, jobs))


usual = pool("5+5", pool_timeout=2)

SCENARIO = Scenario(
    name="background_jobs",
    wake=profile("always-on"),
    pools=(usual,),
    timeline=night(RequestShape("job", *steps)),
    variants=(
        Variant("all at once"),
        Variant("four at a time", timeline=night(RequestShape("job", *steps, at_most=4))),
        Variant("a pool of their own", timeline=night(RequestShape("job", *steps, pool=pool("5+0", pool_timeout=60)))),
    ),
    expect={
        usual: (
            at_least("pool_timeout", count=20).in_variant("all at once"),
            none("failure").in_variant("four at a time"),
            none("failure").in_variant("a pool of their own"),
        )
    },
)
