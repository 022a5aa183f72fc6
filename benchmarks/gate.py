"""How long a gate takes: `coldstart check` of three simulated scenarios of 200 requests, the whole process."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.report import write_table

ROUNDS = 3
POOLS = ("10+5", "5+0,pool_timeout=30")
CHECK = """
[[check]]
name = "{name}"
scenario = "cold_burst"
requests = 200
over = 20
wake = {wake}
pool = {pools}
service-time = 0.01
connect-time = 0.05
repeat = {repeat}
slo = ["failed<=100%", "p(95)<60s"]
{baseline}
"""
NAMES = ("at 8 s", "at 12 s", "at 15 s")


def file_of(folder: Path, *, repeat: int, baseline: bool) -> Path:
    """A file of three checks."""
    path = folder / f"{repeat}-{baseline}.toml"
    checks = [
        CHECK.format(
            name=name, wake=name.split()[1], pools=json.dumps(POOLS), repeat=repeat,
            baseline=f'baseline = "kept/{repeat}/{name}"' if baseline else "",
        )
        for name in NAMES
    ]  # fmt: skip
    path.write_text("".join(checks))
    return path


def took_s(*arguments: str, cwd: Path) -> tuple[float, float]:
    """Seconds by the clock of the whole process, and seconds of CPU of all its processes."""
    began_s, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "harness", "check", *arguments]
    subprocess.run(command, cwd=cwd, check=True, capture_output=True)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return time.perf_counter() - began_s, cpu_s


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory(prefix="coldstart-bench-") as folder:
        for repeat, baseline in ((1, False), (5, False), (5, True)):
            file = file_of(Path(folder), repeat=repeat, baseline=baseline)
            if baseline:
                took_s(file.name, "--write-baselines", cwd=Path(folder))
            rounds = [
                took_s(file.name, "--junit", "j.xml", "--markdown", "m.md", cwd=Path(folder)) for _ in range(ROUNDS)
            ]
            times, cpu_s = zip(*rounds, strict=True)
            trials = len(NAMES) * len(POOLS) * repeat
            what = f"{len(NAMES)} checks, {trials} trials{', each beside its baseline' if baseline else ''}"
            rows.append([what, f"{median(times):.1f}", f"{min(times):.1f} to {max(times):.1f}", f"{median(cpu_s):.1f}"])
    write_table("gate", ("", "s, median", f"of {ROUNDS} rounds", "s of CPU, median"), rows)


if __name__ == "__main__":
    main()
