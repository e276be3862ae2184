"""Facts about the cluster's network: its IP families."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.facts.objects import Object, ObjectReader
from pytest_istio_egress.model.addresses import family_of


def ip_families(reader: ObjectReader, control_plane: str) -> str:
    """Return the IP families of pods, the first one first: `IPv4`, `IPv6`, or both on a dual-stack cluster.

    Pods of the control plane show them; where it has none (a managed one runs elsewhere), pods of kube-system, such as
    those of the cluster's DNS. Raises ClusterError where neither has a pod with an address of its own.
    """
    for namespace in (control_plane, "kube-system"):
        for pod in reader.objects("v1", "Pod", namespace):
            if families := list(dict.fromkeys(map(family_of, _addresses(pod)))):
                return ", ".join(families)
    raise ClusterError(f"no pod in {control_plane} or kube-system has an address")


def _addresses(pod: Object) -> Iterator[str]:
    """Yield a pod's addresses; none for a pod in the network of its node, which may have other families."""
    if not (pod.get("spec") or {}).get("hostNetwork"):
        for entry in (pod.get("status") or {}).get("podIPs") or []:
            yield str(entry["ip"])
