"""Every sentence against the numbers it is made of: ties, negatives, one configuration, none that fail, and all."""

import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.findings import alert_sentence, findings
from harness.analysis.labels import CONTROL, Names, wake_name
from harness.analysis.sentences import Failures, by_count, either, listed, percent, ranking, seconds, span, who_fails
from harness.model.distribution import LogNormal
from harness.model.outcomes import Outcome
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.scenario import Scenario, Variant, pool
from harness.model.summary import TrialSummary
from harness.model.timeline import Burst, Suspend, Warm
from harness.model.trial import Trial
from harness.model.wake import profile

FAILURES = (Outcome.POOL_TIMEOUT, Outcome.CONNECT_TIMEOUT, Outcome.CONNECTION_LOST)
STORY = Scenario(
    name="told",
    wake=profile("neon", latency_s=12.0),
    pools=("5+0",),
    timeline=(Warm(), Suspend(), Burst(requests=20, over_s=10)),
)
POOLS = st.builds(
    PoolConfiguration,
    pool_size=st.integers(1, 3),
    max_overflow=st.integers(0, 2),
    pool_timeout_s=st.sampled_from([10.0, 30.0]),
    connection_timeout_s=st.sampled_from([0.0, 10.0, 12.5]),
    use_lifo=st.booleans(),
)


def trials_of(scenario: Scenario, *, seed: int, repeat: int = 1) -> list[Trial]:
    """Every trial of the scenario as its file says it."""
    return PlannedRun(scenario=scenario, overrides=Overrides(seed=seed, repeat=repeat)).trials


def came_to(trial: Trial, outcomes: dict[Outcome, int], **more: object) -> TrialSummary:
    """A trial's summary from how its requests ended."""
    requests = sum(outcomes.values())
    latency_s = {"p50": 1.0, "p95": 2.0, "p99": 2.0, "max": 7.25} if requests else {}
    given: dict[str, object] = {
        "trial": trial, "requests": requests, "outcomes": outcomes, "latency_s": latency_s, "checkout_wait_s": {},
        "peak_checked_out": 1, "peak_waiting": 0, "woke_after_s": None, "recovered_after_s": None,
        "utilization_alert_s": None, "first_failure_s": None, "wall_s": 0.0,
    }  # fmt: skip
    return TrialSummary(**{**given, **more})  # type: ignore[arg-type]  # each by the name of its field


def lost(trials: list[Trial], counts: list[int], *, requests: int) -> list[TrialSummary]:
    """Each trial with so many pool timeouts."""
    return [
        came_to(trial, {Outcome.OK: requests - count, Outcome.POOL_TIMEOUT: count})
        for trial, count in zip(trials, counts, strict=True)
    ]


@st.composite
def runs(draw: st.DrawFn) -> list[TrialSummary]:
    """What a run may come to: one to five pools, some seeds, wakes and variants, controls or nothing else."""
    wakes = draw(
        st.sampled_from([
            (profile("neon", latency_s=12.0),),
            (profile("neon", latency_s=8.0), profile("neon", latency_s=1700.0)),
            (replace(profile("neon", latency_s=1.0), latency=LogNormal(3.0, 8.0, 20.0)),),
            (profile("always-on"),),
        ])
    )  # fmt: skip
    scenario = replace(
        STORY,
        pools=tuple(draw(st.lists(POOLS, min_size=1, max_size=5, unique=True))),
        wake=wakes,
        variants=draw(st.sampled_from([(), (Variant("held 1 s", retry=None), Variant("held 3 s", retry=None))])),
    )
    summaries = []
    most = draw(st.sampled_from([0, 1, 20]))
    for trial in trials_of(scenario, seed=1, repeat=draw(st.integers(1, 3))):
        failed = {outcome: draw(st.integers(0, most)) if not trial.is_control else 0 for outcome in FAILURES}
        ok = draw(st.sampled_from([0, 20]))
        outcomes = {Outcome.OK: ok, **failed}
        first = 10.0 if sum(failed.values()) else None
        alert = draw(st.sampled_from([None, 1.5, 113.0])) if first else None
        counted = {outcome: count for outcome, count in outcomes.items() if count}
        summaries.append(came_to(trial, counted, first_failure_s=first, utilization_alert_s=alert))
    if draw(st.booleans()):
        summaries = [summary for summary in summaries if summary.trial.is_control] or summaries
    return summaries


@given(runs())
def test_every_sentence_of_a_run_is_what_its_trials_came_to(summaries: list[TrialSummary]) -> None:
    names = Names.of(summary.trial for summary in summaries)
    several_pools = len({s.trial.pool for s in summaries if not s.trial.is_control}) > 1
    for sentence in findings(summaries):
        assert "−" not in sentence
        assert not re.search(r"-\d", sentence), sentence
        assert not re.search(r"\de[+-]\d", sentence), sentence
        heading = re.match(r"(?:At|With the database awake).*", sentence)
        if heading is None:
            continue
        # The trials that the sentence is about: those whose heading begins it.
        met = [
            summary for summary in summaries
            if not summary.trial.is_control and speaks_of(sentence, summary, several_pools=several_pools)
        ]  # fmt: skip
        failed: Counter[str] = Counter()
        requests: Counter[str] = Counter()
        for summary in met:
            failed[names[summary.trial.configuration]] += summary.failed
            requests[names[summary.trial.configuration]] += summary.requests
        shares = {name: failed[name] / requests[name] if requests[name] else 0.0 for name in requests}
        check_ranking(sentence, shares)
        for count, total in re.findall(r"(\d+) of (\d+) \(", sentence):
            assert (int(count), int(total)) in {(failed[name], requests[name]) for name in requests}, sentence


def speaks_of(sentence: str, summary: TrialSummary, *, several_pools: bool) -> bool:
    variant = summary.trial.variant
    if several_pools and variant and f" ({variant}) " not in sentence:
        return False
    wake = summary.trial.wake
    assert wake is not None
    if not wake.can_sleep:
        return sentence.startswith("With the database awake")
    drawn = wake_name(summary.trial).removeprefix("wake of ")
    return sentence.startswith(f"At a {summary.trial.wake_words}") or f"({drawn})" in sentence


def check_ranking(sentence: str, shares: dict[str, float]) -> None:
    """Whoever is called fewest, most or safe is that, and so is nobody else."""
    least, most = min(shares.values()), max(shares.values())
    for words, extreme in (
        ("fewest (?:requests fail )?with", least),
        ("most with", most),
        ("no request fails with", least),
    ):
        said = re.search(rf"{words} (.*?)(?: \(the smallest|: |;|\.$)", sentence)
        if said is None:
            continue
        at_the_place = [name for name, share in shares.items() if share == extreme]
        if words == "no request fails with":
            assert extreme == 0, sentence
        assert said[1] == listed(at_the_place) or said[1].endswith(" configurations"), (sentence, shares)
    if re.search(r"no request fails(;|\.$)", sentence):
        assert most == 0
    if "every request fails" in sentence:
        assert least == 1
    if "as many requests fail" in sentence:
        assert least == most > 0


@given(runs())
def test_what_ended_how_is_counted_from_the_outcomes(summaries: list[TrialSummary]) -> None:
    for outcome in FAILURES:
        told = [sentence for sentence in findings(summaries) if sentence.startswith(outcome.value)]
        counted = sum(one.count(outcome) for one in summaries if not one.trial.is_control)
        said = 0
        for sentence in told:
            for part in re.split(r"\.(?: [A-Zc]|$)", sentence.partition(": ")[2])[0].split("; "):
                number = re.fullmatch(r"(\d+)( each)? with (.*)", part)
                assert number is not None, sentence
                names = len(re.split(r", (?=\d\+)| and (?=\d\+)", number[3]))
                said += int(number[1]) * (names if number[2] else 1)
        if not any(" more" in sentence for sentence in told):
            assert said == counted, told


@given(st.lists(POOLS, min_size=1, max_size=8), st.sampled_from([[""], ["a", "b, pool_timeout=30 (c)"]]))
def test_no_two_configurations_share_a_name(pools: list[PoolConfiguration], variants: list[str]) -> None:
    trials = [
        Trial(number=0, story=STORY, variant=variant, pool=pool, wake=None, seed=1)
        for pool in pools for variant in variants
    ]  # fmt: skip
    names = Names.of(trials)
    different = {(trial.pool.label, trial.variant) for trial in trials}
    assert len({names[trial.configuration] for trial in trials}) == len(different)
    # What is left out is said, and gives the whole name back.
    for trial in trials:
        assert set(names.common) <= set(trial.pool.label.split())
        assert all(setting in names.note() for setting in names.common)


@given(st.dictionaries(st.sampled_from("abcdefghij"), st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1))
def test_who_has_the_fewest_is_everyone_who_has_them(counts: dict[str, tuple[int, int]]) -> None:
    failures = {name: Failures(failed, failed + ok) for name, (failed, ok) in counts.items()}
    shares = {name: one.share for name, one in failures.items()}
    for title in (False, True):
        said = who_fails(failures, dict.fromkeys(failures, 5), title=title)
        if any(one.requests for one in failures.values()) and len(failures) > 1:
            check_ranking(f"{said}.", shares)
        assert "smallest" not in said, "they are all of one size"


def test_the_smallest_that_loses_nothing_is_named_with_whoever_is_as_small() -> None:
    failures = {name: Failures(0, 20) for name in ("5+10", "10+5", "20+0")} | {"2+0": Failures(4, 20)}
    told = who_fails(failures, {"5+10": 15, "10+5": 15, "20+0": 20, "2+0": 2})
    assert (
        told == "no request fails with 5+10, 10+5 and 20+0 (the smallest are 5+10 and 10+5); with 2+0: 4 of 20 (20.0%)"
    )


def test_configurations_that_differ_in_a_timeout_only_are_told_apart() -> None:
    # What a chart's title once said: "10+5 loses 84 %, the least", while another 10+5 lost all.
    scenario = replace(STORY, pools=(pool("10+5", connection_timeout=20), pool("10+5", connection_timeout=5), "5+0"))
    trials = [trial for trial in trials_of(scenario, seed=1) if not trial.is_control]
    failed = {trial.configuration: count for trial, count in zip(trials, (168, 200, 190), strict=True)}
    (said, *_) = findings(lost(trials, [failed[trial.configuration] for trial in trials], requests=200))
    assert "fewest with 10+5 connection_timeout=20: 168 of 200 (84.0%)" in said
    assert "most with 10+5 connection_timeout=5: 200 of 200 (100%)" in said


def test_a_tie_has_no_winner() -> None:
    trials = [t for t in trials_of(replace(STORY, pools=("5+0", "15+5", "10+10")), seed=1) if not t.is_control]
    counts = (5, 20, 20)
    said = findings(
        [came_to(trial, {Outcome.OK: 200 - count, Outcome.CONNECT_TIMEOUT: count})
         for trial, count in zip(trials, counts, strict=True)]
    )  # fmt: skip
    assert said[0].endswith("fewest with 5+0: 5 of 200 (2.5%); most with 15+5 and 10+10: 20 of 200 (10.0%) each.")
    assert said[1].startswith("connect_timeout: 5 with 5+0; 20 each with 15+5 and 10+10. ")
    assert said[1].endswith(" The larger the pool, the more requests are connecting then.")


@pytest.mark.parametrize("counts", [(5,), (5, 5), (6, 5)])
def test_a_larger_pool_fails_more_only_where_it_does(counts: tuple[int, ...]) -> None:
    pools = ("5+0", "15+5")[: len(counts)]
    trials = [t for t in trials_of(replace(STORY, pools=pools), seed=1) if not t.is_control]
    said = findings(
        [came_to(t, {Outcome.OK: 9, Outcome.CONNECT_TIMEOUT: n}) for t, n in zip(trials, counts, strict=True)]
    )
    assert not [sentence for sentence in said if "larger" in sentence]


def test_two_loads_are_not_compared_as_if_they_were_pools() -> None:
    # "The smallest of them is 5+10, held 1 s" was such a comparison.
    scenario = replace(
        STORY, pools=("5+10", "20+10"), variants=(Variant("held 1 s", retry=None), Variant("held 3 s", retry=None))
    )
    trials = [trial for trial in trials_of(scenario, seed=1) if not trial.is_control]
    failed = {"held 1 s": 0, "held 3 s": 7}
    counts = [failed[trial.variant] for trial in trials]
    said = findings(lost(trials, counts, requests=20))
    assert "At a wake of 12 s (held 1 s) no request fails; the slowest answer takes 7.2 s." in said
    assert any(one.startswith("At a wake of 12 s (held 3 s) as many requests fail with every") for one in said)
    assert not any("smallest" in sentence for sentence in said)


def test_only_controls_no_trials_and_no_requests_are_said_to_be_that() -> None:
    control = [trial for trial in trials_of(STORY, seed=1) if trial.is_control]
    assert findings([came_to(control[0], {Outcome.OK: 20})]) == [
        "Only controls were played: nothing is known of a wake."
    ]
    assert findings([]) == []
    woken = trials_of(STORY, seed=1)[0]
    (said, *doubts) = findings([came_to(woken, {}, complete=False)])
    assert said == "At a wake of 12 s no request has ended."
    assert doubts == ["Cut short, so lower bounds only: (5+0, wake 12 s)."]


def test_an_alert_comes_before_or_after_and_never_minus_before() -> None:
    assert alert_sentence([8.0, 8.6]) == "comes 8.0 to 8.6 s before the first failure"
    assert alert_sentence([-103.0]) == "comes too late, 103.0 s after the first failure"
    assert alert_sentence([-103.0, 36.0]) == (
        "comes 36.0 s before the first failure in 1 trial, and too late, 103.0 s after it, in 1"
    )


def test_wakes_have_one_name_each_and_no_exponent() -> None:
    wakes = (profile("neon", latency_s=1700.0), profile("neon", latency_s=1700.5), profile("neon", latency_s=8.0))
    trials = trials_of(replace(STORY, wake=wakes), seed=1)
    assert [wake_name(trial) for trial in trials] == ["wake 1700 s", "wake 1700.5 s", "wake 8 s", CONTROL]
    drawn = replace(STORY, wake=replace(profile("neon", latency_s=1.0), latency=LogNormal(1500.0, 8000.0, 20000.0)))
    seeds = [trial for trial in trials_of(drawn, seed=1, repeat=5) if not trial.is_control]
    assert {wake_name(trial) for trial in seeds} == {"wake of neon: p50 1500 s, p95 8000 s"}
    assert all(re.fullmatch(r"wake \d+(\.\d+)? s", trial.wake_label) for trial in seeds)


def test_none_and_all_are_said_of_none_and_of_all_only() -> None:
    assert [percent(share) for share in (0.0, 1 / 10_000, 0.025, 9_999 / 10_000, 1.0)] == [
        "0%", "under 0.1%", "2.5%", "over 99.9%", "100%",
    ]  # fmt: skip
    assert listed([]) == "none"
    assert listed(["a", "b", "c", "d"], most=2) == "a, b and 2 more"
    assert span([0.02, 0.05]) == "20 to 50 ms"
    assert span([0.02, 5.0]) == "20 ms to 5.0 s"
    assert span([8.01, 8.02]) == "8.0 s"
    assert seconds(None) == "–"
    assert by_count({"a": 1, "b": 2, "c": 1}) == "1 each with a and c; 2 with b"
    assert ranking({"a": 1, "b": 1}).all_alike


def test_where_drivers_differ_each_kind_of_configuration_names_its_own() -> None:
    both = Names(["5+0", "5+0 driver=psycopg", "10+5 pool_timeout=30"])
    assert [both.kind(name) for name in ("5+0", "5+0 driver=psycopg", "10+5 pool_timeout=30")] == [
        "driver=asyncpg",
        "driver=psycopg",
        "driver=asyncpg pool_timeout=30",
    ]
    alike = Names(["5+0 driver=psycopg", "10+5 driver=psycopg"])
    assert (alike.kind("5+0 driver=psycopg"), alike.note()) == ("", "Every configuration: driver=psycopg.")
    assert Names(["5+0", "10+5"]).kind("5+0") == ""


@pytest.mark.parametrize(
    ("texts", "says"), [([], "none"), (["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c")]
)
def test_one_of_several_is_named_with_an_or(texts: list[str], says: str) -> None:
    assert either(texts) == says
