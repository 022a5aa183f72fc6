"""A `coldstart up` and an application on its database, each in a process of its own: what a user has running."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from harness.guest import path as guest_path

PATIENCE_S = 30.0
UP_WAKE_S = 0.25
APPLICATION = """
import os
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

engine = create_async_engine(
    os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"),
    pool_size=2, max_overflow=1, pool_timeout=0.3, pool_pre_ping=True,
)

async def item(request):
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    return PlainTextResponse("ok")

async def page(request):
    return PlainTextResponse("no database")

app = Starlette(routes=[Route("/items/{key:int}", item), Route("/page", page)])
"""
OBSERVED = "\nfrom coldstart_guest import observed\napp = observed(app)\n"
REQUESTS = '[[request]]\nname = "item"\npath = "/items/{key}"\n'


@dataclass(frozen=True, slots=True)
class Up:
    """A `coldstart up` that is running."""

    process: "subprocess.Popen[str]"
    url: str
    runtime: Path

    @property
    def port(self) -> int:
        return int(re.findall(r":(\d+)/", self.url)[0])

    def compute(self) -> dict[str, Any]:
        """Its compute's settings and state, as its API tells them."""
        files = [json.loads(file.read_text()) for file in self.runtime.glob("*/state.json")]
        api = next(state["api_port"] for state in files if state["port"] == self.port)
        document: dict[str, Any] = httpx.get(f"http://127.0.0.1:{api}/coldstart/proxies/database/compute").json()
        assert document["toxics"] == []
        compute: dict[str, Any] = document["compute"]
        return compute

    def settings(self) -> dict[str, Any]:
        """What a run must leave as it was; a latency stands for all, which are alike."""
        compute = self.compute()
        kept = ("on_suspend", "while_waking", "suspend_after_s", "error", "names_clients", "state", "lent")
        return {name: compute[name] for name in kept} | {"wake_latency_s": set(compute["wake_latency_s"])}


@contextmanager
def ended(process: "subprocess.Popen[str]") -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


@contextmanager
def up(folder: Path) -> Iterator[Up]:
    """A `coldstart up` whose wake takes `UP_WAKE_S`."""
    runtime = Path(os.environ["XDG_RUNTIME_DIR"])
    out = folder / f"up-{len(list(folder.glob('up-*')))}.log"
    argv = [sys.executable, "-m", "harness", "up", "--port", "0", "--wake", f"{UP_WAKE_S}", "--suspend-after", "300"]
    with out.open("w") as file:
        process = subprocess.Popen(argv, stdout=file, stderr=subprocess.STDOUT, text=True)
    with ended(process):
        until(lambda: "Ctrl-C stops it" in out.read_text(), process, out)
        yield Up(process, out.read_text().splitlines()[0], runtime)


@contextmanager
def application(folder: Path, database: str, *, observed: bool = False) -> Iterator[str]:
    """The application on this database, by uvicorn, with or without the one line; its URL."""
    name = "observed_shop" if observed else "shop"
    (folder / f"{name}.py").write_text(APPLICATION + OBSERVED * observed)
    (folder / "requests.toml").write_text(REQUESTS)
    port = free_port()
    log = folder / f"{name}.log"
    argv = [sys.executable, "-m", "uvicorn", f"{name}:app", "--port", str(port), "--log-level", "warning"]
    environment = {**os.environ, "DATABASE_URL": database}
    if observed:
        environment["PYTHONPATH"] = str(Path(guest_path.__file__).parent)
    with log.open("w") as file:
        process = subprocess.Popen(argv, stdout=file, stderr=subprocess.STDOUT, text=True, cwd=folder, env=environment)
    url = f"http://127.0.0.1:{port}"
    with ended(process):
        until(lambda: answers(url), process, log)
        yield url


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/page", timeout=1).is_success
    except httpx.HTTPError:
        return False


def until(true: Any, process: "subprocess.Popen[str]", log: Path) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not true():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline_s, log.read_text()
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def coldstart(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        capture_output=True, text=True, check=False, timeout=120, cwd=folder, env={**os.environ, **environment},
    )  # fmt: skip


def interrupted(
    folder: Path, *arguments: str, when: Callable[[], bool], how: signal.Signals
) -> tuple[int, list[psutil.Process]]:
    """Run this until `when` is true, then send the signal; its exit status, and the processes that it had started."""
    log = folder / "interrupted.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness", *arguments], stdout=file, stderr=subprocess.STDOUT, text=True, cwd=folder
        )
    until(when, process, log)
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(how)
    return process.wait(timeout=PATIENCE_S), started
