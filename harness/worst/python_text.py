"""The text of a scenario file from its values: what a person would have written, and the same values when loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from enum import Enum
from typing import Any

from harness.model.application_request import ApplicationRequest
from harness.model.arrivals import BROWSING, RequestMix
from harness.model.compute import ErrorResponse
from harness.model.distribution import Constant, Empirical, LogNormal
from harness.model.pool import SETTINGS, PoolConfiguration
from harness.model.server import ConnectCost
from harness.model.shape import Checkout, Parallel, Query, RequestShape, Upstream
from harness.model.story import Story
from harness.model.timeline import Traffic
from harness.model.wake import PROFILES, WakeProfile

WIDTH = 120
FIRST = ("name", "wake", "pools", "timeline")
"""The fields of a scenario that stand at its beginning."""


@dataclass(frozen=True, slots=True)
class Call:
    """`name(first, second=…)`; a tuple has no name, and a mapping has brackets of its own."""

    name: str
    arguments: Sequence["Argument"]
    brackets: str = "()"


Node = str | Call
Argument = tuple[Node, Node]
"""A value, and what stands before it: `requests=`, a mapping's key, or nothing."""


def rendered(node: Node, *, indent: int = 0, room: int = WIDTH) -> str:
    """The node on one line where it fits, else an argument a line."""
    line = _line(node)
    if isinstance(node, str) or indent + len(line) <= room:
        return line
    return exploded(node, indent=indent)


def exploded(call: Call, *, indent: int = 0) -> str:
    """The call with an argument a line, also where it would fit on one."""
    inner = indent + 4
    lines = []
    for before, value in call.arguments:
        # A key that takes several lines ends with its bracket, and its value goes on from there.
        key = before if isinstance(before, str) else rendered(before, indent=inner, room=WIDTH - 2) + ": "
        used = len(key.rpartition("\n")[2]) - (inner if "\n" in key else 0)
        lines.append(f"{' ' * inner}{key}{rendered(value, indent=inner, room=WIDTH - used - 1)},\n")
    return f"{call.name}{call.brackets[0]}\n{''.join(lines)}{' ' * indent}{call.brackets[1]}"


def _line(node: Node) -> str:
    if isinstance(node, str):
        return node
    arguments = ", ".join(
        f"{before if isinstance(before, str) else f'{_line(before)}: '}{_line(value)}"
        for before, value in node.arguments
    )
    # A tuple of one needs its comma.
    comma = "," if not node.name and node.brackets == "()" and len(node.arguments) == 1 else ""
    return f"{node.name}{node.brackets[0]}{arguments}{comma}{node.brackets[1]}"


@dataclass(slots=True)
class Writing:
    """Turns values into Python, and remembers the names that it used."""

    words: set[str] = field(default_factory=set)
    """To be imported from `harness.scenario`."""
    of_wakes: set[str] = field(default_factory=set)
    """To be imported from `harness.wake`."""
    others: set[str] = field(default_factory=set)
    """Whole lines of imports."""

    def node(self, value: Any) -> Node:  # noqa: ANN401 - any value of a model
        """A value as Python. A dataclass is written with its fields that are no defaults."""
        match value:
            case Enum():
                return _text(str(value.value))
            case bool() | int() | float() | None:
                return repr(value)
            case str():
                return _text(value)
            case tuple():
                return Call("", [("", self.node(one)) for one in value])
            case WakeProfile():
                return self._wake(value)
            case PoolConfiguration():
                return self._pool(value)
            case RequestMix():
                return self._mix(value)
            case _:
                return self._called(type(value).__name__, self._arguments(value))

    def _arguments(self, value: Any) -> list[Argument]:  # noqa: ANN401 - a dataclass of the model
        """What its constructor takes: several of the model's take values in a row, or a number for a duration."""
        match value:
            case Traffic():
                return [("", self.node(phase)) for phase in value.phases]
            case Checkout() | Parallel():
                return [("", self.node(step)) for step in value.steps]
            case RequestShape():
                more = {"at_most": value.at_most, "pool": value.pool}
                steps = [("", self.node(step)) for step in value.steps]
                return [("", _text(value.name)), *steps, *self._named(more)]
            case Query() | Upstream():
                return self._seconds(value.for_s, optional=isinstance(value, Query))
            case ConnectCost():
                return [*self._seconds(value.takes_s), *self._named({"at_a_time": value.at_a_time})]
            case _:
                return self._changed(value)

    def _named(self, values: Mapping[str, Any]) -> list[Argument]:
        return [(f"{name}=", self.node(value)) for name, value in values.items() if value is not None]

    def story(self, story: Story, *, wake: WakeProfile, pool: PoolConfiguration) -> list[Argument]:
        """The arguments of a `Scenario` with this story, this wake and this pool."""
        given: dict[str, Node] = {
            "name": self.node(story.name),
            "wake": self.node(wake),
            "pools": self.node((pool,)),
            "timeline": self.node(story.timeline),
        }
        changed = [(name, node) for name, node in self._changed(story) if str(name).removesuffix("=") not in FIRST]
        return [*((f"{name}=", node) for name, node in given.items()), *changed]

    def _called(self, name: str, arguments: Sequence[Argument]) -> Call:
        if name == ErrorResponse.__name__:
            self.others.add("from harness.model.compute import ErrorResponse")
        elif name in (LogNormal.__name__, Empirical.__name__, Constant.__name__):
            self.of_wakes.add(name)
        else:
            self.words.add(name)
        return Call(name, arguments)

    def _changed(self, value: Any) -> list[Argument]:  # noqa: ANN401 - a dataclass of the model
        """The fields that are no defaults, the required ones first."""
        return [
            (f"{one.name}=", self.node(getattr(value, one.name)))
            for one in fields(value)
            if getattr(value, one.name) != (one.default if one.default_factory is MISSING else one.default_factory())
        ]

    def _seconds(self, duration: Any, *, optional: bool = False) -> list[Argument]:  # noqa: ANN401 - a Duration
        """A duration as a scenario writes it: a number, or a distribution."""
        if not isinstance(duration, Constant):
            return [("", self.node(duration))]
        return [] if optional and not duration.latency_s else [("", self.node(duration.latency_s))]

    def _mix(self, mix: RequestMix) -> Node:
        if any(isinstance(request, ApplicationRequest) for request, _ in mix.weights):
            # An application's own requests come with it, on the command line.
            mix = BROWSING
        pairs: list[Argument] = [
            (self.node(request) if isinstance(request, RequestShape) else f"{_text(request.value)}: ", repr(weight))
            for request, weight in mix.weights
        ]
        hold: list[Argument] = [] if mix.hold_s == 1.0 else [("hold_s=", self.node(mix.hold_s))]
        self.words.add("RequestMix")
        return Call("RequestMix.of", [("", Call("", pairs, brackets="{}")), *hold])

    def _pool(self, pool: PoolConfiguration) -> Node:
        defaults = {one.name: one.default for one in fields(PoolConfiguration)}
        settings: list[Argument] = [
            (f"{name}=", self.node(getattr(pool, field_name)))
            for name, (field_name, _) in SETTINGS.items()
            if name not in ("pool_size", "max_overflow") and getattr(pool, field_name) != defaults[field_name]
        ]
        if pool.name:
            settings.append(("name=", _text(pool.name)))
        if not settings:
            return _text(pool.short)
        return self._called("pool", [("", _text(pool.short)), *settings])

    def _wake(self, wake: WakeProfile) -> Node:
        """`profile("neon", latency_s=8.0)`, with whatever else is not that profile's."""
        known = PROFILES.get(wake.name, PROFILES["neon"])
        changes: dict[str, Any] = {}
        if isinstance(wake.latency, Constant) and wake.latency != known.latency:
            changes["latency_s"] = wake.latency.latency_s
        for name in ("on_suspend", "while_waking"):
            if getattr(wake, name) is not getattr(known, name):
                changes[name] = getattr(wake, name)
        like = known.with_changes(**changes)
        self.of_wakes.add("profile")
        called = Call("profile", [("", _text(known.name)), *self._named(changes)])
        own = [one.name for one in fields(wake) if getattr(wake, one.name) != getattr(like, one.name)]
        if not own:
            return called
        self.others.add("from dataclasses import replace")
        arguments = self._named({name: getattr(wake, name) for name in own})
        # What it can't be given as a value is None: then it is said.
        arguments += [(f"{name}=", "None") for name in own if getattr(wake, name) is None]
        return Call("replace", [("", called), *arguments])


def _text(text: str) -> str:
    """As ruff formats it."""
    written = repr(text)
    if written.startswith("'") and '"' not in text:
        return f'"{written[1:-1]}"'.replace("\\'", "'")
    return written
