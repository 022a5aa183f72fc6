"""Every sentence is true of the numbers that it is about, over many configurations that nobody chose for it."""

import json
import random
import re

import pytest
from linted import case, linted, variables

from harness.lint.linting import RULES, Linted
from harness.lint.report import counted, not_asked, surroundings, to_json, together_lines, together_words, verdict

SEEDS = range(24)
WAKES = ("neon", "8", "10", "12", "0", "always-on", "neon-outage:9", "railway", "scaleway-serverless-sql:11", "31")


def drawn(seed: int) -> Linted:
    """A configuration of small and of large timeouts, of any library, in any surroundings."""
    draw = random.Random(seed)
    of = draw.choice(["driver=asyncpg", "driver=psycopg", "pool_library=asyncpg", "pool_library=psycopg_pool"])
    words = [
        f"{draw.randint(1, 4)}+{draw.randint(0, 2)}",
        of,
        f"pool_timeout={draw.choice([1, 9, 10, 12, 30])}",
        f"connection_timeout={draw.choice([0, 2, 9, 10, 12, 31])}",
    ]
    if of.endswith("=asyncpg"):
        words.append(f"statement_timeout={draw.choice([0, 2, 10, 12, 40])}")
    if of.startswith("driver"):
        words += [f"pool_recycle={draw.choice([0, 100, 7200])}", f"pool_pre_ping={draw.choice(['true', 'false'])}"]
    return linted(
        ",".join(words),
        draw.choice(WAKES),
        client_timeout_s=draw.choice([5, 20, 30, 60]),
        instances=draw.randint(1, 2),
        max_connections=draw.choice([None, 8, 20]),
        idle_timeout_s=draw.choice([None, 60.0, 350.0]),
        listener=draw.choice([True, False]),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_said_of_any_configuration_is_true_of_its_numbers(seed: int) -> None:
    result = drawn(seed)
    for finding in result.findings:
        assert finding.result.failed > 0
        compared = re.search(r"\(([\d.]+) s\) is (not )?longer than the wake \(([\d.]+) s\)", finding.sentence)
        if compared:
            limit_s, negated, wake_s = float(compared[1]), compared[2] is not None, float(compared[3])
            assert (limit_s <= wake_s) is negated
        sums = re.search(r"(are|is) not shorter than the client waits \(([\d.]+) s\)", finding.sentence)
        if sums:
            pool = result.case.pool
            own = pool.queue_timeout_s + (result.case.connecting_s if "together" in finding.sentence else 0)
            assert own >= float(sums[2])
        recycled = re.search(r"pool_recycle \((\d+) s\) is not shorter than the [\w ]+ \((\d+) s\)", finding.sentence)
        if recycled:
            assert int(recycled[1]) >= int(recycled[2])
        if "pool_pre_ping is off" in finding.sentence:
            assert not result.case.pool.of_library.pool_pre_ping
        if finding.mended is not None:
            assert finding.mended.result.failed == 0
            assert counted(finding.mended.result).startswith("none of ")
            assert result.case.mended(finding.mended.mend) != result.case
    for held in result.holds:
        assert held.result.failed == 0
    asked = len(result.findings) + len(result.holds)
    assert asked + len(result.not_asked) == len(RULES)
    if result.together is not None and not result.together.still:
        after = linted_again(result)
        assert after.findings == []


def linted_again(result: Linted) -> Linted:
    """The case that all mends together made."""
    import asyncio

    from linted import HERE

    from harness.lint.linting import lint

    assert result.together is not None
    return asyncio.run(lint(result.together.case, HERE))


def test_the_verdict_comes_first_and_counts() -> None:
    assert verdict(linted("10+5", "neon")) == "nothing to mend: 5 rules hold"
    assert verdict(linted("10+5", "12")) == "2 findings; 3 rules hold"
    assert verdict(linted("10+5", "12", pooler="session")) == "1 finding; 1 rule holds"
    assert verdict(linted("10+5,pool_pre_ping=false,pool_timeout=40", "always-on")) == "2 findings; no rule holds"


def test_a_count_says_how_many_how_they_end_and_when() -> None:
    connecting, queueing = linted("10+5", "12").findings
    assert counted(connecting.result) == "15 of 35 (42.9%): connect_timeout, after 10 s; otherwise 15 pool_timeout"
    assert connecting.mended is not None
    assert counted(connecting.mended.result) == "none of 35"
    assert queueing.mended is not None
    assert counted(queueing.mended.result) == "none of 35; otherwise 15 connect_timeout"
    (at_once,) = linted("5+0", "railway").findings
    assert counted(at_once.result) == "20 of 20 (100%): connect_error, at once"


def test_the_surroundings_tell_a_quantile_from_a_wake_that_is_given() -> None:
    assert list(surroundings(case("10+5", "12"))) == [
        "--pool 10+5: 10+5, SQLAlchemy's pool on asyncpg; connection_timeout 10 s, pool_timeout 10 s, "
        "statement_timeout 10 s, pool_recycle 7200 s, pre-ping on",
        "neon: a wake takes 12 s; the client waits 30 s",
    ]
    assert list(surroundings(case("10+5", "neon")))[1] == (
        "neon: 99% of the wakes take 2.591 s or less; the client waits 30 s"
    )
    assert list(surroundings(case("10+5", "always-on")))[1] == (
        "always-on: the database never sleeps; the client waits 30 s"
    )


def test_all_mends_together_are_played_too() -> None:
    result = linted("10+5", "12")
    assert together_lines(result) == ["connection_timeout=15", "pool_timeout=14"]
    assert together_words(result) == "All of it together, played again: every rule holds."
    left = linted("2+0,pool_timeout=9", instances=10, max_connections=10, wake="9")
    assert together_words(left) == (
        "All of it together, played again: what still does not hold is that no request is refused for want of server "
        "connections."
    )
    assert together_words(linted("10+5")) == ""


def test_why_rules_are_not_asked_is_said_once_each() -> None:
    line = not_asked(linted("10+5", "always-on"))
    assert line.startswith("13 rules are not asked: the driver is not psycopg; the database never sleeps; ")
    assert line.count("the database never sleeps") == 1


def test_the_document_has_no_password_in_it_and_all_that_was_found() -> None:
    result = linted(variables("DATABASE_URL=postgresql+psycopg://me:secret@h.example/db DATABASE_POOL_SIZE=5"), "12")
    document = json.loads(json.dumps(to_json(result)))
    assert "secret" not in json.dumps(document)
    assert "h.example" not in json.dumps(document)
    first = document["findings"][0]
    assert first["mend"] == ["DATABASE_URL=postgresql+asyncpg://…"]
    assert sum(first["trial"]["failing"].values()) > 0 == sum(first["mended_trial"]["failing"].values())
    assert {held["rule"] for held in document["holds"]} | {found["rule"] for found in document["findings"]} | {
        left["rule"] for left in document["not_asked"]
    } == {rule.name for rule in RULES}
