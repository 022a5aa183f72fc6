"""A story for Locust's own command line: what can't be asked of somebody else's service."""

from pathlib import Path

import pytest

from harness.load.serving import plan_of, serve
from harness.model.errors import UserError

pytestmark = pytest.mark.anyio


async def test_request_shapes_are_not_asked_of_somebody_elses_service(tmp_path: Path) -> None:
    plan = plan_of("held_over_upstream", "", "", "1")
    with pytest.raises(UserError, match="checkout_order: a request shape is the service under test's own"):
        await serve(plan, "http://127.0.0.1:1", tmp_path)
