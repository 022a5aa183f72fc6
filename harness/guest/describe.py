"""What the application can be asked, in its own words: its OpenAPI document, without serving it."""

import asyncio
import json
import os
from http import HTTPStatus
from typing import Any

from harness.guest.application import AsgiApplication, Message, NoApplicationError, Scope, find_application, in_a_line
from harness.guest.orders import Orders
from harness.guest.protocol import Pipes, stop

PATH = "/openapi.json"
LIMIT_S = 30.0


def main() -> None:
    """Write one record with the document, or say in one line why there is none."""
    asyncio.run(_describe(Pipes(), Orders.from_environment(os.environ).app))


async def _describe(pipes: Pipes, name: str) -> None:
    # Read, so that this process ends with its parent.
    pipes.commands()
    try:
        application = find_application(name)
    except NoApplicationError as error:
        stop(pipes, str(error))
    try:
        text = json.dumps(await described(application))
    except NoApplicationError as error:
        stop(pipes, f"{name}: {error}")
    except Exception as error:  # noqa: BLE001 - whatever the application raises, in words
        stop(pipes, f"{name}: describing itself failed: {in_a_line(error)}")
    else:
        pipes.emit("application_described", document=text)
        os._exit(0)


async def described(application: AsgiApplication) -> Any:  # noqa: ANN401 - of JSON
    """Its OpenAPI document: of its own `openapi()`, as FastAPI has it, else of its answer to GET /openapi.json.

    Raises `NoApplicationError` where it has neither.
    """
    openapi = getattr(application, "openapi", None)
    if callable(openapi):
        return openapi()
    status, body = await asyncio.wait_for(_get(application), LIMIT_S)
    if status != HTTPStatus.OK:
        raise NoApplicationError(f"it has no openapi(), and answers GET {PATH} with {status}")
    return json.loads(body)


async def _get(application: AsgiApplication) -> tuple[int, bytes]:
    """The status and the body of its answer."""
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": PATH, "raw_path": PATH.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8000),
        "state": {},
    }  # fmt: skip
    asked: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]
    status, body = int(HTTPStatus.INTERNAL_SERVER_ERROR), bytearray()

    async def receive() -> Message:
        if asked:
            return asked.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        body.extend(message.get("body", b""))

    await application(scope, receive, send)
    return status, bytes(body)
