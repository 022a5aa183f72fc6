"""What PostgreSQL must allow so that no trial meets its limit by accident."""

from typing import Any

import pytest

from harness.model.arrivals import RequestMix
from harness.model.listener import QueueListener
from harness.model.pool import PoolConfiguration
from harness.model.shape import Checkout, Query, RequestShape
from harness.model.story import Story
from harness.model.timeline import At, Burst, Deploy, Traffic
from harness.model.trial import Trial
from harness.model.wake import profile
from harness.stacks.realtime import RESERVED_CONNECTIONS, connections_needed

PLAIN = Burst(5, 1.0)
JOBS = Burst(5, 1.0, mix=RequestMix.of({RequestShape("job", Checkout(Query()), pool="3+1"): 1}))


@pytest.mark.parametrize(
    ("load", "story", "needed"),
    [
        (PLAIN, {}, 15),
        (PLAIN, {"instances": 3}, 45),
        (PLAIN, {"listener": QueueListener(), "instances": 2}, 32),
        (JOBS, {}, 19),
        (Traffic(PLAIN, At(0.5, Deploy())), {"instances": 2}, 60),
        (Traffic(JOBS, At(0.2, Deploy()), At(0.8, Deploy())), {"listener": QueueListener()}, 3 * 19 + 1),
    ],
)
def test_pools_of_jobs_and_pools_that_are_being_replaced_count(load: Any, story: dict[str, Any], needed: int) -> None:
    wake = profile("always-on")
    trial = Trial(
        number=0,
        story=Story(name="x", wake=wake, timeline=(load,), **story),
        pool=PoolConfiguration.from_short("10+5"),
        wake=wake,
        seed=1,
    )
    assert connections_needed([trial]) == needed + RESERVED_CONNECTIONS
    assert connections_needed([trial, trial]) == 2 * needed + RESERVED_CONNECTIONS
