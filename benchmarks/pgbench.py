"""pgbench, run once against one address."""

import os
import re
import subprocess
from dataclasses import dataclass

from harness.postgres import PostgresServer
from harness.postgres.binaries import binaries

TPS = re.compile(r"tps = ([0-9.]+)")


@dataclass(frozen=True, slots=True)
class Case:
    """Select-only, prepared; `reconnect`: a new connection for every transaction."""

    clients: int
    reconnect: bool = False

    def __str__(self) -> str:
        plural = "s" if self.clients > 1 else ""
        return f"{self.clients} client{plural}{', -C' if self.reconnect else ''}"


def initialise(postgres: PostgresServer) -> None:
    """Make pgbench's tables."""
    _run(postgres, (postgres.host, postgres.port), ["-i", "-q", "-s", "1"])


def transactions_per_s(postgres: PostgresServer, address: tuple[str, int], case: Case, *, seconds: float) -> float:
    """One run's transactions per second, connecting included where the case reconnects."""
    threads = min(2, case.clients)
    arguments = ["-S", "-M", "prepared", "-n", "-c", str(case.clients), "-j", str(threads), "-T", f"{seconds:g}"]
    output = _run(postgres, address, [*arguments, *(["-C"] if case.reconnect else [])])
    match = TPS.search(output)
    assert match is not None, output
    return float(match.group(1))


def _run(postgres: PostgresServer, address: tuple[str, int], arguments: list[str]) -> str:
    host, port = address
    command = [str(binaries().pgbench), "-h", host, "-p", str(port), "-U", postgres.user, *arguments, postgres.database]
    environment = {**os.environ, "PGPASSWORD": postgres.password, "PGSSLMODE": "disable", "PGGSSENCMODE": "disable"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout
