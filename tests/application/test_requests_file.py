"""The requests file: what it says, what is refused in one line, and that what is written is read as it was."""

import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.application.drafts import Draft
from harness.application.requests_file import read_requests, write_requests
from harness.model.application_request import LARGEST_KEY, METHODS, ApplicationRequest
from harness.model.errors import UserError

ALLOWED = "name, method, path, keys, headers, body, json, statuses, weight"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "requests.toml"


def read(file: Path, *tables: str) -> list[tuple[ApplicationRequest, float]]:
    file.write_text("".join(f"[[request]]\n{table}\n" for table in tables), encoding="utf-8")
    return [(one, weight) for one, weight in read_requests(file).weights if isinstance(one, ApplicationRequest)]


def refusal(file: Path, text: str | bytes) -> str:
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UserError) as caught:
        read_requests(file)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{file}: ")
    return line.removeprefix(f"{file}: ")


def test_a_request_is_a_path_and_everything_else_has_a_default(file: Path) -> None:
    assert read(file, 'path = "/items/{key}"') == [(ApplicationRequest(name="items_key", target="/items/{key}"), 1.0)]
    assert read(file, 'path = "/"')[0][0].name == "root"
    assert read(file, 'path = "/a-b/%C3%A4?q=1"')[0][0].name == "a_b_C3_A4"


def test_every_key_is_read(file: Path) -> None:
    table = """
name = "add-order"
method = "post"
path = "/orders?by={unique}"
keys = [0, 2147483647]
headers = {Authorization = "Bearer ${API_TOKEN}", content-type = "text/plain"}
body = "item {key}"
statuses = [201, 409]
weight = 0.5
"""
    assert read(file, table) == [
        (
            ApplicationRequest(
                name="add-order", method="POST", target="/orders?by={unique}", keys=(0, 2147483647),
                headers=(("Authorization", "Bearer ${API_TOKEN}"), ("content-type", "text/plain")),
                body="item {key}", statuses=(201, 409),
            ),
            0.5,
        )
    ]  # fmt: skip


def test_json_is_a_body_with_its_content_type_and_a_lone_placeholder_is_a_number(file: Path) -> None:
    json = 'json = {item = "{key}", note = "no. {key}", tags = ["grün"], paid = true, more = {price = 1.5}}'
    ((request, _),) = read(file, f'method = "POST"\npath = "/orders"\nkeys = [5, 5]\n{json}')
    assert request.headers == (("Content-Type", "application/json"),)
    body = '{"item": 5, "note": "no. 5", "tags": ["grün"], "paid": true, "more": {"price": 1.5}}'
    assert request.asked(0).body == body
    own = 'headers = {Content-Type = "application/vnd.api+json"}\njson = []'
    ((request, _),) = read(file, f'path = "/orders"\n{own}')
    assert (request.headers, request.body) == ((("Content-Type", "application/vnd.api+json"),), "[]")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no request (allowed: [[request]] tables)"),
        ("request = 1\n", "has no request (allowed: [[request]] tables)"),
        ("request = [1]\n", "has no request (allowed: [[request]] tables)"),
        ("[[requests]]\n", "has an unknown key 'requests' (allowed: [[request]] tables)"),
        ("[request\n", "is not TOML: "),
        (b"\xff\xfe", "is not TOML: "),
    ],
)
def test_what_is_no_requests_file_is_refused(file: Path, text: str | bytes, says: str) -> None:
    assert refusal(file, text).startswith(says)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('colour = "red"\npath = "/"', f"has an unknown key 'colour' (allowed: {ALLOWED})"),
        ("weight = 1", "has no path"),
        ("path = 1", "path must be text, got 1"),
        ('path = "items"', "'items' is not a path (allowed: a path such as /items/{key}; other characters percent-enc"),
        ('path = "/a b"', "'/a b' is not a path"),
        ('path = "/käse"', "'/käse' is not a path"),
        ('path = "/a#b"', "'/a#b' is not a path"),
        ('path = "http://example.com/"', "'http://example.com/' is not a path"),
        ('path = "/"\nname = 1', "name must be text, got 1"),
        ('path = "/"\nname = "a b"', "'a b' is not a name (allowed: 1 to 64 letters, digits, _ and -)"),
        ('path = "/"\nmethod = "FETCH"', "no method 'FETCH' (allowed: GET, HEAD, POST"),
        ('path = "/"\nmethod = true', "method must be text, got True"),
        ('path = "/"\nweight = 0', "weight must be positive, got 0"),
        ('path = "/"\nweight = -1.5', "weight must be positive, got -1.5"),
        ('path = "/"\nweight = inf', "weight must be positive, got inf"),
        ('path = "/"\nweight = nan', "weight must be positive, got nan"),
        ('path = "/"\nweight = "1"', "weight must be a number, got '1'"),
        ('path = "/"\nweight = true', "weight must be a number, got True"),
        ('path = "/"\nkeys = []', "keys must be the first and the last number, got []"),
        ('path = "/"\nkeys = [1]', "keys must be the first and the last number, got [1]"),
        ('path = "/"\nkeys = [2, 1]', "the last key must be at least 2, got 1"),
        ('path = "/"\nkeys = [-1, 1]', "the first key must be 0 or more, got -1"),
        ('path = "/"\nkeys = [1.0, 2]', "keys must be a list of whole numbers, got [1.0, 2]"),
        ('path = "/"\nkeys = [true, 2]', "keys must be a list of whole numbers, got [True, 2]"),
        ('path = "/"\nkeys = [1, 2147483648]', "the last key must be at most 2147483647, got 2147483648"),
        ('path = "/"\nkeys = 7', "keys must be a list of whole numbers, got 7"),
        ('path = "/"\nstatuses = [99]', "a status must be at least 100, got 99"),
        ('path = "/"\nstatuses = [600]', "a status must be at most 599, got 600"),
        ('path = "/"\nstatuses = 200', "statuses must be a list of whole numbers, got 200"),
        ('path = "/"\nheaders = "a"', "headers must be a table of texts, got 'a'"),
        ('path = "/"\nheaders = {A = 1}', "headers must be a table of texts"),
        ('path = "/"\nheaders = {A = "1", a = "2"}', "two headers have the name a"),
        ('path = "/"\nheaders = {"A B" = "1"}', "'A B: 1' is not a header (allowed: a name of letters, digits and -,"),
        ('path = "/"\nheaders = {A = "1\\nB: 2"}', "'A: 1\\nB: 2' is not a header"),
        ('path = "/"\nheaders = {A = "käse"}', "'A: käse' is not a header"),
        ('path = "/"\nbody = 1', "body must be text, got 1"),
        ('path = "/"\nbody = "a"\njson = {}', "has both a body and json (allowed: one of them)"),
        ('path = "/"\njson = {at = 2026-01-01}', "json has a value that JSON does not know, such as a date"),
        ('path = "/"\njson = {at = nan}', "json has a value that JSON does not know, such as a date"),
    ],
)
def test_what_a_request_has_wrong_is_named_with_file_and_request(file: Path, table: str, says: str) -> None:
    file.write_text(f'[[request]]\npath = "/first"\n\n[[request]]\n{table}\n', encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_requests(file)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{file}: request 2: {says}")


def test_two_requests_of_one_name_are_refused(file: Path) -> None:
    text = '[[request]]\npath = "/a"\n[[request]]\nname = "a"\npath = "/b"\n'
    assert refusal(file, text) == "two requests have the name a"


def test_a_file_that_is_not_there_is_refused(file: Path) -> None:
    with pytest.raises(UserError, match="can't be read: No such file or directory"):
        read_requests(file)


NAMES = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=64)
VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#"))
PIECES = st.sampled_from(["{key}", "{unique}", "${API_TOKEN}", "'", '"', "\\"])
TEXTS = st.lists(PIECES | st.text(st.characters(exclude_categories=["Cs"])), max_size=4).map("".join)
HEADER_NAMES = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=9)
HEADER_TEXTS = st.lists(PIECES | VISIBLE, max_size=3).map(lambda pieces: " ".join(pieces).strip())


@st.composite
def requests(draw: st.DrawFn) -> ApplicationRequest:
    first = draw(st.integers(0, LARGEST_KEY))
    names = draw(st.lists(HEADER_NAMES, max_size=3, unique_by=str.lower))
    target = "/" + "".join(draw(st.lists(PIECES | VISIBLE, max_size=4)))
    headers = tuple((name, draw(HEADER_TEXTS)) for name in names)
    body = draw(st.none() | TEXTS)
    has_key = any("{key}" in text for text in (target, body or "", *(text for _, text in headers)))
    return ApplicationRequest(
        name=draw(NAMES),
        method=draw(st.sampled_from(METHODS)),
        target=target,
        # Numbers for a placeholder that it does not have are not written.
        keys=(first, draw(st.integers(first, LARGEST_KEY))) if has_key else (1, 100),
        headers=headers,
        body=body,
        statuses=tuple(draw(st.lists(st.integers(100, 599), max_size=3))),
    )


DRAFTS = st.builds(
    Draft, request=requests(), weight=st.floats(1e-9, 1e9), notes=st.lists(st.text(), max_size=2).map(tuple)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(drafts=st.lists(DRAFTS, min_size=1, max_size=4, unique_by=lambda draft: draft.request.name), name=st.text())
def test_what_is_written_is_read_as_it_was(file: Path, drafts: list[Draft], name: str) -> None:
    file.write_bytes(write_requests(drafts, name=name).encode())
    found = read_requests(file).weights
    assert [request for request, _ in found] == [draft.request for draft in drafts]
    assert [weight for _, weight in found] == pytest.approx([draft.weight for draft in drafts], rel=1e-9)


def test_a_file_says_how_it_is_played_and_what_is_left_to_do() -> None:
    text = write_requests(
        [Draft(request=ApplicationRequest(name="a", target="/a"), notes=("look\nhere",))], name="m.toml"
    )
    assert text.splitlines()[0].endswith("coldstart run SCENARIO --app module:app --requests-file m.toml")
    assert '\n# look here\n[[request]]\nname = "a"\n' in text
