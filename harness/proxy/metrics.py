"""The counters of `/metrics`, under the names that Toxiproxy gives them with -proxy-metrics and -runtime-metrics."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry
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

    def page(self, accept: str) -> tuple[bytes, str]:
        """The metrics in the format an `Accept` header asks for, and that format's content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
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
        # There is no Go here. Dashboards for Toxiproxy look for this name, and find which server answers.
        build = GaugeMetricFamily(
            "go_build_info", "Which program answers as Toxiproxy", labels=("checksum", "path", "version")
        )
        build.add_metric(("unknown", "pg-coldstart", self._version), 1)
        yield build
