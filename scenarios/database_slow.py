"""Database slow: every round trip takes 4 s, a connect needs three of them, and connection_timeout is 10 s.

The pool holds nothing, as after a deploy. With 10 s nobody ever connects: the timeout is a time for a whole connect
(DNS, TCP, authentication), not for an answer. With 20 s the same requests succeed, slowly; with 3 s they fail sooner.
"""

from harness.scenario import Burst, Scenario, Slow, Warm, at_least, hang, latency_at_most, none, pool
from harness.wake import profile

as_it_is = pool("10+5", name="as it is")
patient = pool("10+5", connection_timeout=20, pool_timeout=120, name="patient")
impatient = pool("10+5", connection_timeout=3, pool_timeout=3, name="impatient")

SCENARIO = Scenario(
    name="database_slow",
    wake=profile("always-on"),
    pools=(as_it_is, patient, impatient),
    timeline=(Warm(0), Slow(round_trip_s=4.0), Burst(12, over_s=6, arrivals="even")),
    expect={
        as_it_is: (at_least("connect_timeout", count=12), latency_at_most(10.5)),
        patient: (none("failure"), hang(12, longer_than_s=20)),
        impatient: (at_least("connect_timeout", count=12), latency_at_most(3.5)),
    },
)
