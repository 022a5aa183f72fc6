"""Client disconnects: visitors leave after 3 s, and the service works on for them, or does not.

For 6 s there are twice as many requests as the pool can serve; each takes 0.4 s in the database. Requests whose
client has left keep their place in the queue, and their connection after that, for an answer nobody reads. A service
that cancels them serves those who are still there.
"""

from harness.scenario import (
    Burst, Checkout, OnDisconnect, Query, RequestMix, RequestShape, Scenario, Traffic, Variant, Warm, at_least,
    at_most, pool,
)  # fmt: skip
from harness.wake import profile

mix = RequestMix.of({RequestShape("report", Checkout(Query(0.4))): 1})
five = pool("5+0", pool_timeout=30)

SCENARIO = Scenario(
    name="client_disconnects",
    wake=profile("always-on"),
    pools=(five,),
    client_timeout_s=3.0,
    timeline=(Warm(), Traffic(*(Burst.rate(per_s, for_s=6, arrivals="even", mix=mix) for per_s in (10, 30, 10)))),
    variants=(
        Variant("the service finishes", on_disconnect=OnDisconnect.FINISH),
        Variant("the service cancels", on_disconnect=OnDisconnect.CANCEL),
    ),
    expect={
        five: (
            at_least("client_timeout", count=160).in_variant("the service finishes"),
            at_most("client_timeout", count=140).in_variant("the service cancels"),
        )
    },
)
