"""Locust as the harness drives it: open-loop, on schedule, and every request accounted for."""

from pathlib import Path

import pytest

from harness.model.timeline import Burst
from tests.load.driven import Server, burst, driven

pytestmark = [pytest.mark.anyio, pytest.mark.quiet]


async def test_the_schedule_alone_decides_when_a_request_starts(tmp_path: Path) -> None:
    # Every answer takes longer than the whole burst: a closed-loop user would have started one.
    async with driven(Server(delay_s=1.5), tmp_path) as load:
        rows = await burst(load, Burst(requests=50, over_s=1.0))
    planned = Burst(requests=50, over_s=1.0).schedule(1)
    assert [row.request for row in rows] == [arrival.request for arrival in planned]
    gaps = [row.arrival_s - rows[0].arrival_s for row in rows]
    assert gaps == pytest.approx([arrival.at_s - planned[0].at_s for arrival in planned], abs=1e-6)
    assert max(row.start_s - row.arrival_s for row in rows) < 0.5
    assert all(row.outcome == "ok" and row.end_s - row.start_s > 1.4 for row in rows)


async def test_a_client_that_gives_up_is_an_outcome(tmp_path: Path) -> None:
    async with driven(Server(delay_s=None), tmp_path, client_timeout_s=0.5) as load:
        rows = await burst(load, Burst(requests=5, over_s=0.1))
    assert [row.outcome for row in rows] == ["client_timeout"] * 5
    assert all(0.4 < row.end_s - row.start_s < 2 for row in rows)


async def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    server = Server(delay_s=0.0)
    async with driven(server, tmp_path) as load:
        rows = await burst(load, Burst(requests=40, over_s=0.0, arrivals="at_once"))
        again = await burst(load, Burst(requests=10, over_s=0.1, arrivals="even"), seed=2)
    assert len(server.asked) == 50
    assert [row.number for row in rows] == list(range(40))
    assert [row.number for row in again] == list(range(10))
