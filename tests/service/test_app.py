"""The service's answers: problem+json with the outcome as its type, and Server-Timing on every one of them."""

import asyncio
import contextlib

import httpx
import pytest
import uvicorn

from harness.load.records import server_timing
from harness.model.arrivals import AnyRequest, RequestName
from harness.model.outcomes import Outcome
from harness.model.shape import Checkout, Query, RequestShape
from harness.processes.http_server import HttpServer, listening_socket
from harness.service.answer import Answer
from harness.service.app import create_app

pytestmark = pytest.mark.anyio


UPLOAD = RequestShape("upload", Checkout(Query()))


class Answering:
    """An instance that answers everything in one way, and remembers what it was asked."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.shapes = {UPLOAD.name: UPLOAD}
        self.asked: list[tuple[AnyRequest, int, float]] = []

    async def perform(self, request: AnyRequest, key: int, *, hold_s: float = 0.0) -> Answer:
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


@pytest.mark.parametrize("name", [*RequestName, UPLOAD])
async def test_every_request_reaches_its_route(name: AnyRequest) -> None:
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


@pytest.mark.parametrize("cancels", [False, True])
async def test_a_client_that_disconnects_cancels_its_request_only_where_the_story_says_so(cancels: bool) -> None:
    ended: list[str] = []

    class Slow(Answering):
        async def perform(self, request: AnyRequest, key: int, *, hold_s: float = 0.0) -> Answer:
            try:
                await asyncio.sleep(0.3)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            ended.append("finished")
            return await super().perform(request, key, hold_s=hold_s)

    listener = listening_socket("127.0.0.1", 0, backlog=5)
    config = uvicorn.Config(create_app(Slow(Outcome.OK), cancels=cancels), log_level="error", lifespan="off")  # type: ignore[arg-type]
    serving = asyncio.create_task(HttpServer(config).serve([listener]))
    _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
    writer.write(b"GET /tracks/7 HTTP/1.1\r\nHost: x\r\n\r\n")
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.close()
    for _ in range(100):
        if ended:
            break
        await asyncio.sleep(0.01)
    assert ended == ["cancelled" if cancels else "finished"]
    async with httpx.AsyncClient(base_url="http://{}:{}".format(*listener.getsockname()[:2])) as http:
        assert (await http.get("/tracks/7")).status_code == 200
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    listener.close()
