"""Detects the features that only the configuration of a client's proxy shows; a missing one is a reason to skip.

Mesh configuration, Telemetry resources, annotations, the release and the build of the proxy decide together on these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.model.case import Case

Settings = dict[str, Any]
"""The settings of an HTTP connection manager, as in Envoy's config dump."""

HttpDetector = Callable[[Sequence[Settings]], str | None]
"""Returns None where the HTTP connection managers for outbound requests have a feature, else the reason to skip."""

_OWN_PORT = 15001
_STATS = "istio.stats"
_METRICS = {"requests_total", "tcp_connections_closed_total"}
_LABELS = {"reporter", "destination_service_name", "response_code"}


def missing_in_proxy(case: Case, config: Callable[[], ProxyConfig]) -> dict[str, str]:
    """Return the features that the client's proxy lacks for a test that is set up, each with the reason."""
    needed = [feature for feature in case.requires if feature in PROXY_DETECTORS]
    if not needed:
        return {}
    seen = config()
    return {feature: why for feature in needed if (why := PROXY_DETECTORS[feature](seen))}


def _by_http(detect: HttpDetector) -> Callable[[ProxyConfig], str | None]:
    """Return a detector for a proxy; one without a listener for outbound HTTP counts as having the feature."""

    def of_proxy(config: ProxyConfig) -> str | None:
        managers = config.outbound_http()
        return detect(managers) if managers else None

    return of_proxy


def _proxy_port_log(config: ProxyConfig) -> str | None:
    listener = config.listener("virtualOutbound")
    chains = [chain for chain in (listener.chains if listener else ()) if chain.destination_port == _OWN_PORT]
    if all(chain.logged for chain in chains):
        return None
    return "Istio logs no connections to the proxy's own ports, and this cluster has no EnvoyFilters to add a log"


def _tracing(managers: Sequence[Settings]) -> str | None:
    if any("tracing" in manager for manager in managers):
        return None
    return "the clients' proxies do not trace requests (meshConfig.enableTracing, Telemetry)"


def _http_1_0_as_tcp(managers: Sequence[Settings]) -> str | None:
    if any(manager.get("http_protocol_options", {}).get("accept_http_10") for manager in managers):
        return (
            "the clients' proxies accept HTTP/1.0 as HTTP (PILOT_HTTP10 of istiod, or ISTIO_META_HTTP10 of the proxy)"
        )
    return None


def _istio_metrics(managers: Sequence[Settings]) -> str | None:
    filters = [each for manager in managers for each in manager.get("http_filters", []) if each["name"] == _STATS]
    if not filters:
        return (
            "the clients' proxies do not count Istio's standard metrics: no filter istio.stats (upstream Envoy, "
            "meshConfig.defaultProviders.metrics, Telemetry)"
        )
    changed = sorted({change for each in filters for change in _changes(each.get("typed_config", {}))})
    return f"a Telemetry changes Istio's standard metrics: {', '.join(changed)}" if changed else None


def _changes(settings: Settings) -> Iterator[str]:
    """Yield what a configuration of the filter changes in the metrics and labels that tests read."""
    for metric in settings.get("metrics", []):
        name = metric.get("name") or "all metrics"
        if name not in {*_METRICS, "all metrics"}:
            continue
        if metric.get("drop"):
            yield f"{name} off"
        labels = {*metric.get("tags_to_remove", ()), *metric.get("dimensions", {})} & _LABELS
        yield from (f"label {label} of {name}" for label in labels)


PROXY_DETECTORS: dict[str, Callable[[ProxyConfig], str | None]] = {
    "tracing": _by_http(_tracing),
    "http-1.0-as-tcp": _by_http(_http_1_0_as_tcp),
    "istio-metrics": _by_http(_istio_metrics),
    "proxy-port-log": _proxy_port_log,
}
"""Each returns None where the proxy has the feature, else the reason to skip the tests that need it."""
