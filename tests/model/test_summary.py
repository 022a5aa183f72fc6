"""A summary's numbers: each defined once, and the same in the JSON document and in summary.csv."""

from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

import pytest

from harness.model.columns import Column
from harness.model.outcomes import Outcome
from harness.model.pool import PoolConfiguration
from harness.model.statistic import Quantiles, Statistic, statistics_of
from harness.model.story import Story
from harness.model.summary import STATISTICS, SUMMARY, TrialSummary
from harness.model.timeline import Burst, Suspend
from harness.model.trial import Trial
from harness.model.wake import profile

NOT_WRITTEN = {
    "trial", "latencies_s", "ok_latencies_s", "listener", "bursts_started_s", "part_of", "disturbances", "releases",
    "began_at_s",
}  # fmt: skip
"""What a summary is made of or carries along, but is no number of it."""
WAKE = profile("neon", latency_s=8.0)
STORY = Story(name="told", wake=WAKE, timeline=(Suspend(), Burst(requests=4, over_s=1)))


def summary(wake: bool = True) -> TrialSummary:
    return TrialSummary(
        trial=Trial(
            number=3, story=STORY, pool=PoolConfiguration(pool_size=7), wake=WAKE if wake else None, seed=9,
            variant="with jitter",
        ),
        requests=10, outcomes={Outcome.OK: 6, Outcome.POOL_TIMEOUT: 3, Outcome.ERROR: 1, Outcome.CLIENT_TIMEOUT: 0},
        latency_s={"p50": 1.0, "p95": 2.0, "p99": 3.0, "max": 4.0}, checkout_wait_s={}, peak_checked_out=5,
        peak_waiting=6, woke_after_s=8.0, recovered_after_s=8.5, utilization_alert_s=2.5, first_failure_s=2.0,
        errors={"KeyError": 4}, attempts=13, wakes=2, awake_s=11.0, live_after=12, idle_p95_s=13.0, wall_s=14.0,
        complete=False, late_start_s={"p99": 0.1, "max": 0.2}, kept_schedule=False, wake_late_s={"woken": 0.3},
    )  # fmt: skip


def test_every_number_of_a_summary_is_a_statistic() -> None:
    assert {field.name for field in fields(TrialSummary)} - {named.name for named in STATISTICS} == NOT_WRITTEN


def test_every_column_has_one_meaning_of_its_own_and_a_name_of_its_own() -> None:
    assert len({column.name for column in SUMMARY}) == len(SUMMARY)
    assert all(column.meaning for column in SUMMARY)


def test_the_row_has_the_columns_in_their_order() -> None:
    assert list(summary().to_row()) == [column.name for column in SUMMARY]
    assert list(summary(wake=False).to_row()) == [column.name for column in SUMMARY]


@pytest.mark.parametrize("wake", [True, False])
def test_only_a_nullable_column_is_ever_empty(wake: bool) -> None:
    row = summary(wake=wake).to_row()
    assert {name for name, value in row.items() if value is None} <= {
        column.name for column in SUMMARY if column.nullable
    }


def test_a_number_is_the_same_in_the_document_and_in_the_file() -> None:
    document, row = summary().to_json(), summary().to_row()
    for name in set(document) & set(row) - {"trial", "doubts"}:
        assert document[name] == row[name], name
    assert (document["doubts"], row["doubts"]) == (["cut_short", "late_load"], "cut_short late_load")
    assert document["latency_s"]["p95"] == row["latency_p95_s"] == 2.0
    assert row["checkout_wait_max_s"] is None
    assert document["outcomes"] == {"ok": 6, "pool_timeout": 3, "error": 1}, "what did not occur is left out"
    assert (row["ok"], row["error"], row["client_timeout"], row["connection_lost"]) == (6, 1, 0, 0)
    assert (row["failed"], row["exhaustion"]) == (4, 0.3)
    assert (row["control"], row["variant"], row["wake_latency_s"], row["pool_size"]) == (False, "with jitter", 8.0, 7)
    assert document["alert_lead_s"] == -0.5
    assert (document["errors"], document["wake_late_s"]) == ({"KeyError": 4}, {"woken": 0.3})
    assert (document["pool"]["pool_size"], document["seed"], document["variant"]) == (7, 9, "with jitter")


def test_a_control_has_no_wake() -> None:
    assert summary(wake=False).to_json()["wake"] is None
    row = summary(wake=False).to_row()
    assert row["control"] is True
    assert {row[f"wake_{name}"] for name in ("profile", "latency_s", "on_suspend", "while_waking")} == {None}


@pytest.mark.parametrize("missing", ["utilization_alert_s", "first_failure_s"])
def test_without_an_alert_or_a_failure_there_is_no_lead(missing: str) -> None:
    given: dict[str, Any] = {field.name: getattr(summary(), field.name) for field in fields(TrialSummary)}
    assert TrialSummary(**{**given, missing: None}).alert_lead_s is None


def test_shares_of_no_request_are_none_of_them() -> None:
    given: dict[str, Any] = {field.name: getattr(summary(), field.name) for field in fields(TrialSummary)}
    nothing = TrialSummary(**{**given, "requests": 0, "outcomes": {}})
    assert (nothing.exhaustion, nothing.failed, nothing.rate(Outcome.OK)) == (0.0, 0, 0.0)


def test_what_took_exactly_as_long_took_no_longer() -> None:
    given: dict[str, Any] = {field.name: getattr(summary(), field.name) for field in fields(TrialSummary)}
    assert TrialSummary(**{**given, "latencies_s": [1.0, 2.0, 3.0, 4.0]}).longer_than(2.0) == 2


@dataclass(frozen=True)
class Example:
    """A class with numbers of its own."""

    last: Annotated[bool, Statistic("The last column", csv_place=1)]
    name: Annotated[str | None, Statistic("A text, or nothing")]
    times_s: Annotated[dict[str, float], Quantiles("Times", of=("p50", "max"))]
    plain: int = 0

    @property
    def doubled(self) -> Annotated[int, Statistic("Twice", after="name", in_json=False)]:
        return 2


def test_a_statistics_columns_follow_from_its_type_and_its_name() -> None:
    found = {named.name: named.columns for named in statistics_of(Example)}
    assert list(found) == ["last", "name", "doubled", "times_s"]
    assert found["name"] == (Column("name", "text", "A text, or nothing", nullable=True),)
    assert found["last"] == (Column("last", "bool", "The last column"),)
    assert found["times_s"] == (
        Column("times_p50_s", "float", "Times: the median", nullable=True),
        Column("times_max_s", "float", "Times: the longest", nullable=True),
    )


def test_a_property_must_say_which_number_it_follows() -> None:
    class Lost:
        @property
        def doubled(self) -> Annotated[int, Statistic("Twice", after="nothing")]:
            return 2

    with pytest.raises(ValueError, match="nothing"):
        statistics_of(Lost)


def test_an_outcome_that_no_request_had_counts_nothing() -> None:
    assert [summary().count(outcome) for outcome in (Outcome.OK, Outcome.CONNECT_TIMEOUT)] == [6, 0]
    assert [summary().rate(outcome) for outcome in (Outcome.POOL_TIMEOUT, Outcome.CONNECT_TIMEOUT)] == [0.3, 0.0]


def test_a_variant_is_in_the_document_where_there_is_one() -> None:
    assert summary().to_json()["variant"] == "with jitter"
    plain = summary()
    assert "variant" not in replace(plain, trial=replace(plain.trial, variant="")).to_json()
