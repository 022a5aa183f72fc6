"""`make fresh`: the README's commands on clones in places unlike the developer's, each set up from nothing.

Needs no more than Python's standard library and git. The commands are read from the README and run as they stand
there, with ARGS that make them small; the set-up that they begin with is always real. A place that this machine can't
offer is a line of the table that says why; the exit status is 1 when a command failed anywhere.
"""

import argparse
import os
import pwd
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent
ARGS = {
    "coldstart": "--pool 5+0 --wake 1 --requests 20 --over 2",
    "test": "tests/postgres tests/test_process.py tests/results/test_run_files.py",
}
"""What makes a command small. The tests are of what depends on the place: servers, processes, files."""
REACHING_THE_INDEX = ("PIP_CERT", "PIP_INDEX_URL", "SSL_CERT_FILE", "http_proxy", "https_proxy", "no_proxy")
"""Of this machine's environment, all that a place keeps: how a package index is reached from here."""
PATHS = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
DEBIAN = {"bookworm": "Debian 12", "sid": "Debian unstable"}
"""The releases with the oldest Python that is supported, and the newest."""
DEBIAN_MIRROR = "http://deb.debian.org/debian"
IN_DEBIAN = "python3,python3-venv,make,git,ca-certificates"
ROOT_ONLY = "needs root"
NO_MEASUREMENT = "coldstart] Error 5"
"""make's words where it all works and this machine was too busy for a measurement."""
LIMIT_S = 1800.0


class AbsentError(Exception):
    """This machine can't offer the place; its text says why."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a clone is made, and as whom and with what environment the commands run there."""

    name: str
    folder: Path
    """Of the clone, as the commands see it."""
    environment: Mapping[str, str]
    prefix: tuple[str, ...] = ()
    """In front of every command: enters the place."""
    root: Path = field(default_factory=lambda: Path("/"))
    """The file system that `folder` is in."""
    owner: str | None = None
    umask: str = "022"
    python: str = "python3"


@dataclass(kw_only=True)
class Result:
    name: str
    python: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    """What each command took."""
    failed: str = ""
    """The command that failed; empty: none did."""
    absent: str = ""


def commands() -> list[str]:
    """The README's first commands: the lines of its first block that begin with `make`."""
    block = re.search(
        r"^```\n(.*?)^```", (CHECKOUT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert block is not None
    return [line.partition("#")[0].strip() for line in block[1].splitlines() if line.startswith("make")]


def environment(**more: str) -> dict[str, str]:
    """Of a person who has just logged in."""
    kept = {name: os.environ[name] for name in REACHING_THE_INDEX if name in os.environ}
    return {"PATH": PATHS, "LANG": "C.UTF-8", **kept, **more}


def interpreters() -> dict[str, str]:
    """A program for each version of Python that this machine has."""
    found = {}
    for version in VERSIONS:
        managed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        for program in (*map(str, managed), shutil.which(f"python{version}"), "/usr/bin/python3"):
            if program is not None and _version(program) == version and version not in found:
                found[version] = program
    return found


def _version(program: str) -> str:
    asking = [program, "-c", "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"]
    try:
        return subprocess.run(asking, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def places(work: Path, stack: ExitStack, only: str) -> Iterator[Place | Result]:
    """Every place; a result where the machine has none such. No Debian is made when `only` is in none of its names."""
    own = interpreters()
    first = next(iter(own.values()), sys.executable)
    home = str(work / "home")
    Path(home).mkdir()
    for version in VERSIONS:
        if version in own:
            where = work / version
            yield Place(name=f"Python {version}", folder=where, environment=environment(HOME=home), python=own[version])
        else:
            yield Result(name=f"Python {version}", absent="not on this machine (a Debian below may have it)")
    odd = work / "Bögen und Lücken" / "cold start"
    yield Place(name="a path with spaces and umlauts", folder=odd, environment=environment(HOME=home), python=first)
    temporary = work / "temporary files"
    temporary.mkdir()
    yield Place(
        name="TMPDIR of its own", folder=work / "tmpdir", python=first,
        environment=environment(HOME=home, TMPDIR=str(temporary)),
    )  # fmt: skip
    yield Place(name="HOME unset", folder=work / "homeless", environment=environment(), python=first)
    try:
        yield _roots_home(stack, first)
    except AbsentError as why:
        yield Result(name="root in root's home", absent=str(why))
    for release, called in DEBIAN.items():
        users = {f"{called}, root in root's home": "root", f"{called}, an ordinary user, umask 077": "ada"}
        if not any(only in name for name in users):
            continue
        try:
            root = debian(release, work)
        except AbsentError as why:
            yield Result(name=called, absent=str(why))
            continue
        stack.callback(shutil.rmtree, root)
        subprocess.run(["chroot", str(root), "useradd", "--create-home", "ada"], check=True)
        for name, user in users.items():
            home, umask = ("/root", "022") if user == "root" else (f"/home/{user}", "077")
            yield _in_debian(root, name, user, home, umask=umask)


def _roots_home(stack: ExitStack, python: str) -> Place:
    if os.getuid() != 0:
        raise AbsentError(ROOT_ONLY)
    home = Path(pwd.getpwuid(0).pw_dir)
    folder = Path(tempfile.mkdtemp(prefix="coldstart-fresh-", dir=home))
    stack.callback(shutil.rmtree, folder)
    return Place(
        name="root in root's home", folder=folder / "coldstart", environment=environment(HOME=str(home)), python=python
    )


def debian(release: str, work: Path) -> Path:
    """The root of a Debian with nothing but what a checkout needs."""
    if os.getuid() != 0:
        raise AbsentError(ROOT_ONLY)
    if shutil.which("debootstrap") is None or shutil.which("unshare") is None:
        raise AbsentError("needs debootstrap and unshare")
    root = work / release
    making = ["debootstrap", "--variant=minbase", f"--include={IN_DEBIAN}", release, str(root), DEBIAN_MIRROR]
    made = subprocess.run(making, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if made.returncode != 0:
        raise AbsentError(f"debootstrap failed: {made.stdout.strip().splitlines()[-1]}")
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    certificates = root / "tmp" / "certificates.pem"
    for name in ("PIP_CERT", "SSL_CERT_FILE"):
        if name in os.environ and not certificates.exists():
            shutil.copy(os.environ[name], certificates)
    return root


def _in_debian(root: Path, name: str, user: str, home: str, *, umask: str) -> Place:
    # Its own process and mount namespaces: what is mounted and started in it is gone with the command.
    inside = 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && u=$1 && shift && '
    inside += 'exec chroot --userspec="$u" "$0" "$@"'
    prefix = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", inside, str(root), user)
    kept = environment(HOME=home, USER=user)
    for certificate in ("PIP_CERT", "SSL_CERT_FILE"):
        if certificate in kept:
            kept[certificate] = "/tmp/certificates.pem"  # noqa: S108 - of the root made here
    return Place(
        name=name, folder=Path(home) / "coldstart", environment=kept, prefix=prefix, root=root, owner=user, umask=umask
    )


def clone(place: Place) -> None:
    """A clone of this checkout's last commit, at its place."""
    folder = place.root / place.folder.relative_to("/")
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "clone", "--quiet", "--no-local", str(CHECKOUT), str(folder)], check=True)
    if place.owner is not None:
        subprocess.run(["chroot", str(place.root), "chown", "-R", f"{place.owner}:", str(place.folder)], check=True)


def tried(place: Place) -> Result:
    """The commands at this place, one after another, until one fails."""
    result = Result(name=place.name)
    clone(place)
    for command in ("--version", *commands()):
        began_s = time.monotonic()
        done = subprocess.run(
            [*place.prefix, *_shell(place, command)],
            env=dict(place.environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", check=False, timeout=LIMIT_S,
        )  # fmt: skip
        if command == "--version":
            result.python = done.stdout.strip().removeprefix("Python ")
            continue
        result.seconds[command] = time.monotonic() - began_s
        if done.returncode != 0 and NO_MEASUREMENT not in done.stdout:
            result.failed = command
            print(f"\n{place.name}: {command}: exit status {done.returncode}\n{done.stdout}", flush=True)
            break
    print(f"{result.name}: {f'{result.failed} failed' if result.failed else 'passed'}", flush=True)
    return result


def _shell(place: Place, command: str) -> list[str]:
    if command == "--version":
        line = f"{place.python} --version"
    else:
        line = f"{command} PYTHON={place.python} ARGS={shlex.quote(ARGS[command.split()[1]])}"
    return ["sh", "-c", f"umask {place.umask} && cd {shlex.quote(str(place.folder))} && {line}"]


def table(results: Sequence[Result]) -> str:
    """In Markdown: a row for each place."""
    heads = commands()
    rows = [["place", "Python", *(f"`{head}`" for head in heads)]]
    for result in results:
        if result.absent:
            rows.append([result.name, "–", result.absent, *[""] * (len(heads) - 1)])
            continue
        cells = [
            "**failed**" if head == result.failed else f"{result.seconds[head]:.0f} s" if head in result.seconds else ""
            for head in heads
        ]
        rows.append([result.name, result.python, *cells])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


@contextmanager
def _working() -> Iterator[Path]:
    """A folder that ordinary users may walk through, gone at the end whatever is in it."""
    work = Path(tempfile.mkdtemp(prefix="coldstart-fresh-"))
    work.chmod(0o755)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", default="", help="the places whose name contains this")
    options.add_argument("--at-a-time", type=int, default=2)
    asked = options.parse_args()
    # Asked to end, it still takes its clones and roots away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with _working() as work, ExitStack() as stack:
        every = [place for place in places(work, stack, asked.only) if asked.only in place.name]
        with ThreadPoolExecutor(asked.at_a_time) as pool:
            results = list(pool.map(lambda one: tried(one) if isinstance(one, Place) else one, every))
    print(f"\n{table(results)}")
    if not any(result.seconds for result in results):
        print("no place was tried")
        return 1
    return 1 if any(result.failed for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
