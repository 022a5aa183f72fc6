"""A log is read in each of its formats, and a line that can't be read is named with what is allowed."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.access_log import read as reading
from harness.access_log import read_log
from harness.access_log.moments import EPOCH, MONTHS, moment_us
from harness.model.errors import UserError
from harness.model.replay import Logged

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1975, 1, 1), datetime(2200, 1, 1), timezones=ZONES)  # noqa: DTZ001 - `timezones` gives them
REQUESTS = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20)
COMBINED = (
    '203.0.113.9 - bob [10/Oct/2025:13:55:{second} +0200] "{request}" 200 512 "https://example.org/" "Mozilla/5.0"'
)


def microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def common(moment: datetime) -> str:
    zone = moment.strftime("%z")
    return f"[{moment.day:02}/{MONTHS[moment.month - 1]}/{moment.year}:{moment:%H:%M:%S} {zone}]"


@given(MOMENTS)
def test_a_moment_comes_back_however_it_is_written(moment: datetime) -> None:
    exact = microseconds(moment)
    in_utc = moment.astimezone(UTC)
    for text in (
        moment.isoformat(),
        moment.isoformat(sep=" "),
        in_utc.replace(tzinfo=None).isoformat(),
        f"{in_utc.replace(tzinfo=None).isoformat()}Z",
        f"{exact // 1_000_000}.{exact % 1_000_000:06}",
        f"{exact // 1_000}.{exact % 1_000:03}",
    ):
        assert moment_us(text) == exact, text
    assert moment_us(common(moment)) == moment_us(common(moment)[1:-1]) == microseconds(moment.replace(microsecond=0))
    assert moment_us(str(exact // 1_000)) == exact // 1_000 * 1_000


@pytest.mark.parametrize(
    ("text", "us"),
    [("0", 0), ("0.25", 250_000), ("12", 12_000_000), ("1e3", 1_000_000_000), ("5e-06", 5), (" 7 ", 7_000_000),
     ("1764640800", 1_764_640_800_000_000), ("1764640800123", 1_764_640_800_123_000)],
)  # fmt: skip
def test_numbers_are_seconds_and_large_ones_milliseconds(text: str, us: int) -> None:
    assert moment_us(text) == us


@pytest.mark.parametrize(
    "text",
    ["", "soon", "-1", "1764640800123456", "1e99", "nan", "2025-10-10", "20251010T", "2025-13-01T00:00:00", "١٢",
     "[10/Okt/2025:13:55:36 +0000]", "[31/Feb/2025:13:55:36 +0000]", "[10/Oct/2025:13:55:36 +9900]",
     "2025-10-10T25:00"],
)  # fmt: skip
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever datetime says: the line's error has the words
        moment_us(text)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(MOMENTS, REQUESTS), min_size=1, max_size=8))
def test_csv_and_json_lines_come_back_in_order_of_time(tmp_path: Path, lines: list[tuple[datetime, str]]) -> None:
    written = io.StringIO()
    csv.writer(written).writerows([("request", "time"), *((request, moment.isoformat()) for moment, request in lines)])
    objects = [json.dumps({"time": moment.isoformat(), "request": request}) for moment, request in lines]
    expected = sorted((Logged(microseconds(moment), request) for moment, request in lines), key=lambda one: one.at_us)
    for name, text in (("x.csv", written.getvalue()), ("x.jsonl", "\n".join(objects))):
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        assert read_log(tmp_path / name) == expected


def test_other_columns_can_be_named_and_the_request_can_be_missing(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("at,status\n2.5,200\n\n1.5,500\n")
    assert read_log(tmp_path / "x.csv", columns=("at", "status")) == [
        Logged(1_500_000, "500"),
        Logged(2_500_000, "200"),
    ]
    assert read_log(tmp_path / "x.csv", columns=("at", "request")) == [Logged(1_500_000, ""), Logged(2_500_000, "")]
    (tmp_path / "x.NDJSON").write_text('{"at": 2.5}\n{"at": 1.5, "request": null}\n')
    assert read_log(tmp_path / "x.NDJSON", columns=("at", "request")) == [Logged(1_500_000, ""), Logged(2_500_000, "")]


def test_a_number_in_json_is_not_rounded(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"time": 1764640800.123457}\n{"time": 1764640800123.458}\n')
    assert [one.at_us % 1_000_000 for one in read_log(tmp_path / "x.json")] == [123_457, 123_458]


def test_the_combined_format_of_nginx_and_apache_is_read_without_queries(tmp_path: Path) -> None:
    lines = [
        COMBINED.format(second=37, request="GET /tracks/7?full=1 HTTP/1.1"),
        COMBINED.format(second=36, request="POST /tracks HTTP/2.0"),
        COMBINED.format(second=38, request=r"\x16\x03 \" odd"),
        '::1 - a b [10/Oct/2025:13:55:39 +0200] "-" 408 0',
    ]
    (tmp_path / "access.log").write_text("\n".join(lines))
    read = read_log(tmp_path / "access.log")
    assert [one.request for one in read] == ["POST /tracks", "GET /tracks/7", r"\x16\x03 \" odd", "-"]
    assert read[0].at_us == microseconds(datetime(2025, 10, 10, 11, 55, 36, tzinfo=UTC))


def test_bytes_that_are_no_utf_8_and_a_byte_order_mark_are_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("\ufefftime,request\n1,GET /größe\n".encode() + b"2,GET /gr\xf6\xdfe\n")
    assert [one.request for one in read_log(tmp_path / "x.csv")] == ["GET /größe", "GET /gr��e"]


WRONG = [
    ("x.csv", "", "x.csv, line 1: has no column 'time' (allowed: 'a header')"),
    ("x.csv", "at,request\n1,a\n", "x.csv, line 1: has no column 'time' (allowed: 'at, request')"),
    ("x.csv", "time,request\n1,a\nsoon,b\n", "x.csv, line 3: 'soon' is not a moment (allowed: ISO 8601, Unix seconds"),
    ("x.csv", "time,request\n1\n", "x.csv, line 2: has 1 columns (allowed: 2, as the header)"),
    ("x.csv", 'time,request\n1,"a\n', "x.csv, line 2: is not CSV: "),
    ("x.csv", "time,request\n", "has no requests"),
    ("x.jsonl", '{"time": 1}\n{"time": \n', "x.jsonl, line 2: is not JSON (allowed: one object a line)"),
    ("x.jsonl", '[{"time": 1}]\n', "x.jsonl, line 1: '[{\"time\": 1}]' is no object (allowed: one a line)"),
    ("x.jsonl", '{"at": 1}\n', "x.jsonl, line 1: has no key 'time' (allowed: 'at')"),
    ("x.jsonl", '{"time": true}\n', "x.jsonl, line 1: time is 'true' (allowed: ISO 8601, "),
    ("x.jsonl", '{"time": 1, "request": {"a": 1}}\n', "x.jsonl, line 1: request is "),
    ("x.jsonl", "[" * 100_000, "x.jsonl, line 1: is not JSON"),
    ("x.log", "\n\nhello\n", "x.log, line 3: 'hello' is not the common log format (allowed: host identity user ["),
    ("x.log", '::1 - - [soon] "GET / HTTP/1.1" 200 1\n', "x.log, line 1: 'soon' is not a moment"),
    ("x.txt", "", "is no log by its ending '.txt' (allowed: .csv with a header; .jsonl, "),
]


@pytest.mark.parametrize(("name", "text", "says"), WRONG, ids=lambda value: repr(value)[:40])
def test_a_line_that_cant_be_read_is_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError) as refused:
        read_log(tmp_path / name)
    assert says in str(refused.value)
    assert len(str(refused.value)) < 400


def test_a_column_that_was_asked_for_by_name_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("time,request\n1,a\n")
    (tmp_path / "x.jsonl").write_text('{"time": 1}\n')
    for name in ("x.csv", "x.jsonl"):
        with pytest.raises(UserError, match=rf"{name}, line 1: has no (column|key) 'path'"):
            read_log(tmp_path / name, columns=("time", "path"))


def test_a_file_that_is_not_there_or_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="can't be read: No such file"):
        read_log(tmp_path / "x.csv")
    monkeypatch.setattr(reading, "MAX_LINES", 2)
    (tmp_path / "x.csv").write_text("time\n1\n2\n3\n")
    with pytest.raises(UserError, match=r"has too many lines \(allowed: up to 2\)"):
        read_log(tmp_path / "x.csv")
