"""`python -m harness.compose`: a run's containers, up as long as stdin is open.

A child of the harness: writes `ContainersReady`, then reports `ConnectionAccepted` for every connection that Toxiproxy
accepts, as its log tells it; ends when stdin does, a kill -9 of the parent included, and takes everything down.
"""

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import monotonic

from docker.errors import DockerException
from docker.models.containers import Container

from harness.compose.engine import SERVICES
from harness.compose.project import Project, project, sweep
from harness.model.errors import StackError
from harness.processes.child import emit, watch_stdin
from harness.processes.messages import ContainersReady, ProxyReported
from harness.processes.proxy_messages import ConnectionAccepted

ALIVE_EVERY_S = 0.5
ACCEPTED = "Accepted client"


def main() -> int:
    """Serve until stdin ends; 1 with one line on stderr when something does not start or dies."""
    arguments = _arguments()
    stop_requested = threading.Event()
    # Ctrl-C is handled by the parent. A handler, not SIG_IGN: Compose would inherit that.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: stop_requested.set())
    started = threading.Event()

    def stop() -> None:
        stop_requested.set()
        if not started.is_set():
            # A stop during the start does not wait until everything is up: Compose is interrupted.
            os.killpg(0, signal.SIGINT)

    watch_stdin(stop)
    try:
        sweep()
        with project(
            places=arguments.places, max_connections=arguments.max_connections, logs=arguments.logs
        ) as running:
            started.set()
            if not stop_requested.is_set():
                _serve(running, stop_requested)
    except (StackError, DockerException) as error:
        if not stop_requested.is_set():
            # stderr is the log, its last line the reason.
            print(error, file=sys.stderr, flush=True)  # noqa: T201 - its log
            return 1
    return 0


def _serve(running: Project, stop_requested: threading.Event) -> None:
    containers = {service: running.container(service) for service in SERVICES}
    log = containers["toxiproxy"].attach(stream=True, stdout=True, stderr=True)
    threading.Thread(target=_follow, args=(log,), name="toxiproxy's log", daemon=True).start()
    emit(
        ContainersReady(
            postgres=running.ports.postgres,
            toxiproxy=running.ports.toxiproxy,
            proxies=running.ports.proxies,
            container=containers["postgres"].id,
            password=running.password,
        )
    )
    while not stop_requested.wait(ALIVE_EVERY_S):
        for service, container in containers.items():
            _check(service, container)


def _check(service: str, container: Container) -> None:
    container.reload()
    if container.status != "running":
        status = container.attrs["State"].get("ExitCode")
        raise StackError(service, f"its container is {container.status}, with status {status}")


def _follow(log: Iterable[bytes]) -> None:
    """Reports every connection that Toxiproxy's log says it accepted."""
    for line in _lines(log):
        if ACCEPTED in line:
            at_s = monotonic()
            emit(ProxyReported(event=ConnectionAccepted(proxy=json.loads(line)["name"], at_s=at_s)))


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m harness.compose")
    parser.add_argument("--places", type=int, required=True, help="trials that run at the same time")
    parser.add_argument("--max-connections", type=int, required=True, help="of the server")
    parser.add_argument("--logs", type=Path, required=True, help="the folder for the services' logs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
