"""The service's metrics and spans, by OpenTelemetry's database conventions, where the standard variables ask for them.

OTEL_METRICS_EXPORTER and OTEL_TRACES_EXPORTER name `otlp`, `console`, `prometheus` (metrics only) or `none`; with an
OTEL_EXPORTER_OTLP_ENDPOINT and nothing else both are `otlp`. Without any of them nothing of OpenTelemetry is imported.

The numbers are those that the run records (harness/service/observation.py): the instrumentations that exist for
SQLAlchemy and asyncpg know neither who waits for a connection nor who gave up. Names, units and instruments:
OpenTelemetry semantic conventions, "Database client metrics" and "Database client spans".
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from harness.model.errors import UserError
from harness.model.outcomes import Outcome
from harness.model.pool import PoolConfiguration
from harness.model.rows import PoolSample
from harness.service.answer import Answer
from harness.service.observation import PoolWatch

SIGNALS = {"METRICS": ("otlp", "console", "prometheus"), "TRACES": ("otlp", "console")}
SERVICE_NAME = "coldstart"
FLUSH_LIMIT_S = 1.0
"""How long a collector that does not answer may hold up the end of the service."""
SYSTEM = {"db.system.name": "postgresql"}
SECONDS = "s"


def exporters(environment: Mapping[str, str], signal: str) -> tuple[str, ...]:
    """Which exporters the variables ask for; none: `signal` is off. Raises `UserError` for one that does not exist."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return ()
    variable = f"OTEL_{signal}_EXPORTER"
    has_endpoint = any(
        name in environment for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    )
    text = environment.get(variable, "otlp" if has_endpoint else "none")
    named = tuple(name.strip() for name in text.split(",") if name.strip() not in ("", "none"))
    for name in named:
        if name not in SIGNALS[signal]:
            raise UserError(f"no exporter {name!r}", where=variable, allowed=", ".join([*SIGNALS[signal], "none"]))
    return named


class Telemetry:
    """Metrics and spans of the requests and the pool, and where they are sent."""

    def __init__(
        self,
        pool: PoolConfiguration,
        watch: PoolWatch,
        *,
        metric_readers: Iterable[Any] = (),
        span_processors: Iterable[Any] = (),
    ) -> None:
        from opentelemetry.metrics import Observation
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.trace import TracerProvider

        def sample() -> PoolSample:
            # Called in the metric reader's thread, which has no loop to ask for the time.
            return watch.sample(at_s=time.monotonic())

        self.pool_name = {"db.client.connection.pool.name": pool.label}
        self._meters = MeterProvider(metric_readers=list(metric_readers))
        self._traces = TracerProvider()
        for processor in span_processors:
            self._traces.add_span_processor(processor)
        self._tracer = self._traces.get_tracer("coldstart")
        meter = self._meters.get_meter("coldstart")

        def observe_count(name: str, unit: str, text: str, *values: tuple[dict[str, str], Callable[[], int]]) -> None:
            def observe(_options: object) -> list[Observation]:
                return [Observation(value(), {**self.pool_name, **attributes}) for attributes, value in values]

            meter.create_observable_up_down_counter(name, [observe], unit, text)

        prefix = "db.client.connection"
        observe_count(
            f"{prefix}.count", "{connection}", "Connections by their state",
            ({f"{prefix}.state": "idle"}, lambda: sample().idle),
            ({f"{prefix}.state": "used"}, lambda: sample().checked_out),
        )  # fmt: skip
        observe_count(f"{prefix}.max", "{connection}", "The most connections there can be", ({}, lambda: pool.capacity))
        observe_count(f"{prefix}.idle.max", "{connection}", "The most idle connections", ({}, lambda: pool.most_idle))
        observe_count(
            f"{prefix}.pending_requests", "{request}", "Requests that wait for a connection",
            ({}, lambda: sample().waiting),
        )  # fmt: skip
        self._timeouts = meter.create_counter(f"{prefix}.timeouts", "{timeout}", "Queue waits that ran out")
        self._wait = meter.create_histogram(f"{prefix}.wait_time", SECONDS, "Time in the pool's queue")
        self._create = meter.create_histogram(f"{prefix}.create_time", SECONDS, "Time to make a connection")
        watch.connected_by_pool = lambda seconds: self._create.record(seconds, self.pool_name)
        self._use = meter.create_histogram(f"{prefix}.use_time", SECONDS, "Time a connection was checked out")
        self._operation = meter.create_histogram(
            "db.client.operation.duration", SECONDS, "Time a request's statements took"
        )
        self._requests = meter.create_counter("coldstart.requests", "{request}", "Requests by their outcome")

    def ended(self, request: str, answer: Answer) -> None:
        """A request has ended now."""
        end_ns = time.time_ns()
        self._count(request, answer)
        parts = [("wait", answer.checkout_s), ("ping", answer.ping_s), ("connect", answer.connect_s)]
        parts.append(("query", answer.query_s))
        begin_ns = end_ns - round(sum(seconds for _, seconds in parts) * 1e9)
        error = {"error.type": answer.error} if answer.error else {}
        attributes = {**SYSTEM, **self.pool_name, **error, "coldstart.outcome": answer.outcome.value}
        span = self._tracer.start_span(request, start_time=begin_ns, attributes=attributes)
        from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

        request_context = set_span_in_context(span)
        # In the order in which SQLAlchemy goes through them.
        for name, seconds in parts:
            if seconds > 0:
                kind = SpanKind.CLIENT if name in ("query", "connect") else SpanKind.INTERNAL
                part = self._tracer.start_span(name, request_context, kind, attributes={**SYSTEM}, start_time=begin_ns)
                begin_ns += round(seconds * 1e9)
                part.end(begin_ns)
        if answer.outcome is not Outcome.OK:
            span.set_status(StatusCode.ERROR, answer.error)
        span.end(end_ns)

    def shutdown(self) -> None:
        """Send what is left, for as long as `FLUSH_LIMIT_S`."""

        def flush() -> None:
            self._meters.shutdown()
            self._traces.shutdown()

        flushing = threading.Thread(target=flush, daemon=True)
        flushing.start()
        flushing.join(FLUSH_LIMIT_S)

    def _count(self, request: str, answer: Answer) -> None:
        self._requests.add(1, {**self.pool_name, "coldstart.outcome": answer.outcome.value})
        self._wait.record(answer.checkout_s, self.pool_name)
        if answer.outcome is Outcome.POOL_TIMEOUT:
            self._timeouts.add(1, self.pool_name)
        if answer.connect_s > 0:
            self._create.record(answer.connect_s, self.pool_name)
        if answer.query_s > 0:
            self._use.record(answer.query_s, self.pool_name)
            error = {"error.type": answer.error} if answer.error else {}
            self._operation.record(answer.query_s, {**SYSTEM, "db.operation.name": request, **error})


def telemetry(environment: Mapping[str, str], pool: PoolConfiguration, watch: PoolWatch) -> Telemetry | None:
    """What the environment asks for; None: nothing. Raises `UserError` for a wrong variable or a missing package."""
    metrics, traces = exporters(environment, "METRICS"), exporters(environment, "TRACES")
    if not metrics and not traces:
        return None
    os.environ.setdefault("OTEL_SERVICE_NAME", SERVICE_NAME)
    try:
        return Telemetry(
            pool,
            watch,
            metric_readers=[_metric_reader(name) for name in metrics],
            span_processors=[_span_processor(name) for name in traces],
        )
    except ModuleNotFoundError as missing:
        raise UserError(
            f"needs the package {missing.name!r}", where="OTEL_ variables", allowed="pip install 'pg-coldstart[otel]'"
        ) from missing


def _metric_reader(name: str) -> Any:  # noqa: ANN401 - a MetricReader, imported where it is wanted
    if name == "prometheus":
        from opentelemetry.exporter.prometheus import PrometheusMetricReader

        return PrometheusMetricReader()
    from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader

    if name == "console":
        # Standard output is the harness' own.
        return PeriodicExportingMetricReader(ConsoleMetricExporter(out=sys.stderr))
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return PeriodicExportingMetricReader(OTLPMetricExporter())


def _span_processor(name: str) -> Any:  # noqa: ANN401 - a SpanProcessor, imported where it is wanted
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor

    if name == "console":
        return SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr))
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return BatchSpanProcessor(OTLPSpanExporter())
