"""`docker compose up` by itself: a database that falls asleep and wakes, and Locust's master and workers beside it."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import httpx
import pytest
from docker.errors import ImageNotFound

from harness.compose.engine import compose_binary, compose_folder, engine

DSN = "postgresql://postgres:coldstart@127.0.0.1:{port}/postgres"
PORTS = ("DATABASE", "POSTGRES", "TOXIPROXY", "SERVICE", "LOCUST")
PROJECT = "coldstart-up-test"
IMAGE = "coldstart:local"
BASE = "python:3.13-slim"
PROBE = ["python3", "-m", "pip", "download", "--quiet", "--no-deps", "--dest", "/tmp", "certifi"]  # noqa: S108 - in a container

pytestmark = [pytest.mark.quiet, pytest.mark.usefixtures("nothing_left")]


@pytest.fixture(scope="session", autouse=True)
def image() -> None:
    """This project's own image, built once; its base is the official Python image or the stand-in for it."""
    try:
        engine().images.get(IMAGE)
    except ImageNotFound:
        if (lacking := _lacking_to_build()) is not None:
            pytest.skip(lacking)
        build = ["docker", "build", "--quiet", "--network", "host", "--tag", IMAGE, str(compose_folder())]
        done = subprocess.run(
            build, env={**os.environ, "DOCKER_BUILDKIT": "0"}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _lacking_to_build() -> str | None:
    """Why this project's image can't be built here."""
    try:
        engine().images.get(BASE)
    except ImageNotFound:
        return f"the engine has no image {BASE}: tests/compose/stand-in-images.sh all builds one"
    probe = ["docker", "run", "--rm", "--network", "host", BASE, *PROBE]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else "a container can't install packages here"


@contextmanager
def up(*arguments: str, profile: str | None = None, **environment: str) -> Iterator[dict[str, int]]:
    """The project, up and healthy; the ports it is published at, by their names."""
    command = [compose_binary(), "compose", *(["--profile", profile] if profile else [])]
    given = {**os.environ, "COMPOSE_PROJECT_NAME": PROJECT, **environment}
    given |= {f"COLDSTART_{name}_PORT": "0" for name in PORTS}

    def compose(*words: str) -> str:
        done = subprocess.run(
            [*command, *words], cwd=compose_folder(), env=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        compose("up", "--detach", "--wait", *arguments)
        asked = {"DATABASE": ("toxiproxy", 5432), "TOXIPROXY": ("toxiproxy", 8474), "POSTGRES": ("postgres", 5432)}
        asked |= {"SERVICE": ("service", 8000), "LOCUST": ("locust-master", 8089)} if profile else {}
        yield {
            name: int(compose("port", service, str(port)).strip().rpartition(":")[2])
            for name, (service, port) in asked.items()
        }
    finally:
        compose("down", "--volumes", "--timeout", "2")


@pytest.mark.anyio
async def test_the_database_falls_asleep_and_wakes_for_the_first_connection() -> None:
    with up(COLDSTART_SUSPEND_AFTER="2", COLDSTART_WAKE="neon:1.5") as ports:
        dsn = DSN.format(port=ports["DATABASE"])
        connection = await asyncpg.connect(dsn, ssl=False)
        # A statement that is being carried out keeps it awake.
        await connection.execute("SELECT pg_sleep(3)")
        assert await connection.fetchval("SELECT 1") == 1
        await asyncio.sleep(3)
        with pytest.raises((asyncpg.AdminShutdownError, asyncpg.ConnectionDoesNotExistError, asyncpg.InterfaceError)):
            await connection.fetchval("SELECT 1")
        proxy = await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{ports['TOXIPROXY']}/proxies/database")
        assert [toxic["type"] for toxic in proxy.json()["toxics"]] == ["latency"]
        began_s = time.monotonic()
        woken = await asyncpg.connect(dsn, ssl=False)
        assert time.monotonic() - began_s == pytest.approx(1.5, abs=0.3)
        assert await woken.fetchval("SELECT 2") == 2
        await woken.close()


def test_locusts_master_drives_a_burst_with_the_workers_that_were_asked_for() -> None:
    asked = ("--scale", "locust-worker=2")
    with up(*asked, profile="load", COLDSTART_SUSPEND_AFTER="60") as ports:
        locust = f"http://127.0.0.1:{ports['LOCUST']}"
        until(lambda: answers(locust) and len(stats(locust)["workers"]) == 2)
        assert httpx.post(f"{locust}/swarm", data={"user_count": 1, "spawn_rate": 1}).json()["success"]
        # cold_burst has 200 requests over 20 s.
        until(lambda: stats(locust)["state"] == "stopped" and requests(locust) > 0, limit_s=60)
        assert requests(locust) == 200
        assert httpx.get(f"http://127.0.0.1:{ports['SERVICE']}/health").json() == {"status": "ok"}


def answers(locust: str) -> bool:
    """Its container is up before its web page is."""
    try:
        return httpx.get(locust).status_code == 200
    except httpx.TransportError:
        return False


def stats(locust: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{locust}/stats/requests").json()
    return found


def requests(locust: str) -> int:
    return sum(one["num_requests"] for one in stats(locust)["stats"] if one["name"] != "Aggregated")


def until(reached: Any, limit_s: float = 30) -> None:
    deadline = time.monotonic() + limit_s
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.2)
