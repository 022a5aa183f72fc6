"""The search for the smallest story that breaks a pool: it finds what was planted, and the file reproduces it."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli import coldstart
from harness.cli.worst_question import question_of
from harness.model.arrivals import Pattern
from harness.model.compute import OnSuspend, WhileWaking
from harness.model.errors import UserError
from harness.model.exit_status import EXIT_MISSED
from harness.model.timeline import At, Burst, ConnectionLoss, Deploy, Outage, Slow, Suspend, Traffic, Warm
from harness.search.playing import Playing
from harness.worst.case import Case
from harness.worst.judging import Judge, SpentError
from harness.worst.parts import events, phases, without
from harness.worst.search import Found, Question, find
from harness.worst.telling import Teller
from harness.worst.words import headline, in_short, sentences, story_in_words

SMALL = ("--requests", "30", "--over", "3")
MINE = """
from harness.scenario import At, Burst, ConnectionLoss, Deploy, Outage, Scenario, Slow, Suspend, Traffic, Warm
from harness.wake import profile
SCENARIO = Scenario(name="mine", wake=profile("neon", latency_s={wake}), pools=("{pool}",), timeline=({timeline},))
"""


def asked(*arguments: str) -> Question:
    command = coldstart.get_command(None, "worst")  # type: ignore[arg-type]
    assert command is not None
    return question_of(command.make_context("worst", list(arguments)).params)


async def found_by(question: Question, *, processes: int = 2) -> Found:
    async with Playing.running(say=lambda _: None, parallel=processes) as playing:
        return await find(question, playing, lambda _: None)


@pytest.fixture
def mine(tmp_path: Path) -> Any:
    def written(timeline: str, *, pool: str = "3+0", wake: float = 2.0) -> str:
        path = tmp_path / "mine.py"
        path.write_text(MINE.format(timeline=timeline, pool=pool, wake=wake))
        return str(path)

    return written


@pytest.mark.anyio
async def test_a_timeout_shorter_than_a_wake_is_one_request_and_a_wake_as_long_as_it() -> None:
    question = asked("cold_burst", *SMALL, "--pool", "10+5", "--set", "connection_timeout=5", "--wake-up-to", "10")
    found = await found_by(question)
    assert found.smallest is not None
    case = found.smallest.case
    assert (case.requests, len(case.events)) == (1, 1)
    assert 5.0 <= case.wake_s <= 5.2
    assert found.is_smallest
    assert found.smallest.breaking is not None
    assert found.smallest.breaking["outcome"] == "connect_timeout"
    assert headline(found).startswith("With 10+5 connection_timeout=5, 1 request and a wake of 5 s miss failed<1%")


@pytest.mark.anyio
async def test_a_full_queue_takes_as_many_requests_as_the_pool_and_its_answers_in_time_leave_over() -> None:
    # Two slots; 12 s of wake, 0.1 s of connect and 0.3 s a statement: in the 15 s of the queue 20 requests get one.
    words = ("--set", "connection_timeout=60", "--set", "pool_timeout=15", "--slo", "pool_timeout<1%")
    question = asked(
        "cold_burst", "--pool", "2+0", *words, "--wake-up-to", "12", "--service-time", "0.3", "--connect-time", "0.1"
    )
    found = await found_by(question)
    assert found.smallest is not None
    assert found.smallest.case.requests == 21
    assert found.is_smallest


@pytest.mark.anyio
@pytest.mark.parametrize("seed", ["1", "7"])
async def test_nothing_is_found_where_nothing_breaks_it_and_it_says_what_was_tried(seed: str) -> None:
    question = asked("cold_burst", *SMALL, "--pool", "10+5", "--wake-up-to", "5", "--trials", "30", "--seed", seed)
    found = await found_by(question)
    assert found.smallest is None
    assert found.searched == found.trials == 20
    text = " ".join([headline(found), *sentences(found)])
    assert "None of 20 stories breaks 10+5: each meets failed<1%." in text
    assert "1 to 30 requests over up to 3 s (at random, evenly or at once), wakes of up to 5 s" in text
    assert "open connections: terminate; new ones: hold; meanwhile up to 3 of: a deploy." in text
    assert "The closest had" in text


@pytest.mark.anyio
async def test_every_trial_keeps_within_the_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    question = asked(
        "cold_burst", "--pool", "5+0", "--wake-up-to", "4.5", "--requests-up-to", "17", "--over-up-to", "2", "--allow",
        "outage:0.7", "--allow", "loss:25%", "--allow", "slow:0.05", "--allow", "freeze", "--allow", "refuse",
        "--slo", "max<60s", "--trials", "90",
    )  # fmt: skip
    played: list[Case] = []
    own = Judge.judge_all

    async def noted(self: Judge, cases: Sequence[Case]) -> Any:
        played.extend(cases)
        return await own(self, cases)

    monkeypatch.setattr(Judge, "judge_all", noted)
    await found_by(question)
    assert len(set(played)) == 60
    seen = set()
    for case in played:
        assert case.requests <= 17
        assert case.wake_s <= 4.5
        assert case.wake.on_suspend in (OnSuspend.TERMINATE, OnSuspend.FREEZE)
        assert case.wake.while_waking in (WhileWaking.HOLD, WhileWaking.REFUSE)
        for place, phase in phases(case.timeline):
            match phase:
                case Burst():
                    assert phase.over_s <= 2
                case Outage(for_s=for_s):
                    assert for_s <= 0.7
                case ConnectionLoss(share=share):
                    assert share <= 0.25
                case Slow(slow_s):
                    assert slow_s <= 0.05
                case Suspend():
                    assert len(place) == 1, "only those of the scenario: no other was allowed"
                case Deploy():
                    pytest.fail("no deploy was allowed")
            seen.add(type(phase))
    assert {Outage, ConnectionLoss, Slow} <= seen


@pytest.mark.anyio
@pytest.mark.parametrize("seed", ["1", "2", "3"])
async def test_shrinking_ends_with_a_story_that_breaks_whatever_it_began_with(
    seed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = asked(
        "cold_burst", *SMALL, "--pool", "4+0", "--set", "connection_timeout=3", "--service-time", "0.1", "--seed", seed,
        "--slo", "p(95)<2s", "--allow", "outage:6", "--allow", "suspend", "--allow", "freeze",
    )  # fmt: skip
    teller = Teller(question.plan, question.bounds, question.seed)
    monkeypatch.setattr(Teller, "own", lambda _: iter(()))
    monkeypatch.setattr(Teller, "extremes", lambda _: iter(()))
    found = await found_by(question)
    assert found.first is not None
    assert found.smallest is not None
    size = [one.case.size(teller.plain, question.seed) for one in (found.smallest, found.first)]
    assert size[0] <= size[1]
    async with Playing.running(say=lambda _: None) as playing:
        again = await playing.play(
            found.smallest.case.trial(question.pool), question.plan.times(found.smallest.case.story)
        )
    assert question.objectives.missed(again) == found.smallest.missed != ()
    assert again.breaking(question.objectives) == found.smallest.breaking


@pytest.mark.anyio
async def test_the_same_seed_finds_the_same_however_many_processes_play() -> None:
    words = ("cold_burst", *SMALL, "--pool", "5+0", "--set", "connection_timeout=3", "--wake-up-to", "5", "--allow",
             "freeze", "--slo", "p(95)<4s", "--seed", "5")  # fmt: skip
    one, other = [await found_by(asked(*words), processes=processes) for processes in (1, 3)]
    assert one == replace(other, question=one.question)
    assert one.smallest is not None


@pytest.mark.anyio
async def test_an_event_that_the_breakage_needs_stays_and_any_other_goes(mine: Any) -> None:
    timeline = "Warm(), Traffic(Burst(40, 4), At(1, Deploy()), At(2, Outage(3.0)), At(2.5, Slow(0.01)))"
    found = await found_by(asked(mine(timeline), "--allow", "none"))
    assert found.smallest is not None
    case = found.smallest.case
    ((_, outage),) = [(place, phase) for place, phase in phases(case.timeline) if place in case.events]
    assert isinstance(outage, Outage)
    assert outage.for_s < 3.0
    assert case.requests == 1
    assert found.is_the_scenarios_own
    assert in_short(case) == ["1 request", f"an outage of {outage.for_s:g} s"]


@pytest.mark.anyio
async def test_requests_at_listed_moments_are_left_out_one_by_one(mine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = ", ".join(f"{number / 4:g}" for number in range(12))
    path = mine(f"Warm(0), Burst.at({moments}), Outage(5.0), Burst.at({moments})", pool="1+0")
    # One connection, statements of 0.3 s: of two requests within 0.25 s the second waits.
    question = asked(path, "--service-time", "0.3", "--slo", "max<0.31s", "--arrivals", "poisson", "--allow", "none")
    # No pattern may take the place of the moments, and no other story theirs.
    monkeypatch.setattr("harness.worst.search._Search._every", lambda search: search._teller.own())
    question = replace(question, bounds=replace(question.bounds, patterns=()))
    question = replace(question, plan=replace(question.plan, overrides=replace(question.plan.overrides, arrivals=None)))
    found = await found_by(question)
    assert found.smallest is not None
    ((_, burst),) = found.smallest.case.bursts
    assert burst.arrivals == Pattern.GIVEN
    assert burst.requests == 2
    assert burst.given_s[1] - burst.given_s[0] == 0.25


@pytest.mark.anyio
async def test_without_a_trial_left_it_does_not_call_it_the_smallest() -> None:
    found = await found_by(asked("cold_burst", *SMALL, "--pool", "10+5", "--wake-up-to", "20", "--trials", "4"))
    assert found.smallest is not None
    assert not found.is_smallest
    assert found.smallest.breaks
    text = " ".join(sentences(found))
    assert "No trial was left to shrink it further" in text
    assert "smallest near it" not in text


@pytest.mark.anyio
async def test_a_story_that_virtual_time_cannot_play_is_counted_and_named() -> None:
    question = asked("cold_burst", *SMALL, "--pool", "5+0", "--wake-up-to", "1", "--trials", "12")
    async with Playing.running(say=lambda _: None, parallel=1) as playing:
        own = playing.play

        async def refused(trial: Any, times: Any) -> Any:
            if trial.story.bursts[0].arrivals == Pattern.EVEN:
                raise UserError("nothing can happen any more")
            return await own(trial, times)

        playing.play = refused  # type: ignore[method-assign]
        found = await find(question, playing, lambda _: None)
    assert found.unplayed
    (count,) = found.unplayed.values()
    assert f"{count} stor" in " ".join(sentences(found))
    assert "could not be played: nothing can happen any more." in " ".join(sentences(found))


@pytest.mark.anyio
async def test_a_judge_that_has_no_trial_left_says_so_and_plays_none_twice() -> None:
    question = asked("cold_burst", *SMALL, "--pool", "5+0")
    cases = list(Teller(question.plan, question.bounds, 1).own())
    async with Playing.running(say=lambda _: None, parallel=1) as playing:
        judge = Judge(question.plan, question.pool, question.objectives, playing, most=1)
        first = await judge.judge(cases[0])
        assert await judge.judge(cases[0]) is first
        with pytest.raises(SpentError):
            await judge.judge(cases[1])


STORIES: list[tuple[Any, ...]] = [
    (Warm(), Suspend(), Burst(3, 1.0)),
    (Warm(), Traffic(Burst(3, 1.0), At(0.5, Burst(2, 1.0)), At(1, Suspend()), At(2, Deploy()))),
    (Burst(1, 1.0), Outage(2.0), Burst(2, 1.0), Slow(0.1)),
]


@pytest.mark.parametrize("timeline", STORIES)
def test_every_event_can_be_left_out_in_any_order_until_one_burst_is_left(timeline: tuple[Any, ...]) -> None:
    for seed in range(20):
        left, draw = timeline, random.Random(seed)
        while places := events(left):
            fewer = without(left, draw.choice(places))
            assert len(events(fewer)) < len(places)
            assert any(isinstance(phase, Burst) for _, phase in phases(fewer))
            left = fewer
        assert [phase for phase in left if not isinstance(phase, Warm)] == [
            phase for _, phase in phases(left) if isinstance(phase, Burst)
        ]


def test_a_story_is_told_phase_by_phase() -> None:
    question = asked("cold_burst", *SMALL, "--pool", "5+0")
    (case, *_) = Teller(question.plan, question.bounds, 1).own()
    case = case.with_timeline((
        Warm(0), Traffic(Burst(2, 1.0), At(1, Suspend()), At(2, ConnectionLoss(0.5, OnSuspend.RESET))), Slow(0.1),
        Outage.failover(3), Deploy(),
    ))  # fmt: skip
    told = list(story_in_words(case))
    assert told[0] == "The pool has never connected."
    assert told[1] == "2 requests come at random over 1 s."
    assert told[2].startswith("1 s after the first could come, the database suspends, and takes 8 s to wake")
    assert told[3] == "2 s after the first could come, 50% of the open connections die: they are reset."
    assert told[5].startswith("The database is away for 3 s: open connections vanish with their machine; new ones get")
    assert len(told) == 7
    assert in_short(case)[:2] == ["a burst of 2 requests", "a wake of 8 s"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--pool", "5+0", "--set", "connection_timeout=2", "--wake-up-to", "4"),
        ("--pool", "5+0,driver=psycopg", "--wake-up-to", "4", "--slo", "p(95)<2s", "--seed", "9"),
        ("--pool", "3+0", "--wake-up-to", "1", "--service-time", "0.4", "--slo", "p(95)<2s", "--arrivals", "poisson"),
        ("--pool", "3+0", "--wake-up-to", "0.5", "--allow", "loss:50%", "--slo", "max<6s"),
    ],
    ids=" ".join,
)
def test_the_file_is_a_scenario_that_reproduces_the_breakage(
    arguments: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["worst", "cold_burst", *SMALL, *arguments, "--json", "--trials", "150"]
    assert coldstart.main(words, standalone_mode=False) == EXIT_MISSED
    document = json.loads(capsys.readouterr().out)
    assert document["file"] == "worst_cold_burst.py"
    assert document["smallest"]["missed"]
    replay = document["replay"].split()
    assert replay[:5] == ["coldstart", "run", "worst_cold_burst.py", "--stack", "simulated"]
    status = coldstart.main([*replay[1:], "--json", "--no-charts"], standalone_mode=False)
    played = json.loads(capsys.readouterr().out)
    assert status == 0
    assert [one["verdict"] for one in played["expectations"]] == ["reproduced"]
    assert played["trials"][0]["outcomes"] == document["smallest"]["outcomes"]
    assert played["controls"] == []


def test_a_file_that_is_there_is_not_written_over_and_nothing_is_played_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("mine")
    words = ["worst", "cold_burst", *SMALL, "--pool", "5+0", "--wake-up-to", "12", "--trials", "3", "--out", "mine.py"]
    with pytest.raises(UserError, match="is there already"):
        coldstart.main(words, standalone_mode=False)
    assert Path("mine.py").read_text() == "mine"
    assert coldstart.main([*words, "--force"], standalone_mode=False) == EXIT_MISSED
    assert 'name="mine"' in Path("mine.py").read_text()
    shown = capsys.readouterr().out
    assert "To play it: coldstart run mine.py --stack simulated" in shown
    # Without --out every search leaves a file of its own.
    for _ in range(2):
        assert coldstart.main(words[:-2], standalone_mode=False) == EXIT_MISSED
    assert sorted(path.name for path in tmp_path.glob("worst*")) == ["worst_cold_burst.py", "worst_cold_burst_2.py"]


def test_an_env_file_is_the_configuration_and_nothing_found_is_status_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("DATABASE_POOL_SIZE=4\nDATABASE_MAX_OVERFLOW=1\nDATABASE_CONNECTION_TIMEOUT=20\n")
    words = ["worst", "cold_burst", *SMALL, "--env-file", ".env", "--wake-up-to", "3", "--trials", "12"]
    assert coldstart.main(words, standalone_mode=False) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "None of 8 stories breaks 4+1 connection_timeout=20: each meets failed<1%." in shown
    assert "take 0 s in this simulated database" in shown
    assert not list(tmp_path.glob("*.py"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--allow", "explode"), "'explode' can't be allowed"),
        (("--allow", "outage"), "'outage' can't be allowed"),
        (("--allow", "outage:soon"), "'outage:soon' has no amount"),
        (("--allow", "loss:150%"), "loss must be at most 1"),
        (("--allow", "none", "--allow", "deploy"), "none, and others too"),
        (("--wake-up-to", "-1"), "the longest wake must be 0 or positive"),
        (("--requests-up-to", "0"), "the most requests must be at least 1"),
        (("--over-up-to", "0"), "the longest burst must be positive"),
        (("--pool", "5+0", "--env-file", "x"), "is a configuration, as --pool is"),
        (("--slo", "good"), "'good' is not an objective"),
        (("--pool", "1+0", "--warm", "2"), "--warm 2 is more than the pool 1+0 can hold"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cant_be_meant_is_refused(arguments: Sequence[str], says: str) -> None:
    with pytest.raises(UserError) as refused:
        asked("cold_burst", *arguments)
    assert says in str(refused.value)
