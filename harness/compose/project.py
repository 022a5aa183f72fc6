"""One Compose project of its own for a run: free ports, a password nobody else knows, labels to find it again."""

import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CalledProcessError

from docker.errors import APIError, NotFound
from docker.models.containers import Container
from testcontainers.compose import DockerCompose

from harness.compose.engine import FILE, SERVICES, compose_binary, compose_folder, engine
from harness.model.errors import StackError

OWNER = "dev.coldstart.owner"
"""A label: the process that takes the project down, by id and start time."""
PROJECT = "com.docker.compose.project"
POSTGRES_PORT, TOXIPROXY_PORT = 5432, 8474
FIRST_PROXY_PORT = 26000
"""In Toxiproxy's container: one port a trial that runs at the same time."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the project is reached on loopback."""

    postgres: int
    toxiproxy: int
    proxies: dict[int, int]
    """Of each port in Toxiproxy's container, the one on loopback."""


@dataclass(slots=True)
class Project:
    """The project while it is up."""

    ports: Ports
    password: str = field(repr=False)
    _compose: DockerCompose

    def container(self, service: str) -> Container:
        """A service's container."""
        return engine().containers.get(self._compose.get_container(service).ID)

    def logs(self, folder: Path) -> None:
        """What the services said, a file each."""
        for service in SERVICES:
            with suppress(CalledProcessError):
                said, complained = self._compose.get_logs("--no-color", "--no-log-prefix", service)
                (folder / f"{service}.log").write_text(said + complained)


@contextmanager
def project(*, places: int, max_connections: int, logs: Path) -> Iterator[Project]:
    """Bring PostgreSQL and Toxiproxy up and healthy; leaving takes containers, network and volumes down.

    Raises `StackError` when that fails, with everything taken down again and the services' logs kept in `logs`.
    """
    name = f"coldstart-{secrets.token_hex(4)}"
    password = secrets.token_urlsafe(24)
    os.environ.update({
        "COMPOSE_PROJECT_NAME": name,
        "COLDSTART_POSTGRES_PASSWORD": password,
        "COLDSTART_MAX_CONNECTIONS": str(max_connections),
        # The engine chooses free ones.
        **{f"COLDSTART_{port}_PORT": "0" for port in ("POSTGRES", "TOXIPROXY", "DATABASE")},
    })  # fmt: skip
    inside = range(FIRST_PROXY_PORT, FIRST_PROXY_PORT + places)
    with tempfile.TemporaryDirectory(prefix="coldstart-compose-") as folder:
        override = Path(folder) / "override.json"
        override.write_text(json.dumps(_override(inside)))
        compose = DockerCompose(
            compose_folder(),
            compose_file_name=[FILE, str(override)],
            services=list(SERVICES),
            docker_command_path=compose_binary(),
        )
        made = Project(Ports(0, 0, {}), password, compose)
        try:
            compose.start()
            made.ports = _ports(compose, inside)
            yield made
        except CalledProcessError as error:
            raise StackError("compose", _reason(error)) from error
        finally:
            made.logs(logs)
            # `down` of chosen services would leave the network.
            compose.services = None
            # What does not go now is swept at the next start.
            with suppress(CalledProcessError):
                compose.stop()


def sweep() -> list[str]:
    """Take down the projects whose owners were killed; their names."""
    left = sorted({
        container.labels[PROJECT]
        for container in engine().containers.list(all=True, filters={"label": OWNER}, ignore_removed=True)
        if not _lives(container.labels[OWNER])
    })  # fmt: skip
    for name in left:
        ours = {"label": f"{PROJECT}={name}"}
        for container in engine().containers.list(all=True, filters=ours, ignore_removed=True):
            with suppress(NotFound, APIError):
                container.remove(force=True, v=True)
        for network in engine().networks.list(filters=ours):
            with suppress(NotFound, APIError):
                network.remove()
    return left


def _override(inside: range) -> dict[str, object]:
    labels = {OWNER: _owner(os.getpid())}
    services: dict[str, dict[str, object]] = {service: {"labels": labels} for service in SERVICES}
    services["toxiproxy"]["ports"] = [f"127.0.0.1::{port}" for port in inside]
    return {"services": services, "networks": {"default": {"labels": labels}}}


def _ports(compose: DockerCompose, inside: range) -> Ports:
    database, toxiproxy = (compose.get_container(service) for service in SERVICES)

    def published(container: object, port: int) -> int:
        found = container.get_publisher(by_port=port).PublishedPort  # type: ignore[attr-defined]
        return int(found)

    return Ports(
        postgres=published(database, POSTGRES_PORT),
        toxiproxy=published(toxiproxy, TOXIPROXY_PORT),
        proxies={port: published(toxiproxy, port) for port in inside},
    )


def _owner(pid: int) -> str:
    """A process by its id and, where /proc tells it, its start time: ids are used again."""
    with suppress(OSError):
        # From the third field on (proc(5)): the state first, the start time twentieth.
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return f"{pid}-{rest[18]}" if state != "Z" else f"{pid}-ended"
    return str(pid)


def _lives(owner: str) -> bool:
    pid = int(owner.partition("-")[0])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _owner(pid) == owner


def _reason(error: CalledProcessError) -> str:
    """The line of Compose's output that says why, without what was done until then."""
    lines: list[str] = [line.strip() for line in error.stderr.decode(errors="replace").splitlines() if line.strip()]
    telling = [
        line for line in lines if any(word in line.lower() for word in ("error", "unhealthy", "failed", "exited"))
    ]
    return (telling or lines or [f"ended with status {error.returncode}"])[-1]
