"""An answer, or none, as a row."""

import json

import pytest
from geventhttpclient.header import Headers
from geventhttpclient.useragent import RetriesExceeded

from harness.load.records import outcome_of, outcome_of_application, row, server_timing
from harness.model.application_request import ApplicationRequest
from harness.model.outcomes import FAILURES, Outcome
from harness.service.answer import PROBLEM_JSON


def problem(type_: str) -> bytes:
    return json.dumps({"type": type_, "title": "x", "status": 503, "detail": "TimeoutError"}).encode()


@pytest.mark.parametrize("outcome", [outcome for outcome in FAILURES if outcome.http_status is not None])
def test_a_problem_is_its_type(outcome: Outcome) -> None:
    found = outcome_of(503, {"content-type": PROBLEM_JSON}, problem(outcome), None)
    assert found == (outcome, "TimeoutError")


def test_an_answer_without_a_problem_is_ok() -> None:
    assert outcome_of(200, {"content-type": "application/json"}, b"{}", None) == ("ok", None)


def test_somebody_elses_failure_is_an_error_with_its_status() -> None:
    assert outcome_of(502, {"content-type": "text/html"}, b"<html>", None) == ("error", "HTTP 502")
    assert outcome_of(500, {"content-type": PROBLEM_JSON}, problem("unheard"), None) == ("error", "problem unheard")


@pytest.mark.parametrize("exception", [TimeoutError(), TimeoutError("timed out")])
def test_no_answer_in_time_is_a_client_timeout(exception: Exception) -> None:
    assert outcome_of(0, {}, b"", exception)[0] == "client_timeout"


def test_what_the_http_client_wraps_is_unwrapped() -> None:
    wrapped = RetriesExceeded("http://service/", 0, original=TimeoutError("timed out"))
    assert outcome_of(0, {}, b"", wrapped) == ("client_timeout", "TimeoutError")


def test_no_answer_at_all_is_an_error_with_its_name() -> None:
    assert outcome_of(0, {}, b"", ConnectionResetError()) == ("error", "ConnectionResetError")
    assert outcome_of(0, {}, b"", None) == ("error", "NoAnswer")


def test_server_timing_is_read_in_seconds() -> None:
    assert server_timing("checkout;dur=1.5, connect;dur=0,query;dur=2000") == {
        "checkout_s": 0.0015, "connect_s": 0.0, "query_s": 2.0,
    }  # fmt: skip
    assert server_timing(None) == {}


def test_what_an_application_times_besides_is_no_column() -> None:
    assert server_timing("total;dur=9, query;dur=1") == {"query_s": 0.001}


def test_an_applications_own_server_timing_is_beside_ours_and_may_be_anything() -> None:
    headers = Headers()
    headers.add("Server-Timing", 'db;dur=9, query;dur=8;desc="x", cache-query;dur=7')
    headers.add("Server-Timing", "query;dur=1, checkout;dur=2")
    assert server_timing(headers.get("server-timing")) == {"query_s": 0.001, "checkout_s": 0.002}
    assert server_timing("query;dur=1.2.3, checkout;dur=., connect;dur=, ping;dur=5ms, cache-query;dur=7") == {}


READ = ApplicationRequest(name="read", target="/")
CREATED = ApplicationRequest(name="create", method="POST", target="/", statuses=(201,))


@pytest.mark.parametrize(
    ("request_", "status", "header", "found"),
    [
        (READ, 200, "", ("ok", None)),
        (READ, 302, "", ("ok", None)),
        (READ, 200, "pool_timeout TimeoutError", ("ok", None)),
        (READ, 404, "", ("error", "HTTP 404")),
        (READ, 503, "pool_timeout TimeoutError", ("pool_timeout", "TimeoutError")),
        (READ, 500, "error KeyError", ("error", "KeyError")),
        (READ, 500, "nonsense", ("error", "HTTP 500")),
        (CREATED, 201, "", ("ok", None)),
        (CREATED, 200, "", ("error", "HTTP 200")),
    ],
)
def test_an_applications_answer_is_judged_by_its_status_and_what_its_guest_says(
    request_: ApplicationRequest, status: int, header: str, found: tuple[str, str | None]
) -> None:
    headers = {"coldstart-outcome": header} if header else {}
    assert outcome_of_application(request_, status, headers, None) == found


def test_an_application_that_does_not_answer_is_judged_as_the_service_is() -> None:
    assert outcome_of_application(READ, 0, {}, TimeoutError()) == ("client_timeout", "TimeoutError")
    assert outcome_of_application(READ, 0, {}, ConnectionResetError()) == ("error", "ConnectionResetError")


def test_a_row_has_the_times_it_was_given() -> None:
    made = row(
        number=3, request="read_track", arrival_s=1.0, start_s=1.001, end_s=2.0, attempts=1, burst=0, status=200,
        headers={"server-timing": "query;dur=5"}, outcome=(Outcome.OK, None),
    )  # fmt: skip
    assert (made.arrival_s, made.start_s, made.end_s, made.query_s) == (1.0, 1.001, 2.0, 0.005)
    assert (made.outcome, made.status, made.error) == ("ok", 200, None)
