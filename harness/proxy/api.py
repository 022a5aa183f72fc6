"""Toxiproxy's HTTP API, as Shopify/toxiproxy 2.12 answers it. Routes, statuses and messages are its own."""

import json
import secrets
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from harness.proxy.bodies import ApiError, read_json
from harness.proxy.collection import ProxyCollection, add_toxic, toxic_of, update_toxic
from harness.proxy.metrics import ProxyMetrics
from harness.proxy.proxy import Proxy

VERSION = "2.12.0-coldstart"
"""The API this server speaks, and that it is not Shopify's."""


def application(collection: ProxyCollection, more_routes: list[BaseRoute]) -> ASGIApp:
    """The ASGI application over a collection of proxies."""
    app = Starlette(
        routes=[*_routes(), *more_routes],
        exception_handlers={
            ApiError: _api_error,
            HTTPException: _http_error,
            ClientDisconnect: _no_answer,
        },
    )
    app.state.collection = collection
    app.state.metrics = ProxyMetrics(collection.proxies, VERSION)
    # Starlette would redirect /proxies/ to /proxies; Toxiproxy answers 404.
    app.router.redirect_slashes = False
    return _RequestIds(_NoBrowsers(app))


def _routes() -> list[BaseRoute]:
    return [
        Route("/reset", _reset, methods=["POST"]),
        Route("/proxies", _proxies, methods=["GET", "POST"]),
        Route("/populate", _populate, methods=["POST"]),
        Route("/proxies/{proxy}", _proxy, methods=["GET", "POST", "PATCH", "DELETE"]),
        Route("/proxies/{proxy}/toxics", _toxics, methods=["GET", "POST"]),
        Route("/proxies/{proxy}/toxics/{toxic}", _toxic, methods=["GET", "POST", "PATCH", "DELETE"]),
        Route("/version", _version, methods=["GET"]),
        Route("/metrics", _metrics, methods=["GET"]),
    ]


class _NoBrowsers:
    """Browsers are refused: any web page could otherwise drive a server on loopback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and dict(scope["headers"]).get(b"user-agent", b"").startswith(b"Mozilla/"):
            await PlainTextResponse("User agent not allowed\n", 403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class _RequestIds:
    """Every answer has an id of its own, as Toxiproxy's have: clients quote it in their logs."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                request_id = (b"x-toxiproxy-request-id", secrets.token_hex(10).encode())
                message = {**message, "headers": [*message.get("headers", ()), request_id]}
            await send(message)

        await self._app(scope, receive, send_with_id)


def _collection(request: Request) -> ProxyCollection:
    collection: ProxyCollection = request.app.state.collection
    return collection


def _named(request: Request) -> Proxy:
    return _collection(request).get(request.path_params["proxy"])


def json_answer(document: object, status: int = 200) -> Response:
    return Response(json.dumps(document, separators=(",", ":")), status, media_type="application/json")


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return PlainTextResponse(json.dumps(error.to_json(), separators=(",", ":")) + "\n", error.status)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = "404 page not found\n" if error.status_code == 404 else ""
    return PlainTextResponse(body, error.status_code, headers=error.headers)


async def _no_answer(_: Request, __: Exception) -> Response:
    """A body that was cut short by its client's leaving: nobody is there to read an answer."""
    return Response(status_code=400)


async def _reset(request: Request) -> Response:
    await _collection(request).reset()
    return Response(status_code=204)


async def _proxies(request: Request) -> Response:
    collection = _collection(request)
    if request.method == "POST":
        return json_answer((await collection.create(await read_json(request, dict))).to_json(), 201)
    return json_answer({name: proxy.to_json() for name, proxy in collection.proxies.items()})


async def _populate(request: Request) -> Response:
    try:
        made, error = await _collection(request).populate(await read_json(request, list))
    except ApiError as bad_body:
        made, error = [], bad_body
    proxies = [proxy.to_json() for proxy in made] or None
    document: dict[str, Any] = {**(error.to_json() if error else {}), "proxies": proxies}
    return json_answer(document, error.status if error else 201)


async def _proxy(request: Request) -> Response:
    proxy = _named(request)
    if request.method == "DELETE":
        _collection(request).remove(proxy.name)
        return Response(status_code=204)
    if request.method in ("POST", "PATCH"):
        await _collection(request).update(proxy, await read_json(request, dict))
    return json_answer(proxy.to_json())


async def _toxics(request: Request) -> Response:
    proxy = _named(request)
    if request.method == "POST":
        return json_answer(add_toxic(proxy, await read_json(request, dict)).to_json())
    return json_answer(proxy.to_json()["toxics"])


async def _toxic(request: Request) -> Response:
    proxy, name = _named(request), request.path_params["toxic"]
    attached = toxic_of(proxy, name)
    if request.method == "DELETE":
        proxy.remove_toxic(attached)
        return Response(status_code=204)
    if request.method in ("POST", "PATCH"):
        update_toxic(proxy, name, await read_json(request, dict))
    return json_answer(attached.to_json())


async def _version(_: Request) -> Response:
    return Response(f'{{"version": "{VERSION}"}}\n', media_type="application/json")


async def _metrics(request: Request) -> Response:
    metrics: ProxyMetrics = request.app.state.metrics
    page, content_type = metrics.page(request.headers.get("accept", ""))
    return Response(page, headers={"content-type": content_type})
