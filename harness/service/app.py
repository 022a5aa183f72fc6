"""The HTTP service. Every answer says in Server-Timing where its time went; every failure is a problem+json.

A client that disconnects does not end its request here (Starlette lets the endpoint run on), so a request whose
client gave up keeps its place in the pool's queue and its connection, as in most services in production.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from fastapi import FastAPI, Path, Query
from fastapi.responses import JSONResponse, Response

from harness.model.arrivals import RequestName
from harness.model.outcomes import Outcome
from harness.service.answer import PROBLEM_JSON, Answer
from harness.service.requests import Database


def create_app(database: Database) -> FastAPI:
    """The application over one database."""
    app = FastAPI(title="coldstart: the service under test", docs_url=None, redoc_url=None)

    for request in RequestName:
        app.add_api_route(request.path, _endpoint(database, request), methods=[request.method], name=request.value)

    @app.get("/metrics")
    async def metrics() -> Response:
        """For Prometheus, where OTEL_METRICS_EXPORTER asks for it."""
        if database.telemetry is None:
            return Response("set OTEL_METRICS_EXPORTER=prometheus\n", HTTPStatus.NOT_FOUND, media_type="text/plain")
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Whether the process answers; asks the database nothing."""
        return {"status": "ok"}

    return app


def _endpoint(database: Database, request: RequestName) -> Callable[..., Awaitable[Response]]:
    key_parameter = request.query_parameter("key")
    where_key: int = Path(ge=0) if key_parameter is None else Query(0, alias=key_parameter, ge=0)
    where_hold_s: float = Query(1.0, alias=request.query_parameter("hold_s") or "hold_s", ge=0, le=3600)

    async def endpoint(key: int = where_key, hold_s: float = where_hold_s) -> Response:
        return answered(await database.perform(request, key, hold_s=hold_s))

    return endpoint


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
