"""Requests of a log: grouped into kinds, weighted by how often, the same whatever the order of the lines."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.application.logged import Grouped, grouped
from harness.application.requests_file import read_requests, write_requests
from harness.model.application_request import METHODS
from harness.model.errors import UserError

EVERY = frozenset(METHODS)
UUIDS = ("9d3e4bb2-1111-4222-8333-444455556666", "0d3e4bb2-1111-4222-8333-444455556666")
HASHES = ("507f1f77bcf86cd799439011", "607f1f77bcf86cd799439011")


def group(*requests: str, methods: frozenset[str] = EVERY, most: int = 30) -> Grouped:
    return grouped(requests, methods=methods, most=most, where="night.log")


def kinds(found: Grouped) -> list[tuple[str, str, str, tuple[int, int], float]]:
    return [
        (one.request.name, one.request.method, one.request.target, one.request.keys, one.weight) for one in found.drafts
    ]


def test_paths_that_differ_in_a_number_are_one_kind_with_the_smallest_and_the_largest() -> None:
    found = group("GET /items/7", "GET /items/3000", "GET /items/19", "GET /", "GET /", "GET /items", "GET /items/7")
    assert kinds(found) == [
        ("items_key", "GET", "/items/{key}", (7, 3000), 4.0),
        ("root", "GET", "/", (1, 100), 2.0),
        ("items", "GET", "/items", (1, 100), 1.0),
    ]
    assert (found.asked, found.other_methods, found.rare, found.no_path) == (7, 0, 0, 0)
    assert found.drafts[0].notes == ()


def test_the_last_number_is_the_key_and_what_stands_before_is_what_was_asked_for_most() -> None:
    found = group("GET /users/4/orders/1", "GET /users/9/orders/2", "GET /users/9/orders/8")
    assert kinds(found) == [("users_id_orders_key", "GET", "/users/9/orders/{key}", (1, 8), 3.0)]
    assert found.drafts[0].notes == ("9 is one of 2 that were asked for in its place",)


@pytest.mark.parametrize("ids", [UUIDS, HASHES])
def test_an_id_is_the_one_that_was_asked_for_most_and_the_first_of_several(ids: tuple[str, str]) -> None:
    assert kinds(group(f"GET /a/{ids[0]}", f"GET /a/{ids[1]}")) == [("a_id", "GET", f"/a/{min(ids)}", (1, 100), 2.0)]
    (draft,) = group(f"GET /a/{ids[0]}", f"GET /a/{ids[1]}", f"GET /a/{max(ids)}").drafts
    assert draft.request.target == f"/a/{max(ids)}"
    assert draft.notes == (f"{max(ids)} is one of 2 that were asked for in its place",)


@pytest.mark.parametrize(
    "segment", ["v2", "007", "facade", "deadbeef", "effacedfacade", "2147483648", "1.5", "-1", "٣"]
)
def test_other_segments_are_words(segment: str) -> None:
    (draft,) = group(f"GET /{segment}").drafts
    assert "{key}" not in draft.request.target


def test_a_method_is_a_kind_of_its_own_and_a_body_is_the_users() -> None:
    found = group("POST /items", "GET /items", "DELETE /items/1", "POST /items")
    assert [name for name, *_ in kinds(found)] == ["post_items", "delete_items_key", "items"]
    assert found.drafts[0].notes == ("its body is not in a log: write it, as json or body",)
    found = group("POST /items", "GET /items", methods=frozenset({"GET"}))
    assert ([name for name, *_ in kinds(found)], found.other_methods) == (["items"], 1)


def test_what_is_beyond_the_most_frequent_kinds_and_what_is_no_request_is_counted() -> None:
    found = group("GET /a", "GET /a", "GET /b", "GET /b", "GET /c", "", "-", "read_track", "GET *", "TRACE /a", most=2)
    assert [name for name, *_ in kinds(found)] == ["a", "b"]
    assert (found.asked, found.rare, found.no_path) == (4, 1, 5)


@pytest.mark.parametrize(
    ("requests", "says"),
    [
        (
            ["", "read_track"],
            'night.log: names no method and path in any line (allowed: requests such as "GET /items/7")',
        ),
        (["POST /a", "DELETE /a"], "night.log: has no request of GET (allowed: --methods POST,DELETE)"),
    ],
)
def test_a_log_without_such_requests_is_refused(requests: list[str], says: str) -> None:
    with pytest.raises(UserError) as caught:
        group(*requests, methods=frozenset({"GET"}))
    assert str(caught.value) == says


SEGMENTS = st.sampled_from(
    ["items", "7", "0", "99999999999", *UUIDS, *HASHES, "{key}", "${HOME}", "ä", "%C3%A4", "", '"', "#"]
)
PATHS = st.lists(SEGMENTS | st.text(max_size=4), max_size=4).map(lambda segments: "/" + "/".join(segments))
REQUESTS = st.lists(st.tuples(st.sampled_from([*METHODS, "TRACE"]), PATHS).map(" ".join), min_size=1, max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(requests=REQUESTS, data=st.data())
def test_the_file_is_one_that_is_read_and_no_line_is_lost(
    tmp_path: Path, requests: list[str], data: st.DataObject
) -> None:
    try:
        found = group(*requests, most=3)
    except UserError:
        # No line of it has a method and a path.
        return
    assert found.asked + found.rare + found.no_path == len(requests)
    assert found.asked == sum(draft.weight for draft in found.drafts)
    file = tmp_path / "requests.toml"
    file.write_text(write_requests(found.drafts, name="requests.toml"), encoding="utf-8")
    read = read_requests(file).weights
    assert [request for request, _ in read] == [draft.request for draft in found.drafts]
    assert all(not draft.request.variables for draft in found.drafts)
    again = group(*data.draw(st.permutations(requests)), most=3)
    assert again.drafts == found.drafts
