"""Facts about security: mutual TLS, Pod Security, NetworkPolicies."""

from __future__ import annotations

from collections import Counter

from pytest_istio_egress.cluster.facts.objects import ObjectReader, labels

ENFORCED = "pod-security.kubernetes.io/enforce"


def mutual_tls(reader: ObjectReader, root: str) -> str:
    """Return the mode of the mesh-wide PeerAuthentication; without one, Istio's default."""
    for policy in reader.objects("security.istio.io/v1", "PeerAuthentication", root):
        spec = policy.get("spec") or {}
        if not spec.get("selector"):
            return str((spec.get("mtls") or {}).get("mode", "UNSET"))
    return "PERMISSIVE (default)"


def pod_security(reader: ObjectReader) -> str:
    """Return the number of namespaces by enforced level; the API does not show the cluster-wide default."""
    levels = Counter(labels(namespace).get(ENFORCED, "no level") for namespace in reader.objects("v1", "Namespace"))
    return ", ".join(f"{level}: {number}" for level, number in sorted(levels.items()))


def network_policy(reader: ObjectReader) -> str:
    """Return the number of policies; only a probe shows whether they are enforced."""
    policies = reader.objects("networking.k8s.io/v1", "NetworkPolicy")
    return f"{len(policies)} policies; enforcement is tested by the first test that requires it"
