"""Statements are told apart, and a text's shape is what its accidents leave."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.recording.sql import cursor_of, recorded_text, shape, split, words


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("", ()),
        (" ; -- nothing\n ;", ()),
        ("SELECT 1;", ("SELECT 1",)),
        ("SELECT ';' ; SELECT 2", ("SELECT ';'", "SELECT 2")),
        ("SELECT 'it''s;'; SELECT E'\\';'", ("SELECT 'it''s;'", "SELECT E'\\';'")),
        (
            'SELECT ";"; SELECT $$ ; $$; SELECT $a$ $$;$b$ $a$',
            ('SELECT ";"', "SELECT $$ ; $$", "SELECT $a$ $$;$b$ $a$"),
        ),
        ("/* ; /* ; */ ; */ SELECT 1 /* ; */; SELECT 2 -- ;", ("SELECT 1", "SELECT 2")),
        ("SELECT $1; SELECT a$1;", ("SELECT $1", "SELECT a$1")),
        (
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3",
            (
                "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
                "SELECT 3",
            ),
        ),
        ("BEGIN; COMMIT", ("BEGIN", "COMMIT")),
        ("SELECT 'open; ", ("SELECT 'open; ",)),
    ],
)
def test_statements_end_at_semicolons_that_mean_it(text: str, statements: tuple[str, ...]) -> None:
    assert split(text) == statements


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT a FROM t WHERE id IN ($1)", "SELECT a FROM t WHERE id IN ($1, $2,$3)"),
        ("SELECT 1 WHERE a IN ($1::INTEGER) AND b = $2", "SELECT 1 WHERE a IN ($1::INTEGER, $2::INTEGER) AND b = $3"),
        ("SELECT a FROM t WHERE id IN (1, 2)", "SELECT a FROM t WHERE id IN (7)"),
        ("INSERT INTO t (a, b) VALUES ($1, $2)", "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4), ($5, $6)"),
        ("SELECT 'a', 1.5e3 FROM t", "SELECT  'b''c',7 /* why */ FROM t -- so"),
        ("DECLARE c_7f00_1 CURSOR FOR SELECT 1", 'DECLARE "c_ab_2f" CURSOR FOR SELECT 1'),
        ("SELECT ARRAY[1, 2]", "SELECT ARRAY[1]"),
        ("RELEASE SAVEPOINT sa_savepoint_1", "RELEASE SAVEPOINT other"),
        ("DEALLOCATE _pg3_1", 'DEALLOCATE "anything"'),
        ("ROLLBACK TO SAVEPOINT a", "ROLLBACK TO SAVEPOINT b"),
    ],
)
def test_what_changes_with_the_data_is_no_part_of_a_shape(one: str, other: str) -> None:
    assert shape(one).text == shape(other).text
    assert one == other or shape(one) != shape(other) or recorded_text(one) == recorded_text(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 1, 2", "SELECT 1"),
        ("SELECT f($1, $2)", "SELECT f($1)"),
        ("SELECT a FROM t", "SELECT b FROM t"),
        ("SELECT a FROM t WHERE id IN ($1, 5)", "SELECT a FROM t WHERE id IN ($1)"),
        ("DEALLOCATE ALL", "DEALLOCATE a"),
        ("SELECT 'a'", "SELECT 1"),
        ("SELECT (1)", "SELECT ()"),
    ],
)
def test_what_a_statement_does_is_its_shape(one: str, other: str) -> None:
    assert shape(one).text != shape(other).text


def test_parameters_of_a_list_stand_in_one_place() -> None:
    found = shape("INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) RETURNING id, $5")
    assert dict(found.slots) == {1: 0, 2: 1, 3: 0, 4: 1, 5: 2}
    assert shape("SELECT $2 IN ($1, $3)").slots == ((1, 1), (2, 0), (3, 1))
    assert shape("SELECT 'a', 2").literals == ("'a'", "2")


def test_words_and_cursors() -> None:
    assert words("/* a */ select x") == ("SELECT", "X")
    assert words("(SELECT 1)") == ()
    assert cursor_of('FETCH FORWARD 10 FROM "My ""one"""') == 'My "one"'
    assert cursor_of("DECLARE Mine CURSOR FOR SELECT 1") == "mine"
    assert cursor_of("SELECT 1") is None


def test_made_up_names_are_not_recorded() -> None:
    assert recorded_text('DECLARE "c_7f_1" CURSOR FOR SELECT 1') == "DECLARE _ CURSOR FOR SELECT 1"
    assert recorded_text("SAVEPOINT mine") == "SAVEPOINT _"
    assert recorded_text("NOTIFY news, 'secret'") == "NOTIFY news , ''"
    assert recorded_text("SELECT  'c_7f_1'  ") == "SELECT  'c_7f_1'  "


def test_brackets_in_thousands_do_not_break_it() -> None:
    sql = "SELECT " + "(" * 5000 + "1" + ")" * 5000
    assert shape(sql).text
    assert split(sql) == (sql,)


@given(st.text("(),[]$1 ab'\"-/*;\n\\E.", max_size=60))
def test_no_text_breaks_it(sql: str) -> None:
    split(sql), words(sql), cursor_of(sql), recorded_text(sql)
    assert shape(sql).text == shape(shape(sql).text).text or "'" in sql or '"' in sql or "$" in sql or "." in sql
