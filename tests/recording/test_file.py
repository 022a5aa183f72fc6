"""The file: what is written is read again, and what is no whole recording is refused in one line."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.errors import UserError
from harness.recording import Answer, Column, Recording, RequestKind, Seconds, Statement, read, write
from harness.recording.lines import from_lines, to_lines

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = st.none() | st.binary(max_size=12) | TEXTS.map(str.encode)
OIDS = st.integers(0, 2**32 - 1)
TIMES = st.floats(0, 1e6)
SECONDS = st.none() | st.builds(Seconds, st.integers(1, 10_000), TIMES, TIMES, TIMES)
COLUMNS = st.builds(Column, TEXTS, OIDS, st.integers(-2, 100), st.integers(-1, 9999), OIDS, st.integers(0, 1600))
ERRORS = st.none() | st.dictionaries(st.sampled_from("SVCMDHn"), TEXTS)


@st.composite
def answers(draw: Any, width: int) -> Answer:
    values = draw(st.lists(VALUES, max_size=3))
    row = st.tuples(*[VALUES] * width)
    return Answer(
        values=tuple(values),
        formats=tuple(draw(st.sampled_from([0, 1])) for _ in values),
        results=tuple(draw(st.sampled_from([0, 1])) for _ in range(width)),
        turn=draw(st.integers(1, 5)),
        rows=tuple(draw(st.lists(row, max_size=3))),
        tag=draw(st.none() | TEXTS),
        error=draw(ERRORS),
        seconds=draw(SECONDS),
    )


@st.composite
def statements(draw: Any) -> Statement:
    columns = draw(st.lists(COLUMNS, max_size=3))
    return Statement(
        sql=draw(TEXTS),
        declared=tuple(draw(st.lists(OIDS, max_size=3))),
        types=draw(st.none() | st.lists(OIDS, max_size=3).map(tuple)),
        columns=draw(st.sampled_from([None, tuple(columns)])),
        answers=tuple(draw(st.lists(answers(len(columns)), max_size=3))),
        error=draw(ERRORS),
        refused=draw(st.none() | TEXTS),
        seconds=draw(SECONDS),
        cpu=draw(SECONDS),
        first_cpu=draw(SECONDS),
    )


RECORDINGS = st.builds(
    Recording,
    app=TEXTS,
    postgres=TEXTS,
    parameters=st.dictionaries(TEXTS, TEXTS, max_size=3),
    libraries=st.dictionaries(TEXTS, TEXTS, max_size=3),
    recorded_at=TEXTS,
    connect=SECONDS,
    connect_cpu=SECONDS,
    cores=st.none() | st.integers(1, 256),
    has_values=st.booleans(),
    enums=st.lists(OIDS, max_size=3).map(tuple),
    statements=st.lists(statements(), max_size=4).map(tuple),
    requests=st.lists(
        st.builds(
            RequestKind,
            request=TEXTS,
            cpu_s=st.lists(TIMES).map(tuple),
            before_cpu_s=st.lists(TIMES).map(tuple),
            held_cpu_s=st.lists(TIMES).map(tuple),
            connecting_cpu_s=st.lists(TIMES).map(tuple),
            latency_s=st.lists(TIMES).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
    notes=st.lists(TEXTS, max_size=2).map(tuple),
)


@given(RECORDINGS)
def test_what_is_written_is_read_again_byte_for_byte(recording: Recording) -> None:
    lines = list(to_lines(recording))
    assert all(line.endswith("\n") and "\n" not in line[:-1] for line in lines)
    again = from_lines(lines, where="r")
    assert again == recording
    assert list(to_lines(again)) == lines


SMALL = Recording(
    app="app:app",
    statements=(
        Statement(
            sql="SELECT $1",
            types=(23,),
            columns=(Column("n", 23, 4),),
            answers=(Answer(values=(b"\0\1",), formats=(1,), results=(0,), rows=((b"1",), (None,)), tag="SELECT 2"),),
        ),
    ),
    requests=(RequestKind(request="read", cpu_s=(0.004,)),),
)


def test_a_file_is_its_owners_alone_and_replaces_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "recording.jsonl"
    path.write_text("something else")
    path.chmod(0o644)
    write(SMALL, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read(path) == SMALL
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_readable_in_the_file() -> None:
    assert '"rows": [["1"], [null]]' in list(to_lines(SMALL))[1]
    assert '"values": [{"hex": "0001"}]' in list(to_lines(SMALL))[1]


def test_a_file_that_is_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole, path = "".join(to_lines(SMALL)).encode(), tmp_path / "cut"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError) as refused:
            read(path)
        assert str(path) in str(refused.value)
        assert "\n" not in str(refused.value)


def changed(line: int, **fields: Any) -> list[str]:
    lines = [json.loads(text) for text in to_lines(SMALL)]
    lines[line] = {name: value for name, value in {**lines[line], **fields}.items() if value != "gone"}
    return [json.dumps(one) + "\n" for one in lines]


def test_a_file_of_version_1_is_read_as_one_that_does_not_know_what_the_server_computed() -> None:
    old = changed(0, recording=1, connect_cpu_s="gone", cores="gone")
    assert from_lines(old, where="r") == SMALL


def answer(**fields: Any) -> dict[str, Any]:
    return {"answers": [{**json.loads(list(to_lines(SMALL))[1])["answers"][0], **fields}]}


@pytest.mark.parametrize(
    ("line", "fields", "words"),
    [
        (0, {"recording": 3}, "r, line 1: a recording of version 3 (allowed: version 1 or 2)"),
        (0, {"recording": "1"}, 'r, line 1: recording can\'t be "1"'),
        (0, {"app": "gone"}, "r, line 1: app is missing"),
        (0, {"more": 1}, "r, line 1: unknown field more"),
        (0, {"statements": 2}, "r: the recording is cut off or has been added to: 1 of 2 statements"),
        (0, {"requests": 0}, "r: the recording is cut off or has been added to: 1 of 0 requests"),
        (0, {"connect_s": {"count": 1}}, "r, line 1: connect_s can't be"),
        (0, {"connect_cpu_s": 1}, "r, line 1: connect_cpu_s can't be 1"),
        (0, {"cores": 0}, "r, line 1: cores can't be 0"),
        (0, {"cores": True}, "r, line 1: cores can't be true"),
        (1, {"statement": "gone"}, "r, line 2: neither a statement nor a request kind"),
        (1, {"statement": 5}, "r, line 2: statement can't be 5"),
        (1, {"more": 5}, "r, line 2: unknown field more"),
        (1, {"answers": {}}, "r, line 2: answers can't be {}"),
        (1, {"types": [True]}, "r, line 2: types can't be [true]"),
        (1, {"columns": [{"name": "n"}]}, "r, line 2: columns can't be"),
        (1, answer(rows=[["1", "2"]]), "r, line 2: a row has not as many values as there are columns"),
        (1, answer(rows=[[{"hex": "0"}]]), "r, line 2: answers can't be"),
        (1, answer(rows=[[5]]), "r, line 2: answers can't be"),
        (1, answer(formats=[2]), "r, line 2: answers can't be"),
        (1, answer(formats=[]), "r, line 2: an answer has not as many formats as values"),
        (1, answer(turn=0), "r, line 2: answers can't be"),
        (1, answer(more=0), "r, line 2: answers can't be"),
        (1, answer(seconds={"count": 1, "median": -1, "min": 0, "max": 0}), "r, line 2: answers can't be"),
        (2, {"cpu_s": ["x"]}, "r, line 3: cpu_s can't be"),
    ],
)
def test_a_damaged_line_is_refused_by_its_number(line: int, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as refused:
        from_lines(changed(line, **fields), where="r")
    assert str(refused.value).startswith(words)
    assert "allowed: " in str(refused.value)
    assert len(str(refused.value)) < 250


@given(st.integers(0, 2000), st.binary(min_size=1, max_size=4))
def test_no_damage_breaks_the_reader(at: int, damage: bytes) -> None:
    whole = "".join(to_lines(SMALL)).encode()
    damaged = (whole[: at % len(whole)] + damage + whole[at % len(whole) + len(damage) :]).decode(errors="replace")
    try:
        from_lines(damaged.splitlines(keepends=True), where="r")
    except UserError:
        return


def test_what_is_no_file_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read(tmp_path / "nothing")
    with pytest.raises(UserError, match="directory"):
        read(tmp_path)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="UTF-8"):
        read(tmp_path / "bytes")
    with pytest.raises(UserError, match="can't be written"):
        write(SMALL, tmp_path / "no folder" / "recording")
    with pytest.raises(UserError, match="can't be written"):
        write(SMALL, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bytes"]
