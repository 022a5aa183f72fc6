"""An application of one's own, as a value: what it can be, what it is asked, and what its variables carry."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.application import ADDRESS, Application, Stub, Variable
from harness.model.application_request import LARGEST_KEY, ApplicationRequest
from harness.model.arrivals import BROWSING, RequestMix
from harness.model.errors import UserError
from harness.model.pool import SETTINGS

READ = ApplicationRequest(name="read", target="/items/{key}")
WRITE = ApplicationRequest(name="write", method="POST", target="/items", body="{key}")
MIX = RequestMix(((READ, 3.0), (WRITE, 1.0)))


def refusal(make: Any, **fields: Any) -> str:
    with pytest.raises(UserError) as caught:
        make(**fields)
    return str(caught.value)


def test_an_application_is_started_or_running() -> None:
    assert Application(app="main:app", mix=MIX).name == "main:app"
    assert Application(target="http://127.0.0.1:8000", mix=MIX).name == "http://127.0.0.1:8000"
    either = "application: an application is either started (--app) or running (--target)"
    assert refusal(Application, mix=MIX) == either
    assert refusal(Application, mix=MIX, app="main:app", target="http://127.0.0.1:8000") == either


@pytest.mark.parametrize("app", ["main:app", "shop.web.main:create_app", "_a:_b", "main:container.web.asgi"])
def test_it_is_named_as_uvicorn_takes_it(app: str) -> None:
    assert Application(app=app, mix=MIX).app == app


@pytest.mark.parametrize(
    "app", ["", "main", "main:", ":app", "main.py:app", "main:app()", "my-app:app", "a:b:c", "a :b"]
)
def test_what_is_no_name_of_one_is_refused(app: str) -> None:
    if app == "main.py:app":
        # It may be a module `py` of a package.
        assert Application(app=app, mix=MIX).app == app
        return
    assert refusal(Application, app=app, mix=MIX) == f"--app: {app!r} is not an application (allowed: module:attribute)"


def test_its_kinds_are_the_mixs_own() -> None:
    assert Application(app="main:app", mix=MIX).kinds == [READ, WRITE]
    assert Application(app="main:app", mix=BROWSING).kinds == []


def test_a_variable_is_found_by_what_it_carries() -> None:
    url, size = Variable(carries="url", name="DB"), Variable(carries="pool_size", name="POOL")
    application = Application(app="main:app", mix=MIX, variables=(url, size))
    assert application.variable("pool_size") is size
    assert application.variable("pool_timeout") is None


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("", 2.5, "2.5"), ("s", 30.0, "30"), ("ms", 2.5, "2500"), ("ms", 10, "10000"), ("", 1 / 3, "0.333333333333"),
        ("", True, "true"), ("", False, "false"), ("", "postgresql://h/d", "postgresql://h/d"), ("ms", 0, "0"),
    ],
)  # fmt: skip
def test_a_value_is_the_text_that_the_application_reads(unit: str, value: Any, text: str) -> None:
    variable = Variable(carries="pool_timeout", name="WAIT", unit=unit)
    assert variable.of(value) == text
    assert variable.text == "pool_timeout=WAIT" + (f":{unit}" if unit else "")


def test_a_variable_carries_a_part_of_the_address_or_a_setting() -> None:
    for carries in (*ADDRESS, *SETTINGS):
        assert Variable(carries=carries, name="V").carries == carries
    assert "--env: no setting 'colour' (allowed: url, host, port" in refusal(Variable, carries="colour", name="V")
    assert "--env: '9A' is not a variable's name" in refusal(Variable, carries="url", name="9A")
    assert "--env: no unit 'h' (allowed: s, ms)" in refusal(Variable, carries="url", name="V", unit="h")


def test_a_stub_is_a_host_and_a_time() -> None:
    assert Stub(host="example.com", for_s=0.0).for_s == 0
    assert "'' is not a host" in refusal(Stub, host="", for_s=1.0)
    assert "'a b' is not a host" in refusal(Stub, host="a b", for_s=1.0)
    assert "must be 0 or positive, got -1" in refusal(Stub, host="a", for_s=-1.0)
    assert "must be a number, got nan" in refusal(Stub, host="a", for_s=float("nan"))


@given(first=st.integers(0, LARGEST_KEY), spread=st.integers(0, LARGEST_KEY), key=st.integers(0, LARGEST_KEY))
def test_a_key_is_one_of_its_numbers_and_unique_is_the_arrivals_own(first: int, spread: int, key: int) -> None:
    last = min(LARGEST_KEY, first + spread)
    request = ApplicationRequest(
        name="r", target="/{key}", body="{key} {unique}", headers=(("A", "{key}"),), keys=(first, last)
    )
    asked = request.asked(key, {})
    number = int(asked.target[1:])
    assert first <= number <= last
    assert asked.body == f"{number} {key}"
    assert asked.headers == {"A": str(number)}
    assert request.url(key, hold_s=1.0) == asked.target


def test_every_key_is_asked_for() -> None:
    assert {READ.asked(key, {}).target for key in range(100)} == {f"/items/{number}" for number in range(1, 101)}


def test_a_variable_of_the_environment_stays_out_of_the_request_until_it_is_asked() -> None:
    request = ApplicationRequest(
        name="r", target="/?a=${A}", body="${B} ${A}", headers=(("Authorization", "Bearer ${API_TOKEN}"),)
    )
    assert request.variables == {"A", "B", "API_TOKEN"}
    assert "secret" not in repr(request)
    asked = request.asked(0, {"A": "1", "B": "2", "API_TOKEN": "secret"})
    assert (asked.target, asked.body, asked.headers) == ("/?a=1", "2 1", {"Authorization": "Bearer secret"})
    with pytest.raises(UserError) as caught:
        request.check_variables({"A": "1"})
    assert str(caught.value) == "request r: the environment has no variable API_TOKEN (allowed: API_TOKEN=… in front)"
    with pytest.raises(UserError, match="no variable B"):
        request.asked(0, {"A": "1", "API_TOKEN": "secret"})


def test_what_a_variable_holds_is_sent_as_it_is() -> None:
    request = ApplicationRequest(name="r", target="/", body="${A} {key}", keys=(7, 7))
    assert request.asked(0, {"A": "{key} {unique} ${B}"}).body == "{key} {unique} ${B} 7"


@pytest.mark.parametrize(
    ("statuses", "good", "bad"),
    [((), (200, 204, 302, 399), (199, 400, 404, 500)), ((404,), (404,), (200, 500)), ((201, 409), (201, 409), (200,))],
)
def test_a_good_answer_has_one_of_its_statuses(
    statuses: tuple[int, ...], good: tuple[int, ...], bad: tuple[int, ...]
) -> None:
    request = ApplicationRequest(name="r", target="/", statuses=statuses)
    assert all(request.is_good(status) for status in good)
    assert not any(request.is_good(status) for status in bad)
