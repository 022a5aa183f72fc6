"""Which stack `auto` takes, and what it says of it."""

import sys

import pytest

from harness.compose import engine
from harness.model.errors import StackError, UserError
from harness.stacks.choose import choose


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine on which an engine answers and has all that is needed."""
    monkeypatch.setattr(engine, "engine", lambda: None)
    monkeypatch.setattr(engine, "compose_binary", lambda: "docker")
    monkeypatch.setattr(engine, "missing_images", list)
    return monkeypatch


def test_an_engine_with_its_images_is_taken(answering: pytest.MonkeyPatch) -> None:
    stack, why = choose("auto")
    assert (stack.name, why) == ("compose", "stack compose: a Docker engine answers")


def test_images_that_must_be_pulled_are_named_before_it_takes_a_while(answering: pytest.MonkeyPatch) -> None:
    answering.setattr(engine, "missing_images", lambda: ["postgres:18.6"])
    answering.setattr(engine, "can_pull", lambda _image: True)
    stack, why = choose("auto")
    assert stack.name == "compose"
    assert "postgres:18.6 must be pulled first" in why


def test_without_images_or_a_way_to_them_it_is_embedded_and_says_why(answering: pytest.MonkeyPatch) -> None:
    answering.setattr(engine, "missing_images", lambda: ["postgres:18.6"])
    answering.setattr(engine, "can_pull", lambda _image: False)
    stack, why = choose("auto")
    assert stack.name == "embedded"
    assert why.endswith("as the image postgres:18.6 is not there and can't be pulled")


def test_without_an_engine_it_is_embedded(answering: pytest.MonkeyPatch) -> None:
    def nobody() -> None:
        raise StackError("docker", "no engine answers at its usual socket")

    answering.setattr(engine, "engine", nobody)
    stack, why = choose("auto")
    assert stack.name == "embedded"
    assert "no engine answers at its usual socket" in why


def test_a_stack_whose_package_is_missing_says_which_extra_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    for name in [name for name in sys.modules if name.startswith(("harness.compose", "harness.stacks.compose"))]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UserError, match=r"coldstart\[compose\]"):
        choose("compose")
