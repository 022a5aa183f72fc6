"""The API, answer by answer: our server and the real one are asked the same."""

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.proxy.wire import Peer, ProxyUnderTest, Upstream

pytestmark = pytest.mark.anyio

NOWHERE = "127.0.0.1:1"
TAKEN = {"name": "taken", "upstream": NOWHERE}


@pytest.fixture
async def db(api: httpx.AsyncClient) -> httpx.AsyncClient:
    """The API with a proxy `db` and its toxic `slow`."""
    await api.post("/proxies", json={"name": "db", "listen": "127.0.0.1:0", "upstream": NOWHERE})
    slow = {"name": "slow", "type": "latency", "stream": "upstream", "attributes": {"latency": 100, "jitter": 7}}
    assert (await api.post("/proxies/db/toxics", json=slow)).status_code == 200
    return api


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        yield somebody.getsockname()[1]


def port_of(listen: str) -> int:
    return int(listen.rpartition(":")[2])


def without_logger(proxy: dict[str, Any]) -> dict[str, Any]:
    """The real server lets an empty `Logger` of its own slip into the answer."""
    return {name: value for name, value in proxy.items() if name != "Logger"}


def assert_error(answer: httpx.Response, status: int, error: str) -> None:
    assert answer.status_code == status
    assert answer.json() == {"error": error, "status": status}


def assert_bad_body(answer: httpx.Response) -> None:
    assert answer.status_code == 400
    assert answer.json()["status"] == 400
    assert answer.json()["error"].startswith("bad request body: ")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/version", None, 200),
        ("GET", "/proxies", None, 200),
        ("POST", "/proxies", {"name": "new", "upstream": NOWHERE}, 201),
        ("POST", "/populate", [{"name": "new", "upstream": NOWHERE}], 201),
        ("POST", "/populate", [], 201),
        ("POST", "/reset", None, 204),
        ("GET", "/proxies/db", None, 200),
        ("POST", "/proxies/db", {"enabled": False}, 200),
        ("PATCH", "/proxies/db", {"enabled": False}, 200),
        ("PATCH", "/proxies/db", {}, 200),
        ("DELETE", "/proxies/db", None, 204),
        ("GET", "/proxies/db/toxics", None, 200),
        ("POST", "/proxies/db/toxics", {"type": "slicer"}, 200),
        ("GET", "/proxies/db/toxics/slow", None, 200),
        ("POST", "/proxies/db/toxics/slow", {"attributes": {"latency": 5}}, 200),
        ("PATCH", "/proxies/db/toxics/slow", {"toxicity": 0.5}, 200),
        ("PATCH", "/proxies/db/toxics/slow", {}, 200),
        ("DELETE", "/proxies/db/toxics/slow", None, 204),
    ],
)
async def test_every_route_has_its_status(
    db: httpx.AsyncClient, method: str, path: str, body: object, status: int
) -> None:
    answer = await db.request(method, path, json=body)
    assert answer.status_code == status
    assert bool(answer.content) is (status != 204)
    if answer.content:
        assert answer.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/proxies"), ("DELETE", "/proxies"), ("PUT", "/proxies/db"), ("GET", "/populate"), ("GET", "/reset"),
        ("DELETE", "/proxies/db/toxics"), ("PUT", "/proxies/db/toxics/slow"), ("POST", "/version"),
    ],
)  # fmt: skip
async def test_a_method_that_a_route_does_not_know_is_405_with_an_empty_body(
    db: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await db.request(method, path)
    assert answer.status_code == 405
    assert answer.content == b""


@pytest.mark.parametrize("path", ["/", "/nothing", "/proxies/", "/proxies/db/", "/proxies/db/nothing", "/toxics"])
async def test_a_path_that_is_no_route_is_404_in_plain_text(db: httpx.AsyncClient, path: str) -> None:
    answer = await db.get(path)
    assert answer.status_code == 404
    assert answer.text == "404 page not found\n"


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("GET", "/proxies/other", "proxy not found"),
        ("PATCH", "/proxies/other", "proxy not found"),
        ("POST", "/proxies/other", "proxy not found"),
        ("DELETE", "/proxies/other", "proxy not found"),
        ("GET", "/proxies/other/toxics", "proxy not found"),
        ("POST", "/proxies/other/toxics", "proxy not found"),
        ("GET", "/proxies/other/toxics/slow", "proxy not found"),
        ("DELETE", "/proxies/other/toxics/slow", "proxy not found"),
        ("GET", "/proxies/db/toxics/other", "toxic not found"),
        ("PATCH", "/proxies/db/toxics/other", "toxic not found"),
        ("POST", "/proxies/db/toxics/other", "toxic not found"),
        ("DELETE", "/proxies/db/toxics/other", "toxic not found"),
    ],
)
async def test_what_is_not_there_is_404(db: httpx.AsyncClient, method: str, path: str, error: str) -> None:
    assert_error(await db.request(method, path, json={} if method in ("POST", "PATCH") else None), 404, error)


@pytest.mark.parametrize("body", ["", "{", "nonsense", "[1", '{"upstream": 7}', "[]", '"db"', '{"enabled": "yes"}'])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/proxies"),
        ("PATCH", "/proxies/db"),
        ("POST", "/proxies/db/toxics"),
    ],
)
async def test_a_body_that_is_not_the_json_asked_for_is_400(
    db: httpx.AsyncClient, method: str, path: str, body: str
) -> None:
    if path.endswith("toxics"):
        body = body.replace("enabled", "toxicity").replace("upstream", "stream")
    assert_bad_body(await db.request(method, path, content=body))


@pytest.mark.parametrize("body", ["", "{", "[1]", "[[]]", '"db"', '{"attributes": 7}', '{"toxicity": "high"}'])
async def test_a_toxic_is_not_updated_with_a_body_that_is_not_the_json_asked_for(
    db: httpx.AsyncClient, body: str
) -> None:
    before = (await db.get("/proxies/db/toxics/slow")).json()
    assert_bad_body(await db.patch("/proxies/db/toxics/slow", content=body))
    assert (await db.get("/proxies/db/toxics/slow")).json() == before


@pytest.mark.parametrize("body", ["", "[", "{}", "7", "[7]", '[{"name": 7}]'])
async def test_populate_with_a_body_that_is_no_list_of_proxies_is_400(api: httpx.AsyncClient, body: str) -> None:
    answer = await api.post("/populate", content=body)
    assert_bad_body(answer)
    assert answer.json()["proxies"] is None


@pytest.mark.parametrize(
    ("body", "missing"),
    [({}, "name"), ({"upstream": NOWHERE}, "name"), ({"name": "", "upstream": NOWHERE}, "name"),
     ({"name": "new"}, "upstream"), ({"name": "new", "upstream": ""}, "upstream")],
)  # fmt: skip
async def test_a_proxy_needs_a_name_and_an_upstream(api: httpx.AsyncClient, body: dict[str, str], missing: str) -> None:
    assert_error(await api.post("/proxies", json=body), 400, f"missing required field: {missing}")
    assert (await api.get("/proxies")).json() == {}


async def test_a_second_proxy_of_the_same_name_is_409(db: httpx.AsyncClient) -> None:
    before = (await db.get("/proxies")).json()
    assert_error(await db.post("/proxies", json={"name": "db", "upstream": "127.0.0.1:2"}), 409, "proxy already exists")
    assert (await db.get("/proxies")).json() == before


async def test_a_second_toxic_of_the_same_name_is_409_in_either_stream(db: httpx.AsyncClient) -> None:
    for stream in ("upstream", "downstream"):
        body = {"name": "slow", "type": "slicer", "stream": stream}
        assert_error(await db.post("/proxies/db/toxics", json=body), 409, "toxic already exists")
    assert len((await db.get("/proxies/db/toxics")).json()) == 1


async def test_an_unknown_toxic_type_is_400(db: httpx.AsyncClient) -> None:
    for body in ({"type": "gremlin"}, {"name": "x"}, {"type": "noop_"}):
        assert_error(await db.post("/proxies/db/toxics", json=body), 400, "invalid toxic type")


async def test_an_unknown_stream_is_400_before_the_type_is_looked_at(db: httpx.AsyncClient) -> None:
    for type_ in ("latency", "gremlin"):
        answer = await db.post("/proxies/db/toxics", json={"type": type_, "stream": "sideways"})
        assert_error(answer, 400, "stream was invalid, can be either upstream or downstream")


@pytest.mark.parametrize("agent", ["Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/"])
async def test_a_browser_is_refused(db: httpx.AsyncClient, agent: str) -> None:
    for method, path in (("GET", "/proxies"), ("DELETE", "/proxies/db"), ("GET", "/version")):
        answer = await db.request(method, path, headers={"user-agent": agent})
        assert answer.status_code == 403
        assert answer.text == "User agent not allowed\n"
    assert (await db.get("/proxies/db")).status_code == 200


async def test_errors_are_json_under_a_plain_text_content_type(api: httpx.AsyncClient) -> None:
    answer = await api.get("/proxies/db")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == '{"error":"proxy not found","status":404}\n'


async def test_the_version_is_json(api: httpx.AsyncClient) -> None:
    version = (await api.get("/version")).json()
    assert list(version) == ["version"]
    assert version["version"]


async def test_a_proxy_is_described_as_it_was_made(api: httpx.AsyncClient) -> None:
    made = await api.post("/proxies", json={"name": "db", "listen": "127.0.0.1:0", "upstream": NOWHERE})
    proxy = made.json()
    assert without_logger(proxy) == {
        "name": "db", "listen": proxy["listen"], "upstream": NOWHERE, "enabled": True, "toxics": [],
    }  # fmt: skip
    assert proxy["listen"].startswith("127.0.0.1:")
    assert port_of(proxy["listen"]) > 0
    assert (await api.get("/proxies/db")).json() == proxy
    assert (await api.get("/proxies")).json() == {"db": proxy}


async def test_a_proxy_without_a_listen_gets_a_port_of_its_own(api: httpx.AsyncClient, echo: Upstream) -> None:
    made = [(await api.post("/proxies", json={"name": name, "upstream": echo.address})).json() for name in "ab"]
    ports = [port_of(proxy["listen"]) for proxy in made]
    assert ports[0] != ports[1]
    for port in ports:
        with await ProxyUnderTest(api, "", port).connect() as connected:
            await connected.round_trip()


async def test_a_disabled_proxy_keeps_the_listen_it_was_given(api: httpx.AsyncClient, taken_port: int) -> None:
    listen = f"127.0.0.1:{taken_port}"
    made = await api.post("/proxies", json={**TAKEN, "listen": listen, "enabled": False})
    assert made.status_code == 201
    assert made.json()["enabled"] is False
    assert made.json()["listen"] == listen


async def test_a_port_that_cannot_be_bound_is_500_and_makes_no_proxy(api: httpx.AsyncClient, taken_port: int) -> None:
    answer = await api.post("/proxies", json={**TAKEN, "listen": f"127.0.0.1:{taken_port}"})
    assert_cannot_bind(answer, taken_port)
    assert (await api.get("/proxies")).json() == {}


async def test_a_proxy_that_cannot_be_enabled_stays_disabled(api: httpx.AsyncClient, taken_port: int) -> None:
    await api.post("/proxies", json={**TAKEN, "listen": f"127.0.0.1:{taken_port}", "enabled": False})
    assert_cannot_bind(await api.patch("/proxies/taken", json={"enabled": True}), taken_port)
    assert (await api.get("/proxies/taken")).json()["enabled"] is False


async def test_reset_is_500_when_a_port_is_taken_meanwhile(api: httpx.AsyncClient, taken_port: int) -> None:
    await api.post("/proxies", json={**TAKEN, "listen": f"127.0.0.1:{taken_port}", "enabled": False})
    assert_cannot_bind(await api.post("/reset"), taken_port)


def assert_cannot_bind(answer: httpx.Response, port: int) -> None:
    assert answer.status_code == 500
    assert answer.json()["status"] == 500
    assert answer.json()["error"].startswith(f"listen tcp 127.0.0.1:{port}: ")
    assert "address already in use" in answer.json()["error"].lower()


@pytest.mark.parametrize("listen", ["nonsense", "127.0.0.1:99999", "127.0.0.1"])
async def test_a_listen_that_is_no_address_is_500(api: httpx.AsyncClient, listen: str) -> None:
    answer = await api.post("/proxies", json={**TAKEN, "listen": listen})
    assert answer.status_code == 500
    assert answer.json()["status"] == 500


async def test_a_removed_proxy_is_gone_and_its_port_is_free(proxy: ProxyUnderTest) -> None:
    assert (await proxy.api.delete("/proxies/db")).status_code == 204
    assert (await proxy.api.get("/proxies")).json() == {}
    with socket.create_server(("127.0.0.1", proxy.port)):
        pass


async def test_a_patched_proxy_moves_to_its_new_upstream_and_keeps_its_toxics(
    proxy: ProxyUnderTest, upstream: Upstream
) -> None:
    await proxy.add("slicer", average_size=5)
    answer = await proxy.api.patch("/proxies/db", json={"upstream": upstream.address, "name": "ignored"})
    assert answer.json()["name"] == "db"
    assert answer.json()["upstream"] == upstream.address
    assert answer.json()["enabled"] is True
    assert [toxic["name"] for toxic in answer.json()["toxics"]] == ["slicer"]
    with await Peer.to(port_of(answer.json()["listen"])) as client:
        server = await upstream.accepted()
        await client.send(b"hello")
        assert await server.receive(5) == b"hello"


async def test_a_patch_without_a_change_leaves_connections_alone(proxy: ProxyUnderTest, echo: Upstream) -> None:
    with await proxy.connect() as client:
        await client.round_trip()
        listen = f"127.0.0.1:{proxy.port}"
        same = {"listen": listen, "upstream": echo.address, "enabled": True}
        assert (await proxy.api.patch("/proxies/db", json=same)).status_code == 200
        await client.round_trip()


async def test_populate_creates_what_is_not_there(api: httpx.AsyncClient) -> None:
    answer = await api.post(
        "/populate",
        json=[
            {"name": "a", "listen": "127.0.0.1:0", "upstream": NOWHERE},
            {"name": "b", "listen": "127.0.0.1:0", "upstream": NOWHERE, "enabled": False},
        ],
    )
    assert answer.status_code == 201
    assert list(answer.json()) == ["proxies"]
    assert [(one["name"], one["enabled"], one["toxics"]) for one in answer.json()["proxies"]] == [
        ("a", True, []), ("b", False, []),
    ]  # fmt: skip
    assert set((await api.get("/proxies")).json()) == {"a", "b"}


async def test_populate_leaves_an_unchanged_proxy_alone(proxy: ProxyUnderTest, echo: Upstream) -> None:
    await proxy.add("slicer", average_size=5)
    with await proxy.connect() as client:
        await client.round_trip()
        same = {"name": "db", "listen": f"127.0.0.1:{proxy.port}", "upstream": echo.address}
        answer = await proxy.api.post("/populate", json=[same])
        assert answer.status_code == 201
        assert [toxic["name"] for toxic in answer.json()["proxies"][0]["toxics"]] == ["slicer"]
        await client.round_trip()


async def test_populate_replaces_a_changed_proxy_and_closes_its_connections(proxy: ProxyUnderTest) -> None:
    await proxy.add("slicer", average_size=5)
    with await proxy.connect() as client:
        await client.round_trip()
        changed = {"name": "db", "listen": f"127.0.0.1:{proxy.port}", "upstream": NOWHERE}
        answer = await proxy.api.post("/populate", json=[changed])
        assert answer.status_code == 201
        assert answer.json()["proxies"][0]["toxics"] == []
        assert await client.ended() == "fin"
    assert (await proxy.api.get("/proxies/db")).json()["upstream"] == NOWHERE


@pytest.mark.parametrize("missing", ["name", "upstream"])
async def test_populate_makes_nothing_when_one_lacks_a_field(api: httpx.AsyncClient, missing: str) -> None:
    second = {"name": "b", "upstream": NOWHERE}
    del second[missing]
    answer = await api.post("/populate", json=[{"name": "a", "upstream": NOWHERE}, second])
    assert answer.status_code == 400
    error = f"missing required field: {missing} at proxy 2"
    assert answer.json() == {"error": error, "status": 400, "proxies": None}
    assert (await api.get("/proxies")).json() == {}


async def test_populate_keeps_what_it_made_before_a_port_could_not_be_bound(
    api: httpx.AsyncClient, taken_port: int
) -> None:
    proxies = [
        {"name": "a", "listen": "127.0.0.1:0", "upstream": NOWHERE},
        {**TAKEN, "listen": f"127.0.0.1:{taken_port}"},
        {"name": "c", "listen": "127.0.0.1:0", "upstream": NOWHERE},
    ]
    answer = await api.post("/populate", json=proxies)
    assert_cannot_bind(answer, taken_port)
    assert [proxy["name"] for proxy in answer.json()["proxies"]] == ["a"]
    assert list((await api.get("/proxies")).json()) == ["a"]


async def test_reset_enables_every_proxy_and_removes_every_toxic(db: httpx.AsyncClient) -> None:
    await db.post("/proxies", json={"name": "off", "listen": "127.0.0.1:0", "upstream": NOWHERE, "enabled": False})
    await db.patch("/proxies/db", json={"enabled": False})
    assert (await db.post("/reset")).status_code == 204
    assert {name: (proxy["enabled"], proxy["toxics"]) for name, proxy in (await db.get("/proxies")).json().items()} == {
        "db": (True, []),
        "off": (True, []),
    }


async def test_a_toxic_is_by_default_called_by_its_type_and_stream_downstream_and_certain(
    db: httpx.AsyncClient,
) -> None:
    made = await db.post("/proxies/db/toxics", json={"type": "latency"})
    assert made.json() == {
        "name": "latency_downstream", "type": "latency", "stream": "downstream", "toxicity": 1,
        "attributes": {"latency": 0, "jitter": 0},
    }  # fmt: skip
    up = await db.post("/proxies/db/toxics", json={"type": "latency", "stream": "upstream"})
    assert up.json()["name"] == "latency_upstream"


@pytest.mark.parametrize(
    ("type_", "attributes"),
    [
        ("latency", {"latency": 1, "jitter": 2}),
        ("bandwidth", {"rate": 1}),
        ("slow_close", {"delay": 1}),
        ("timeout", {"timeout": 1}),
        ("reset_peer", {"timeout": 1}),
        ("slicer", {"average_size": 1, "size_variation": 2, "delay": 3}),
        ("limit_data", {"bytes": 1}),
    ],
)
async def test_each_toxic_has_its_attributes_zero_unless_given(
    db: httpx.AsyncClient, type_: str, attributes: dict[str, int]
) -> None:
    given = {"name": "given", "type": type_, "attributes": attributes}
    assert (await db.post("/proxies/db/toxics", json=given)).json()["attributes"] == attributes
    left_out = await db.post("/proxies/db/toxics", json={"name": "left out", "type": type_})
    assert left_out.json()["attributes"] == dict.fromkeys(attributes, 0)


async def test_unknown_attributes_and_fields_are_accepted_and_forgotten(db: httpx.AsyncClient) -> None:
    body = {"type": "bandwidth", "colour": "red", "attributes": {"rate": 5, "latency": 7, "colour": "blue"}}
    made = await db.post("/proxies/db/toxics", json=body)
    assert made.status_code == 200
    assert made.json()["attributes"] == {"rate": 5}
    assert "colour" not in made.json()
    proxy = await db.post("/proxies", json={"name": "p", "upstream": NOWHERE, "colour": "red"})
    assert proxy.status_code == 201
    assert "colour" not in proxy.json()


@pytest.mark.parametrize("wrong", [1.5, "1", True, [1], {}])
async def test_an_attribute_that_is_no_whole_number_is_400(db: httpx.AsyncClient, wrong: object) -> None:
    body: dict[str, Any] = {"name": "wrong", "type": "latency", "attributes": {"latency": wrong}}
    assert_bad_body(await db.post("/proxies/db/toxics", json=body))
    assert_bad_body(await db.patch("/proxies/db/toxics/slow", json=body))
    assert [toxic["name"] for toxic in (await db.get("/proxies/db/toxics")).json()] == ["slow"]


async def test_a_patch_changes_only_the_attributes_it_names(db: httpx.AsyncClient) -> None:
    answer = await db.patch("/proxies/db/toxics/slow", json={"attributes": {"latency": 5}})
    expected = {
        "name": "slow", "type": "latency", "stream": "upstream", "toxicity": 1,
        "attributes": {"latency": 5, "jitter": 7},
    }  # fmt: skip
    assert answer.json() == expected
    assert (await db.get("/proxies/db/toxics/slow")).json() == expected
    assert (await db.get("/proxies/db")).json()["toxics"] == [expected]


async def test_a_patch_changes_toxicity_but_neither_name_type_nor_stream(db: httpx.AsyncClient) -> None:
    body = {"name": "other", "type": "slicer", "stream": "downstream", "toxicity": 0.25}
    answer = await db.patch("/proxies/db/toxics/slow", json=body)
    assert answer.json() == {
        "name": "slow", "type": "latency", "stream": "upstream", "toxicity": 0.25,
        "attributes": {"latency": 100, "jitter": 7},
    }  # fmt: skip


async def test_toxics_are_listed_upstream_first_each_in_the_order_they_came(db: httpx.AsyncClient) -> None:
    for name, stream in (("d1", "downstream"), ("u1", "upstream"), ("d2", "downstream")):
        await db.post("/proxies/db/toxics", json={"name": name, "type": "slicer", "stream": stream})
    assert [toxic["name"] for toxic in (await db.get("/proxies/db/toxics")).json()] == ["slow", "u1", "d1", "d2"]


async def test_a_removed_toxic_leaves_its_name_free(db: httpx.AsyncClient) -> None:
    assert (await db.delete("/proxies/db/toxics/slow")).status_code == 204
    assert (await db.get("/proxies/db/toxics")).json() == []
    assert (await db.post("/proxies/db/toxics", json={"name": "slow", "type": "slicer"})).status_code == 200


async def test_names_may_need_quoting_in_a_path(api: httpx.AsyncClient) -> None:
    await api.post("/proxies", json={"name": "a b ü", "listen": "127.0.0.1:0", "upstream": NOWHERE})
    await api.post("/proxies/a%20b%20%C3%BC/toxics", json={"name": "x y", "type": "slicer"})
    assert (await api.get("/proxies/a%20b%20%C3%BC/toxics/x%20y")).json()["name"] == "x y"
    assert (await api.delete("/proxies/a%20b%20%C3%BC")).status_code == 204
