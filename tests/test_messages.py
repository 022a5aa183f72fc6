"""What the processes of the harness write to each other comes back as it was."""

import json
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.converter import from_json, to_json
from harness.model.arrivals import Pattern, RequestMix, RequestName
from harness.model.events import Event
from harness.model.load_share import LoadShare
from harness.model.outcomes import Outcome
from harness.model.retry import Retry
from harness.model.rows import ListenerEvent, PoolSample, RequestRow
from harness.model.timeline import Burst
from harness.processes import messages
from harness.processes.message import Command, Record
from harness.processes.messages import AnyCommand, AnyRecord, command_from, record_from, to_line
from harness.processes.proxy_messages import AnyProxyEvent, ProxyEvent, Transferred
from harness.processes.share import StartShare, share_from, to_share

# msgspec reads whole numbers of 64 bits; seeds and ports are far below.
numbers = st.integers(0, 2**63)
seconds = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(max_size=20)
bursts = st.builds(
    Burst,
    requests=st.integers(1, 300),
    over_s=st.floats(0.001, 1e4),
    arrivals=st.sampled_from([pattern.value for pattern in Pattern if pattern is not Pattern.GIVEN]),
    mix=st.builds(
        RequestMix.of,
        st.dictionaries(st.sampled_from(list(RequestName)), st.floats(0.1, 10), min_size=1),
        hold_s=st.floats(0, 5),
    ),
) | st.lists(st.tuples(st.floats(0, 1e4), st.sampled_from(list(RequestName))), min_size=1).flatmap(
    lambda given: st.sampled_from([[], [request for _, request in given]]).map(
        lambda requests: Burst.at(*sorted(at_s for at_s, _ in given), requests=requests)
    )
)
retries = st.builds(
    Retry,
    retries=st.integers(1, 9),
    wait_s=st.floats(0, 9),
    factor=st.floats(1, 9),
    max_wait_s=st.floats(0, 99),
    jitter=st.booleans(),
)

for type_, strategy in {
    int: numbers,
    float: seconds,
    str: texts,
    LoadShare: st.builds(LoadShare, load=bursts, seed=numbers, index=numbers, count=numbers, retry=st.none() | retries),
    RequestRow: st.builds(
        RequestRow,
        number=numbers,
        request=texts,
        arrival_s=seconds,
        start_s=seconds,
        end_s=seconds,
        outcome=st.sampled_from(Outcome),
        error=st.none() | texts,
        status=st.none() | numbers,
        attempts=numbers,
        **{name: st.none() | seconds for name in ("checkout_s", "connect_s", "ping_s", "query_s", "idle_s")},
    ),
    PoolSample: st.builds(
        PoolSample,
        at_s=seconds,
        **{name: numbers for name in PoolSample.__slots__ if name != "at_s"},
    ),
    ListenerEvent: st.builds(
        ListenerEvent,
        event=st.sampled_from(Event),
        at_s=seconds,
        value_s=st.none() | seconds,
        detail=st.dictionaries(texts, numbers | texts, max_size=3),
    ),
    Transferred: st.builds(Transferred, upstream=numbers, downstream=numbers),
}.items():
    st.register_type_strategy(type_, strategy)


values = st.recursive(st.none() | st.booleans() | numbers | seconds | texts, st.lists)
rows = st.dictionaries(texts, values, max_size=3)
JSON = {dict[str, typing.Any]: rows, list[dict[str, typing.Any]]: st.lists(rows, max_size=3)}
"""Fields that are JSON: hypothesis has no strategy for `Any`."""


def any_of(union: object) -> st.SearchStrategy[typing.Any]:
    """A message of any kind in the union, every field with any value of its type."""
    kinds = []
    for kind in typing.get_args(union):
        hints = {name: type_ for name, type_ in typing.get_type_hints(kind).items() if name[0] != "_"}
        fields = {name: JSON[type_] if type_ in JSON else st.from_type(type_) for name, type_ in hints.items()}
        fields.update({"event": any_of(AnyProxyEvent)} if kind is messages.ProxyReported else {})
        kinds.append(st.builds(kind, **fields))
    return st.one_of(kinds)


@given(any_of(AnyRecord))
def test_every_record_comes_back_as_it_was_on_a_line_of_its_own(record: Record) -> None:
    line = to_line(record)
    assert line.count(b"\n") == 1
    assert record_from(line) == record


@given(any_of(AnyCommand))
def test_every_command_comes_back_as_it_was_on_a_line_of_its_own(command: Command) -> None:
    line = to_line(command)
    assert line.count(b"\n") == 1
    assert command_from(line) == command


@given(
    st.builds(
        StartShare,
        share=st.from_type(LoadShare).map(lambda share: json.loads(json.dumps(to_json(share)))),
        urls=st.lists(texts).map(tuple),
        at_s=st.none() | seconds,
        delay_s=seconds,
    )
)
def test_a_workers_share_comes_back_as_it_was(share: StartShare) -> None:
    again = share_from(to_share(share))
    assert again == share
    assert json.loads(json.dumps(to_json(from_json(again.share, LoadShare, where="share")))) == share.share


@pytest.mark.parametrize(("base", "union"), [(Command, AnyCommand), (Record, AnyRecord), (ProxyEvent, AnyProxyEvent)])
def test_every_message_can_be_read(base: type, union: object) -> None:
    assert set(base.__subclasses__()) == set(typing.get_args(union))


@pytest.mark.parametrize("kind", [*Command.__subclasses__(), *Record.__subclasses__(), *ProxyEvent.__subclasses__()])
def test_a_message_never_changes(kind: type) -> None:
    assert kind.__struct_config__.frozen  # type: ignore[attr-defined]
    assert kind.__struct_config__.forbid_unknown_fields  # type: ignore[attr-defined]
