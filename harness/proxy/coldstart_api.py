"""What this server does beyond Toxiproxy, under /coldstart: whole proxies at once, computes, and events."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from harness.model.compute import OnSuspend, WhileWaking
from harness.model.errors import UserError
from harness.proxy.api import json_answer
from harness.proxy.bodies import ApiError, field, read_json
from harness.proxy.borrowing import Loan
from harness.proxy.collection import ProxyCollection, add_toxic
from harness.proxy.compute_settings import ComputeSettings, check_can, is_seconds
from harness.proxy.proxy import Proxy
from harness.proxy.sleep import SleepingCompute, attach_compute, compute_behind
from harness.proxy.way import Way


def routes() -> list[BaseRoute]:
    return [
        Route("/coldstart/proxies", _create, methods=["POST"]),
        Route("/coldstart/proxies/{proxy}/compute", _compute, methods=["GET", "PUT", "DELETE"]),
        Route("/coldstart/proxies/{proxy}/borrow", _borrow, methods=["POST"]),
        Route("/coldstart/proxies/{proxy}/suspend", _suspend, methods=["POST"]),
        Route("/coldstart/proxies/{proxy}/wake", _wake, methods=["POST"]),
        Route("/coldstart/proxies/{proxy}/state", _state, methods=["GET"]),
        Route("/coldstart/proxies/{proxy}/outage", _outage, methods=["POST"]),
        Route("/coldstart/proxies/{proxy}/lose", _lose, methods=["POST"]),
        Route("/coldstart/events", _events, methods=["GET"]),
    ]


def _collection(request: Request) -> ProxyCollection:
    collection: ProxyCollection = request.app.state.collection
    return collection


def _settings(document: object) -> ComputeSettings:
    if not isinstance(document, dict):
        raise ApiError("bad request body: compute must be an object", 400)
    try:
        return ComputeSettings.from_json(document)
    except UserError as error:
        raise ApiError(f"bad request body: {error}", 400) from error


def _check_can(on_suspend: OnSuspend) -> None:
    try:
        check_can(on_suspend)
    except UserError as error:
        raise ApiError(f"bad request body: {error}", 400) from error


def _way(document: object) -> Way:
    if not isinstance(document, dict):
        raise ApiError("bad request body: way must be an object", 400)
    try:
        return Way.from_json(document)
    except (UserError, TypeError, ValueError) as error:
        raise ApiError(f"bad request body: {error}", 400) from error


def _state_of(proxy: Proxy, compute: SleepingCompute) -> dict[str, Any]:
    """The compute's state, and what has become of it since it was put there."""
    return {
        "state": compute.state.value,
        "changes_in_s": compute.changes_in_s,
        "suspends": compute.suspends,
        "wakes": compute.wakes,
        "connections": len(proxy.connections),
        "lent": proxy.lent,
    }


def _answer(proxy: Proxy, status: int = 200) -> Response:
    compute = compute_behind(proxy)
    described = None if compute is None else {**compute.settings.to_json(), **_state_of(proxy, compute)}
    return json_answer({**proxy.to_json(), "compute": described}, status)


async def _create(request: Request) -> Response:
    """A proxy with its toxics and its compute in place before the first connection."""
    document = await read_json(request, dict)
    toxics = field(document, "toxics", list, [])
    if not all(isinstance(toxic, dict) for toxic in toxics):
        raise ApiError("bad request body: a toxic must be an object", 400)
    way = _way(document["way"]) if document.get("way") is not None else None
    settings = _settings(document["compute"]) if document.get("compute") is not None else None

    def prepare(proxy: Proxy) -> None:
        proxy.way = way
        for toxic in toxics:
            add_toxic(proxy, toxic)
        if settings is not None:
            attach_compute(proxy, settings)

    return _answer(await _collection(request).create(document, prepare), 201)


async def _compute(request: Request) -> Response:
    proxy = _collection(request).get(request.path_params["proxy"])
    if request.method == "PUT":
        attach_compute(proxy, _settings(await read_json(request, dict)))
    elif request.method == "DELETE":
        proxy.unwatch()
        return Response(status_code=204)
    return _answer(proxy)


def _sleeping(request: Request) -> tuple[Proxy, SleepingCompute]:
    """The proxy of the path, and the compute behind it."""
    proxy = _collection(request).get(request.path_params["proxy"])
    compute = compute_behind(proxy)
    if compute is None:
        raise ApiError("proxy has no compute", 409)
    return proxy, compute


async def _borrow(request: Request) -> Response:
    """The events, as `_events`; until their client stops reading, the compute and the toxics are its own to change."""
    return Loan(*_sleeping(request), _collection(request).events)


async def _suspend(request: Request) -> Response:
    """Suspend the compute now; nothing happens when it is suspended or waking already."""
    proxy, compute = _sleeping(request)
    compute.suspend()
    return _answer(proxy)


async def _wake(request: Request) -> Response:
    """Begin to wake as for a first client, with its latency; nothing happens when it is awake or waking already."""
    proxy, compute = _sleeping(request)
    compute.wake()
    return _answer(proxy)


async def _state(request: Request) -> Response:
    return json_answer(_state_of(*_sleeping(request)))


async def _outage(request: Request) -> Response:
    """The compute is away for `for_s` seconds; `on_suspend` and `while_waking` say what connections meet."""
    proxy, compute = _sleeping(request)
    document = await read_json(request, dict)
    for_s = document.get("for_s")
    if not is_seconds(for_s):
        raise ApiError("bad request body: for_s must be seconds, 0 or positive", 400)
    try:
        on_suspend = OnSuspend(document.get("on_suspend", OnSuspend.TERMINATE))
        while_waking = WhileWaking(document.get("while_waking", WhileWaking.REFUSE))
    except ValueError as error:
        raise ApiError(f"bad request body: {error}", 400) from error
    _check_can(on_suspend)
    compute.outage(float(for_s or 0), on_suspend=on_suspend, while_waking=while_waking)
    return _answer(proxy)


async def _lose(request: Request) -> Response:
    """A `share` of the open connections dies, `how`: `freeze`, `vanish`, `reset`, `close` or `terminate`."""
    proxy, compute = _sleeping(request)
    document = await read_json(request, dict)
    share, how = document.get("share"), document.get("how", OnSuspend.FREEZE)
    if not is_seconds(share) or not 0 < float(share or 0) <= 1:
        raise ApiError("bad request body: share must be a number above 0, at most 1", 400)
    if not isinstance(how, str) or how not in set(OnSuspend) - {OnSuspend.KEEP}:
        raise ApiError("bad request body: how must be freeze, vanish, reset, close or terminate", 400)
    _check_can(OnSuspend(how))
    compute.lose(float(share or 0), OnSuspend(how))
    return _answer(proxy)


async def _events(request: Request) -> Response:
    return StreamingResponse(_collection(request).events.listen(), media_type="application/x-ndjson")
