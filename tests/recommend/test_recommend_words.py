"""The sentences of an answer, tested against data that they did not expect."""

import pytest

from harness.library import load_scenario
from harness.model.compute import OnSuspend
from harness.model.distribution import Constant, Duration, Uniform
from harness.model.objective import read_objectives
from harness.model.patience import Patience
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.scenario import pool
from harness.model.wake import WakeChoice, profile
from harness.recommend.answer import Answer, Confirmed, Warm, WouldHelp
from harness.recommend.judging import Verdict
from harness.recommend.margin import Margin, shown_s
from harness.recommend.question import Question
from harness.recommend.space import Space
from harness.recommend.words import headline, named, sentences, share
from harness.search.playing import PlayedTrial
from harness.simulation.rows import Row

ANY_WAKE = Uniform(5.0, 10.0)
TEN = pool("2+0", connection_timeout=10)
TODAY = pool("10+5", connection_timeout=5)


def question(
    *, latency: Duration = ANY_WAKE, seeds: int = 59, on_suspend: str = "terminate",
    objectives: tuple[str, ...] = ("failed<1%",), today: PoolConfiguration = TODAY, sizes: tuple[int, ...] = (1, 2, 5),
) -> Question:  # fmt: skip
    wake = profile("neon", on_suspend=on_suspend)
    wake = WakeChoice(text="w", latency=latency).applied_to(wake)
    plan = PlannedRun(
        scenario=load_scenario("cold_burst"),
        overrides=Overrides(
            wakes=(WakeChoice(text="w", profile=wake),), service_time_s=0.02, connect_time_s=0.1
        ),
    )  # fmt: skip
    patience = Patience(30.0, "a test's")
    space = Space.of(PoolConfiguration(), sizes=sizes, overflows=(0,), axes={}, longest_s=30.0, most=None, least=1)
    return Question(
        plan=plan, wake=wake, objectives=read_objectives(objectives, patience=patience), space=space, share=0.99,
        seeds=tuple(range(1, seeds + 1)), budget=None, today=today,
    )  # fmt: skip


def row(number: int, outcome: str, latency_s: float) -> Row:
    return {
        "number": number, "arrival_s": number / 10, "outcome": outcome, "latency_s": latency_s, "error": None,
        "connect_s": None,
    }  # fmt: skip


def verdict(
    asked: Question, configuration: PoolConfiguration, *rows: Row, wake_s: float | None = 9.95, seed: int = 1
) -> Verdict:
    trial = next(asked.trials(configuration, wake_s, seed))
    played = PlayedTrial.of(trial, rows)
    return Verdict(
        pool=configuration, wake_s=wake_s, seed=seed, played=played, missed=asked.objectives.missed(played),
        breaking=played.breaking(asked.objectives), excess=asked.objectives.excess(played),
    )  # fmt: skip


OK = row(0, "ok", 0.1)
TIMED_OUT = row(7, "connect_timeout", 9.0)


def margin(**given: float | bool | None) -> Margin:
    return Margin(**{"survives_s": 10.17, "breaks_at_s": 10.25, "longer": 0.0, "monotone": True, **given})  # type: ignore[arg-type]


def found(asked: Question, **given: object) -> Answer:
    refused = verdict(asked, pool("2+0", connection_timeout=9), OK, TIMED_OUT)
    defaults: dict[str, object] = {
        "refused": (refused,), "margin": margin(), "today": verdict(asked, TODAY, OK, TIMED_OUT),
        "warm": (
            Warm(pool=TEN, requests=600, failed=0, p95_s=0.042, connects=3),
            Warm(pool=TODAY, requests=600, failed=1, p95_s=0.04, connects=40),
        ),
    }  # fmt: skip
    return Answer(question=asked, found=TEN, **{**defaults, **given})  # type: ignore[arg-type]


def text(answer: Answer) -> str:
    return "\n".join([headline(answer), *sentences(answer)])


def test_the_verdict_comes_first_then_the_margin_then_why_nothing_cheaper() -> None:
    lines = text(found(question())).split("\n")
    assert lines[0] == "Set 2+0, connection_timeout 10 s."
    assert lines[1] == (
        "failed<1% is met at a wake of 9.95 s, which 99% of the wakes are no longer than, with each of 59 arrival "
        "sequences; with 95% confidence, under 5% of others miss."
    )
    assert lines[2] == "It holds to a wake of 10.1 s; no wake is longer."
    assert lines[3] == (
        "Cheaper, and refused: 2+0, connection_timeout 9 s. With seed 1 at a wake of 9.95 s: failed<1%, and it is "
        "50%. Request 7, which comes after 0.7 s, ends in connect_timeout after 9.0 s."
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"longer": 0.0231}, "It holds to a wake of 10.1 s; 2.3% of the wakes are longer."),
        ({"longer": 1e-9}, "It holds to a wake of 10.1 s; under 0.1% of the wakes are longer."),
        ({"breaks_at_s": None}, "No wake that was tried breaks it, up to 10.1 s."),
        (
            {"monotone": False, "sampled": 59, "missed": 1, "longer": 1 / 59},
            "Failures do not only grow with the wake: it survives one of 10.1 s, and not every shorter one. Of 59 "
            "drawn wakes 1 misses the objectives (1.7%).",
        ),
    ],
)
def test_margins(given: dict[str, float], sentence: str) -> None:
    assert sentence in text(found(question(), margin=margin(**given)))


def test_a_wake_that_is_always_the_same_has_no_share_of_longer_ones() -> None:
    asked = question(latency=Constant(8.0))
    assert "It holds to a wake of 10.1 s, 2.1 s more than this one." in text(found(asked))
    assert "of the wakes" not in text(found(asked))
    assert "It holds to a wake of 8 s, and to none longer." in text(found(asked, margin=margin(survives_s=8.02)))


def test_one_sequence_of_arrivals_has_no_confidence() -> None:
    assert "with the story's arrivals." in text(found(question(seeds=1)))
    assert "confidence" not in text(found(question(seeds=1)))


def test_several_objectives_are_met() -> None:
    asked = question(objectives=("failed<1%", "p(95)<12s"))
    assert "failed<1%, p(95)<12s are met" in text(found(asked))


def test_nothing_cheaper_and_nothing_else_than_today() -> None:
    answer = found(question(today=TEN), refused=(), warm=(), today=verdict(question(), TEN, OK))
    assert "Nothing cheaper was left to try." in text(answer)
    assert "It is what is set today." in text(answer)
    assert "With the database awake" not in text(answer)


def test_what_is_set_today_is_said_with_what_becomes_of_it() -> None:
    assert "What is set today is 10+5, connection_timeout 5 s. With seed 1" in text(found(question()))
    meets = found(question(), today=verdict(question(), TODAY, OK))
    assert "What is set today, 10+5, connection_timeout 5 s, meets them too, with each of 8." in text(meets)


def test_a_timeout_is_told_beside_the_wake_it_is_for() -> None:
    assert "connection_timeout 10 s outlasts the wake of 9.95 s" in text(found(question()))
    longer = question(latency=Constant(20.0))
    assert "connection_timeout 10 s is no longer than the wake of 20 s" in text(found(longer))
    kept = question(on_suspend=OnSuspend.KEEP.value)
    with_statement = Answer(question=kept, found=pool("2+0", statement_timeout=12), margin=margin())
    assert "statement_timeout 12 s was needed too: connections survive the suspend" in text(with_statement)


def test_nothing_meets_the_objectives() -> None:
    asked = question(latency=Constant(274.6))
    missed = [verdict(asked, pool(short), OK, TIMED_OUT, TIMED_OUT, wake_s=274.6) for short in ("1+0", "5+0")]
    would_help = WouldHelp(
        closest=missed[0], smallest=missed[0], largest=missed[1], wake_s=29.84, with_wake=pool("5+0"), patience_s=275.0,
        with_patience=pool("5+0", connection_timeout=344), awake=verdict(asked, pool("5+0"), OK, wake_s=None),
    )  # fmt: skip
    answer = Answer(question=asked, found=None, would_help=would_help)
    assert headline(answer) == "No configuration meets failed<1%."
    said = text(answer)
    assert "No pool size mends it: at a connection_timeout of 10 s failed is 66.7% with 1+0 as with 5+0." in said
    assert "It takes a wake of no more than 29.8 s, with 5+0, connection_timeout 10 s." in said
    assert "Or clients that wait 275 s for an answer, with 5+0, connection_timeout 344 s." in said
    assert "A query every 300 s or more often keeps it awake" in said


def test_nothing_meets_them_and_nothing_would_help() -> None:
    asked = question(sizes=(5,))
    missed = verdict(asked, pool("5+0"), TIMED_OUT)
    awake = verdict(asked, pool("5+0"), row(0, "pool_timeout", 10.0), wake_s=None)
    would_help = WouldHelp(
        closest=missed, smallest=missed, largest=missed, wake_s=None, with_wake=pool("5+0"), patience_s=None,
        with_patience=pool("5+0"), awake=awake,
    )  # fmt: skip
    said = text(Answer(question=asked, found=None, would_help=would_help))
    assert "No wake is short enough, not even one of 0 s." in said
    assert "Not even a database that is always awake would do. With seed 1 with the database awake" in said
    assert "No pool size mends it" not in said
    assert "clients that wait" not in said


def test_a_confirmation_says_whether_the_prediction_held() -> None:
    def one(*, predicted: bool, measured: bool, is_a_measurement: bool = True) -> Confirmed:
        value = 0.0 if measured else 0.5
        return Confirmed(
            pool=TEN, predicted=predicted, measured=measured, values={"failed<1%": value},
            is_a_measurement=is_a_measurement,
        )  # fmt: skip

    confirmed = (one(predicted=True, measured=True), one(predicted=False, measured=True))
    said = text(found(question(), confirmed=confirmed, stack="embedded", confirmed_at_s=10.33))
    assert "On embedded, at a wake of 10.3 s, 2+0, connection_timeout 10 s, as predicted: failed<1% holds (0%)." in said
    assert (
        "On embedded, at a wake of 10.3 s, 2+0, connection_timeout 10 s, NOT as predicted: failed<1% holds (0%)."
        in said
    )
    late = one(predicted=True, measured=True, is_a_measurement=False)
    assert not late.held
    assert "confirms nothing" in text(found(question(), confirmed=(late,), stack="embedded"))


def test_what_an_application_did_that_cannot_be_played_is_said() -> None:
    assert "Not to be relied on (!)" in text(found(question(), marks=("a host that was not declared",)))


@pytest.mark.parametrize(
    ("configuration", "name"),
    [
        (pool("10+5"), "10+5, connection_timeout 10 s"),
        (pool("5+0", pool_timeout=30), "5+0, connection_timeout 10 s, pool_timeout 30 s"),
        (
            pool("5+0", driver="psycopg", connection_timeout=0),
            "5+0, connection_timeout none (psycopg's own 130 s an address), pool_timeout 30 s, driver psycopg",
        ),
        (pool("5+0", pool_pre_ping=False), "5+0, connection_timeout 10 s, pool_pre_ping false"),
    ],
)  # fmt: skip
def test_a_configuration_is_named_with_its_timeouts(configuration: PoolConfiguration, name: str) -> None:
    assert named(configuration) == name


def test_shares_and_wakes_have_no_more_digits_than_they_have() -> None:
    assert [share(value) for value in (0.0, 0.0001, 0.0231, 0.99, 0.9999, 1.0)] == [
        "0%", "under 0.1%", "2.3%", "99%", "over 99.9%", "100%",
    ]  # fmt: skip
    assert [shown_s(value) for value in (0.0, 0.04, 10.19, 16.1, 274.66)] == [
        "0 s",
        "0.04 s",
        "10.1 s",
        "16.1 s",
        "275 s",
    ]
