"""The proxy server as a real process: bodies for its API, raw bytes for its port, and bytes through its proxies."""

import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import strategies as st

from tests.fuzz.fuzzing import MOST_MEMORY, NUMBERS, WORDS, Fuzzer, as_json, mutated_bytes, mutated_json
from tests.proxy.conftest import our_server
from tests.proxy.wire import OurServer, Upstream, echo_back

NOWHERE = "127.0.0.1:1"
LISTEN = ("127.0.0.1:0", "localhost:0", "[::1]:0", "nonsense", "127.0.0.1:99999", "127.0.0.1:-1", "127.0.0.1", ":::")
"""Never another machine, and never every address of this one."""
TOXICS = ("latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data", "noop", "nonsense")
COMPUTE = {
    "wake_latency_s": 0.01, "on_suspend": "close", "while_waking": "hold", "suspend_after_s": 30.0, "seed": 1,
}  # fmt: skip
TOXIC = {"name": "a", "type": "latency", "stream": "downstream", "toxicity": 0.5, "attributes": {"latency": 1}}
PROXY = {"name": "db", "listen": "127.0.0.1:0", "upstream": NOWHERE, "enabled": True}
HERE = frozenset({"listen", "upstream"})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OurServer, Upstream, Any]]:
    """Our server and an echo behind it, on a loop of their own."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(our_server(tmp_path_factory.mktemp("proxy") / "log")) as ours,
        portal.wrap_async_context_manager(Upstream.running(echo_back)) as echo,
    ):
        yield ours, echo, portal


def only_here(document: Any) -> Any:
    """The same with no address but those of this machine's loopback, whatever was put there."""
    if isinstance(document, dict):
        return {
            name: (value if value in LISTEN or value == NOWHERE else LISTEN[len(str(value)) % len(LISTEN)])
            if name.casefold() in HERE and isinstance(value, str)
            else only_here(value)
            for name, value in document.items()
        }
    return [only_here(value) for value in document] if isinstance(document, list) else document


def bodies(*documents: Any) -> st.SearchStrategy[bytes]:
    values: tuple[Any, ...] = (None, True, "", [], {}, *NUMBERS, *WORDS, *TOXICS, *LISTEN)
    return mutated_json(documents, values=values).map(only_here).map(as_json)


ASKED = st.one_of(
    st.tuples(st.just("POST"), st.just("/proxies"), bodies(PROXY)),
    st.tuples(st.just("POST"), st.just("/populate"), bodies([PROXY, {**PROXY, "name": "other"}])),
    st.tuples(st.just("POST"), st.just("/proxies/db"), bodies(PROXY, {"enabled": False})),
    st.tuples(st.just("POST"), st.just("/proxies/db/toxics"), bodies(TOXIC)),
    st.tuples(st.sampled_from(["POST", "PATCH", "DELETE"]), st.just("/proxies/db/toxics/a"), bodies(TOXIC)),
    st.tuples(
        st.just("POST"), st.just("/coldstart/proxies"),
        bodies({**PROXY, "toxics": [TOXIC], "compute": COMPUTE, "way": {"from_latency_s": 0.1}}),
    ),
    st.tuples(st.sampled_from(["PUT", "DELETE"]), st.just("/coldstart/proxies/db/compute"), bodies(COMPUTE)),
    st.tuples(
        st.just("POST"),
        st.sampled_from([f"/coldstart/proxies/db/{name}" for name in ("suspend", "wake", "outage", "lose")]),
        bodies({"for_s": 0.01, "share": 0.5, "how": "reset", "on_suspend": "close"}, {}),
    ),
)  # fmt: skip


def healthy(ours: OurServer) -> None:
    """It has said nothing but its HTTP server's one line about what is no HTTP, and it has not grown."""
    assert set(ours.child.log.read_text().splitlines()) <= {"WARNING:  Invalid HTTP request received."}
    assert psutil.Process(ours.child.pid).memory_info().rss < MOST_MEMORY


@pytest.mark.timeout(3_000)
def test_bodies_of_the_api(fuzzer: Fuzzer, server: tuple[OurServer, Upstream, Any]) -> None:
    ours, _, _ = server
    port = ours.http.base_url.port
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10) as http:

        def read(asked: tuple[str, str, bytes]) -> None:
            method, path, body = asked
            http.post("/proxies", json=PROXY)
            answer = http.request(method, path, content=body)
            # 500: an address that can't be resolved or bound, which Toxiproxy answers so too.
            assert answer.status_code < 500 or "listen" in answer.text, answer.text
            if answer.status_code >= 400:
                assert answer.json()["error"], answer.text
                raise RefusedError(answer.json()["error"])
            for name in http.get("/proxies").json():
                http.delete(httpx.URL(raw_path=b"/proxies/" + quoted(name)))

        fuzzer(ASKED, read, accepted=0.1, refused=(RefusedError,))
        assert http.get("/version").status_code == 200
    healthy(ours)


class RefusedError(Exception):
    """A 4xx."""


def quoted(name: str) -> bytes:
    return b"".join(b"%%%02X" % byte for byte in name.encode())


HTTP = [
    b"GET /proxies HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\nConnection: close\r\n\r\n",
    b'POST /proxies/none/toxics HTTP/1.1\r\nHost: x\r\nContent-Length: 18\r\n\r\n{"type":"latency"}',
    b"POST /reset HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}x\r\n0\r\n\r\n",
    b"GET /version HTTP/1.0\r\n\r\nGET /version HTTP/1.1\r\nHost: x\r\n\r\n",
]


@pytest.mark.timeout(3_000)
def test_raw_bytes_on_the_apis_port(fuzzer: Fuzzer, server: tuple[OurServer, Upstream, Any]) -> None:
    ours, _, _ = server
    port = int(ours.http.base_url.port or 0)

    def read(data: bytes) -> None:
        answer = exchanged(port, data)
        if not answer:
            raise RefusedError("nothing, to what was no whole request")
        status = int(answer.split(b" ", 2)[1])
        assert status < 500, answer
        if status >= 400:
            raise RefusedError(f"{status}")

    fuzzer(mutated_bytes(HTTP), read, accepted=0.1, refused=(RefusedError,))
    healthy(ours)


def exchanged(port: int, data: bytes) -> bytes:
    """What comes back for these bytes and an end."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client, contextlib.suppress(ConnectionError):
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        received = b""
        while piece := client.recv(65_536):
            received += piece
        return received
    return b"HTTP/1.1 400 it hung up\r\n"


STARTUP = struct.pack("!ii", 40, 196_608) + b"user\0coldstart\0database\0db\0\0\0\0\0\0"
SPOKEN = [
    struct.pack("!ii", 8, 80_877_103) + STARTUP,
    STARTUP + b"Q\0\0\0\x0eSELECT 1\0\0" + b"X\0\0\0\x04",
    struct.pack("!iiii", 16, 80_877_102, 1, 2),
    b"\x16\x03\x01\x00\x05hello",
]


@pytest.mark.timeout(3_000)
@pytest.mark.parametrize("state", ["awake", "error"])
def test_bytes_through_a_proxy(fuzzer: Fuzzer, server: tuple[OurServer, Upstream, Any], state: str) -> None:
    """An echo behind it: what is let through comes back byte for byte; a compute that answers errors hangs up."""
    ours, echo, _ = server
    with httpx.Client(base_url=ours.http.base_url, trust_env=False, timeout=10) as http:
        compute = {**COMPUTE, "wake_latency_s": 86_400.0, "while_waking": "error"} if state == "error" else None
        made = http.post(
            "/coldstart/proxies", json={**PROXY, "name": state, "upstream": echo.address, "compute": compute}
        )
        assert made.status_code == 201, made.text
        port = int(made.json()["listen"].rpartition(":")[2])
        if state == "error":
            assert http.post(f"/coldstart/proxies/{state}/suspend").status_code == 200

        def read(data: bytes) -> None:
            answer = exchanged(port, data)
            if state != "error":
                assert answer == data
            elif not answer:
                raise RefusedError("hung up on, without a word")
            else:
                assert answer.lstrip(b"N")[:1] in (b"E", b"", b"H")

        fuzzer(mutated_bytes(SPOKEN), read, accepted=0.1, refused=(RefusedError,), most=5_000)
        assert http.delete(f"/proxies/{state}").status_code == 204
    healthy(ours)
