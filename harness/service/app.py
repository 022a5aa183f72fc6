"""The HTTP service. Every answer says in Server-Timing where its time went; every failure is a problem+json.

A client that disconnects does not end its request here (Starlette lets the endpoint run on), so a request whose
client gave up keeps its place in the pool's queue and its connection, as in most services in production.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI, Path, Query
from fastapi.responses import JSONResponse, Response

from harness.model.arrivals import RequestName
from harness.model.outcomes import Outcome
from harness.service.answer import Answer
from harness.service.requests import Database
from harness.service.routes import PROBLEM_JSON

Key = Annotated[int, Path(ge=0)]


def create_app(database: Database) -> FastAPI:
    """The application over one database."""
    app = FastAPI(title="coldstart: the service under test", docs_url=None, redoc_url=None)

    @app.get("/tracks/{key}")
    async def read_track(key: Key) -> Response:
        return answered(await database.perform(RequestName.READ_TRACK, key))

    @app.get("/tracks")
    async def list_tracks(after: Annotated[int, Query(ge=0)] = 0) -> Response:
        return answered(await database.perform(RequestName.LIST_TRACKS, after))

    @app.post("/tracks/{key}/plays")
    async def write_play(key: Key) -> Response:
        return answered(await database.perform(RequestName.WRITE_PLAY, key))

    @app.post("/tracks/{key}/hold")
    async def hold_connection(key: Key, hold_s: Annotated[float, Query(ge=0, le=3600)] = 1.0) -> Response:
        return answered(await database.perform(RequestName.HOLD_CONNECTION, key, hold_s=hold_s))

    @app.get("/tracks/{key}/slow")
    async def slow_query(key: Key, seconds: Annotated[float, Query(ge=0, le=3600)] = 1.0) -> Response:
        return answered(await database.perform(RequestName.SLOW_QUERY, key, hold_s=seconds))

    @app.post("/tracks/{key}/leak")
    async def leak_connection(key: Key) -> Response:
        return answered(await database.perform(RequestName.LEAK_CONNECTION, key))

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
