"""Request shapes: what they may be made of, and what they draw."""

from typing import Any

import pytest

from harness.model.arrivals import RequestMix
from harness.model.distribution import Constant, Uniform
from harness.model.errors import UserError
from harness.model.shape import Checkout, Commit, Parallel, Query, RequestShape, Upstream, Write
from harness.model.story import Story
from harness.model.timeline import Burst
from harness.model.wake import profile


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: RequestShape("x"), "request shape x: needs at least one step"),
        (lambda: RequestShape("x", Query()), r"Query\(\) needs a connection.*Checkout\(Query\(\), …\)"),
        (lambda: RequestShape("x", Upstream(1.0), Commit()), r"Commit\(\) needs a connection"),
        (lambda: RequestShape("a b", Checkout(Query())), "is not a name"),
        (lambda: RequestShape("x", Checkout(Query()), at_most=0), "at_most must be at least 1"),
        (lambda: RequestShape("x", Checkout(Query()), pool="many"), "request shape x: "),
        (Checkout, "checkout: needs at least one step"),
        (lambda: Checkout("a query"), r"'a query' is not a step.*Query\(…\)"),
        (lambda: Parallel(Query()), r"Query can't be carried out beside other steps"),
        (lambda: Upstream(-1.0), "upstream: for_s must be 0 or positive, got -1"),
        (lambda: Query("soon"), "query: for_s must be a number, got 'soon'"),
        (lambda: RequestShape("x", *[Upstream(1.0)] * 101), "has too many steps"),
    ],
)
def test_a_shape_that_can_not_be_is_refused_in_words(made: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        made()


def test_durations_are_drawn_from_the_key_alone_in_the_order_in_which_they_are_written() -> None:
    shape = RequestShape("x", Checkout(Query(Uniform(0, 1)), Parallel(Upstream(Uniform(1, 2)), Checkout(Write()))))
    assert shape.drawn(7) == shape.drawn(7) != shape.drawn(8)
    match shape.drawn(7):
        case (Checkout((Query(first), Parallel((Upstream(second), Checkout((write,)))))),):
            assert write == Write()
        case other:
            raise AssertionError(other)
    assert isinstance(first, Constant)
    assert isinstance(second, Constant)
    assert 0 <= first.latency_s <= 1 <= second.latency_s <= 2


def test_the_most_connections_at_a_time_count_what_is_nested_and_what_is_parallel() -> None:
    one = Checkout(Query())
    assert RequestShape("x", one, one).connections == 1
    assert RequestShape("x", Checkout(Query(), one)).connections == 2
    assert RequestShape("x", Parallel(one, Checkout(one), Upstream(1.0))).connections == 3
    assert RequestShape("x", Upstream(1.0)).connections == 0


def test_two_shapes_of_one_name_are_refused_and_one_shape_may_come_twice() -> None:
    def story(*shapes: RequestShape) -> Story:
        bursts = tuple(Burst(1, 1.0, mix=RequestMix.of({shape: 1})) for shape in shapes)
        return Story(name="x", wake=profile("neon"), timeline=bursts)

    one, other = RequestShape("x", Checkout(Query())), RequestShape("x", Checkout(Write()))
    assert story(one, one).shapes == (one,)
    with pytest.raises(UserError, match="two different request shapes have the name x"):
        story(one, other)
