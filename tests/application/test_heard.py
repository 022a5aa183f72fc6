"""What Locust's users were heard to ask becomes requests that load, whatever it was, and has no credential in it."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.application.credentials import in_its_place, is_secret, variable_of
from harness.application.drafts import Draft
from harness.application.heard import Heard, heard
from harness.application.requests_file import read_requests, write_requests
from harness.model.application_request import METHODS
from harness.processes.heard import RequestHeard

TARGET = "http://127.0.0.1:8000"
JSON = {"Content-Type": "application/json"}


def asked(url: str, method: str = "GET", **changed: Any) -> RequestHeard:
    """One request as a user asked it; its URL is a path below the target."""
    fields: dict[str, Any] = {
        "user": 0, "name": None, "method": method, "url": url if "://" in url else TARGET + url,
        "headers": {}, "body": None, "body_bytes": 0,
        "status": 200, "good": True, "redirected": False, "in_task": True, "answer": "", "error": "",
    }  # fmt: skip
    return RequestHeard(**{**fields, **changed})


def posted(values: object, **changed: Any) -> RequestHeard:
    return asked("/orders", "POST", headers=JSON, body=json.dumps(values), **changed)


def of(*records: RequestHeard, target: str = TARGET) -> Heard:
    return heard(records, target=target, methods=METHODS)


def only(*records: RequestHeard) -> Draft:
    (draft,) = of(*records).drafts
    return draft


def test_numbers_that_differ_are_the_key_and_others_one_of_those_seen() -> None:
    draft = only(asked("/shops/3/items/7"), asked("/shops/4/items/9"), asked("/shops/4/items/8"))
    assert draft.request.target == "/shops/4/items/{key}"
    assert draft.request.keys == (7, 9)
    assert draft.notes == ("4 is one of 2 that were asked for in its place",)
    assert draft.weight == 3


def test_what_is_the_same_every_time_stays_as_it_is() -> None:
    draft = only(asked("/items/7?sort=name"), asked("/items/7?sort=name"))
    assert (draft.request.target, draft.notes, draft.request.name) == ("/items/7?sort=name", (), "items_id")


def test_a_number_in_a_query_or_a_body_is_the_key_where_the_path_has_none() -> None:
    draft = only(asked("/items?page=2&q=tea"), asked("/items?page=5&q=tea"))
    assert (draft.request.target, draft.request.keys) == ("/items?page={key}&q=tea", (2, 5))
    draft = only(posted({"n": 1, "text": "1"}), posted({"n": 3, "text": "3"}))
    assert draft.request.body == '{"n": {key}, "text": "{key}"}'
    assert draft.request.asked(0).body == '{"n": 1, "text": "1"}'


def test_only_one_number_can_be_the_key_and_the_others_are_told() -> None:
    draft = only(posted({"a": 1, "b": 5}), posted({"a": 2, "b": 5}), posted({"a": 2, "b": 6}))
    assert draft.request.body == '{"a": 2, "b": {key}}'
    assert draft.notes == ("2 (a in the body) is one of 2 that were asked for in its place",)


@pytest.mark.parametrize(
    ("values", "written"),
    [
        (["u-1@x.de", "u-2@x.de"], '"u-{unique}@x.de"'),
        (["u-11@x.de", "u-12@x.de"], '"u-{unique}@x.de"'),
        (["u-21@x.de", "u-11@x.de"], '"u-{unique}@x.de"'),
        (["name ab12cd", "name 77ffaa"], '"name {unique}"'),
        # A name twice is none that has to be a new one each time.
        (["u-1", "u-1", "u-2"], '"u-1"'),
        (["tea", "cake"], '"cake"'),
        # A number has neither a UUID's form nor a digest's.
        (["0b4ad4b0-1f7e-4f8d-8a3e-111111111111", "1b4ad4b0-1f7e-4f8d-8a3e-111111111111"], None),
        (["ab12cd", "77ffaa"], None),
        ([1.5, 2.5], None),
        ([True, False], None),
        ([None, "x1"], None),
    ],
)
def test_a_text_that_is_new_each_time_is_unique(values: list[object], written: str | None) -> None:
    draft = only(*(posted({"v": value}) for value in values))
    expected = written or json.dumps(min(values, key=json.dumps))
    assert draft.request.body == f'{{"v": {expected}}}'
    assert bool(draft.notes) == ("{unique}" not in expected)


def test_what_an_answer_has_told_its_user_is_kept_and_said() -> None:
    token = "4f9d2c71aa"
    draft = of(
        asked("/carts", "POST", answer=f'{{"cart": "{token}"}}'),
        asked(f"/carts/{token}", answer=token),
    ).drafts[0]
    assert draft.request.target == f"/carts/{token}"
    assert draft.notes == (f"{token} was in an earlier answer to its user: put one that exists",)
    # Another user's answer is none of its own, and what it sent itself is nothing that it learned.
    alone = of(asked("/carts", "POST", answer=token, user=1), asked(f"/carts/{token}", user=2)).drafts[0]
    assert alone.notes == ()
    again = only(asked(f"/carts/{token}", answer=token), asked(f"/carts/{token}"))
    assert again.notes == ()


def test_numbers_that_the_application_made_are_no_range_of_what_exists() -> None:
    records = []
    for number in (41, 42):
        records += [asked("/orders", "POST", answer=f'{{"id": {number}}}'), asked(f"/orders/{number}")]
    draft = next(one for one in of(*records).drafts if one.request.method == "GET")
    assert draft.request.target == "/orders/41"
    assert draft.notes == ("41 was in an earlier answer to its user: put one that exists",)
    # A list of what there is has told its numbers too, and those do exist.
    listed = of(asked("/orders", answer="[41, 42]"), asked("/orders/41"), asked("/orders/42")).drafts[0]
    assert (listed.request.target, listed.request.keys) == ("/orders/{key}", (41, 42))


def test_a_name_is_one_request_whatever_its_paths_and_the_most_frequent_form_is_written() -> None:
    draft = only(asked("/a/1", name="one thing"), asked("/a/2", name="one thing"), asked("/b", name="one thing"))
    assert (draft.request.name, draft.request.target, draft.weight) == ("one_thing", "/a/{key}", 3)
    assert draft.notes == ("1 of its 3 requests have other parts, and are left out of it",)
    two = of(asked("/a", name="same"), asked("/a", "PUT", name="same")).drafts
    assert {(one.request.method, one.request.name) for one in two} == {("GET", "same"), ("PUT", "same_2")}


def test_what_failed_is_told_and_no_pattern_for_what_is_to_be_asked() -> None:
    bad = {"status": 404, "good": False}
    draft = only(asked("/items/1"), asked("/items/2"), asked("/items/900", **bad))
    assert (draft.request.keys, draft.weight) == ((1, 2), 3)
    assert draft.notes == ("1 of 3 were not answered well: 404 (1)",)
    draft = only(asked("/items/1", **bad), asked("/items/2", status=0, good=False))
    assert draft.request.keys == (1, 2)
    assert draft.notes == ("2 of 2 were not answered well: 404 (1), no answer (1)",)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://127.0.0.1:8001/x", TARGET),
        ("https://127.0.0.1:8000/x", TARGET),
        ("http://127.0.0.1:8000/x", f"{TARGET}/api"),
        ("http://127.0.0.1:8000/apis", f"{TARGET}/api"),
        ("http://[::1/x", TARGET),
    ],
)
def test_what_is_not_below_the_target_is_counted_and_left_out(url: str, target: str) -> None:
    found = of(asked(url), target=target)
    assert (found.drafts, found.elsewhere) == ((), 1)


def test_the_same_target_can_be_written_in_two_ways() -> None:
    found = of(asked("http://localhost:80/x"), asked("http://LOCALHOST/x"), target="http://localhost")
    assert [one.weight for one in found.drafts] == [2]
    below = of(asked("/api"), asked("/api/x"), target=f"{TARGET}/api/")
    assert {one.request.target for one in below.drafts} == {"/", "/x"}


SECRET = "s3cret-Value.of+1"


@pytest.mark.parametrize(
    "record",
    [
        asked("/x", headers={"Authorization": f"Bearer {SECRET}"}),
        asked("/x", headers={"authorization": SECRET}),
        asked("/x", headers={"Cookie": f"a={SECRET}"}),
        asked("/x", headers={"X-Api-Key": SECRET}),
        asked("/x", headers={"X-CSRFToken": SECRET}),
        asked(f"/x?access_token={SECRET.replace('+', '%2B')}"),
        posted({"user": {"newPassword": SECRET}}),
        posted({"refresh_token": SECRET, "clientSecret": [SECRET]}),
        asked("/x", "POST", headers={"Content-Type": "application/x-www-form-urlencoded"}, body=f"pwd={SECRET}"),
    ],
    ids=lambda record: str(record.headers or record.url) + str(record.body or ""),
)
def test_a_credential_is_in_no_file_and_its_variable_is_said(record: RequestHeard) -> None:
    text = write_requests([only(record)], name="x.toml")
    assert SECRET not in text
    assert SECRET.replace("+", "%2B") not in text
    assert "${" in text


def test_words_that_only_look_like_a_credential_are_none() -> None:
    for name in ("author", "Authors", "pinned", "keyboard", "passage", "key", "tokenizer", "sort-key", ""):
        assert not is_secret(name), name
    for name in ("Authorization", "X-API-Key", "apiKey", "accessToken", "session_id", "PASSWORD", "client-secret"):
        assert is_secret(name), name
    assert [variable_of(name) for name in ("Authorization", "X-API-Key", "newPassword")] == [
        "API_TOKEN",
        "X_API_KEY",
        "NEW_PASSWORD",
    ]
    assert in_its_place("authorization", "Basic abc") == "Basic ${API_TOKEN}"


parts = st.text(st.characters(codec="utf-8", exclude_characters="#?"), max_size=12)
bodies = (
    st.none()
    | st.text(max_size=30)
    | st.recursive(
        st.none() | st.booleans() | st.integers(-5, 99) | st.text(max_size=9),
        lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=9), values, max_size=3),
        max_leaves=6,
    ).map(json.dumps)
)
records = st.lists(
    st.builds(
        asked,
        st.lists(parts | st.integers(0, 99).map(str), max_size=3).map(lambda each: "/" + "/".join(each)),
        st.sampled_from(METHODS),
        user=st.integers(0, 2),
        name=st.none() | st.sampled_from(["one", "ein Name"]),
        headers=st.dictionaries(st.sampled_from(["X-A", "token", "Content-Type", "ä", ""]), parts)
        | st.sampled_from([JSON, {"content-type": "application/x-www-form-urlencoded"}]),
        body=bodies,
        status=st.sampled_from([200, 302, 404, 999]),
        good=st.booleans(),
        answer=parts,
    ),
    max_size=8,
)


@given(heard_records=records)
def test_whatever_is_asked_becomes_a_file_that_loads(heard_records: list[RequestHeard]) -> None:
    found = of(*heard_records)
    assert sum(one.weight for one in found.drafts) == found.asked
    assert found.asked + found.elsewhere == len(heard_records)
    if found.drafts:
        with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
            file.write(write_requests(found.drafts, name="x.toml"))
            file.flush()
            mix = read_requests(Path(file.name))
        assert [request for request, _ in mix.weights] == [draft.request for draft in found.drafts]
