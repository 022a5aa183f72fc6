"""Reading a lock file: what it pins, for whom, and what would make an installer refuse it."""

import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

OURS = "pg-coldstart"
COMMENT = re.compile(r"^\s*#")
Requires = Callable[[str], tuple[str, list[str]] | None]
"""A package's name to the version that its metadata is of, and what that metadata requires; None: not known here."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One entry of a lock file."""

    requirement: Requirement
    hashes: tuple[str, ...]
    direct: bool
    """Pinned because pyproject.toml asks for it, not only because another package does."""

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        (specifier,) = self.requirement.specifier
        assert specifier.operator == "=="
        return specifier.version

    def meets(self, wanted: Requirement) -> bool:
        """Whether an installer that was asked for `wanted` takes this entry: pip compares the extras too."""
        return wanted.extras <= self.requirement.extras and wanted.specifier.contains(self.version, prereleases=True)


def read_lock(text: str) -> list[Pin]:
    """The entries of a lock file. Raises `InvalidRequirement` for a line that is neither an entry nor a comment."""
    pins = []
    for entry in re.split(r"\n(?=\S)", text.strip()):
        lines = [line.rstrip("\\").strip() for line in entry.splitlines()]
        comments = " ".join(line for line in lines if COMMENT.match(line))
        words = [line for line in lines if not COMMENT.match(line)]
        if words:
            hashes = tuple(word.removeprefix("--hash=") for word in words[1:] if word.startswith("--hash="))
            pins.append(Pin(Requirement(words[0]), hashes, OURS in comments))
    return pins


def problems(text: str, wanted: Sequence[Requirement], requires: Requires) -> Iterator[str]:
    """What an installer would refuse, or install differently from what pyproject.toml says; nothing for a good lock."""
    for line in text.splitlines():
        if "://" in line or re.match(r"\s*(-i|--(extra-)?index-url|-f|--find-links|--no-index|-e|--editable)\b", line):
            yield f"names where packages come from: {line.strip()}"
    try:
        pins = read_lock(text)
    except InvalidRequirement as error:
        yield f"can't be read: {error}"
        return
    for pin in pins:
        if not pin.hashes or not all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in pin.hashes):
            yield f"{pin.name} has no hash"
    by_name: dict[str, list[Pin]] = {}
    for pin in pins:
        by_name.setdefault(pin.name, []).append(pin)
    asked_for = {canonicalize_name(requirement.name) for requirement in wanted}
    for name in sorted(
        name for name, same in by_name.items() if any(pin.direct for pin in same) and name not in asked_for
    ):
        yield f"{name} is pinned as pyproject.toml's own, which does not ask for it"
    yield from _unmet("pyproject.toml", wanted, by_name)
    for pin in pins:
        known = requires(pin.name) if _applies(pin.requirement) else None
        if known is not None and known[0] == pin.version:
            needs = [Requirement(line) for line in known[1]]
            needs = [need for need in needs if _applies(need, pin.requirement.extras)]
            yield from _unmet(pin.name, needs, by_name)


def _unmet(who: str, wanted: Sequence[Requirement], pins: dict[str, list[Pin]]) -> Iterator[str]:
    for requirement in wanted:
        entries = [pin for pin in pins.get(canonicalize_name(requirement.name), ()) if _applies(pin.requirement)]
        if not entries:
            yield f"{who} asks for {requirement}, which is not pinned"
        elif not any(pin.meets(requirement) for pin in entries):
            yield f"{who} asks for {requirement}, pinned is {entries[0].requirement}"


def _applies(requirement: Requirement, extras: set[str] | frozenset[str] = frozenset()) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def installed(name: str) -> tuple[str, list[str]] | None:
    """The metadata of this environment, which `make dev` has installed from the lock files."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None
    return found.version, found.requires or []


def wanted_by(
    pyproject: Path, *, extras: Sequence[str] = (), groups: Sequence[str] = (), base: bool = True
) -> list[Requirement]:
    """What pyproject.toml asks for with these extras and dependency groups, the project's own extras followed."""
    document = tomllib.loads(pyproject.read_text())
    project, optional = document["project"], document["project"]["optional-dependencies"]
    found: dict[str, Requirement] = {}

    def add(requirements: Sequence[str]) -> None:
        for requirement in map(Requirement, requirements):
            if canonicalize_name(requirement.name) == project["name"]:
                for extra in requirement.extras:
                    add(optional[extra])
            else:
                found[str(requirement)] = requirement

    def add_group(name: str) -> None:
        for entry in document["dependency-groups"][name]:
            add([entry]) if isinstance(entry, str) else add_group(entry["include-group"])

    add(project["dependencies"] if base else ())
    for extra in extras:
        add(optional[extra])
    for group in groups:
        add_group(group)
    return list(found.values())
