"""`make audit`: known vulnerabilities of every package that a lock file pins, as the Python Packaging Advisory Database
and PyPI know them (pip-audit).

Nothing is installed or resolved for it: what is asked about are the pins. Exit status 0: none is known; 1: there are
some, which are printed; 5: unknown, because the service could not be asked: that is said in one line, and is no pass.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.model.exit_status import EXIT_UNKNOWN

ROOT = Path(__file__).parent.parent
LIMIT_S = 600.0


def lock_files() -> list[Path]:
    """Every file with pins: this project's, and the examples'."""
    return sorted([*ROOT.glob("requirements*.lock"), *ROOT.glob("examples/*/requirements.txt")])


def audit(file: Path, more: Sequence[str] = ()) -> tuple[int, str]:
    """The exit status for one file, and what is to be said of it."""
    name = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
    asked = [
        sys.executable, "-m", "pip_audit", "--requirement", str(file), "--require-hashes", "--disable-pip",
        "--progress-spinner", "off", "--format", "json", *more,
    ]  # fmt: skip
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        found = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return EXIT_UNKNOWN, f"{name}: not audited: no answer within {LIMIT_S:g} s"
    except (ValueError, KeyError, TypeError):
        return EXIT_UNKNOWN, f"{name}: not audited: {_last_line(done.stderr)}"
    skipped = [package for package in found if "skip_reason" in package]
    known = [
        f"  {package['name']} {package['version']}: {one['id']}, fixed in {', '.join(one['fix_versions']) or 'none'}"
        for package in found
        for one in package.get("vulns", ())
    ]
    if known:
        return 1, "\n".join([f"{name}: {len(known)} known vulnerabilities in {len(found)} packages", *known])
    if skipped or not found:
        why = f"{len(skipped)} of {len(found)} packages, {skipped[0]['skip_reason']}" if skipped else "it pins nothing"
        return EXIT_UNKNOWN, f"{name}: not audited: {why}"
    return 0, f"{name}: {len(found)} packages, no known vulnerability"


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else "pip-audit said nothing"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, default=lock_files(), help="[default: every lock file]")
    audited = [audit(file.absolute()) for file in parser.parse_args().files]
    for _, said in audited:
        print(said)
    statuses = {status for status, _ in audited}
    return 1 if 1 in statuses else max(statuses)


if __name__ == "__main__":
    sys.exit(main())
