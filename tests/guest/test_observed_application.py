"""What an answer says of the request's database, with real applications on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from harness.guest.application import Message, Receive, Scope, Send
from harness.guest.asgi import ObservedApplication
from harness.guest.verdict import VERDICT
from harness.load.records import server_timing
from harness.postgres import PostgresServer
from harness.service.trace import TRACE

pytestmark = pytest.mark.anyio

TOO_SLOW = text("SELECT pg_sleep(5)")
ONE = text("SELECT 1")


@pytest.fixture
async def engine(take_part: Callable[[], object], postgres: PostgresServer) -> AsyncIterator[AsyncEngine]:
    """An application's engine: a pool of 1, every limit 0.3 s."""
    take_part()
    made = create_async_engine(postgres.dsn_at(postgres.host, postgres.port, driver="postgresql+asyncpg"))
    yield made
    await made.dispose()


@asynccontextmanager
async def asking(application: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(ObservedApplication(application), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def failed(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.headers.get("coldstart-outcome")


def application(endpoint: Callable[[Request], Awaitable[Response]], **options: object) -> Starlette:
    return Starlette(routes=[Route("/", endpoint)], **options)  # type: ignore[arg-type]


async def statement(engine: AsyncEngine, sql: object) -> None:
    async with engine.connect() as connection:
        await connection.execute(sql)  # type: ignore[call-overload]


async def test_what_nobody_handles_is_told_with_the_frameworks_own_500(engine: AsyncEngine) -> None:
    async def slow(_: Request) -> Response:
        await statement(engine, TOO_SLOW)
        return PlainTextResponse("never")

    async with asking(application(slow)) as client:
        answer = await client.get("/")
    assert failed(answer) == (500, "statement_timeout TimeoutError")
    assert answer.text == "Internal Server Error"
    assert 0.25 < server_timing(answer.headers["server-timing"])["query_s"] < 2


async def test_a_pool_that_ran_out_is_told_and_where_the_time_went(engine: AsyncEngine) -> None:
    async def ask(_: Request) -> Response:
        await statement(engine, ONE)
        return PlainTextResponse("ok")

    async with engine.connect(), asking(application(ask)) as client:
        answer = await client.get("/")
    assert failed(answer) == (500, "pool_timeout TimeoutError")
    timing = server_timing(answer.headers["server-timing"])
    assert 0.25 < timing["checkout_s"] < 2
    assert timing["query_s"] == timing["connect_s"] == 0


async def test_the_applications_own_handler_does_not_hide_what_the_database_did(engine: AsyncEngine) -> None:
    async def away(_: Request, __: Exception) -> Response:
        return JSONResponse({"detail": "try again"}, 503)

    async def slow(_: Request) -> Response:
        await statement(engine, TOO_SLOW)
        return PlainTextResponse("never")

    handlers = {TimeoutError: away, SQLAlchemyError: away}
    async with asking(application(slow, exception_handlers=handlers)) as client:
        assert failed(await client.get("/")) == (503, "statement_timeout TimeoutError")


async def test_a_fastapi_dependency_an_http_exception_and_a_middleware_do_not_hide_it_either(
    engine: AsyncEngine,
) -> None:
    app = FastAPI()

    @app.get("/")
    async def slow() -> None:
        try:
            await statement(engine, TOO_SLOW)
        except (TimeoutError, SQLAlchemyError) as error:
            raise HTTPException(503, "try again") from error

    class Passing(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
            return await call_next(request)

    async with asking(app) as client:
        assert failed(await client.get("/")) == (503, "statement_timeout TimeoutError")
    app.middleware_stack = None
    app.add_middleware(Passing)
    async with asking(app) as client:
        assert failed(await client.get("/")) == (503, "statement_timeout TimeoutError")


async def test_an_endpoint_in_a_thread_is_known_too(engine: AsyncEngine, postgres: PostgresServer) -> None:
    from sqlalchemy import create_engine

    in_threads = create_engine(
        postgres.dsn_at(postgres.host, postgres.port, driver="postgresql+psycopg"), connect_args={"connect_timeout": 5}
    )
    app = FastAPI()

    @app.get("/")
    def slow() -> None:
        with in_threads.connect() as connection:
            connection.execute(ONE)

    with in_threads.connect():
        async with asking(app) as client:
            answer = await client.get("/")
    in_threads.dispose()
    assert failed(answer) == (500, "pool_timeout TimeoutError")


async def test_a_retry_that_succeeds_is_an_answer_without_a_failure(engine: AsyncEngine) -> None:
    async def retried(_: Request) -> Response:
        try:
            await statement(engine, TOO_SLOW)
        except (TimeoutError, SQLAlchemyError):
            await statement(engine, ONE)
        return PlainTextResponse("ok")

    async with asking(application(retried)) as client:
        assert failed(await client.get("/")) == (200, None)


async def test_an_error_of_the_applications_own_after_a_failure_that_it_had_handled_is_its_own(
    engine: AsyncEngine,
) -> None:
    async def mistaken(_: Request) -> Response:
        try:
            await statement(engine, TOO_SLOW)
        except (TimeoutError, SQLAlchemyError):
            await statement(engine, ONE)
        return PlainTextResponse({}["nothing"])

    async with asking(application(mistaken)) as client:
        assert failed(await client.get("/")) == (500, "error KeyError")


async def test_an_answer_of_400_or_more_without_a_failure_says_nothing_of_the_database(engine: AsyncEngine) -> None:
    async def answered(_: Request) -> Response:
        await statement(engine, ONE)
        return PlainTextResponse("no such item", 404)

    async def raised(_: Request) -> Response:
        await statement(engine, ONE)
        raise HTTPException(404, "no such item")

    for not_there in (answered, raised):
        async with asking(application(not_there)) as client:
            answer = await client.get("/")
            assert failed(answer) == (404, None)
            assert "server-timing" in answer.headers
            assert failed(await client.get("/nowhere")) == (404, None)


async def test_a_failure_that_was_handled_is_told_however_the_application_answers(engine: AsyncEngine) -> None:
    async def handled() -> None:
        try:
            await statement(engine, TOO_SLOW)
        except (TimeoutError, SQLAlchemyError):
            return

    async def answered(_: Request) -> Response:
        await handled()
        return PlainTextResponse("try again", 503)

    async def raised(_: Request) -> Response:
        await handled()
        raise HTTPException(503)

    for answering in (answered, raised):
        async with asking(application(answering)) as client:
            assert failed(await client.get("/")) == (503, "statement_timeout TimeoutError")


async def test_a_stream_goes_through_as_it_comes(engine: AsyncEngine) -> None:
    async def streamed(_: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            async with engine.connect() as connection:
                for part in (b"a", b"b"):
                    await connection.execute(ONE)
                    yield part

        return StreamingResponse(parts())

    async with asking(application(streamed)) as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.content) == (200, b"ab")
    assert "server-timing" in answer.headers


async def test_a_stream_that_breaks_off_reaches_the_server_as_the_exception_that_it_is() -> None:
    async def streamed(_: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"a"
            raise RuntimeError("in the middle")

        return StreamingResponse(parts())

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    scope: Scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    with pytest.raises((RuntimeError, ExceptionGroup)):
        await ObservedApplication(application(streamed))(scope, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


async def test_a_background_task_is_no_part_of_the_answer(engine: AsyncEngine) -> None:
    done = asyncio.Event()

    async def later() -> None:
        try:
            await statement(engine, TOO_SLOW)
        except (TimeoutError, SQLAlchemyError):
            done.set()

    async def answered(_: Request) -> Response:
        await statement(engine, ONE)
        return PlainTextResponse("ok", background=BackgroundTask(later))

    async with asking(application(answered)) as client:
        answer = await client.get("/")
    assert failed(answer) == (200, None)
    assert server_timing(answer.headers["server-timing"])["query_s"] < 0.25
    assert done.is_set()


async def test_requests_beside_each_other_do_not_take_each_others_failures(engine: AsyncEngine) -> None:
    async def ask(request: Request) -> Response:
        if request.query_params.get("asks") == "yes":
            await statement(engine, ONE)
            return PlainTextResponse("ok")
        await asyncio.sleep(0.5)
        return PlainTextResponse("not today", 503)

    async with engine.connect(), asking(application(ask)) as client:
        of_the_database, other = await asyncio.gather(client.get("/?asks=yes"), client.get("/"))
    assert failed(of_the_database) == (500, "pool_timeout TimeoutError")
    assert failed(other) == (503, None)


async def test_what_is_no_http_request_goes_through_untouched() -> None:
    seen: list[tuple[str, object, object]] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["type"], TRACE.get(), VERDICT.get()))
        await send(await receive())

    for kind in ("lifespan", "websocket"):
        sent: list[Message] = []
        given: Message = {"type": f"{kind}.of", "status": 500}

        async def receive(given: Message = given) -> Message:
            return given

        async def send(message: Message, sent: list[Message] = sent) -> None:
            sent.append(message)

        await ObservedApplication(inner)({"type": kind}, receive, send)
        assert sent[0] is given
    assert seen == [("lifespan", None, None), ("websocket", None, None)]


async def test_an_application_that_only_raises_is_answered_for() -> None:
    async def raising(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("no framework at all")

    transport = httpx.ASGITransport(ObservedApplication(raising), raise_app_exceptions=False)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://test"))
        answer = await client.get("/")
    assert failed(answer) == (500, "error LookupError")
    assert answer.text == "Internal Server Error"
