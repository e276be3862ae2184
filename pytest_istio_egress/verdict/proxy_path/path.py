"""The path of one request through one proxy: which listener, chain, route and cluster take it, and whose they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from urllib.parse import SplitResult

from pytest_istio_egress.model.addresses import bracketed
from pytest_istio_egress.model.client_proxy import ClientProxy
from pytest_istio_egress.model.probe import DEFAULT_PORTS, authority_of
from pytest_istio_egress.verdict.proxy_path.dump import Endpoint, Part, ProxyDump
from pytest_istio_egress.verdict.proxy_path.listeners import chain_of, http_manager, listener_of, sniffs, tcp_clusters
from pytest_istio_egress.verdict.proxy_path.matchers import Connection, chosen_chain
from pytest_istio_egress.verdict.proxy_path.origin import Origin, ServiceOfCluster, origin_of, services_of
from pytest_istio_egress.verdict.proxy_path.routes import clusters_of_route, route_of, virtual_host_of
from pytest_istio_egress.verdict.proxy_path.upstream import mesh_tls, originated_tls

PASSTHROUGH, BY_DNS = "PassthroughCluster", "AllowAnyDynamicDNSCluster"
"""The clusters for hosts that the registry does not know, where any is allowed: to the address that the client chose,
or, with ALLOW_ANY_DYNAMIC_DNS and HTTP, to one that DNS has for the host."""
ANY_HOST_CLUSTERS = frozenset({PASSTHROUGH, BY_DNS})
CATCH_ALL_CLUSTERS = ANY_HOST_CLUSTERS | {"BlackHoleCluster"}
WAYPOINT_LISTENER = "main_internal"
"""The listener of a waypoint for the connections inside the tunnels."""
INLINE = "(inline)"
"""In place of the name of a route configuration that is part of its filter chain."""


def _path(url: SplitResult) -> str:
    """Return what of a URL a request line has."""
    return f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"


@dataclass(frozen=True, kw_only=True)
class RequestAtProxy:
    """One request as a proxy receives it."""

    address: str
    """The address that the connection is for, empty where it is not known."""
    port: int
    tls: bool = False
    """Whether its first bytes are TLS: the client's, or a sidecar's mutual TLS at a gateway."""
    http: bool = True
    """Whether it is plain HTTP, after the TLS that the proxy itself ends."""
    server_name: str = ""
    authority: str = ""
    """The Host header: `host`, or `host:port`."""
    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    """By names in lower case."""

    @property
    def spoken(self) -> str:
        """The protocol of its first bytes, `TLS` or `HTTP`; empty for another one."""
        return "TLS" if self.tls else "HTTP" if self.http else ""

    @classmethod
    def of_url(cls, url: SplitResult, host: str, *, address: str, port: int) -> RequestAtProxy:
        """Return a client's own GET of a URL, whose host may have another name in the cluster."""
        tls = url.scheme == "https"
        return cls(
            address=address,
            port=port,
            tls=tls,
            http=url.scheme == "http",
            server_name=host if tls else "",
            authority=authority_of(url.scheme, host, port),
            path=_path(url),
        )

    @classmethod
    def by_client_proxy(
        cls, url: SplitResult, proxy: ClientProxy, host: str, *, address: str, port: int
    ) -> RequestAtProxy:
        """Return what a client sends to its own proxy at a host: a request for the URL, or for a tunnel (CONNECT)."""
        asked, asked_port = url.hostname or "", url.port or DEFAULT_PORTS[url.scheme]
        tunnelled = proxy.tunnels or url.scheme != "http"
        tls = proxy.scheme == "https"
        return cls(
            address=address,
            port=port,
            tls=tls,
            http=proxy.scheme == "http",
            server_name=host if tls else "",
            authority=f"{bracketed(asked)}:{asked_port}" if tunnelled else authority_of("http", asked, asked_port),
            method="CONNECT" if tunnelled else "GET",
            path="" if tunnelled else _path(url),
        )

    def forwarded(self, cluster: Part | None, address: str, port: int, *, server_name: str = "") -> RequestAtProxy:
        """Return the request as an endpoint of a proxy's cluster receives it; a server name seen there is given."""
        tls = originated_tls(cluster)
        name = server_name or (tls.sni if tls else "") or self.server_name
        encrypted = self.tls or tls is not None or (mesh_tls(cluster) and bool(name))
        return replace(self, address=address, port=port, tls=encrypted, server_name=name)


@dataclass(frozen=True)
class PathStep:
    """One part of the configuration on the path: what it is, its name, and the resource that it comes from."""

    stage: str
    """listener, filter chain, route configuration, virtual host, route, cluster or endpoints."""
    name: str
    origin: Origin | None = None


@dataclass(frozen=True, kw_only=True)
class ProxyPath:
    """The parts of one proxy's configuration that take a request; None for a part that does not exist."""

    dump: ProxyDump
    request: RequestAtProxy
    listener: Part | None = None
    chain: Part | None = None
    http: bool = False
    """Whether the chain reads HTTP: it has routes."""
    route_config: str = ""
    virtual_host: Part | None = None
    route: Part | None = None
    clusters: tuple[str, ...] = ()
    """The clusters that may be chosen: several where a rule weights them, none for a response by the proxy itself."""

    @property
    def listener_name(self) -> str:
        """The listener's name, such as 0.0.0.0_80; empty without one."""
        return str((self.listener or {}).get("name", ""))

    @property
    def sniffed(self) -> bool:
        """Whether the listener waits for the client's first bytes."""
        return self.listener is not None and sniffs(self.listener)

    @property
    def cluster_name(self) -> str:
        """The cluster, the first one of several; empty without one."""
        return self.clusters[0] if self.clusters else ""

    @property
    def cluster(self) -> Part | None:
        """The cluster's configuration, None where the proxy does not have it."""
        return self.dump.clusters.get(self.cluster_name)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The cluster's endpoints."""
        return self.dump.endpoints.get(self.cluster_name, ())

    @cached_property
    def rule(self) -> Origin | None:
        """The VirtualService that the route, or the filter chain, comes from; None for Istio's default."""
        return origin_of(self.route) or origin_of(self.chain)

    @cached_property
    def destination_rule(self) -> Origin | None:
        """The DestinationRule that the cluster is made with."""
        return origin_of(self.cluster)

    @cached_property
    def services(self) -> tuple[ServiceOfCluster, ...]:
        """The Services or ServiceEntry hosts that the cluster stands for."""
        return services_of(self.cluster)

    @property
    def response(self) -> int:
        """The status that the route itself answers with, 0 where it forwards the request."""
        return int(((self.route or {}).get("direct_response") or {}).get("status", 0))

    @property
    def rewrites_authority(self) -> bool:
        """Whether the route replaces the Host header."""
        action = (self.route or {}).get("route") or {}
        return any(str(name).startswith(("host_rewrite", "auto_host_rewrite")) for name in action)

    def through(self, cluster: str) -> ProxyPath:
        """Return the path with the cluster that the proxy really chose, by its access log."""
        return replace(self, clusters=(cluster,))

    def steps(self) -> Iterator[PathStep]:
        """Yield the parts in their order."""
        if self.listener is not None:
            yield PathStep("listener", self.listener_name)
        if self.chain is not None:
            yield PathStep("filter chain", str(self.chain.get("name") or "(unnamed)"), origin_of(self.chain))
        if self.route_config:
            yield PathStep("route configuration", self.route_config)
        if self.virtual_host is not None:
            yield PathStep("virtual host", str(self.virtual_host.get("name", "")))
        if self.route is not None:
            yield PathStep("route", str(self.route.get("name") or "(unnamed)"), origin_of(self.route))
        for name in self.clusters:
            yield PathStep("cluster", name, origin_of(self.dump.clusters.get(name)))
        if self.endpoints:
            yield PathStep("endpoints", ", ".join(endpoint.address for endpoint in self.endpoints))


def originates_again(path: ProxyPath) -> bool:
    """Whether a client's own TLS goes into TLS that its sidecar originates to a host; the mesh's own does not count."""
    tls = originated_tls(path.cluster)
    return tls is not None and not tls.of_workload and path.request.tls and not path.http


def path_of(dump: ProxyDump, request: RequestAtProxy) -> ProxyPath:
    """Return the path that a proxy's configuration has for a request; it ends at the first part that is missing."""
    path = ProxyPath(dump=dump, request=request)
    listener = listener_of(dump, request.address, request.port)
    if listener is None:
        return path
    chain = chain_of(
        listener,
        address=request.address,
        port=request.port,
        server_name=request.server_name,
        tls=request.tls,
        http=request.http,
    )
    return _through_chain(replace(path, listener=listener, chain=chain))


def waypoint_path_of(dump: ProxyDump, request: RequestAtProxy) -> ProxyPath:
    """Return the path that a waypoint's configuration has for a request that comes through a tunnel (HBONE)."""
    listener = dump.listener(WAYPOINT_LISTENER)
    path = ProxyPath(dump=dump, request=request, listener=listener)
    if listener is None:
        return path
    connection = Connection(address=request.address, port=request.port, tls=request.tls, http=request.http)
    name = chosen_chain(listener.get("filter_chain_matcher") or {}, connection)
    chain = next((each for each in listener.get("filter_chains") or [] if name and each.get("name") == name), None)
    return _through_chain(replace(path, chain=chain))


def _through_chain(path: ProxyPath) -> ProxyPath:
    manager = http_manager(path.chain)
    if manager is None:
        return replace(path, clusters=tcp_clusters(path.chain))
    return _http_path(replace(path, http=True), manager)


def _http_path(path: ProxyPath, manager: Part) -> ProxyPath:
    request = path.request
    name = str((manager.get("rds") or {}).get("route_config_name", ""))
    config = path.dump.route_configs.get(name) if name else manager.get("route_config")
    path = replace(path, route_config=name or INLINE)
    host = virtual_host_of(config, request.authority) if config else None
    if host is None:
        return path
    route = route_of(
        host, method=request.method, path=request.path, authority=request.authority, headers=request.headers
    )
    return replace(path, virtual_host=host, route=route, clusters=clusters_of_route(route))
