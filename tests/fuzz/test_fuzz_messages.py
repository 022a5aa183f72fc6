"""What the processes write to each other, and what an application answers: whole messages, damaged."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from harness.application.heard import heard
from harness.application.requests_file import read_requests, write_requests
from harness.converter import from_json, to_json
from harness.load.records import outcome_of, outcome_of_application, server_timing
from harness.model.application_request import METHODS, ApplicationRequest
from harness.model.errors import UserError
from harness.model.load_share import LoadShare
from harness.model.outcomes import Outcome
from harness.model.timeline import Burst
from harness.processes.heard import RequestHeard
from harness.processes.message import MalformedError
from harness.processes.messages import (
    AnyCommand,
    AnyRecord,
    command_from,
    record_from,
    to_line,
)
from harness.processes.share import StartShare, share_from, to_share
from tests.fuzz.fuzzing import Fuzzer, as_json, mutated_bytes, mutated_json, samples, texts
from tests.test_messages import any_of

REFUSED = (MalformedError, UserError)


def damaged_lines(messages: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    lines = messages.map(to_line)
    documents = lines.map(json.loads).flatmap(lambda document: mutated_json([document], most=1)).map(as_json)
    return documents | lines.flatmap(lambda line: mutated_bytes([line], most=1))


def test_records(fuzzer: Fuzzer) -> None:
    fuzzer(damaged_lines(any_of(AnyRecord)), record_from, accepted=0.1, refused=REFUSED)


def test_commands_to_a_child(fuzzer: Fuzzer) -> None:
    fuzzer(damaged_lines(any_of(AnyCommand)), command_from, accepted=0.1, refused=REFUSED)


def test_a_workers_share(fuzzer: Fuzzer) -> None:
    share = LoadShare(load=Burst(3, 1.0), seed=7, index=0, count=2, retry=None)
    start = StartShare(share=to_json(share), urls=("http://127.0.0.1:1",), at_s=None, delay_s=0.5)
    line = to_share(start)

    def read(message: bytes) -> None:
        from_json(share_from(message).share, LoadShare, where="share")

    messages = mutated_json([json.loads(line)]).map(as_json) | mutated_bytes([line])
    fuzzer(messages, read, accepted=0.1, refused=REFUSED)


PROBLEM = as_json({"type": "pool_timeout", "title": "x", "detail": "TimeoutError"})


def test_answers_of_a_service(fuzzer: Fuzzer) -> None:
    timing = texts(r"(checkout|connect|ping|query|idle|db);dur=[0-9]{1,5}(\.[0-9]{1,3})?(, query; ?dur=[0-9]{1,4})?")
    outcome = texts(r"(ok|pool_timeout|error|nonsense) [A-Za-z]{1,9}")
    request = ApplicationRequest(name="a", target="/a")

    def read(answer: tuple[int, bytes, str, str]) -> None:
        status, body, timed, told = answer
        headers = {"content-type": "application/problem+json", "server-timing": timed, "coldstart-outcome": told}
        for found, detail in (
            outcome_of(status, headers, body, None), outcome_of_application(request, status, headers, None),
        ):  # fmt: skip
            assert found in set(Outcome)
            assert detail is None or len(detail) <= 200
        assert all(0 <= seconds < 1e10 for seconds in server_timing(timed).values())

    bodies = mutated_bytes([PROBLEM]) | mutated_json([json.loads(PROBLEM)]).map(as_json)
    fuzzer(st.tuples(st.sampled_from([0, 200, 503]), bodies, timing, outcome), read, accepted=1.0)


def test_requests_that_a_locustfile_asked(fuzzer: Fuzzer, tmp_path: Path) -> None:
    texts_ = samples("/items/7?x=1", "Bearer abc", '{"id": 7, "name": "x"}', "a=b&c=7", "GET", "session=abc; x=y")

    def record(drawn: tuple[int, str, str, str, str, int]) -> RequestHeard:
        user, name, path, header, text, status = drawn
        return RequestHeard(
            user=user, name=name or None, method="POST", url=f"http://127.0.0.1:1/{path}",
            headers={"Authorization": header, "Cookie": header, "Content-Type": "application/json"}, body=text,
            body_bytes=len(text), status=status, good=status == 200, redirected=False, in_task=True, answer=text,
            error="",
        )  # fmt: skip

    def read(records: list[RequestHeard]) -> None:
        found = heard(records, target="http://127.0.0.1:1", methods=METHODS)
        file = tmp_path / "requests.toml"
        file.write_bytes(write_requests(found.drafts, name="x").encode("utf-8", "surrogatepass"))
        read_requests(file)

    drawn = st.tuples(st.integers(0, 2), texts_, texts_, texts_, texts_, st.sampled_from([0, 200, 404]))
    fuzzer(st.lists(drawn.map(record), max_size=4), read, accepted=0.2, most=5_000)
