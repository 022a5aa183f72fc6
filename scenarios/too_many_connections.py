"""Too many connections: three instances of the service, a database that gives them 30 connections.

max_connections is one number for all instances: capacity × instances must fit below it. 10+5 on three instances is
45. A burst into a wake makes every instance use its overflow, and what the database refuses is a failed request.
"""

from harness.scenario import Burst, Scenario, Suspend, Warm, at_least, error, none
from harness.wake import profile

SCENARIO = Scenario(
    name="too_many_connections",
    wake=profile("neon", latency_s=3.0),
    pools=("5+0", "10+0", "10+5"),
    timeline=(Warm(), Suspend(), Burst(150, over_s=3)),
    instances=3,
    max_connections=30,
    connect_time_s=0.02,
    service_time_s=0.01,
    control=False,
    expect={
        "5+0": none("failure"),
        "10+0": none("failure"),
        "10+5": (at_least("connect_error", count=10), error("TooManyConnectionsError", count=10)),
    },
)
