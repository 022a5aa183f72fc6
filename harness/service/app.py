"""The HTTP service. Every answer says in Server-Timing where its time went; every failure is a problem+json.

A client that disconnects does not end its request here (Starlette lets the endpoint run on), so a request whose
client gave up keeps its place in the pool's queue and its connection, as in most services in production. Where the
story says that a disconnect cancels, its request is cancelled, wherever it is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from harness.model.arrivals import RequestName
from harness.model.outcomes import Outcome
from harness.model.shape import RequestShape
from harness.service.answer import PROBLEM_JSON, Answer
from harness.service.instance import Instance
from harness.service.telemetry import Telemetry


def create_app(instance: Instance, *, cancels: bool = False, telemetry: Telemetry | None = None) -> FastAPI:
    """The application over one instance. `cancels`: a client that disconnects cancels its request."""
    app = FastAPI(title="coldstart: the service under test", docs_url=None, redoc_url=None)

    for request in RequestName:
        endpoint = _endpoint(instance, request, cancels=cancels)
        app.add_api_route(request.path, endpoint, methods=[request.method], name=request.value)
    for shape in instance.shapes.values():
        endpoint = _endpoint(instance, shape, cancels=cancels)
        app.add_api_route(f"/shapes/{shape.name}", endpoint, methods=[shape.method], name=shape.name)

    @app.get("/metrics")
    async def metrics() -> Response:
        """For Prometheus, where OTEL_METRICS_EXPORTER asks for it."""
        if telemetry is None:
            return Response("set OTEL_METRICS_EXPORTER=prometheus\n", HTTPStatus.NOT_FOUND, media_type="text/plain")
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Whether the process answers; asks the database nothing."""
        return {"status": "ok"}

    return app


def _endpoint(
    instance: Instance, request: RequestName | RequestShape, *, cancels: bool
) -> Callable[..., Awaitable[Response]]:
    parameter = request.query_parameter("hold_s") if isinstance(request, RequestName) else None
    key_parameter = "key" if isinstance(request, RequestShape) else request.query_parameter("key")
    where_key: int = Path(ge=0) if key_parameter is None else Query(0, alias=key_parameter, ge=0)
    where_hold_s: float = Query(1.0, alias=parameter or "hold_s", ge=0, le=3600)

    async def endpoint(http: Request, key: int = where_key, hold_s: float = where_hold_s) -> Response:
        work = instance.perform(request, key, hold_s=hold_s)
        return answered(await (_unless_disconnected(http, work) if cancels else work))

    return endpoint


async def _unless_disconnected(http: Request, work: Coroutine[Any, Any, Answer]) -> Answer:
    """The work's answer. Raises `asyncio.CancelledError` when the client disconnects, after cancelling the work."""
    task = asyncio.create_task(work)
    watching = asyncio.create_task(_disconnect(http))
    try:
        await asyncio.wait((task, watching), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
        return await task
    finally:
        watching.cancel()
        task.cancel()


async def _disconnect(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


def answered(answer: Answer) -> Response:
    """The HTTP answer to a request that ended like this."""
    headers = {"Server-Timing": answer.server_timing}
    if answer.outcome is Outcome.OK:
        return JSONResponse(answer.body, headers=headers)
    status = answer.outcome.http_status
    assert status is not None, f"{answer.outcome} has no answer"
    problem = {
        "type": answer.outcome.value,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": answer.error,
    }
    return JSONResponse(problem, status, headers=headers, media_type=PROBLEM_JSON)
