"""No lock file can break an installation: everything is pinned, with hashes and extras, as pyproject.toml asks."""

import re
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.packaging.locks import installed, problems, read_lock, wanted_by

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "prefect"
PYPROJECT = ROOT / "pyproject.toml"
# What `make lock` compiles each of them from.
LOCKS: dict[str, dict[str, Any]] = {
    "requirements-uv.lock": {"groups": ["setup"], "base": False},
    "requirements.lock": {"extras": ["all"], "groups": ["build"]},
    "requirements-notebooks.lock": {"extras": ["all", "notebooks"]},
    "requirements-dev.lock": {"extras": ["all", "notebooks", "dask"], "groups": ["dev"]},
}


@pytest.mark.parametrize("name", LOCKS)
def test_an_installer_takes_it_and_it_is_what_pyproject_asks_for(name: str) -> None:
    text = (ROOT / name).read_text()
    assert list(problems(text, wanted_by(PYPROJECT, **LOCKS[name]), installed)) == []


@pytest.mark.parametrize("name", LOCKS)
def test_its_packages_are_those_that_were_looked_at(name: str) -> None:
    """The metadata of what is installed is that of what is pinned, or the test above would look at nothing."""
    pins = [pin for pin in read_lock((ROOT / name).read_text()) if pin.requirement.marker is None]
    versions = {pin.name: found[0] if (found := installed(pin.name)) else None for pin in pins}
    assert versions == {pin.name: pin.version for pin in pins} != {}


def test_every_lock_file_is_one_of_these() -> None:
    assert {path.name for path in ROOT.glob("*.lock")} == set(LOCKS)


def test_the_public_application_is_pinned_as_it_was_recorded() -> None:
    text = (EXAMPLE / "requirements.txt").read_text()
    asked = [line for line in (EXAMPLE / "requirements.in").read_text().splitlines() if not line.startswith("#")]
    # What it requires is known only where it is installed: `make example-prefect` does that.
    assert list(problems(text, [Requirement(line) for line in asked], lambda _: None)) == []
    pinned = {pin.name: pin.version for pin in read_lock(text)}
    assert [f"{name}=={pinned[name]}" for name in ("prefect", "asyncpg")] == asked


def test_the_lock_files_agree_with_each_other() -> None:
    versions: dict[tuple[str, str], set[str]] = {}
    for name in LOCKS:
        for pin in read_lock((ROOT / name).read_text()):
            versions.setdefault((pin.name, str(pin.requirement.marker)), set()).add(pin.version)
    assert {key: found for key, found in versions.items() if len(found) > 1} == {}


DEV = (ROOT / "requirements-dev.lock").read_text()
WANTED = wanted_by(PYPROJECT, **LOCKS["requirements-dev.lock"])


@pytest.mark.parametrize(
    ("pattern", "instead", "problem"),
    [
        (r"^coverage\[toml\]", "coverage", r"pytest-cov asks for coverage\[toml\]>=.*, pinned is coverage=="),
        (r"^sqlalchemy\[asyncio\]", "sqlalchemy", r"pyproject\.toml asks for sqlalchemy\[asyncio\]"),
        (r"^greenlet==[^\n]*(\n +[^\n]*)*\n", "", r"sqlalchemy asks for greenlet.* which is not pinned"),
        (r"^(click==[^\n]*)(\n +--hash[^\n]*)*", r"\1", r"click has no hash"),
        (r"^(click==[\d.]+ \\\n +--hash=sha256:.{63}).", r"\1", r"click has no hash"),
        (r"\A", "--index-url https://packages.example/simple\n", r"names where packages come from"),
        (r"\A", "-i packages.example\n", r"names where packages come from"),
        (r"\A", "--find-links wheels\n", r"names where packages come from"),
        (r"^click==[\d.]+", "click==7.0", r"pyproject\.toml asks for click>=.*, pinned is click==7\.0"),
        (r"^(ruff)==", r"\1-of-old==", r"ruff-of-old is pinned as pyproject\.toml's own"),
    ],
    ids=["an extra of another package", "an extra of ours", "a package left out", "no hash", "half a hash", "an index",
         "a short index", "links", "too old", "no longer asked for"],
)  # fmt: skip
def test_a_lock_that_could_break_is_found(pattern: str, instead: str, problem: str) -> None:
    broken, changes = re.subn(pattern, instead, DEV, count=1, flags=re.MULTILINE)
    assert changes == 1
    found = list(problems(broken, WANTED, installed))
    assert any(re.search(problem, line) for line in found), found
