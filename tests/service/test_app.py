"""The service's answers: problem+json with the outcome as its type, and Server-Timing on every one of them."""

import httpx
import pytest

from harness.load.records import server_timing
from harness.model.arrivals import RequestName
from harness.model.outcomes import Outcome
from harness.service.answer import Answer
from harness.service.app import create_app

pytestmark = pytest.mark.anyio


class Answering:
    """A database that answers everything in one way, and remembers what it was asked."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.asked: list[tuple[RequestName, int, float]] = []

    async def perform(self, request: RequestName, key: int, *, hold_s: float = 0.0) -> Answer:
        self.asked.append((request, key, hold_s))
        error = None if self.outcome is Outcome.OK else "SomeError"
        return Answer(
            outcome=self.outcome, error=error, checkout_s=0.25, connect_s=0.5, ping_s=0.001, query_s=0.002, body={}
        )


def client(database: Answering) -> httpx.AsyncClient:
    app = create_app(database)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("ok", 200), ("pool_timeout", 503), ("connect_timeout", 503), ("connect_error", 503),
        ("statement_timeout", 504), ("connection_lost", 500), ("error", 500),
    ],
)  # fmt: skip
async def test_an_outcome_has_its_status_and_says_where_the_time_went(outcome: str, status: int) -> None:
    async with client(Answering(Outcome(outcome))) as http:
        answer = await http.get("/tracks/7")
    assert answer.status_code == status
    assert server_timing(answer.headers["server-timing"]) == {
        "checkout_s": 0.25, "connect_s": 0.5, "ping_s": 0.001, "query_s": 0.002,
    }  # fmt: skip
    if outcome != "ok":
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == outcome
        assert answer.json()["status"] == status
        assert answer.json()["detail"] == "SomeError"


@pytest.mark.parametrize("name", list(RequestName))
async def test_every_request_reaches_its_route(name: RequestName) -> None:
    database = Answering(Outcome.OK)
    async with client(database) as http:
        answer = await http.request(name.method, name.url(42, hold_s=1.5))
    assert answer.status_code == 200
    assert database.asked[0][:2] == (name, 42)
    if name is RequestName.HOLD_CONNECTION:
        assert database.asked[0][2] == 1.5


async def test_health_asks_the_database_nothing() -> None:
    database = Answering(Outcome.ERROR)
    async with client(database) as http:
        assert (await http.get("/health")).status_code == 200
    assert database.asked == []
