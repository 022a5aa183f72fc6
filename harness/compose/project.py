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
    """For each port in Toxiproxy's container, the port on loopback."""


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
        """Writes each service's log into a file of its own."""
        for service in SERVICES:
            with suppress(CalledProcessError):
                stdout, stderr = self._compose.get_logs("--no-color", "--no-log-prefix", service)
                (folder / f"{service}.log").write_text(stdout + stderr)


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
    container_ports = range(FIRST_PROXY_PORT, FIRST_PROXY_PORT + places)
    with tempfile.TemporaryDirectory(prefix="coldstart-compose-") as folder:
        override = Path(folder) / "override.json"
        override.write_text(json.dumps(_override(container_ports)))
        compose = DockerCompose(
            compose_folder(),
            compose_file_name=[FILE, str(override)],
            services=list(SERVICES),
            docker_command_path=compose_binary(),
        )
        running = Project(Ports(0, 0, {}), password, compose)
        try:
            compose.start()
            running.ports = _ports(compose, container_ports)
            yield running
        except CalledProcessError as error:
            raise StackError("compose", _reason(error)) from error
        finally:
            running.logs(logs)
            # `down` of chosen services would leave the network.
            compose.services = None
            # What can't be removed now is removed at the next start, by `sweep`.
            with suppress(CalledProcessError):
                compose.stop()


def sweep() -> list[str]:
    """Takes down the projects whose owners were killed, and returns their names."""
    orphans = sorted({
        container.labels[PROJECT]
        for container in engine().containers.list(all=True, filters={"label": OWNER}, ignore_removed=True)
        if not _is_alive(container.labels[OWNER])
    })  # fmt: skip
    for name in orphans:
        of_project = {"label": f"{PROJECT}={name}"}
        for container in engine().containers.list(all=True, filters=of_project, ignore_removed=True):
            with suppress(NotFound, APIError):
                container.remove(force=True, v=True)
        for network in engine().networks.list(filters=of_project):
            with suppress(NotFound, APIError):
                network.remove()
    return orphans


def _override(container_ports: range) -> dict[str, object]:
    labels = {OWNER: _owner(os.getpid())}
    services: dict[str, dict[str, object]] = {service: {"labels": labels} for service in SERVICES}
    services["toxiproxy"]["ports"] = [f"127.0.0.1::{port}" for port in container_ports]
    return {"services": services, "networks": {"default": {"labels": labels}}}


def _ports(compose: DockerCompose, container_ports: range) -> Ports:
    database, toxiproxy = (compose.get_container(service) for service in SERVICES)

    def published(container: object, port: int) -> int:
        loopback_port = container.get_publisher(by_port=port).PublishedPort  # type: ignore[attr-defined]
        return int(loopback_port)

    return Ports(
        postgres=published(database, POSTGRES_PORT),
        toxiproxy=published(toxiproxy, TOXIPROXY_PORT),
        proxies={port: published(toxiproxy, port) for port in container_ports},
    )


def _owner(pid: int) -> str:
    """Names a process by its id and, where /proc has it, its start time: the system uses ids again."""
    with suppress(OSError):
        # From the third field on (proc(5)): the state first, the start time twentieth.
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return f"{pid}-{rest[18]}" if state != "Z" else f"{pid}-ended"
    return str(pid)


def _is_alive(owner: str) -> bool:
    pid = int(owner.partition("-")[0])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _owner(pid) == owner


def _reason(error: CalledProcessError) -> str:
    """The one line of Compose's output that gives the reason."""
    lines: list[str] = [line.strip() for line in error.stderr.decode(errors="replace").splitlines() if line.strip()]
    reasons = [
        line for line in lines if any(word in line.lower() for word in ("error", "unhealthy", "failed", "exited"))
    ]
    return (reasons or lines or [f"ended with status {error.returncode}"])[-1]
