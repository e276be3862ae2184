"""Facts about the proxies: what a running one says of itself, native sidecars, ambient mode, dual stack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pytest_istio_egress.cluster.facts.objects import Object, ObjectReader, is_ready, labels, name, variables
from pytest_istio_egress.cluster.facts.revisions import REVISION
from pytest_istio_egress.cluster.pods import PROXY
from pytest_istio_egress.model.istio_versions import older, release
from pytest_istio_egress.model.mesh_facts import ISTIOS_OWN_BUILD, UPSTREAM_BUILD, Ztunnel

_NATIVE_SINCE = "1.27"
"""The release of Istio that injects native sidecars by default, on nodes that support them well."""
_STATS = "envoy.filters.http.istio_stats"
"""The filter for Istio's standard metrics, which upstream Envoy does not have."""


@dataclass(frozen=True)
class ProxyInfo:
    """What a running proxy says of itself (`/server_info` of its admin interface), and what its pod sets for it."""

    istio: str
    """The version of Istio's agent, as istiod sees it; empty where it says none."""
    envoy: str
    extensions: frozenset[str]
    """The names of the extensions that are linked into its Envoy."""
    domain: str
    """The cluster domain in its node id; empty where it has none."""
    trust_domain: str
    """The trust domain that istiod injected (the variable TRUST_DOMAIN of its container); empty where it has none."""

    def __str__(self) -> str:
        """Return both versions."""
        return f"Istio {self.istio or 'unknown'}, Envoy {self.envoy}"

    @classmethod
    def of(cls, server_info: Object, trust_domain: str = "") -> ProxyInfo:
        """Read the response of `/server_info`."""
        node = server_info.get("node") or {}
        version = str(server_info.get("version", ""))
        # commit/version/status/build/TLS library, e.g. 0123abc/1.36.4/Clean/RELEASE/BoringSSL
        parts = version.split("/")
        # router~10.244.0.2~pod.namespace~namespace.svc.cluster.local
        domain = str(node.get("id", "")).rpartition("~")[2].partition(".svc.")[2]
        return cls(
            istio=str((node.get("metadata") or {}).get("ISTIO_VERSION", "")),
            envoy=parts[1] if len(parts) > 1 else version,
            extensions=frozenset(str(each.get("name")) for each in node.get("extensions") or []),
            domain=domain,
            trust_domain=trust_domain,
        )


def running_proxy(reader: ObjectReader, namespaces: Iterable[str], revision: str) -> ProxyInfo | None:
    """Return what a ready proxy of the revision says of itself, None where none in these namespaces answers."""
    for pod in _pods(reader, namespaces):
        answer = reader.server_info(pod["metadata"]["namespace"], name(pod))
        if answer and _revision(answer, revision) == revision:
            return ProxyInfo.of(answer, variables(_proxy_container(pod)).get("TRUST_DOMAIN", ""))
    return None


def _pods(reader: ObjectReader, namespaces: Iterable[str]) -> Iterator[Object]:
    for namespace in dict.fromkeys(namespaces):
        for pod in reader.objects("v1", "Pod", namespace):
            if is_ready(pod) and _proxy_container(pod):
                yield pod


def _proxy_container(pod: Object) -> Object:
    spec = pod.get("spec") or {}
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    return next((each for each in containers if each["name"] == PROXY), {})


def _revision(server_info: Object, default: str) -> str:
    own = ((server_info.get("node") or {}).get("metadata") or {}).get("LABELS") or {}
    return str(own.get(REVISION, default))


def native_sidecars(istiod: Mapping[str, str], version: str) -> str:
    """Return whether istiod injects native sidecars: by its environment, else by the default of its version."""
    setting = istiod.get("ENABLE_NATIVE_SIDECARS", "").lower()
    if setting in ("true", "false"):
        return "yes" if setting == "true" else "no"
    if not setting and (not release(version) or older(version, _NATIVE_SINCE)):
        return "no (default)" if release(version) else "unknown"
    return "where the kubelets of all nodes are 1.33 or newer (auto)"


def build_of(extensions: Iterable[str]) -> str:
    """Return the build of an Envoy by the extensions that are linked into it."""
    return ISTIOS_OWN_BUILD if _STATS in extensions else UPSTREAM_BUILD


def configured_build(istiod: Mapping[str, str]) -> str:
    """Return the build of Envoy that istiod is configured for by its environment."""
    filters = ("PILOT_ENABLE_METADATA_EXCHANGE", "PILOT_ENABLE_ALPN_FILTER")
    disabled = all(istiod.get(name, "").lower() == "false" for name in filters)
    return UPSTREAM_BUILD if disabled else ISTIOS_OWN_BUILD


def dual_stack(istiod: Mapping[str, str]) -> str:
    """Return whether istiod configures proxies for both families of a dual-stack cluster (ISTIO_DUAL_STACK)."""
    return "on" if istiod.get("ISTIO_DUAL_STACK", "").lower() == "true" else "off"


def _pod_labels(daemon_set: Object) -> Object:
    """Return the labels of its pods: Istio's own manifest gives ztunnel's DaemonSet others."""
    template = (daemon_set.get("spec") or {}).get("template") or {}
    return {**labels(daemon_set), **labels(template)}


def ztunnel(reader: ObjectReader) -> Ztunnel | None:
    """Return the node proxy of ambient mode; None where it is not installed."""
    ztunnels = [each for each in reader.objects("apps/v1", "DaemonSet") if _pod_labels(each).get("app") == "ztunnel"]
    return Ztunnel(ztunnels[0]["metadata"]["namespace"]) if ztunnels else None
