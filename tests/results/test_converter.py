"""The converter: every field of every model of a manifest comes back as it was, and what is wrong is named.

Models and fields are found from a manifest's own types, and their values are made from those: a new field, or a new
model in a field, is covered without a line here.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject, SearchStrategy

from harness.converter import CODE, FOLLOWS, from_json, to_json
from harness.model.application import Application, Variable
from harness.model.application_request import ApplicationRequest
from harness.model.arrivals import RequestMix
from harness.model.distribution import LogNormal, Uniform
from harness.model.errors import UserError
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.scenario import VARYING, RealTime, Scenario, Variant, pool
from harness.model.shape import Checkout, Commit, Parallel, Query, RequestShape, Upstream, Write
from harness.model.story import Story
from harness.model.timeline import At, Burst, Deploy, Slow, Suspend, Traffic, Warm
from harness.model.wake import profile, read_wake
from harness.results.manifest import Manifest

# Few values, most of them allowed in most fields: what a model refuses is drawn again.
PLAIN: dict[Any, SearchStrategy[Any]] = {
    Mapping[str, str]: st.sampled_from([{}, {"pool_size": "7", "use_lifo": "false"}]),
    int: st.sampled_from([0, 1, 2, 3, 5, 7]),
    float: st.sampled_from([0.0, 0.25, 1.0, 1.5, 2.5, 40.0]),
    str: st.sampled_from(["abc", "even", "57P03", "53300"]),
    bool: st.booleans(),
    NoneType: st.none(),
    Any: st.sampled_from([7, "text", None]),
}
ONE_REQUEST = RequestMix(((ApplicationRequest(name="one", target="/a"), 1.0),))
RELATED: dict[Any, SearchStrategy[Any]] = {
    LogNormal: st.just(LogNormal(1.0, 2.0, 50.0)),
    Burst: st.builds(Burst, requests=PLAIN[int].filter(bool), over_s=PLAIN[float].filter(bool))
    | st.just(Burst.at(1.0, 2.0))
    | st.just(Burst.at(1.0, 2.0, requests=("read_track", RequestShape("upload", Upstream(2.0))))),
    ApplicationRequest: st.builds(
        ApplicationRequest, name=st.sampled_from(["one", "two"]), target=st.sampled_from(["/a", "/b/{key}"])
    ),
    Application: st.builds(Application, mix=st.just(ONE_REQUEST), app=st.just("main:app"))
    | st.builds(Application, mix=st.just(ONE_REQUEST), target=st.just("http://127.0.0.1:8000")),
    Variable: st.builds(
        Variable, carries=st.sampled_from(["url", "pool_timeout"]), name=st.sampled_from(["URL", "WAIT"])
    ),
}
"""Models of which two required fields must fit each other, or one of the optional."""
FITTING: dict[tuple[Any, str], SearchStrategy[Any]] = {
    (ApplicationRequest, "target"): st.sampled_from(["/c", "/d?after={key}"]),
    (ApplicationRequest, "method"): st.sampled_from(["POST", "DELETE"]),
    (ApplicationRequest, "keys"): st.sampled_from([(0, 5), (7, 7)]),
    (ApplicationRequest, "headers"): st.sampled_from([(("Accept", "text/plain"),), (("A", "${B}"), ("C", "{key}"))]),
    (ApplicationRequest, "statuses"): st.sampled_from([(201,), (200, 404)]),
    (Application, "app"): st.sampled_from(["other:app", "a.b:make"]),
    (Application, "target"): st.sampled_from(["http://127.0.0.1:1", "http://[::1]:2"]),
    (Variable, "carries"): st.sampled_from(["pool_size", "host"]),
    (Variable, "name"): st.sampled_from(["A", "B_2"]),
    (Variable, "unit"): st.sampled_from(["s", "ms"]),
    (Burst, "given_requests"): st.tuples(*[st.sampled_from(["read_track", "upload"])] * 2) | st.just(()),
}
"""Fields of which next to no values fit the model's others."""
steps: SearchStrategy[Any] = st.recursive(
    st.builds(Query, st.sampled_from([0.0, 0.5, Uniform(0.1, 0.5)])) | st.builds(Write) | st.builds(Commit)
    | st.builds(Upstream, st.sampled_from([0.5, LogNormal(1.0, 2.0, 50.0)])),
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(lambda inside: Checkout(*inside)),
    max_leaves=6,
)  # fmt: skip
checkouts = st.lists(steps, min_size=1, max_size=2).map(lambda inside: Checkout(*inside))
shapes = st.builds(
    lambda name, inside, both, at_most, own: RequestShape(
        name, *([Parallel(*inside)] if both else inside), at_most=at_most, pool=own
    ),
    st.sampled_from(["one", "two"]),
    st.lists(checkouts | st.just(Upstream(2.0)), min_size=1, max_size=3),
    st.booleans(),
    st.sampled_from([None, 3]),
    st.sampled_from([None, "2+1"]),
)
RELATED[RequestShape] = shapes
RELATED[Traffic] = st.lists(
    st.builds(Burst.rate, st.sampled_from([1.0, 2.5]), for_s=st.just(4.0))
    | st.builds(At, st.sampled_from([0.0, 2.0]), st.sampled_from([Suspend(), Slow(0.1), Deploy(2.0), Burst(2, 1.0)])),
    max_size=3,
).map(lambda phases: Traffic(Burst(3, 2.0), *phases))
NESTED = (Variant, RealTime, RequestShape, Traffic, Checkout, Parallel)
"""Their fields are those of other models."""
STORY = {"name": "test", "wake": profile("neon"), "timeline": (Warm(), Burst(3, 2.0))}


@st.composite
def built(draw: st.DrawFn, kind: Any) -> Any:
    """A model with its required fields, each of its own type."""
    if kind in RELATED:
        return draw(RELATED[kind])
    hints = get_type_hints(kind)
    required = [field for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING]
    given_fields = {field.name: draw(of_type(hints[field.name])) for field in required}
    try:
        return kind(**given_fields)
    except UserError:
        reject()


def of_type(hint: Any) -> SearchStrategy[Any]:
    """Values of a field's type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in PLAIN:
        return PLAIN[hint]
    if hint is Variant:
        return st.just(Variant("v", timeline=(Warm(2), Burst(1, 1.0)), retry=None))
    if hint is RealTime:
        return st.just(RealTime("shorter", pools=("1+0",), timeline=(Burst(1, 1.0),)))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, UnionType):
        return st.one_of([of_type(argument) for argument in arguments])
    if origin is tuple and arguments[-1] is not Ellipsis:
        return st.tuples(*map(of_type, arguments))
    if origin in (tuple, list):
        items = st.lists(of_type(arguments[0]), min_size=1, max_size=2)
        # A timeline has a burst, and moments are in order.
        return items.map(lambda found: origin(sorted(found) if arguments[0] is float else [*found, *_burst(arguments)]))
    if origin in (dict, Mapping):
        return st.dictionaries(of_type(arguments[0]), of_type(arguments[1]), max_size=2)
    return varied(hint) if is_dataclass(hint) else st.sampled_from(list(hint))


@st.composite
def varied(draw: st.DrawFn, kind: Any) -> Any:
    """A model with one of its fields, if it has any, other than the default."""
    model = draw(built(kind))
    kept = [field.name for field in fields(kind) if field.name not in CODE]
    if not kept or kind in NESTED:
        return model
    name = draw(st.sampled_from(kept))
    try:
        return replace(model, **{name: draw(of_type(get_type_hints(kind)[name]))})
    except UserError:
        return model


def _burst(arguments: tuple[Any, ...]) -> list[Burst]:
    return [Burst(1, 1.0)] if Burst in get_args(arguments[0]) else []


def models(hint: Any, found: dict[Any, None] | None = None) -> dict[Any, None]:
    """Every model that a type leads to, itself first."""
    found = {} if found is None else found
    if is_dataclass(hint) and hint not in found and hint not in NESTED:
        found[hint] = None
        for name, field_type in get_type_hints(hint).items():
            if name not in CODE:
                models(field_type, found)
    for argument in get_args(hint):
        models(argument, found)
    return found


def every_field() -> Iterator[Any]:
    for kind in models(Manifest):
        hints = get_type_hints(kind)
        for field in fields(kind):
            if field.name not in CODE:
                yield pytest.param(kind, field.name, hints[field.name], id=f"{kind.__name__}.{field.name}")


@pytest.mark.parametrize(("kind", "name", "hint"), list(every_field()))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_field_comes_back_with_any_other_value_than_its_own(
    kind: Any, name: str, hint: Any, data: DataObject
) -> None:
    model = data.draw(built(kind))
    values = FITTING.get((kind, name), of_type(hint))
    value = data.draw(values.filter(lambda drawn: drawn != getattr(model, name)))
    if kind is PoolConfiguration and name == "pool_timeout_s" and value is None:
        reject()
    try:
        model = replace(model, **{name: value})
    except UserError:
        reject()
    assert from_json(json.loads(json.dumps(to_json(model))), kind, where="a test") == model


@pytest.mark.parametrize("name", sorted(VARYING))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_field_that_a_variant_changes_comes_back(name: str, data: DataObject) -> None:
    variant = Variant("v", **{name: data.draw(of_type(get_type_hints(Story)[name]))})
    assert from_json(json.loads(json.dumps(to_json(variant))), Variant, where="a test") == variant


@pytest.mark.parametrize("name", sorted(set(get_type_hints(Scenario)) - CODE - {"real_time"}))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_field_that_is_shortened_for_real_time_comes_back(name: str, data: DataObject) -> None:
    shortened = RealTime("shorter", **{name: data.draw(of_type(get_type_hints(Scenario)[name]))})
    assert from_json(json.loads(json.dumps(to_json(shortened))), RealTime, where="a test") == shortened


def test_a_pool_timeout_that_follows_goes_on_following_and_one_that_was_given_stays() -> None:
    for before in (pool("5+0"), pool("5+0", pool_timeout=10)):
        document = to_json(before)
        assert document["pool_timeout"] == 10.0
        again = from_json(document, PoolConfiguration, where="a test")
        assert again == before
        assert replace(again, connection_timeout_s=15.0).queue_timeout_s == (
            15.0 if before.pool_timeout_s is None else 10
        )


def test_a_statement_timeout_that_follows_the_driver_goes_on_following_it() -> None:
    for before in (pool("5+0"), pool("5+0", driver="psycopg"), pool("5+0", statement_timeout=10)):
        document = json.loads(json.dumps(to_json(before)))
        assert document["driver"] == before.runs_on.value
        again = from_json(document, PoolConfiguration, where="a test")
        assert again == before
        assert again.accepts({"driver": "psycopg"}) is (before.statement_timeout_s is None)


def test_a_document_from_before_there_were_drivers_is_of_asyncpg() -> None:
    old = {name: value for name, value in to_json(pool("5+0")).items() if name not in ("driver", *list(FOLLOWS)[1:])}
    assert from_json(old, PoolConfiguration, where="a test").resolved == pool("5+0").resolved


def test_what_a_user_changed_is_applied_again() -> None:
    plan = PlannedRun(
        scenario=Scenario(**STORY, pools=("5+0",)),  # type: ignore[arg-type]  # of several types
        overrides=Overrides(wakes=(read_wake("xata:3"),), settings={"connection_timeout": "4"}, requests=9),
    )
    again = from_json(json.loads(json.dumps(to_json(plan))), PlannedRun, where="a test")
    assert again == plan
    assert again.trials == plan.trials


PLAN = {"scenario": {**to_json(Scenario(**STORY, pools=("5+0",)))}, "overrides": {}, "real_time": False}  # type: ignore[arg-type]  # the same


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("real_time",), "no", "real_time: must be true or false, got 'no'"),
        (("overrides", "seed"), 1.5, "overrides.seed: must be a whole number, got 1.5"),
        (("overrides", "seed"), True, "overrides.seed: must be a whole number, got True"),
        (("overrides", "colour"), "red", "overrides: has an unknown key 'colour'"),
        (("scenario", "name"), 7, "scenario.name: must be text, got 7"),
        (
            ("scenario", "timeline", 0, "kind"),
            "nap",
            "scenario.timeline[0]: must be an object whose kind is one of warm,",
        ),
        (("scenario", "timeline", 1, "over_s"), -1.0, "scenario.timeline[1]: burst: over must be positive, got -1"),
        (("scenario", "timeline", 1, "mix", "weights", 0, 0), "dance", "must be one of read_track, "),
        (("scenario", "wake", "on_suspend"), "explode", "scenario.wake.on_suspend: must be one of close, "),
        (("scenario", "pools", 0), {"pool_sizes": 3}, "scenario.pools[0]: has an unknown key 'pool_sizes'"),
        (("scenario",), [], "scenario: "),
        (("scenario", "variants"), [{"name": "v", "changes": {"wake": 1}}], "scenario.variants[0]: "),
    ],
)
def test_what_is_wrong_is_named_with_its_place_in_one_line(path: tuple[Any, ...], value: object, says: str) -> None:
    document = json.loads(json.dumps(PLAN))
    *before, last = path
    place = document
    for step in before:
        place = place[step]
    place[last] = value
    with pytest.raises(UserError) as refused:
        from_json(document, PlannedRun, where="plan.json")
    assert says in str(refused.value)
    assert str(refused.value).startswith("plan.json: ")
    assert "\n" not in str(refused.value)
