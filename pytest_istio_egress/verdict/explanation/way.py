"""The hops of a request, each with its path through that proxy, and the text that shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pytest_istio_egress.model.addresses import split_endpoint
from pytest_istio_egress.verdict.proxy_path import Endpoint, Origin, ProxyPath, RequestAtProxy
from pytest_istio_egress.verdict.proxy_path.path import BY_DNS, CATCH_ALL_CLUSTERS, PASSTHROUGH
from pytest_istio_egress.verdict.proxy_path.upstream import cluster_type, mesh_tls, originated_tls

_STAGE = 20
"""Characters of the first column."""
_SHOWN_ENDPOINTS = 5


class Hop(Protocol):
    """A proxy on the way, as text."""

    def lines(self) -> Iterator[str]:
        """Yield the parts of its configuration that take the request."""
        ...


@dataclass(frozen=True, kw_only=True)
class ExplainedHop:
    """One Envoy on the way."""

    name: str
    """Such as `sidecar of payments-76d8 -n payments`."""
    path: ProxyPath

    def lines(self) -> Iterator[str]:
        """Yield the parts of its configuration that take the request, each with the resource that decided it."""
        yield self.name
        for step in self.path.steps():
            if step.stage == "endpoints":
                yield line("endpoints", _endpoints(self.path))
            else:
                yield line(step.stage, step.name, step.origin)
        if self.path.response:
            yield line("response", f"{self.path.response}, from this proxy itself")
        cluster = self.path.cluster
        for service in self.path.services:
            yield line("stands for", f"{service.host} (namespace {service.namespace})")
        if tls := originated_tls(cluster):
            yield line("TLS", _tls_text(tls.sni, tls.secrets))
        elif mesh_tls(cluster):
            yield line("TLS", "mutual TLS of the mesh, where the endpoint supports it")


@dataclass(frozen=True, kw_only=True)
class Way:
    """The way of a request, hop by hop."""

    hops: tuple[Hop, ...]
    end: str
    """Where it ends: an address, or why it goes no further."""
    odd: tuple[str, ...] = ()
    """What is unusual, or keeps the request from its host; main clauses without a full stop."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The way of a request, for people."""

    request: str
    """`payments/deployment/payments -> https://api.partner.test/v1`."""
    way: Way
    unread: tuple[str, ...] = ()
    """Kinds of resources that could not be read."""

    def lines(self) -> Iterator[str]:
        """Yield the text of the explanation."""
        yield self.request
        for hop in self.way.hops:
            yield ""
            yield from hop.lines()
        yield ""
        yield f"ends: {self.way.end}"
        yield ""
        odd = dict.fromkeys(self.way.odd)
        yield from (f"odd: {text}" for text in odd)
        if not odd:
            yield "odd: nothing found"
        if self.unread:
            yield f"not readable, so nothing is said about it: {', '.join(self.unread)}"


def end_of(path: ProxyPath) -> str:
    """Return where a request ends that takes this path at its last proxy."""
    if path.response:
        return f"this proxy answers {path.response} itself"
    if path.cluster_name == "BlackHoleCluster":
        return "this proxy closes the connection (BlackHoleCluster)"
    if path.cluster_name == BY_DNS:
        return "an address that DNS has for the host, by no rule (AllowAnyDynamicDNSCluster)"
    if path.cluster_name == PASSTHROUGH:
        return "the address that the client connects to, by no rule (PassthroughCluster)"
    if path.http and path.route is None:
        return "this proxy answers 404: it has no route for the request"
    if not path.cluster_name:
        return "this proxy has no listener or filter chain for the connection"
    if path.cluster is None:
        return f"this proxy does not have the cluster {path.cluster_name}"
    return _endpoints(path) or "no endpoint"


def next_request(path: ProxyPath) -> RequestAtProxy | None:
    """Return the request as a proxy at the chosen cluster's first endpoint receives it; None where there is none."""
    endpoint = split_endpoint(path.endpoints[0].address) if path.endpoints else None
    if path.cluster_name in CATCH_ALL_CLUSTERS or endpoint is None:
        return None
    return path.request.forwarded(path.cluster, *endpoint)


def line(stage: str, text: str, origin: Origin | str | None = None) -> str:
    """Return one line of a hop: a part of its configuration, and the resource or label that decided it."""
    return f"  {stage:<{_STAGE}} {text}" + (f"  <- {origin}" if origin else "")


def _endpoints(path: ProxyPath) -> str:
    if not path.endpoints and cluster_type(path.cluster) == "ORIGINAL_DST":
        return "the address that the client connects to"
    return endpoints_text(path.endpoints)


def endpoints_text(endpoints: Sequence[Endpoint]) -> str:
    """Return the first endpoints, each with the reason why it is not used, and how many more there are."""
    shown = [
        endpoint.address + (f" (not used: {endpoint.unhealthy})" if endpoint.unhealthy else "")
        for endpoint in endpoints[:_SHOWN_ENDPOINTS]
    ]
    more = len(endpoints) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _tls_text(sni: str, secrets: tuple[str, ...]) -> str:
    name = f"server name {sni}" if sni else "the request's host as server name"
    return f"originated here, {name}" + (f", with {', '.join(secrets)}" if secrets else "")
