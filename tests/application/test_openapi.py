"""Requests of an OpenAPI document: real ones of FastAPI's, hand-written corners, and whatever JSON there is."""

import json
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import Cookie, FastAPI, Header, Security
from fastapi.security import APIKeyHeader, HTTPBasic, OAuth2PasswordBearer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from harness.application.drafts import Draft
from harness.application.openapi import read_document, requests_of
from harness.application.requests_file import read_requests, write_requests
from harness.model.application_request import METHODS
from harness.model.errors import UserError

EVERY = frozenset(METHODS)


def drafts(document: object, methods: frozenset[str] = EVERY) -> dict[str, Draft]:
    return {draft.request.name: draft for draft in requests_of(document, methods=methods, where="api.json")}


def document(paths: Any, **more: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "paths": paths, **more}


def operation(path: str = "/", method: str = "get", of_document: dict[str, Any] | None = None, **more: Any) -> Draft:
    """The one request of a document with this operation."""
    (found,) = drafts(document({path: {method: more}}, **(of_document or {}))).values()
    return found


def parameter(name: str, place: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "required": True, **more}


class Line(BaseModel):
    item: int
    count: Annotated[int, Field(ge=2)]


class Order(BaseModel):
    customer: UUID
    note: Annotated[str, Field(min_length=3, examples=["grün"])]
    lines: list[Line]
    paid: bool
    discount: float | None
    parent: "Order | None" = None


@pytest.fixture(scope="module")
def shop() -> dict[str, Any]:
    """What FastAPI says of an application."""
    app = FastAPI()
    bearer = Security(OAuth2PasswordBearer(tokenUrl="token"))

    @app.get("/orders/{order_id}")
    async def read_order(order_id: int, verbose: bool = False) -> None: ...

    @app.get("/users/{user_id}/orders/{order_id}")
    async def read_order_of(user_id: int, order_id: Annotated[int, "…"]) -> None: ...

    @app.get("/pages/{slug}")
    async def read_page(
        slug: str, q: str, x_tenant: Annotated[str, Header()], theme: Annotated[str, Cookie()]
    ) -> None: ...

    @app.get("/me")
    async def me(token: Annotated[str, bearer]) -> None: ...

    @app.get("/basic")
    async def basic(token: Annotated[Any, Security(HTTPBasic())]) -> None: ...

    @app.get("/keyed")
    async def keyed(token: Annotated[str, Security(APIKeyHeader(name="X-Key"))]) -> None: ...

    @app.post("/orders")
    async def add_order(order: Order) -> None: ...

    @app.delete("/orders/{order_id}")
    async def remove(order_id: int) -> None: ...

    return app.openapi()


def test_the_requests_of_a_real_application(shop: dict[str, Any]) -> None:
    found = drafts(shop)
    assert list(found) == [
        "read_order", "remove", "read_order_of", "read_page", "me", "basic", "keyed", "add_order",
    ]  # fmt: skip
    assert (found["read_order"].request.target, found["read_order"].request.keys) == ("/orders/{key}", (1, 100))
    assert found["read_order"].notes == ("keys: the first and the last order_id that exist",)
    assert found["remove"].request.method == "DELETE"
    assert found["read_order_of"].request.target == "/users/1/orders/{key}"
    assert found["read_order_of"].notes[0] == "1 stands for a user_id in the path: put one that exists"
    page = found["read_page"]
    assert page.request.target == "/pages/string?q=string"
    assert dict(page.request.headers) == {"x-tenant": "string", "Cookie": "theme=string"}
    assert len(page.notes) == 4


def test_only_requests_of_the_given_methods_are_written(shop: dict[str, Any]) -> None:
    assert set(drafts(shop, frozenset({"GET"}))) == {
        "read_order", "read_order_of", "read_page", "me", "basic", "keyed",
    }  # fmt: skip
    assert set(drafts(shop, frozenset({"POST", "DELETE"}))) == {"add_order", "remove"}


def test_authorization_is_a_variable_of_the_environment(shop: dict[str, Any]) -> None:
    found = drafts(shop)
    assert found["me"].request.headers == (("Authorization", "Bearer ${API_TOKEN}"),)
    assert found["basic"].request.headers == (("Authorization", "Basic ${API_TOKEN}"),)
    assert found["keyed"].request.headers == (("X-Key", "${API_TOKEN}"),)
    assert "API_TOKEN" in found["me"].notes[-1]
    assert all(draft.request.variables <= {"API_TOKEN"} for draft in found.values())


def test_a_body_is_of_what_must_be_in_it(shop: dict[str, Any]) -> None:
    found = drafts(shop)
    assert json.loads(found["add_order"].request.body or "") == {
        "customer": "00000000-0000-4000-8000-000000000000",
        "note": "grün",
        "lines": [{"item": 1, "count": 2}],
        "paid": False,
        "discount": 1,
    }
    assert dict(found["add_order"].request.headers) == {"Content-Type": "application/json"}


def test_what_is_made_is_what_the_application_takes() -> None:
    app = FastAPI()

    @app.post("/orders")
    async def add_order(order: Order) -> None: ...

    body = drafts(app.openapi())["add_order"].request.body
    assert Order.model_validate_json(body or "").lines[0].count == 2


@pytest.mark.parametrize(
    ("security", "of_document", "headers"),
    [
        ([{"token": []}], {}, {"Authorization": "Bearer ${API_TOKEN}"}),
        ([{"token": []}, {}], {}, {}),
        ([], {"security": [{"token": []}]}, {}),
        (None, {"security": [{"token": []}]}, {"Authorization": "Bearer ${API_TOKEN}"}),
        (None, {}, {}),
    ],
    ids=["its own", "or none", "none in place of the document's", "the document's", "nowhere"],
)
def test_security_is_the_operations_own_or_the_documents(security: Any, of_document: Any, headers: Any) -> None:
    more = {} if security is None else {"security": security}
    assert dict(operation(of_document=of_document, **more).request.headers) == headers


def test_an_api_key_is_sent_where_its_scheme_says() -> None:
    for place, target, headers in (
        ("query", "/?key=${API_TOKEN}", {}),
        ("cookie", "/", {"Cookie": "key=${API_TOKEN}"}),
    ):
        components = {"securitySchemes": {"k": {"type": "apiKey", "in": place, "name": "key"}}}
        request = operation(of_document={"components": components}, security=[{"k": []}]).request
        assert (request.target, dict(request.headers)) == (target, headers)


@pytest.mark.parametrize(
    ("schema", "keys"),
    [
        ({"type": "integer"}, (1, 100)),
        ({"type": "integer", "minimum": 1000}, (1000, 1099)),
        ({"type": "integer", "exclusiveMinimum": 0, "maximum": 7}, (1, 7)),
        ({"type": "integer", "maximum": 0}, (0, 0)),
        ({"type": ["integer", "null"], "minimum": -5, "exclusiveMaximum": 10}, (1, 9)),
        ({"type": "integer", "maximum": 10**12}, (1, 100)),
        ({"$ref": "#/components/schemas/Id"}, (5, 104)),
        ({"allOf": [{"type": "integer"}, {"minimum": 9}]}, (9, 108)),
    ],
)
def test_a_whole_number_in_the_path_is_the_key(schema: Any, keys: tuple[int, int]) -> None:
    components = {"schemas": {"Id": {"type": "integer", "minimum": 5}}}
    found = operation(
        "/a/{id}", of_document={"components": components}, parameters=[parameter("id", "path", schema=schema)]
    )
    assert (found.request.target, found.request.keys) == ("/a/{key}", keys)


@pytest.mark.parametrize(
    ("described", "text"),
    [
        ({"schema": {"type": "string", "format": "uuid"}}, "00000000-0000-4000-8000-000000000000"),
        ({"schema": {"type": "string", "enum": ["new", "old"]}}, "new"),
        ({"schema": {"type": "string"}, "example": "a/b c#ü"}, "a%2Fb%20c%23%C3%BC"),
        ({"schema": {"type": "string"}, "examples": {"one": {"value": "x"}}}, "x"),
        ({"schema": {"type": "string", "default": "${HOME}{key}"}}, "%7BHOME%7Dkey"),
        ({"schema": {"type": "number"}}, "1"),
        ({"schema": {"type": "boolean"}}, "false"),
        ({}, "string"),
        ({"example": ""}, "string"),
    ],
)
def test_anything_else_in_the_path_is_a_value_with_a_note(described: Any, text: str) -> None:
    found = operation("/a/{what}", parameters=[parameter("what", "path", **described)])
    assert found.request.target == f"/a/{text}"
    assert found.notes == (f"{text} stands for a what in the path: put one that exists",)


def test_a_parameter_that_is_described_nowhere_is_a_value_too() -> None:
    assert operation("/a/{key}/{unique}").request.target == "/a/string/string"


def test_names_are_short_and_each_once() -> None:
    paths = {
        "/items/{item_id}": {"get": {"operationId": "read_item_items__item_id__get"}, "put": {}},
        "/items/{other}": {"get": {"operationId": "read_item"}},
        "/ä": {"get": {"operationId": "…"}},
        "/" + "x" * 80: {"get": {}},
        "/" + "x" * 81: {"get": {}},
    }
    assert list(drafts(document(paths))) == [
        "read_item", "put_items_item_id", "read_item_2", "root", "x" * 64, "x" * 62 + "_2",
    ]  # fmt: skip


def test_the_first_servers_path_comes_first() -> None:
    for url, target in (
        ("/v1", "/v1/a"),
        ("https://api.example.com/v2/", "/v2/a"),
        ("https://{host}/v3", "/a"),
        ("v4", "/a"),
    ):
        assert operation("/a", of_document={"servers": [{"url": url}, {"url": "/other"}]}).request.target == target


def test_a_form_is_encoded_as_forms_are() -> None:
    properties = {"name": {"type": "string", "example": "a b&c"}, "count": {"type": "integer"}, "more": {}}
    schema = {"type": "object", "required": ["name", "count"], "properties": properties}
    content = {"multipart/form-data": {}, "application/x-www-form-urlencoded": {"schema": schema}}
    request = operation(method="post", requestBody={"content": content}).request
    assert request.body == "name=a%20b%26c&count=1"
    assert dict(request.headers) == {"Content-Type": "application/x-www-form-urlencoded"}


def test_a_body_that_cant_be_made_is_left_to_the_user() -> None:
    found = operation(method="post", requestBody={"content": {"multipart/form-data": {"schema": {}}}})
    assert found.request.body is None
    assert found.notes == ("its body is multipart/form-data: write it, as body",)


def test_a_schema_that_holds_itself_ends() -> None:
    schemas: dict[str, Any] = {
        "Tree": {"type": "object", "required": ["left"], "properties": {"left": {"$ref": "#/components/schemas/Tree"}}},
        "Circle": {"$ref": "#/components/schemas/Circle"},
        "Of": {"allOf": [{"$ref": "#/components/schemas/Of"}, {"$ref": "#/components/schemas/Of"}]},
    }
    for name in schemas:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
        found = operation(
            method="post", of_document={"components": {"schemas": schemas}}, requestBody={"content": content}
        )
        assert found.request.body is not None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "api.json: is no OpenAPI document (allowed: a JSON object with openapi and paths)"),
        ({}, "api.json: is no OpenAPI document: it has no openapi 3 (allowed: OpenAPI 3)"),
        ({"swagger": "2.0", "paths": {}}, "api.json: is no OpenAPI document: it is of Swagger 2 (allowed: OpenAPI 3)"),
        ({"openapi": "4.0", "paths": {}}, "api.json: is no OpenAPI document: it has no openapi 3 (allowed: OpenAPI 3)"),
        ({"openapi": "3.1.0"}, "api.json: is no OpenAPI document: it has no paths (allowed: OpenAPI 3)"),
        (document({}), "api.json: has no operation of GET (allowed: a document with operations)"),
        (document({"/": {"post": {}, "put": {}}}), "api.json: has no operation of GET (allowed: --methods POST,PUT)"),
    ],
)
def test_what_is_no_openapi_document_is_refused(given: Any, says: str) -> None:
    with pytest.raises(UserError) as caught:
        requests_of(given, methods=frozenset({"GET"}), where="api.json")
    assert str(caught.value) == says


@pytest.mark.parametrize("text", ["", "{", "openapi: 3.1.0\n", '{"a": NaN}', "[" * 100_000, b"\xff\xfe\xfa"])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(UserError, match="is not JSON"):
        read_document(text, where="api.json")


WORDS = st.sampled_from([
    "openapi", "3.1.0", "paths", "/", "/a/{b}", "get", "post", "parameters", "name", "in", "path", "query", "header",
    "cookie", "required", "schema", "type", "integer", "string", "object", "array", "items", "properties", "$ref",
    "#/paths", "#/components/schemas/A", "allOf", "anyOf", "enum", "example", "examples", "value", "default", "minimum",
    "maximum", "minLength", "maxLength", "minItems", "requestBody", "content", "application/json", "security",
    "components", "schemas", "A", "securitySchemes", "apiKey", "operationId", "servers", "url", "${HOME}", "{key}", "b",
    "application/x-www-form-urlencoded", "\ud800",
])  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS | st.text(max_size=6)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=30
)
PARAMETERS = st.lists(
    st.fixed_dictionaries(
        {"name": WORDS, "in": st.sampled_from(["path", "query", "header", "cookie"]), "required": st.just(True)},
        optional={"schema": ANYTHING, "example": ANYTHING},
    ),
    max_size=3,
)
OPERATIONS = st.fixed_dictionaries(
    {},
    optional={
        "parameters": PARAMETERS | ANYTHING,
        "operationId": WORDS | ANYTHING,
        "requestBody": st.fixed_dictionaries({"content": st.dictionaries(WORDS, ANYTHING, max_size=2)}) | ANYTHING,
        "security": st.lists(st.dictionaries(WORDS, st.just([])), max_size=2) | ANYTHING,
    },
)
ITEMS = st.dictionaries(st.sampled_from(["get", "post", "parameters", "$ref"]), OPERATIONS | ANYTHING, max_size=3)
PATHS = st.dictionaries(st.sampled_from(["/", "/a/{b}", "/ä b/{b}/{A}", "a"]) | WORDS, ITEMS | ANYTHING, max_size=3)
DOCUMENTS = st.fixed_dictionaries(
    {"openapi": st.just("3.1.0"), "paths": PATHS},
    optional={"components": ANYTHING, "servers": ANYTHING, "security": ANYTHING},
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=300
)
@given(given_document=DOCUMENTS | ANYTHING)
def test_whatever_a_document_says_the_file_is_one_that_is_read(tmp_path: Path, given_document: object) -> None:
    try:
        found = requests_of(given_document, methods=EVERY, where="api.json")
    except UserError:
        return
    file = tmp_path / "requests.toml"
    file.write_text(write_requests(found, name="requests.toml"), encoding="utf-8")
    read = [request for request, _ in read_requests(file).weights]
    assert read == [draft.request for draft in found]
    # A document that comes from somewhere names no variable of this environment.
    assert all(draft.request.variables <= {"API_TOKEN"} for draft in found)
    # And a path of it is filled in with nothing but our own number.
    for draft in found:
        assert "{unique}" not in "".join(draft.request.texts)
        assert draft.request.asked(0, {"API_TOKEN": "t"}).target.startswith("/")
