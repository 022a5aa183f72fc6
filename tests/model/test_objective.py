"""Objectives: what they measure, when they are met, and what is refused."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.errors import UserError
from harness.model.objective import Objective, percentile, read_objective, read_objectives
from harness.model.outcomes import Outcome
from harness.model.patience import Patience

PATIENCE = Patience(30.0, "a test's")


@dataclass(frozen=True)
class Requests:
    """(outcome, latency) of each request."""

    rows: Sequence[tuple[str, float]]

    @property
    def requests(self) -> int:
        return len(self.rows)

    @property
    def latencies_s(self) -> list[float]:
        return [latency_s for _, latency_s in self.rows]

    def count(self, outcome: Outcome) -> int:
        return Counter(found for found, _ in self.rows)[outcome]

    def answered(self, within_s: float) -> int:
        return sum(found == "ok" and latency_s <= within_s for found, latency_s in self.rows)


def value(text: str, *rows: tuple[str, float]) -> float:
    return read_objective(text).value(Requests(rows), PATIENCE.seconds)


def met(text: str, *rows: tuple[str, float]) -> bool:
    return read_objectives([text], patience=PATIENCE).are_met(Requests(rows))


OK, LATE, FAILED = ("ok", 1.0), ("ok", 40.0), ("connect_timeout", 10.0)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("failed<1%", "failed<1%"),
        ("failed <= 0.005", "failed<=0.5%"),
        ("pool_timeout<2.5%", "pool_timeout<2.5%"),
        ("p(95)<12s", "p(95)<12s"),
        ("p95<12s", "p(95)<12s"),
        ("p99.9<1500ms", "p(99.9)<1.5s"),
        ("avg<500ms", "avg<0.5s"),
        ("max<=20s", "max<=20s"),
        ("answered_within(10s)>99%", "answered_within(10s)>99%"),
        ("answered_within(500ms)>=0.99", "answered_within(0.5s)>=99%"),
    ],
)
def test_an_objective_is_read_and_written_in_one_way(text: str, written: str) -> None:
    assert str(read_objective(text)) == written
    assert read_objective(written) == read_objective(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "failed", "failed<", "<1%", "failed=1%", "failed<1s", "failed<-1%", "failed<101%", "failed<1e-2",
        "failed<nan",
        "failed(3)<1%", "failed3<1%", "nothing<1%", "ok>99%", "p<12s", "p()<12s", "p(0)<12s", "p(101)<12s", "p(95)<12",
        "p(95)<12%", "p(95)<inf", "p(95)<-1s", "avg(3)<1s", "answered_within>99%", "answered_within(10)>99%",
        "answered_within(10s)>12s", "answered_within10>99%", "max<3000000s", "failed<1%<2%",
        "p(95)<1" + "0" * 5000 + "s",
        "FAILED<1%", "fäiled<1%",
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError) as error:
        read_objective(text)
    assert "--slo" in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("text", "instead"),
    [("failed<0%", "failed<=0%"), ("answered_within(3s)>100%", "answered_within(3s)>=100%"), ("max<0s", "max<=0s")],
)
def test_what_nothing_can_meet_is_refused_with_what_was_meant(text: str, instead: str) -> None:
    with pytest.raises(UserError) as error:
        read_objective(text)
    assert error.value.allowed == instead


def test_an_answer_after_the_patience_is_none() -> None:
    assert value("failed<1%", OK, LATE, FAILED, OK) == 0.5
    assert value("answered_within(100s)>99%", OK, LATE, FAILED, OK) == 0.5
    assert value("answered_within(0.5s)>99%", OK, LATE, FAILED, OK) == 0.0


def test_shares_are_of_every_request_and_latencies_too() -> None:
    rows = [OK] * 18 + [FAILED] * 2
    assert value("connect_timeout<1%", *rows) == 0.1
    assert value("pool_timeout<1%", *rows) == 0.0
    assert value("avg<1s", *rows) == pytest.approx(1.9)
    assert value("max<1s", *rows) == 10.0
    assert value("p(95)<1s", *rows) == pytest.approx(10.0)


def test_a_limit_that_is_just_reached_is_met_by_or_equal_only() -> None:
    rows = [OK] * 198 + [FAILED] * 2
    assert met("failed<=1%", *rows)
    assert not met("failed<1%", *rows)
    assert met("failed<1%", *rows[:-1], OK)
    assert met("answered_within(10s)>=99%", *rows)
    assert not met("answered_within(10s)>99%", *rows)


@pytest.mark.parametrize("text", ["failed<1%", "p(95)<12s", "answered_within(1s)>1%", "failed>=0%", "max>=0s"])
def test_of_no_request_nothing_is_met(text: str) -> None:
    assert not met(text)
    missed = read_objectives([text], patience=PATIENCE).missed(Requests(()))
    assert "nothing" in str(missed[0])


def test_every_missed_objective_is_told_with_its_value() -> None:
    objectives = read_objectives(["failed<1%", "p(95)<2s", "max<100s"], patience=PATIENCE)
    missed = objectives.missed(Requests([OK] * 3 + [FAILED]))
    assert [str(one) for one in missed] == ["failed<1%, and it is 25%", "p(95)<2s, and it is 8.65 s"]
    assert objectives.excess(Requests([OK] * 3 + [FAILED])) == pytest.approx(0.24 + (8.65 - 2) / 2)
    assert objectives.excess(Requests([OK])) == 0


def test_a_share_is_shown_with_three_figures_and_all_only_for_all() -> None:
    shares = (0.0, 0.00012, 0.02, 0.1, 0.1234, 0.99961, 1.0)
    shown = ["0%", "0.012%", "2%", "10%", "12.3%", "99.9%", "100%"]
    assert [read_objective("failed<1%").shown(share) for share in shares] == shown


def test_without_any_objective_there_is_the_default() -> None:
    assert str(read_objectives([], patience=PATIENCE)) == "failed<1%"


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("failed<1%", [False, True, True]),
        ("failed>50%", [True, False, False]),
        ("connect_timeout<1%", [False, False, True]),
        ("answered_within(10s)>99%", [False, True, True]),
        ("answered_within(10s)<1%", [True, False, False]),
        ("p(95)<5s", [False, True, True]),
    ],
)
def test_the_requests_that_break_an_objective_are_those_that_it_limits(text: str, counted: list[bool]) -> None:
    objective = read_objective(text)
    assert [objective.counts_against(outcome, latency, 30.0) for outcome, latency in (OK, LATE, FAILED)] == counted


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.floats(0.1, 100))
def test_percentiles_are_numpys(values: list[float], percent: float) -> None:
    assert percentile(values, percent) == pytest.approx(float(np.percentile(values, percent)), rel=1e-9, abs=1e-9)


@given(st.text(max_size=40))
def test_no_text_is_more_than_refused(text: str) -> None:
    try:
        objective = read_objective(text)
    except UserError:
        return
    assert isinstance(objective, Objective)
    assert math.isfinite(objective.limit)


@pytest.mark.parametrize(
    ("text", "value", "says"),
    [
        ("p(95)<12s", 12.02, "12.02 s"),
        ("p(95)<12s", 12.000001, "12.000001 s"),
        ("p(95)<12s", 12.0, "12 s"),
        ("p(95)<12s", 13.456, "13.5 s"),
        ("failed<1%", 0.010004, "1.0004%"),
        ("failed<1%", 0.025, "2.5%"),
        ("failed<=0%", 1.0, "100%"),
    ],
)
def test_a_value_is_shown_with_the_figures_that_tell_it_from_its_limit(text: str, value: float, says: str) -> None:
    assert read_objective(text).shown(value) == says
