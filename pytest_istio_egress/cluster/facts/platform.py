"""What else shapes a mesh: mutual TLS, Pod Security, network policies, definitions, ambient mode, whose Envoy."""

from __future__ import annotations

import re
from collections import Counter

from pytest_istio_egress.cluster.facts.objects import Object, ObjectReader, labels
from pytest_istio_egress.cluster.facts.revisions import environment, version
from pytest_istio_egress.model.mesh_facts import ISTIOS_OWN_BUILD

ENFORCED = "pod-security.kubernetes.io/enforce"
_BUNDLE = "gateway.networking.k8s.io/bundle-version"
_CHANNEL = "gateway.networking.k8s.io/channel"
_NATIVE_BY_DEFAULT = (1, 27)


def mutual_tls(look: ObjectReader, root: str) -> str:
    """Return the mode of the mesh-wide PeerAuthentication; without one, Istio's default."""
    for found in look.objects("security.istio.io/v1", "PeerAuthentication", root):
        spec = found.get("spec") or {}
        if not spec.get("selector"):
            return str((spec.get("mtls") or {}).get("mode", "UNSET"))
    return "PERMISSIVE (default)"


def pod_security(look: ObjectReader) -> str:
    """Return how many namespaces enforce which level; the cluster's own default is not to be seen by the API."""
    levels = Counter(labels(found).get(ENFORCED, "no level") for found in look.objects("v1", "Namespace"))
    return ", ".join(f"{level}: {number}" for level, number in sorted(levels.items()))


def network_policy(look: ObjectReader) -> str:
    """Return how many policies there are: only a pod that is cut off shows that they are enforced."""
    found = look.objects("networking.k8s.io/v1", "NetworkPolicy")
    return f"{len(found)} policies; whether they are enforced is found out when a case needs it"


def gateway_api(look: ObjectReader) -> str:
    """Return version and channel, as the definitions themselves carry them."""
    found = look.one("apiextensions.k8s.io/v1", "CustomResourceDefinition", "gateways.gateway.networking.k8s.io")
    said = (found or {"metadata": {}})["metadata"].get("annotations") or {}
    return f"{said.get(_BUNDLE, 'unknown version')} {said.get(_CHANNEL, '')}".strip() if found else "not installed"


def definitions(look: ObjectReader) -> str:
    """Return the versions in which the cluster serves ServiceEntry."""
    found = look.one("apiextensions.k8s.io/v1", "CustomResourceDefinition", "serviceentries.networking.istio.io")
    versions = found["spec"]["versions"] if found else []
    return ", ".join(entry["name"] for entry in versions if entry.get("served")) or "not installed"


def ambient(look: ObjectReader) -> str:
    """Return whether ztunnel is there."""
    there = [found for found in look.objects("apps/v1", "DaemonSet") if labels(found).get("app") == "ztunnel"]
    return f"ztunnel in {there[0]['metadata']['namespace']}" if there else "not installed"


def native_sidecars(istiod: Object) -> str:
    """Return what istiod injects: by its own setting, else by its version's default."""
    said = environment(istiod).get("ENABLE_NATIVE_SIDECARS")
    if said:
        return "yes" if said.lower() == "true" else "no"
    found = re.match(r"v?(\d+)\.(\d+)", version(istiod))
    by_default = found is None or (int(found[1]), int(found[2])) >= _NATIVE_BY_DEFAULT
    return "yes (default)" if by_default else "no (default)"


def proxy_build(istiod: Object) -> str:
    """Return whose Envoy istiod's configuration is for: upstream's knows none of the filters that Istio adds."""
    said = environment(istiod)
    off = [said.get(name, "").lower() for name in ("PILOT_ENABLE_METADATA_EXCHANGE", "PILOT_ENABLE_ALPN_FILTER")]
    return "upstream Envoy" if off == ["false", "false"] else ISTIOS_OWN_BUILD
