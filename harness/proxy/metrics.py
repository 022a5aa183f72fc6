"""The numbers of `/metrics`, under the names that Toxiproxy gives them with -proxy-metrics and -runtime-metrics.

Two are this server's own: how many tasks its loop has, and each proxy's open connections.
"""

import asyncio
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from harness.proxy.proxy import Proxy


class ProxyMetrics(Collector):
    """Bytes that went through each proxy; as in Toxiproxy, a connection's are counted when it ends."""

    def __init__(self, proxies: Mapping[str, Proxy], version: str) -> None:
        self._proxies = proxies
        self._version = version
        self._registry = CollectorRegistry()
        self._registry.register(self)
        # Descriptors, memory and CPU time of this process, by the names that Go's collector has too. Linux only.
        ProcessCollector(registry=self._registry)

    def page(self, accept: str) -> tuple[bytes, str]:
        """The metrics in the format an `Accept` header asks for, and that format's content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        yield from self._counters()
        connections = GaugeMetricFamily(
            "coldstart_connections", "Clients' connections that are open", labels=("proxy",)
        )
        for proxy in self._proxies.values():
            connections.add_metric((proxy.name,), len(proxy.connections))
        yield connections
        yield GaugeMetricFamily("coldstart_tasks", "Tasks of the server's event loop", value=len(asyncio.all_tasks()))
        # There is no Go here. Dashboards for Toxiproxy look for this name, and find which server answers.
        build = GaugeMetricFamily(
            "go_build_info", "Which program answers as Toxiproxy", labels=("checksum", "path", "version")
        )
        build.add_metric(("unknown", "pg-coldstart", self._version), 1)
        yield build

    def _counters(self) -> Iterator[CounterMetricFamily]:
        for metric, description in (("received", "received by"), ("sent", "sent from")):
            counter = CounterMetricFamily(
                f"toxiproxy_proxy_{metric}_bytes",
                f"Bytes {description} the proxy",
                labels=("direction", "listener", "proxy", "upstream"),
            )
            for proxy in self._proxies.values():
                for stream, size in proxy.transferred.items():
                    counter.add_metric((stream, proxy.listen, proxy.name, proxy.upstream), size)
            yield counter
