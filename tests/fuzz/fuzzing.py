"""What every fuzzer here shares: the property, what mutates a sample, and how much of it was accepted.

An example is a text, some bytes or a document made of a real one, most of them with damage of a kind. It is read: it
has a value, or it is refused in one line. Anything else is a bug: another exception, a traceback, a hang, memory
without bound. A share of the examples must be accepted, because a fuzzer whose examples are all refused at their first
byte tries nothing.
"""

import copy
import json
import os
import re
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from time import monotonic
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.cli.terminal import one_line
from harness.model.errors import UserError

PROFILE = "fuzz"
"""`make fuzz`: pytest --hypothesis-profile=fuzz."""
NIGHTLY = int(os.environ.get("FUZZ_EXAMPLES", "10000"))
ORDINARY = 40
CORPUS = 100
"""Texts of each grammar, to be mutated."""
HANGS_S = 10.0
"""An example that takes longer than this has hung: most take a millisecond, and machines are busy."""
MOST_MEMORY = 600 * 2**20
"""Bytes by which the process's greatest use of memory may grow while one parser is fuzzed."""
EVERY_CHARACTER = st.characters(exclude_categories=[])
"""Halves of surrogate pairs too: a command line in another encoding has them."""

DIGITS = re.compile(r"[0-9]+")
WORDS = (
    "0", "-1", "1e999", "nan", "inf", "1e-320", "9" * 400, "0x10", "1_0", "\u0661", "\U0001d7ce", "true", "null",
    "None", "\0", "\n", "\r\n", "\t",
    "\x1b[31m", "\x1b]8;;http://127.0.0.1\x07", "\u202e", "\u2028", "\ud800", "\ufeff", "é",
    "|", "'", '"', "\\", "=", ":", ",", "+", "-", "@", "#", "{", "}", "[", "]", "(", ")", "<b>", "&", "%", "%s", "${X}",
    "../", "/", "[" * 3_000, '{"a":' * 3_000, " " * 200, "a" * 5_000,
)  # fmt: skip
"""What parsers stumble over: put into a sample whole."""
NUMBERS = (0, 1, -1, 7, 2**31, 2**53, 2**63, 2**64, -(2**63), 10**400, 0.5, 1e308, 1e-320, float("nan"), float("inf"))
VALUES: tuple[Any, ...] = (None, True, False, "", [], {}, [[]], {"": None}, [1, "x"], *NUMBERS, *WORDS)


@dataclass(frozen=True)
class Tried:
    """How a fuzzer went."""

    examples: int
    accepted: int
    took_s: float

    @property
    def share(self) -> float:
        return self.accepted / self.examples


class Fuzzer:
    """Asks for the property of examples, and notes for the summary how it went. It is the fixture `fuzzer`."""

    def __init__(self, note: Callable[[str, object], None]) -> None:
        self._note = note

    def __call__(
        self,
        examples: st.SearchStrategy[Any],
        read: Callable[[Any], object],
        *,
        accepted: float,
        refused: tuple[type[Exception], ...] = (UserError,),
        most: int = NIGHTLY,
        ordinary: int = ORDINARY,
        hangs_s: float = HANGS_S,
    ) -> Tried:
        """Read examples. `accepted`: the least share that must be; `refused`: what a refusal raises.

        `most` and `ordinary`: how many examples at night and otherwise, fewer where one takes long.
        """
        nightly = settings.get_current_profile_name() == PROFILE
        counts = {"tried": 0, "accepted": 0}

        @settings(
            max_examples=min(most, NIGHTLY) if nightly else ordinary,
            deadline=timedelta(seconds=hangs_s),
            suppress_health_check=list(HealthCheck),
            database=None,
            print_blob=True,
        )
        @given(examples)
        def each(example: Any) -> None:
            counts["tried"] += 1
            try:
                read(example)
            except refused as error:
                check_one_line(error)
            else:
                counts["accepted"] += 1

        before, began_s = peak_memory(), monotonic()
        each()
        tried = Tried(counts["tried"], counts["accepted"], monotonic() - began_s)
        self._note("fuzzed", (tried.examples, tried.share, tried.took_s))
        grown = peak_memory() - before
        assert grown < MOST_MEMORY, f"reading took {grown / 2**20:.0f} MiB"
        # Of some dozens a share is chance.
        least = accepted if nightly else 1 / tried.examples
        assert tried.share >= least, f"only {tried.share:.1%} of {tried.examples} were accepted"
        return tried


def check_one_line(error: Exception) -> None:
    """A refusal is printed as one line that a terminal has room for."""
    line = one_line(str(error))
    assert line, "a refusal without a word"
    assert line.isprintable()
    assert len(line) < 1_100, f"a refusal of {len(line)} characters: {line[:200]}"


def peak_memory() -> int:
    """Bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@st.composite
def mutated(draw: st.DrawFn, samples: st.SearchStrategy[str], most: int = 2) -> str:
    """A sample with up to `most` places changed: one of its numbers is another, or there is damage."""
    text = draw(samples)
    for _ in range(draw(st.integers(0, most))):
        at = draw(st.integers(0, len(text)))
        to = min(len(text), at + draw(st.integers(0, 8)))
        kind = draw(
            st.sampled_from(["number", "number", "number", "letter", "word", "character", "cut", "again", "end"])
        )
        if kind == "number" and (numbers := list(DIGITS.finditer(text))):
            number = draw(st.sampled_from(numbers))
            text = text[: number.start()] + str(draw(st.integers(0, 99))) + text[number.end() :]
        elif kind in ("number", "letter"):
            text = text[:at] + draw(st.sampled_from("abcxyz_. 059")) + text[at:]
        elif kind == "word":
            text = text[:at] + draw(st.sampled_from(WORDS)) + text[to:]
        elif kind == "character":
            text = text[:at] + draw(EVERY_CHARACTER) + text[at + 1 :]
        elif kind == "cut":
            text = text[:at] + text[to:]
        elif kind == "again":
            text = text[:to] + text[at:to] * draw(st.integers(1, 3)) + text[to:]
        else:
            text = text[:at]
    return text


@cache
def corpus(pattern: str) -> tuple[str, ...]:
    """Texts of a grammar: drawn once, because that takes ten times as long as to read one."""
    drawn: dict[str, None] = {}

    @settings(
        max_examples=CORPUS, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(st.from_regex(pattern, fullmatch=True))
    def draw(text: str) -> None:
        drawn[text] = None

    draw()
    return tuple(drawn)


def texts(pattern: str, most: int = 2) -> st.SearchStrategy[str]:
    """Texts of a grammar, mutated."""
    return mutated(st.sampled_from(corpus(pattern)), most)


def samples(*all_: str, most: int = 2) -> st.SearchStrategy[str]:
    """Real texts, mutated."""
    return mutated(st.sampled_from(all_), most)


@st.composite
def mutated_bytes(draw: st.DrawFn, samples: Sequence[bytes], most: int = 3) -> bytes:
    """Real bytes, damaged."""
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(0, most))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 8)))
        kind = draw(st.sampled_from(["flip", "put", "cut", "again", "end"]))
        if kind == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "put":
            data[at:to] = draw(st.binary(max_size=8))
        elif kind == "cut":
            del data[at:to]
        elif kind == "again":
            data[at:at] = data[at:to] * 3
        elif kind == "end":
            del data[at:]
    return bytes(data)


@st.composite
def mutated_json(draw: st.DrawFn, documents: Sequence[Any], most: int = 2, values: Sequence[Any] = VALUES) -> Any:
    """A real document with up to `most` of its values replaced, left out, put elsewhere, or under another key."""
    document = [copy.deepcopy(draw(st.sampled_from(documents)))]
    for _ in range(draw(st.integers(0, most))):
        place, key = _place(draw, document)
        kind = draw(st.sampled_from(["alike", "alike", "alike", "value", "gone", "key", "moved", "wrapped"]))
        if kind == "alike":
            place[key] = draw(_alike(place[key]))
        elif kind == "value":
            place[key] = copy.deepcopy(draw(st.sampled_from(values)))
        elif kind == "moved":
            other, there = _place(draw, document)
            place[key] = copy.deepcopy(other[there])
        elif kind == "wrapped":
            place[key] = [place[key]]
        elif place is not document and kind == "gone":
            del place[key]
        elif isinstance(place, dict):
            place[draw(st.sampled_from(WORDS))] = place.pop(key)
    return document[0]


def _place(draw: st.DrawFn, document: list[Any]) -> tuple[Any, Any]:
    """Somewhere in the document: what holds a value, and its key there."""
    place: Any = document
    key: Any = 0
    while isinstance(inner := place[key], dict | list) and inner and draw(st.integers(0, 7)):
        place, key = inner, draw(st.sampled_from(list(inner) if isinstance(inner, dict) else range(len(inner))))
    return place, key


def _alike(value: Any) -> st.SearchStrategy[Any]:
    """Another value of the same type, as small: what may well be accepted."""
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, int):
        return st.integers(0, 20)
    if isinstance(value, float):
        return st.floats(0, 20)
    if isinstance(value, list) and value:
        return st.lists(st.sampled_from(value), min_size=1, max_size=len(value) + 1).map(copy.deepcopy)
    return st.just(copy.deepcopy(value)) if not isinstance(value, str) else st.sampled_from(["a", "x1", value + "2"])


def as_json(document: Any) -> bytes:
    """As somebody's own program might write it: with NaN, and halves of surrogate pairs."""
    return json.dumps(document).encode()


@pytest.fixture
def fuzzer(record_property: Callable[[str, object], None]) -> Fuzzer:
    return Fuzzer(record_property)
