"""How long `coldstart lint` takes, as a whole process: with nothing to mend, and with as much as there can be."""

import json
import resource
import subprocess
import sys
import time
from statistics import median

from benchmarks.report import write_table

ROUNDS = 5
CASES = {
    "10+5, neon": ["--pool", "10+5", "--wake", "neon"],
    "10+5, a wake of 12 s": ["--pool", "10+5", "--wake", "12"],
    "the same, half-open connections, no pre-ping, a load balancer, six processes": [
        "--pool", "10+5,pool_pre_ping=false", "--wake", "neon-outage:12", "--idle-timeout", "350",
        "--max-connections", "60", "--instances", "2", "--workers", "3",
    ],
    "10+5 on psycopg, likewise": [
        "--pool", "10+5,driver=psycopg", "--wake", "neon-outage:12", "--idle-timeout", "350",
        "--max-connections", "60", "--instances", "2", "--workers", "3",
    ],
}  # fmt: skip


def cpu_s() -> float:
    """What ended processes of this one have computed until now."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def linted(arguments: list[str]) -> tuple[float, float, dict[str, object]]:
    """The seconds that it took, those of them that it computed, on all cores together, and the document."""
    began_s, computed_s = time.perf_counter(), cpu_s()
    command = [sys.executable, "-m", "harness", "lint", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took_s = time.perf_counter() - began_s
    assert done.returncode in (0, 4), done.stderr
    return took_s, cpu_s() - computed_s, json.loads(done.stdout)


def main() -> None:
    """Measure, and write the table."""
    took: dict[str, list[float]] = {name: [] for name in CASES}
    computed: dict[str, list[float]] = {name: [] for name in CASES}
    documents = {}
    for _ in range(ROUNDS):
        for name, arguments in CASES.items():
            seconds, computing_s, documents[name] = linted(arguments)
            took[name].append(seconds)
            computed[name].append(computing_s)
    write_table(
        "lint",
        ("configuration", "findings", "trials", "CPU s, median", "s, least", "s, median"),
        [
            [
                name,
                str(len(documents[name]["findings"])),  # type: ignore[arg-type]  # of JSON
                str(documents[name]["trials"]),
                f"{median(computed[name]):.1f}",
                f"{min(seconds):.1f}",
                f"{median(seconds):.1f}",
            ]
            for name, seconds in took.items()
        ],
    )


if __name__ == "__main__":
    main()
