"""What others drive a Toxiproxy with: every method of the Python and of the Node client, on either server."""

import asyncio
import functools
import inspect
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
import toxiproxy
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

pytestmark = pytest.mark.anyio

NODE_CLIENT = Path(__file__).parent / "node_client"
FETCH_LIMIT_S = 60.0
UPSTREAM = "127.0.0.1:1"


def watched(monkeypatch: pytest.MonkeyPatch, *classes: type) -> tuple[set[str], set[str]]:
    """The public methods of these classes, and those of them that have been called so far."""
    called: set[str] = set()
    methods = set()
    for class_ in classes:
        for name, method in inspect.getmembers(class_, inspect.isfunction):
            if name.startswith("_"):
                continue
            full_name = f"{class_.__name__}.{name}"

            def call(*given: object, full_name: str = full_name, method: object = method, **more: object) -> object:
                called.add(full_name)
                assert callable(method)
                return method(*given, **more)

            monkeypatch.setattr(class_, name, functools.wraps(method)(call))
            methods.add(full_name)
    return methods, called


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_every_method_of_the_python_client_has_the_answer_it_expects(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    # The client keeps its server in class attributes, for all of its process.
    monkeypatch.setattr(APIConsumer, "host", APIConsumer.host)
    monkeypatch.setattr(APIConsumer, "port", APIConsumer.port)
    methods, called = watched(monkeypatch, toxiproxy.Toxiproxy, toxiproxy.Proxy)
    version = (await api.get("/version")).content
    await asyncio.to_thread(call_them, int(api.base_url.port or 0), version)
    assert called == methods
    assert len(methods) == 18


def call_them(port: int, version: bytes) -> None:
    server = toxiproxy.Toxiproxy()
    server.update_api_consumer("127.0.0.1", port)
    assert server.running()
    assert server.version() == version
    assert server.proxies() == {}

    db = server.create(upstream=UPSTREAM, name="db")
    assert (db.name, db.upstream, db.enabled) == ("db", UPSTREAM, True)
    assert db.listen.startswith("127.0.0.1:")
    assert not db.listen.endswith(":0")
    with pytest.raises(ProxyExists):
        server.create(upstream=UPSTREAM, name="db")
    assert server.get_proxy("db").listen == db.listen
    assert server.get_proxy("nobody") is None

    db.add_toxic(name="slow", type="latency", stream="upstream", toxicity=0.5, attributes={"latency": 7})
    db.add_toxic(type="bandwidth", attributes={"rate": 100})
    with pytest.raises(ProxyExists):
        db.add_toxic(name="slow", type="latency")
    with pytest.raises(InvalidToxic):
        db.add_toxic(type="nonsense")
    slow = db.get_toxic("slow")
    assert (slow.type, slow.stream, slow.toxicity) == ("latency", "upstream", 0.5)
    assert slow.attributes == {"latency": 7, "jitter": 0}
    assert set(db.toxics()) == {"slow", "bandwidth_downstream"}
    assert db.destroy_toxic("slow")
    assert db.get_toxic("slow") is None
    with pytest.raises(NotFound):
        db.destroy_toxic("slow")

    with db.down():
        assert server.get_proxy("db").enabled is False
    assert server.get_proxy("db").enabled is True
    db.disable()
    assert server.reset()
    assert server.get_proxy("db").enabled is True
    assert db.toxics() == {}
    db.disable()
    db.enable()
    assert server.get_proxy("db").enabled is True

    wanted = [{"name": "db", "upstream": "127.0.0.1:2", "listen": "127.0.0.1:0"}]
    (replaced,) = server.populate(wanted)
    assert server.get_proxy("db").upstream == replaced.upstream == "127.0.0.1:2"
    assert server.destroy(replaced)
    assert server.proxies() == {}
    server.create(upstream=UPSTREAM, name="cache")
    server.destroy_all()
    assert server.proxies() == {}


@pytest.fixture(scope="session")
def node_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Node client as package-lock.json pins it, and the script that calls it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("the Node client needs node and npm")
    folder = tmp_path_factory.mktemp("node") / "client"
    shutil.copytree(NODE_CLIENT, folder)
    argv = [
        npm,
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--prefer-offline",
        "--engine-strict",
        "--fetch-retries=1",
    ]
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=FETCH_LIMIT_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"the Node client was not fetched within {FETCH_LIMIT_S:.0f} s")
    if done.returncode != 0:
        pytest.skip(f"the Node client can't be fetched: {done.stderr.strip()[:200]}")
    return folder


def test_the_lock_of_the_node_client_pins_by_hash_and_names_no_registry() -> None:
    text = (NODE_CLIENT / "package-lock.json").read_text()
    assert "://" not in text
    assert '"integrity": "sha512-' in text


async def test_every_method_of_the_node_client_has_the_answer_it_expects(
    node_client: Path, api: httpx.AsyncClient
) -> None:
    version = (await api.get("/version")).json()["version"]
    argv = ["node", "every_method.js", f"http://127.0.0.1:{api.base_url.port}", version]
    done = await asyncio.to_thread(
        subprocess.run, argv, cwd=node_client, capture_output=True, text=True, check=False, timeout=FETCH_LIMIT_S
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "19 methods\n"
