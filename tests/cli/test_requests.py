"""`coldstart requests`: files that load as they are, from a document, a URL, an application, or an access log."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.application.requests_file import read_requests
from harness.cli import coldstart
from harness.model.errors import StackError, UserError

DOCUMENT = {
    "openapi": "3.1.0",
    "paths": {
        "/items/{item}": {
            "get": {
                "operationId": "read_item",
                "parameters": [{"name": "item", "in": "path", "required": True, "schema": {"type": "integer"}}],
            }
        },
        "/items": {"post": {"operationId": "add_item"}},
    },
}
FASTAPI = """
import os
from contextlib import asynccontextmanager
from fastapi import FastAPI

@asynccontextmanager
async def never(app):
    raise RuntimeError("it was started")
    yield

print("a line of its own")
database = os.environ["SHOP_DB"]
app = FastAPI(lifespan=never)

@app.get("/items/{item}")
async def read_item(item: int) -> str:
    return "x"
"""
ASGI = """
import json
async def app(scope, receive, send):
    assert scope["type"] == "http", "it was started"
    status = 200 if scope["path"] == "/openapi.json" else 404
    await send({"type": "http.response.start", "status": status, "headers": []})
    for part in (json.dumps(DOCUMENT)[:50], json.dumps(DOCUMENT)[50:]):
        await send({"type": "http.response.body", "body": part.encode(), "more_body": True})
    await send({"type": "http.response.body", "body": b""})
DOCUMENT = """ + repr(DOCUMENT)
LINE = '203.0.113.9 - - [02/Dec/2025:01:00:00 +0000] "{request} HTTP/1.1" 200 512\n'


def invoked(*arguments: str) -> Result:
    return CliRunner().invoke(coldstart, ["requests", *arguments], catch_exceptions=False)


def written(*arguments: str) -> str:
    done = invoked(*arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def refusal(*arguments: str) -> str:
    with pytest.raises((UserError, StackError)) as caught:
        invoked(*arguments)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "api.json").write_text(json.dumps(DOCUMENT))
    requests = ["GET /items/7?q=1", "GET /items/19", "POST /items", "GET /", "GET /items/3"]
    (tmp_path / "night.log").write_text("".join(LINE.format(request=request) for request in requests))
    return tmp_path


@contextmanager
def answering(status: int, body: bytes, location: str = "") -> Iterator[str]:
    """A server on loopback that answers every request like this, from a user too; its URL."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # user:secret, where anybody says who it is.
            known = self.headers.get("Authorization") in (None, "Basic dXNlcjpzZWNyZXQ=")
            self.send_response(status if known else 401)
            if location and self.path != location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its base class has it so
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_document_becomes_a_file_that_loads(folder: Path) -> None:
    printed = written("from-openapi", "api.json", "--methods", "all")
    done = invoked("from-openapi", "api.json", "--methods", "get,POST", "--out", "mine.toml")
    assert done.stdout == ""
    assert done.stderr == "mine.toml is written: 2 requests\nleft to your hand: 1 of 2 requests, each with a comment\n"
    assert Path("mine.toml").read_text() == printed.replace("requests.toml", "mine.toml")
    assert read_requests(Path("mine.toml")).names == {"read_item", "add_item"}
    assert written("from-openapi", "api.json", "--methods", "GET").count("[[request]]") == 1
    assert written("from-openapi", "api.json") == written("from-openapi", "api.json", "--methods", "GET")


def test_a_file_that_is_there_is_not_written_over_unless_asked() -> None:
    Path("mine.toml").write_text("mine")
    line = refusal("from-openapi", "api.json", "--out", "mine.toml")
    assert line == "mine.toml: is there already (allowed: another --out, or --force to write over it)"
    assert Path("mine.toml").read_text() == "mine"
    written("from-openapi", "api.json", "--out", "mine.toml", "--force")
    assert read_requests(Path("mine.toml")).names == {"read_item"}
    assert "can't be written: No such file or directory" in refusal("from-log", "night.log", "--out", "no/such/x.toml")


def test_a_url_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy for the outside world has no business on loopback.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with answering(200, json.dumps(DOCUMENT).encode()) as url:
        assert written("from-openapi", f"{url}/openapi.json") == written("from-openapi", "api.json")
        of_a_user = f"{url}/openapi.json".replace("//", "//user:secret@")
        assert written("from-openapi", of_a_user) == written("from-openapi", "api.json")
        assert "was answered with 401" in refusal("from-openapi", of_a_user.replace("secret", "guess"))


def test_what_a_url_does_not_give_is_said_without_its_secrets() -> None:
    with answering(404, b"{}") as url:
        line = refusal("from-openapi", url.replace("//", "//user:secret@") + "/v1?token=secret#secret")
        assert line == f"{url}/v1: was answered with 404 (allowed: an OpenAPI document)"
    assert refusal("from-openapi", f"{url}/v1?token=secret").startswith(f"{url}/v1: can't be fetched: ")
    with answering(200, b"<html>") as url:
        assert refusal("from-openapi", url) == f"{url}: is not JSON (allowed: an OpenAPI document in JSON)"
    with answering(302, b"", "/somewhere") as url:
        assert "302" in refusal("from-openapi", url)
    for wrong in (
        "http://[::1/x",
        "http://user:secret@127.0.0.1:port/",
        "http://user:secret@",
        "https://127.0.0.1:1/ä",
    ):
        line = refusal("from-openapi", wrong)
        assert "can't be fetched: " in line
        assert "secret" not in line


@pytest.mark.parametrize("source", [FASTAPI, ASGI], ids=["openapi()", "GET /openapi.json"])
def test_an_application_is_asked_without_being_served(folder: Path, source: str) -> None:
    (folder / "shop").mkdir()
    (folder / "shop" / "main.py").write_text(source)
    text = written("from-openapi", "--app", "main:app", "--app-dir", "shop", "--env", "url=SHOP_DB")
    assert 'path = "/items/{key}"' in text
    assert 'name = "read_item"' in text


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            FASTAPI.replace("SHOP_DB", "NOT_SET_BY_ANYBODY"),
            "main:app: importing it failed: KeyError: 'NOT_SET_BY_ANYBODY'",
        ),
        (ASGI.replace("200 if", "404 if"), "main:app: it has no openapi(), and answers GET /openapi.json with 404"),
        (ASGI.replace("[50:]", "[60:]"), "main:app: describing itself failed: JSONDecodeError: "),
        ("app = 1\n", "main:app is not an ASGI application"),
        (FASTAPI + "app.openapi = lambda: {1, 2}\n", "main:app: describing itself failed: TypeError: "),
    ],
    ids=["import", "404", "no JSON", "no application", "no document"],
)
def test_an_application_that_cant_say_it_is_named_with_its_log(folder: Path, source: str, says: str) -> None:
    (folder / "main.py").write_text(source)
    line = refusal("from-openapi", "--app", "main:app", "--env", "url=SHOP_DB")
    assert line.startswith(f"application: ended with status 1: {says}")
    log = Path(line.rpartition("(log: ")[2].removesuffix(")"))
    assert ("a line of its own" in log.read_text()) == ("a line of its own" in source)
    log.unlink()
    log.parent.rmdir()


def test_a_log_becomes_a_file_that_loads() -> None:
    done = invoked("from-log", "night.log", "--out", "mine.toml")
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "mine.toml is written: 2 requests",
        "night.log: 4 of 5 requests, in 2 kinds",
        "left out: 1 of a method that is not in --methods GET",
    ]
    weights = read_requests(Path("mine.toml")).weights
    assert [(request.value, weight) for request, weight in weights] == [("items_key", 3.0), ("root", 1.0)]
    assert "keys = [3, 19]" in Path("mine.toml").read_text()
    done = invoked("from-log", "night.log", "--methods", "all", "--most", "1")
    assert done.stdout.count("[[request]]") == 1
    assert "left out: 2 of kinds beyond the 1 most frequent (--most)" in done.stderr


def test_other_columns_are_named_as_elsewhere() -> None:
    Path("night.csv").write_text("at,what\n2025-12-02T01:00:00,GET /a\n2025-12-02T01:00:05.5,GET /a\n")
    assert "weight = 2" in written("from-log", "night.csv", "--time-column", "at", "--request-column", "what")
    assert "has no column 'At'" in refusal("from-log", "night.csv", "--time-column", "At")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["from-openapi", "none.json"], "none.json: can't be read: No such file or directory"),
        (["from-openapi", "."], ".: can't be read: Is a directory"),
        (["from-openapi", "night.log"], "night.log: is not JSON (allowed: an OpenAPI document in JSON)"),
        (["from-openapi", "api.json", "--methods", "FETCH"], "--methods: no method 'FETCH' (allowed: GET, HEAD, POST"),
        (["from-openapi", "api.json", "--methods", ""], "--methods: no method ''"),
        (
            ["from-openapi", "api.json", "--methods", "PUT"],
            "api.json: has no operation of PUT (allowed: --methods GET,POST)",
        ),
        (
            ["from-openapi", "api.json", "--python", "python3"],
            "api.json: --python is about an application (allowed: with",
        ),
        (["from-openapi", "--app", "main"], "--app: 'main' is not an application (allowed: module:attribute)"),
        (
            ["from-openapi", "--app", "main:app", "--python", "no/py"],
            "--python: no/py is no Python (allowed: an interp",
        ),
        (["from-openapi", "--app", "main:app", "--app-dir", "nowhere"], "--app-dir: nowhere is not a folder"),
        (["from-log", "none.log"], "none.log: can't be read: No such file or directory"),
        (["from-log", "api.json"], "api.json, line 1: has no key 'time'"),
        (["from-log", "night.txt"], "night.txt: is no log by its ending '.txt'"),
        (
            ["from-log", "night.log", "--methods", "PUT"],
            "night.log: has no request of PUT (allowed: --methods GET,POST)",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_one_line(arguments: list[str], says: str) -> None:
    assert refusal(*arguments).startswith(says)


@pytest.mark.parametrize("arguments", [["from-openapi"], ["from-openapi", "api.json", "--app", "main:app"]])
def test_it_is_either_a_source_or_an_application(arguments: list[str]) -> None:
    done = invoked(*arguments)
    assert done.exit_code == 2
    assert "Give either SOURCE or --app." in done.stderr
