"""Every file that somebody writes or another program does: as bytes on the disk, read as the commands read them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from harness.access_log import read_log
from harness.access_log.moments import moment_us
from harness.application.env_file import EnvFile
from harness.application.logged import grouped
from harness.application.openapi import read_document, requests_of
from harness.application.requests_file import read_requests, write_requests
from harness.cli.check import _options
from harness.converter import from_json, to_json
from harness.gate.file import read_checks
from harness.library import load_scenario
from harness.lint.configuration import of_variables
from harness.model.application_request import METHODS, ApplicationRequest
from harness.model.distribution import Empirical
from harness.model.errors import UserError
from harness.model.plan import PlannedRun
from harness.model.replay import Replay
from harness.recording import read as read_recording
from harness.recording.lines import to_lines
from harness.recording.neutral import without_values
from harness.recording.sql import recorded_text, shape, split
from harness.results.calibration import read_calibration
from tests.fuzz.fuzzing import EVERY_CHARACTER, Fuzzer, as_json, mutated, mutated_bytes, mutated_json, samples, texts

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Write a file as it is, halves of surrogate pairs too."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        return path

    return write


Put = Callable[[str, str | bytes], Path]

ENV = """\
# a comment
DATABASE_URL="postgresql+asyncpg://shop:secret@localhost:5432/shop?connect_timeout=3"
export DATABASE_POOL_SIZE=10
DATABASE_MAX_OVERFLOW='5'  # more
DATABASE_POOL_TIMEOUT=${WAIT}
WAIT=30
EMPTY=
"""


def test_env_files(fuzzer: Fuzzer, put: Put) -> None:
    def read(text: str) -> None:
        of_variables(EnvFile.read(put(".env", text)).values, source=".env")

    fuzzer(samples(ENV, most=3), read, accepted=0.1)


CHECKS = """\
[[check]]
name = "the fix at 8 s"
scenario = "cold_burst"
pool = ["10+5", "5+0,pool_timeout=30"]
wake = 8
repeat = 5
service-time = 0.02
slo = ["failed<1%", "p(95)<12s"]
patience = 15
baseline = "baselines/the-fix"

[[check]]
scenario = "warm_start"
slo = "answered_within(10s)>99%"
control = true
"""


def test_files_of_checks(fuzzer: Fuzzer, put: Put) -> None:
    options = _options()
    fuzzer(
        samples(CHECKS, (ROOT / "coldstart.toml").read_text()),
        lambda text: read_checks(put("coldstart.toml", text), options),
        accepted=0.1,
    )


REQUESTS = """\
[[request]]
name = "read_item"
path = "/items/{key}?q=1"
keys = [1, 200]
weight = 6
[[request]]
name = "add_order"
method = "POST"
path = "/orders"
headers = {Authorization = "Bearer ${API_TOKEN}"}
json = {item = "{key}", quantity = 1, at = [1, 2.5, {a = true}]}
statuses = [201]
[[request]]
method = "PUT"
path = "/a"
body = 'x'
"""


def test_requests_files(fuzzer: Fuzzer, put: Put) -> None:
    def read(text: str) -> None:
        mix = read_requests(put("requests.toml", text))
        for request, _ in mix.weights:
            assert isinstance(request, ApplicationRequest)
            request.asked(7)

    fuzzer(samples(REQUESTS, *(path.read_text() for path in EXAMPLES.glob("*/requests.toml"))), read, accepted=0.1)


OPENAPI: dict[str, Any] = {
    "openapi": "3.1.0",
    "paths": {
        "/items/{id}": {
            "parameters": [{"name": "id", "in": "path", "schema": {"type": "integer", "minimum": 3, "maximum": 9}}],
            "get": {"operationId": "read", "parameters": [{"$ref": "#/components/parameters/q"}]},
        },
        "/orders": {
            "post": {
                "operationId": "add",
                "security": [{"bearer": []}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}},
                },
                "responses": {"201": {}, "default": {}},
            }
        },
    },
    "components": {
        "parameters": {"q": {"name": "q", "in": "query", "required": True, "schema": {"enum": ["a", "b"]}}},
        "schemas": {
            "Order": {
                "type": "object",
                "required": ["item", "lines", "next"],
                "properties": {
                    "item": {"type": "string", "pattern": "^[a-z]{3}$", "minLength": 3},
                    "lines": {"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "number"}, {"const": 1}]}},
                    "next": {"$ref": "#/components/schemas/Order"},
                },
                "example": {"item": "abc"},
            }
        },
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
    },
}


def test_openapi_documents(fuzzer: Fuzzer, put: Put) -> None:
    def read(content: bytes) -> None:
        drafts = requests_of(read_document(content, where="openapi.json"), methods=METHODS, where="openapi.json")
        read_requests(put("requests.toml", write_requests(drafts, name="requests.toml")))

    documents = mutated_json([OPENAPI], most=3).map(as_json) | mutated_bytes([as_json(OPENAPI)], most=1)
    fuzzer(documents, read, accepted=0.1)


CSV = "time,request\n0.5,GET /items/7\n1.25,POST /orders?a=b\n2025-10-10T13:55:36Z,\n"
JSON_LINES = '{"time": 1, "request": "GET /a/7"}\n{"time": "2025-10-10T13:55:36+02:00"}\n'
COMBINED = (
    '203.0.113.9 - bob [10/Oct/2025:13:55:36 +0200] "GET /items/7?x=1 HTTP/1.1" 200 512 "-" "Mozilla/5.0"\n'
    '::1 - - [10/Oct/2025:13:55:37 +0200] "POST /orders/0f8fad5b-d9cb-469f-a165-70867728950e HTTP/1.1" 201 9\n'
)


def test_logs_of_requests(fuzzer: Fuzzer, put: Put) -> None:
    logs = st.one_of(
        st.tuples(st.just("x.csv"), samples(CSV)),
        st.tuples(st.just("x.jsonl"), samples(JSON_LINES)),
        st.tuples(st.just("x.log"), samples(COMBINED)),
    )

    def read(log: tuple[str, str]) -> None:
        name, text = log
        logged = read_log(put(name, text))
        Replay("x.csv").burst(logged)
        drafts = grouped((one.request for one in logged), methods=METHODS, most=5, where=name).drafts
        read_requests(put("requests.toml", write_requests(drafts, name="requests.toml")))

    fuzzer(logs, read, accepted=0.1)


def test_moments(fuzzer: Fuzzer) -> None:
    day, time = r"20[0-9]{2}-[01][0-9]-[0-3][0-9]", r"[0-2][0-9]:[0-5][0-9](:[0-5][0-9])?(Z|[+-][01][0-9]:?00)?"
    moment = rf"[0-9]{{1,13}}(\.[0-9]{{1,6}})?|{day}[T ]{time}"

    def read(text: str) -> None:
        try:
            moment_us(text)
        except (ValueError, OverflowError):
            raise UserError("no moment") from None

    fuzzer(texts(moment), read, accepted=0.1)


RECORDINGS = [path.read_bytes() for path in sorted(EXAMPLES.glob("*/recording.jsonl")) if path.stat().st_size < 100_000]


def test_recordings_as_bytes(fuzzer: Fuzzer, put: Put) -> None:
    def read(content: bytes) -> None:
        recording = read_recording(put("recording.jsonl", content))
        list(to_lines(without_values(recording)))

    fuzzer(mutated_bytes(RECORDINGS), read, accepted=0.03, most=4_000)


def test_recordings_as_documents(fuzzer: Fuzzer, put: Put) -> None:
    lines = [[json.loads(line) for line in content.splitlines()] for content in RECORDINGS]

    def read(document: Any) -> None:
        rows = document if isinstance(document, list) else [document]
        content = b"".join(as_json(row) + b"\n" for row in rows)
        recording = read_recording(put("recording.jsonl", content))
        list(to_lines(without_values(recording)))

    fuzzer(mutated_json(lines), read, accepted=0.03, most=4_000)


def test_statements(fuzzer: Fuzzer) -> None:
    statements = [json.loads(line).get("statement") for content in RECORDINGS for line in content.splitlines()]

    def read(text: str) -> None:
        split(text)
        shape(text)
        recorded_text(text)

    mine = ["SELECT E'a\\'b', $tag$ x $tag$, /* a /* b */ */ 1 -- end\n; BEGIN", 'DECLARE "c" CURSOR FOR SELECT 1']
    real = st.sampled_from(mine + [text for text in statements if text])
    fuzzer(mutated(real, most=4) | st.text(EVERY_CHARACTER, max_size=60), read, accepted=1.0)


CALIBRATION: dict[str, Any] = {
    "round_trip_s": [0.0001, 0.0002],
    "connect_s": [0.003],
    "service_s": [0.001],
    "source": "x",
}


def test_measured_latencies(fuzzer: Fuzzer, put: Put) -> None:
    fuzzer(
        samples("latency_s\n8.1\n7.25\n12\n", "8\n9\n"), lambda text: Empirical.read(put("m.csv", text)), accepted=0.2
    )


def test_calibrations(fuzzer: Fuzzer, put: Put) -> None:
    document = mutated_json([CALIBRATION], most=1).map(as_json) | mutated_bytes([as_json(CALIBRATION)], most=1)
    fuzzer(document, lambda content: read_calibration(put("calibration.json", content)), accepted=0.1)


def test_plans_in_a_manifest(fuzzer: Fuzzer) -> None:
    names = ("cold_burst", "retry_storm", "failover", "nested_checkout", "rolling_deploy")
    plans = [PlannedRun(scenario=load_scenario(name), real_time=True) for name in names]
    documents = [json.loads(as_json(to_json(plan))) for plan in plans]

    def read(document: Any) -> None:
        plan = from_json(document, PlannedRun, where="plan")
        assert from_json(json.loads(as_json(to_json(plan))), PlannedRun, where="plan") == plan

    fuzzer(mutated_json(documents, most=1), read, accepted=0.1, most=5_000)


SCENARIO = '''"""A story."""
from harness.scenario import *
from harness.scenario import LogNormal, RequestName
from harness.wake import profile

SCENARIO = Scenario(
    name="fuzzed",
    wake=profile("neon", latency_s=8.0),
    pools=("5+0", pool("10+5", pool_timeout=20, name="the fix")),
    timeline=(Warm(3), Suspend(), Idle(5), Traffic(Burst(requests=20, over_s=2, arrivals="poisson"), At(1, Outage(1)))),
    variants=(Variant("with retries", retry=Retry(retries=2, wait_s=0.5)), Variant("as it is")),
    server=ServerLimits(role_connection_limit=50),
    expect={"5+0": (none("failure").at_wake(8), at_least("ok", count=1)), "10+5": misses("failed<1%", patience_s=3)},
)
'''


def test_scenario_files(fuzzer: Fuzzer, put: Put) -> None:
    def read(text: str) -> None:
        scenario = load_scenario(str(put("fuzzed.py", text)))
        plan = PlannedRun(scenario=scenario, real_time=False)
        assert plan.trials
        to_json(plan)

    # No damage makes a call of anything outside of it: a scenario is code, and runs.
    fuzzer(samples(SCENARIO), read, accepted=0.03, most=4_000)
