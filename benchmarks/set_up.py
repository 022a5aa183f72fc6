"""How long installing the locked dependencies takes: uv, installed by pip first as `make` does it, beside pip alone.

In rounds, the two one after the other in each; with empty caches, and with those that the round before has filled.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from benchmarks.report import write_table

CHECKOUT = Path(__file__).parent.parent
ALL = CHECKOUT / "requirements-dev.lock"
UV = CHECKOUT / "requirements-uv.lock"
LOCKED = ("--quiet", "--require-hashes", "-r")


def installed(way: str, work: Path, caches: Path) -> float:
    """Seconds from an empty environment to everything that `make test` needs."""
    venv.create(work, with_pip=True)
    environment = {**os.environ, "PIP_CACHE_DIR": str(caches / "pip"), "UV_CACHE_DIR": str(caches / "uv")}
    pip = [str(work / "bin/pip"), "install", "--disable-pip-version-check", *LOCKED]
    uv = [str(work / "bin/uv"), "pip", "install", "--python", str(work / "bin/python"), *LOCKED]
    commands = [[*pip, str(UV)], [*uv, str(ALL)]] if way == "uv" else [[*pip, str(ALL)]]
    began_s = time.monotonic()
    for command in commands:
        subprocess.run(command, check=True, env=environment)
    return time.monotonic() - began_s


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    rounds = options.parse_args().rounds
    seconds: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for caches in ("empty", "filled"):
                for way in ("pip", "uv") if number % 2 else ("uv", "pip"):
                    environment = Path(folder) / f"{way}-{caches}"
                    took_s = installed(way, environment, Path(folder))
                    seconds.setdefault((caches, way), []).append(took_s)
                    print(f"{number + 1}/{rounds}  caches {caches}, {way}: {took_s:.1f} s", file=sys.stderr)
    rows = []
    for caches in ("empty", "filled"):
        ratios = [pip / uv for pip, uv in zip(seconds[caches, "pip"], seconds[caches, "uv"], strict=True)]
        medians = [f"{statistics.median(seconds[caches, way]):.1f}" for way in ("pip", "uv")]
        spread = f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
        rows.append([caches, *medians, spread])
    write_table("set-up", ["caches", "pip alone (s)", "uv (s)", "pip / uv, median of the rounds"], rows)


if __name__ == "__main__":
    main()
