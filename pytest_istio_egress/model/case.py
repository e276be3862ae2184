"""What a case is: one documented behaviour, its source, its manifests and what it needs of a mesh."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

DOCUMENTATION = "https://istio.io/latest/docs/"
ATTRIBUTE = "istio_egress_case"
CASE_NAMESPACE = "egress-client"
"""The namespace of manifests that name none."""

AMBIENT = "ambient"
"""The feature that every ambient case requires."""
FEATURES = {
    "registry-only-mesh": "the mesh's outboundTrafficPolicy is REGISTRY_ONLY",
    "mesh-policy": "no mesh-wide Sidecar overrides the mesh's outboundTrafficPolicy",
    "mesh-config": "the mesh configuration is in a ConfigMap of the cluster (implied by mesh_wide/)",
    "egress-gateway": "an egress gateway with ports 80 and 443, an exported Service and a readable access log",
    "gateway-http2": "port 80 of the egress gateway's Service is one for HTTP/2, by its name or appProtocol",
    "gateway-api": "istiod reads HTTPRoutes of the Gateway API",
    "gateway-deployment": "istiod deploys gateways for the Gateway API (implied by a Gateway of that API)",
    "tls-route": "istiod reads TLSRoutes of the Gateway API (Istio 1.30)",
    "backend-tls-policy": "istiod reads BackendTLSPolicies of the Gateway API, also for ServiceEntries (Istio 1.28)",
    "dynamic-dns": "ServiceEntry supports resolution DYNAMIC_DNS",
    "dynamic-dns-mesh": "outboundTrafficPolicy supports ALLOW_ANY_DYNAMIC_DNS",
    "network-policy": "the network plugin enforces NetworkPolicy",
    "validation-webhook": "Istio's validating webhook is active",
    "secrets-for-proxies": "the run can let proxies read secrets of their namespace (implied by a Role)",
    "dual-stack": "pods have addresses of both IP families, and Istio is configured for both (ISTIO_DUAL_STACK)",
    "istio-metrics": "the proxies count Istio's standard metrics, unchanged (upstream Envoy cannot)",
    "tracing": "the proxies trace requests, with or without a provider",
    "http-1.0-as-tcp": "the proxies do not accept HTTP/1.0 as HTTP (PILOT_HTTP10 is off)",
    "proxy-port-log": "the proxies log connections to their own ports (the run's log does, the mesh's does not)",
    "own-sidecar-scope": "no mesh-wide Sidecar limits the hosts of proxies (implied by manifests without a Sidecar)",
    "gateways-across-namespaces": "a Gateway selects gateway pods of other namespaces (implied by a Gateway)",
    "proxy-ports": "sidecars have Istio's documented ports 15001 and 15006 (proxyListenPort, proxyInboundListenPort)",
    "default-retries": "without a rule no request is retried after a 500 (defaultHttpRetryPolicy)",
    "two-default-retries": "without a rule a request is retried twice if the connection fails (defaultHttpRetryPolicy)",
    "http-1.1-upstream": "HTTP/1.1 stays HTTP/1.1 on its way to a host (implied by a request that arrives with it)",
    "protocol-detection": "protocol detection waits without end for the first bytes (protocolDetectionTimeout)",
    "exported-entries": "exportTo decides where a ServiceEntry is visible (implied by one that is exported)",
    AMBIENT: "ztunnel redirects the connections of pods in namespaces labelled for it, and waypoints can be deployed",
    "address-allocation": "istiod allocates addresses to ServiceEntries without one (Istio 1.25)",
}
"""What a case may require of a mesh, by name; cluster/features.py detects each of them."""

ISTIOS_OWN_ENVOY = frozenset({"istio-metrics"})
"""Features of Istio's own build of Envoy, which a mesh with upstream Envoy lacks."""

SIDECAR_PLANE, AMBIENT_PLANE, BOTH_PLANES = DATA_PLANES = ("sidecar", "ambient", "both")
"""The data planes that a run tests; without a choice, those that are there."""
CORE, EXTENDED, ALL = PROFILES = ("core", "extended", "all")
"""Which tests run; a later profile includes all tests of an earlier one."""
MESH_WIDE = "mesh_wide"
"""The folder of the cases that change the mesh configuration."""
MESH_WIDE_NOT_ALLOWED = "changes mesh-wide configuration: requires --istio-egress-allow-mesh-wide"
"""Why such a case is skipped unless the user allows it."""
AMBIENT_FIXTURE = "ambient.yaml"
"""The fixture of every ambient case."""
OWN_GATEWAY_FIXTURE = "gateway.yaml"


class InvalidTestError(Exception):
    """A test is written wrongly; the message is one line that says what to correct."""


Test = TypeVar("Test", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Case:
    """What `documented` declares of a test: its source, its manifests and what it needs of a mesh."""

    page: str
    """The page that documents it: a path below istio.io/latest/docs/, or a full URL."""
    summary: str
    """The documented behaviour in one sentence of our own."""
    folder: Path
    """The folder of the test's module."""
    manifests: tuple[Path, ...]
    """Plain YAML files in that folder, applied in this order."""
    requires: tuple[str, ...]
    """Features that the mesh must have, by their names in FEATURES; without one the test is skipped."""
    outcomes: tuple[str, ...]
    """Ids of the entries of conformance/outcomes.yaml that the test asserts."""
    fixtures: tuple[str, ...] = ()
    """Files of fixtures/ that only few tests need: created for the first of them, and deleted with the run."""
    independent_of_manifests: Mapping[str, str] = field(default_factory=dict)
    """Parameters that also pass without the manifests, and why: by id, or "" for the test. Controls need no entry."""
    min_istio: str | None = None
    """The first release of Istio that behaves so, such as 1.30, or 1.24.3 where that fixed a fault; on older ones the
    test is skipped."""

    @property
    def source(self) -> str:
        """The address of the page that documents the behaviour."""
        return self.page if "://" in self.page else DOCUMENTATION + self.page.lstrip("/")

    @property
    def is_ambient(self) -> bool:
        """Whether it is about the ambient data plane: ztunnel and waypoints in place of sidecars."""
        return AMBIENT in self.requires

    @property
    def profile(self) -> str:
        """The smallest profile that has the test: core needs only sidecars, extended a gateway or another feature."""
        if self.folder.name == MESH_WIDE:
            return ALL
        return EXTENDED if self.requires or OWN_GATEWAY_FIXTURE in self.fixtures else CORE


def documented(
    *,
    source: str,
    summary: str,
    outcomes: Iterable[str] = (),
    manifests: Iterable[str] | None = None,
    requires: Iterable[str] = (),
    fixtures: Iterable[str] = (),
    independent_of_manifests: Mapping[str, str] | None = None,
    min_istio: str | None = None,
) -> Callable[[Test], Test]:
    """Declare a test function as a case; the arguments are the fields of `Case`.

    The manifests are files beside the module; the default for test_x.py is x.yaml.
    """

    def declare(test: Test) -> Test:
        module = Path(test.__code__.co_filename)
        names = [module.stem.removeprefix("test_") + ".yaml"] if manifests is None else manifests
        case = Case(
            page=source,
            summary=summary,
            folder=module.parent,
            manifests=tuple(module.parent / name for name in names),
            requires=tuple(sorted(requires)),
            outcomes=tuple(outcomes),
            fixtures=tuple(fixtures),
            independent_of_manifests=dict(independent_of_manifests or {}),
            min_istio=min_istio,
        )
        setattr(test, ATTRIBUTE, case)
        return test

    return declare


def case_of(test: object) -> Case | None:
    """Return the case that `documented` declared on a test function, None for any other function."""
    return getattr(test, ATTRIBUTE, None)
