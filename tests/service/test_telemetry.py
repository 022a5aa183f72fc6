"""What the service tells OpenTelemetry: by the conventions' names and units, with the numbers that requests had."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from harness.model.arrivals import RequestName
from harness.model.errors import UserError
from harness.model.outcomes import Outcome
from harness.model.pool import PoolConfiguration
from harness.postgres import PostgresServer
from harness.service.observation import PoolWatch
from harness.service.pools import make_pool
from harness.service.requests import Database
from harness.service.telemetry import Telemetry, exporters

QUICK = PoolConfiguration(pool_size=1, max_overflow=0, pool_timeout_s=0.2)
CONNECTION = "db.client.connection"


def url(postgres: PostgresServer) -> str:
    return postgres.dsn_at(postgres.host, postgres.port, driver="postgresql+asyncpg")


@pytest.mark.anyio
async def test_metrics_and_spans_have_the_conventions_names_and_the_requests_numbers(postgres: PostgresServer) -> None:
    reader, spans = InMemoryMetricReader(), InMemorySpanExporter()
    watch = PoolWatch()
    told = Telemetry(QUICK, watch, metric_readers=[reader], span_processors=[SimpleSpanProcessor(spans)])
    pool = make_pool(url(postgres), QUICK, watch=watch)
    database = Database(pool, watch, told)
    holding = asyncio.create_task(database.perform(RequestName.HOLD_CONNECTION, 1, hold_s=0.5))
    await asyncio.sleep(0.1)
    late = await database.perform(RequestName.READ_TRACK, 2)
    during = points(reader)
    await holding
    await database.perform(RequestName.READ_TRACK, 3)
    await pool.close()
    assert late.outcome is Outcome.POOL_TIMEOUT

    assert during[f"{CONNECTION}.count", "used"] == 1
    assert during[f"{CONNECTION}.max", ""] == during[f"{CONNECTION}.idle.max", ""] == 1
    after = points(reader)
    assert after[f"{CONNECTION}.timeouts", ""] == 1
    assert after["coldstart.requests", "ok"] == 2
    assert after["coldstart.requests", "pool_timeout"] == 1
    assert after[f"{CONNECTION}.wait_time", ""] == 3
    assert after[f"{CONNECTION}.create_time", ""] == 1
    assert after[f"{CONNECTION}.use_time", ""] == 2
    assert units(reader) == {
        f"{CONNECTION}.count": "{connection}", f"{CONNECTION}.max": "{connection}",
        f"{CONNECTION}.idle.max": "{connection}", f"{CONNECTION}.pending_requests": "{request}",
        f"{CONNECTION}.timeouts": "{timeout}", f"{CONNECTION}.wait_time": "s", f"{CONNECTION}.create_time": "s",
        f"{CONNECTION}.use_time": "s", "db.client.operation.duration": "s", "coldstart.requests": "{request}",
    }  # fmt: skip

    finished = {span.name: span for span in spans.get_finished_spans()}
    assert {"hold_connection", "read_track", "wait", "connect", "ping", "query"} <= set(finished)
    query = finished["query"]
    assert query.attributes is not None
    assert query.attributes["db.system.name"] == "postgresql"
    assert query.parent is not None
    failed = next(span for span in spans.get_finished_spans() if not span.status.is_ok and span.name == "read_track")
    assert failed.attributes is not None
    assert failed.attributes["coldstart.outcome"] == "pool_timeout"
    assert failed.end_time is not None
    assert failed.start_time is not None
    assert (failed.end_time - failed.start_time) / 1e9 == pytest.approx(0.2, abs=0.1)


def metrics(reader: InMemoryMetricReader) -> Iterator[Any]:
    data = reader.get_metrics_data()
    assert data is not None
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            yield from scope.metrics


def points(reader: InMemoryMetricReader) -> dict[tuple[str, str], float]:
    """The value (of a histogram the count) by the metric's name and what tells its points apart."""
    found = {}
    for metric in metrics(reader):
        for point in metric.data.data_points:
            attributes = dict(point.attributes)
            assert attributes.get("db.client.connection.pool.name", "1+0 pool_timeout=0.2") == "1+0 pool_timeout=0.2"
            kind = attributes.get("db.client.connection.state") or attributes.get("coldstart.outcome") or ""
            found[metric.name, str(kind)] = getattr(point, "value", None) if hasattr(point, "value") else point.count
    return found


def units(reader: InMemoryMetricReader) -> dict[str, str]:
    return {metric.name: metric.unit for metric in metrics(reader)}


@pytest.mark.parametrize(
    ("environment", "metrics_", "traces"),
    [
        ({}, (), ()),
        ({"OTEL_METRICS_EXPORTER": "console, prometheus"}, ("console", "prometheus"), ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, ("otlp",), ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, ("otlp",), ()),
        ({"OTEL_METRICS_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"}, (), ()),
    ],
)
def test_the_standard_variables_say_where_it_goes(
    environment: dict[str, str], metrics_: tuple[str, ...], traces: tuple[str, ...]
) -> None:
    assert exporters(environment, "METRICS") == metrics_
    assert exporters(environment, "TRACES") == traces


def test_an_exporter_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UserError, match=r"no exporter 'jaeger'.*otlp"):
        exporters({"OTEL_TRACES_EXPORTER": "jaeger"}, "TRACES")


@contextmanager
def service(postgres: PostgresServer, **environment: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The service as the harness starts it; its address."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.service"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**clean, "DATABASE_URL": url(postgres), **environment},
    )  # fmt: skip
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    try:
        yield f"http://127.0.0.1:{ready['port']}", process
    finally:
        process.kill()
        process.communicate()


def test_prometheus_reads_it_from_the_services_own_port(postgres: PostgresServer) -> None:
    with service(postgres, OTEL_METRICS_EXPORTER="prometheus") as (address, _):
        httpx.get(f"{address}/tracks/1")
        said = httpx.get(f"{address}/metrics").text
    assert 'db_client_connection_count{db_client_connection_pool_name="10+5",db_client_connection_state="idle"' in said
    assert "db_client_connection_wait_time_seconds_bucket" in said
    assert "coldstart_requests_total{" in said


def test_without_the_variables_there_is_nothing_of_it(postgres: PostgresServer) -> None:
    with service(postgres) as (address, _):
        assert httpx.get(f"{address}/metrics").status_code == 404
    code = "import sys, harness.service.app, harness.service.__main__; sys.exit('opentelemetry.sdk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_console_is_standard_error_and_what_is_left_is_sent_at_the_end(postgres: PostgresServer) -> None:
    with service(postgres, OTEL_METRICS_EXPORTER="console", OTEL_TRACES_EXPORTER="console") as (address, process):
        httpx.get(f"{address}/tracks/1")
        out, errors = process.communicate("", timeout=20)
    assert all("record" in json.loads(line) for line in out.splitlines())
    assert '"db.client.connection.count"' in errors
    assert '"name": "read_track"' in errors


def test_a_collector_hears_of_it_over_otlp_and_a_dead_one_does_no_harm(postgres: PostgresServer) -> None:
    heard: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])) if "metrics" in self.path else b"")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing to say."""

    collector = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    with service(postgres, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_COMPRESSION="none") as (
        address,
        process,
    ):
        assert httpx.get(f"{address}/tracks/1").status_code == 200
        process.communicate("", timeout=20)
    collector.shutdown()
    collector.server_close()
    names = {
        metric.name
        for body in heard
        if body
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert {"db.client.connection.count", "db.client.operation.duration"} <= names
    with service(postgres, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1") as (address, process):
        assert httpx.get(f"{address}/tracks/1").status_code == 200
        process.communicate("", timeout=20)
        assert process.returncode == 0
