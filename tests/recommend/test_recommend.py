"""The search on small stories, in virtual time: what it finds, what it refuses, and what it says when nothing holds."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.application.env_file import EnvFile
from harness.cli import coldstart
from harness.cli.questions import env_file_of
from harness.cli.recommend_question import question_of
from harness.model.errors import UserError
from harness.model.outcomes import Outcome
from harness.recommend.asking import answer
from harness.recommend.judging import Judge
from harness.recommend.question import Question
from harness.recommend.search import search
from harness.search.margin import longest_wake
from harness.search.playing import Playing

SMALL = ("--requests", "40", "--over", "4", "--service-time", "0.02", "--connect-time", "0.1", "--repeat", "6")


def options(*arguments: str) -> dict[str, Any]:
    command = coldstart.get_command(None, "recommend")  # type: ignore[arg-type]
    assert command is not None
    context = command.make_context("recommend", list(arguments))
    return context.params


def asked(*arguments: str) -> Question:
    given = options(*arguments)
    return question_of(given, env_file_of(given))


async def answered(question: Question) -> Any:
    async with Playing.running(say=lambda _: None) as playing:
        return await answer(question, playing, lambda _: None)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def command(*arguments: str) -> tuple[int, dict[str, Any]]:
        status = coldstart.main(
            ["recommend", *arguments, "--json", "--out", str(tmp_path)], standalone_mode=False, prog_name="coldstart"
        )
        return status or 0, json.loads(capsys.readouterr().out)

    return command


@pytest.mark.anyio
async def test_the_cheapest_that_meets_them_has_a_margin_and_every_cheaper_neighbour_misses() -> None:
    question = asked("cold_burst", "--wake", "3:5", *SMALL, "--instances", "2", "--max-connections", "23")
    found = await answered(question)
    assert found.found is not None
    assert found.found.capacity <= question.budget.capacity == 10  # type: ignore[union-attr]
    assert found.margin.survives_s >= question.upper_s == pytest.approx(4.98)
    assert found.margin.monotone
    assert found.margin.longer == question.wake.latency.share_above(found.margin.survives_s)
    async with Playing.running(say=lambda _: None) as playing:
        judge = Judge(question, playing)
        assert await judge.meets(found.found, question.upper_s)
        assert await judge.meets(found.found, found.margin.survives_s)
        assert not await judge.meets(found.found, found.margin.breaks_at_s)
        for verdict in found.refused:
            again = await judge.judge(verdict.pool, verdict.wake_s, verdict.seed)
            assert not again.meets
            assert again.breaking == verdict.breaking
            assert verdict.breaking["outcome"] != Outcome.OK or verdict.breaking["latency_s"] > 30


@pytest.mark.anyio
async def test_it_is_the_first_of_all_candidates_in_the_order_of_cost() -> None:
    question = asked("cold_burst", "--wake", "4", *SMALL, "--pool-size", "1,2,3", "--set", "connection_timeout=3,4,5,6")
    async with Playing.running(say=lambda _: None) as playing:
        judge = Judge(question, playing)
        found = await search(judge, lambda _: None)
        every = [pool for size in question.space.sizes for pool in question.space.candidates(size)]
        meeting = [pool for pool in every if await judge.meets(pool, question.upper_s)]
    assert found is not None
    assert found.pool == meeting[0]


@pytest.mark.anyio
async def test_without_one_that_meets_them_it_says_what_would_have_to_change() -> None:
    question = asked("cold_burst", "--wake", "50", *SMALL, "--pool-size", "1,5")
    found = await answered(question)
    assert found.found is None
    help_ = found.would_help
    assert help_.wake_s == pytest.approx(29.9, abs=0.3)
    assert help_.patience_s == pytest.approx(51, abs=1)
    assert help_.awake.meets
    async with Playing.running(say=lambda _: None) as playing:
        judge = Judge(question, playing)
        assert await judge.meets(help_.with_wake, help_.wake_s, question.seeds[:1])
        patient = replace(question.objectives.patience, seconds=help_.patience_s)
        waiting = replace(question, objectives=replace(question.objectives, patience=patient))
        assert await Judge(waiting, playing).meets(help_.with_patience, question.upper_s, question.seeds[:1])


@pytest.mark.anyio
async def test_where_a_statement_waits_for_the_wake_its_timeout_is_searched_too() -> None:
    question = asked(
        "cold_burst", "--wake", "12", *SMALL, "--on-suspend", "keep", "--pool-size", "5", "--patience", "20"
    )
    found = await answered(question)
    assert found.found is not None
    assert found.found.client_statement_timeout_s > 12


@pytest.mark.anyio
async def test_a_margin_that_is_not_monotone_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    question = asked("cold_burst", "--wake", "3:5", *SMALL, "--pool-size", "5", "--set", "connection_timeout=10")
    own = Judge._verdict

    def unlucky(self: Judge, pool: Any, wake_s: float | None, seed: int, played: Sequence[Any]) -> Any:
        verdict = own(self, pool, wake_s, seed, played)
        short = wake_s is not None and 0 < wake_s < 4.2
        missed = verdict.missed or (question.objectives.missed(NOTHING) if short else ())
        return replace(verdict, missed=missed)

    monkeypatch.setattr(Judge, "_verdict", unlucky)
    found = await answered(question)
    assert not found.margin.monotone
    drawn = [question.wake.latencies_s(seed, wakes=1)[0] for seed in question.seeds]
    assert found.margin.missed == sum(wake_s < 4.2 for wake_s in drawn)
    assert found.margin.sampled == len(question.seeds)


class _Nothing:
    requests = 0
    latencies_s: Sequence[float] = ()

    def count(self, outcome: Outcome) -> int:  # noqa: ARG002 - there is none
        return 0

    def answered(self, within_s: float) -> int:  # noqa: ARG002 - there is none
        return 0


NOTHING = _Nothing()


@pytest.mark.anyio
@pytest.mark.parametrize(("breaks_at", "found"), [(16.15, 16.1), (0.0, None), (200.0, 100.0), (7.0, 6.95)])
async def test_bisection_finds_the_longest_wake(breaks_at: float, found: float | None) -> None:
    tried = []

    async def survives(wake_s: float) -> bool:
        tried.append(wake_s)
        return wake_s < breaks_at

    longest = await longest_wake(survives, known_s=None, most_s=100.0)
    assert longest.survived_s == (None if found is None else pytest.approx(found, abs=0.1))
    assert (longest.broken_s is None) == (breaks_at > 100)
    assert len(tried) == len(set(tried)) <= 20


def test_the_command_prints_one_document_and_keeps_it(run: Any, tmp_path: Path) -> None:
    status, document = run("cold_burst", "--wake", "3:5", *SMALL, "--pool-size", "1:3", "--slo", "failed<1%")
    assert status == 0
    assert document["recommendation"]["connection_timeout"] > 4
    assert document["margin"]["survives_wake_s"] >= 4.98
    assert document["candidates"] == 3 * 22, "three sizes, and the timeouts up to the patience of 30 s"
    assert document["refused"][0]["missed"][0]["objective"] == "failed<1%"
    folder = Path(document["folder"])
    assert folder.parent == tmp_path
    kept = json.loads((folder / "recommendation.json").read_text())
    assert kept["recommendation"] == document["recommendation"]
    assert "DATABASE_POOL_SIZE=" in (folder / "recommendation.md").read_text()


def test_its_status_says_that_nothing_meets_the_objectives(run: Any) -> None:
    status, document = run("cold_burst", "--wake", "50", *SMALL, "--pool-size", "2")
    assert status == 4
    assert document["recommendation"] is None
    assert document["would_help"]["awake_meets"]


def test_two_processes_or_one_give_the_same_answer(run: Any) -> None:
    documents = [
        run("cold_burst", "--wake", "3:5", *SMALL, "--pool-size", "1,2", "--parallel", parallel)[1]
        for parallel in ("1", "2")
    ]
    for name in ("recommendation", "margin", "refused"):
        assert documents[0][name] == documents[1][name]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cold_burst"], "coldstart calibrate"),
        (["cold_burst", "--service-time", "0.02"], "how long a connect takes"),
        (["cold_burst", *SMALL, "--wake", "always-on"], "never sleeps"),
        (["cold_burst", *SMALL, "--wake", "10:5"], "has nothing in it"),
        (["cold_burst", *SMALL, "--slo", "fast"], "is not an objective"),
        (["cold_burst", *SMALL, "--quantile", "40%"], "is not a share of the wakes"),
        (["cold_burst", *SMALL, "--quantile", "most"], "is not a share of the wakes"),
        (["cold_burst", *SMALL, "--max-connections", "3"], "none is left"),
        (["cold_burst", *SMALL, "--max-connections", "8", "--instances", "9"], "no pool of these sizes fits"),
        (["cold_burst", *SMALL, "--pool-size", "0"], "no pool of these sizes fits"),
        (["cold_burst", *SMALL, "--set", "pool_size=3"], "--pool-size"),
        (["cold_burst", *SMALL, "--set", "nothing=3"], "no setting 'nothing'"),
        (["cold_burst", *SMALL, "--set", "connection_timeout=soon"], "is not a number of seconds"),
        (["cold_burst", *SMALL, "--patience", "0"], "patience must be positive"),
        (["incident_2025_12_02", *SMALL, "--confirm", "embedded"], "in real time the story is another one"),
        (["behind_pgbouncer", *SMALL], "pooler"),
        (["no_such_scenario", *SMALL], "no_such_scenario"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_line(arguments: list[str], words: str) -> None:
    with pytest.raises(UserError) as error:
        asked(*arguments)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_wake_between_is_any_wake_between_and_steps_are_their_values() -> None:
    assert str(asked("cold_burst", *SMALL, "--wake", "5:10").wake.latency) == "5 to 10 s"
    assert asked("cold_burst", *SMALL, "--wake", "5:10:5").wake.latency.quantile(1.0) == 10
    assert asked("cold_burst", *SMALL, "--wake", "5,8").wake.latency.share_above(6) == 0.5
    assert asked("cold_burst", *SMALL).wake.latency.share_above(10) == 0.5, "the scenario's own two"


def test_what_is_set_today_comes_from_an_env_file(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(
        "DATABASE_URL=postgresql+psycopg://u:secret@h/d\nDATABASE_POOL_SIZE=7\nDATABASE_STATEMENT_TIMEOUT=0\n"
    )
    question = asked("cold_burst", *SMALL, "--env-file", str(path))
    assert question.today.pool_size == 7
    assert question.today.runs_on.value == "psycopg"
    with pytest.raises(UserError, match="one of the two"):
        asked("cold_burst", *SMALL, "--pool", "5+0", "--env-file", str(path))
    with pytest.raises(UserError, match="can't be read"):
        EnvFile.read(tmp_path)
