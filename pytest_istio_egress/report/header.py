"""Which cluster, which mesh, which versions: the lines at the head of a run."""

from __future__ import annotations

from pytest_istio_egress.options import Settings
from pytest_istio_egress.target import Prepared, TargetError


def before(settings: Settings, run: str) -> list[str]:
    """Say what will be asked; nothing has been contacted yet."""
    place = settings.places["target"]
    return [f"istio-egress: target {settings.target} ({place}), run {run}"]


def after(prepared: Prepared) -> list[str]:
    """Say what answered. Raises TargetError when there is no working Istio in it."""
    target = prepared.target
    where = f"context {target.context}" if target.context else target.kind
    lines = [f"istio-egress: {where}, Kubernetes {prepared.kubernetes}", *target.notes]
    return [*lines, *_mesh(prepared)]


def _mesh(prepared: Prepared) -> list[str]:
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    from pytest_istio_egress.cluster.api import Api, ClusterError, reason
    from pytest_istio_egress.cluster.mesh import Mesh

    try:
        mesh = Mesh(Api(prepared.target.kubeconfig, prepared.target.context))
        mesh.check()
        gateway = mesh.gateway
        through = f"egress gateway {gateway.service}.{gateway.namespace}" if gateway else "no egress gateway"
        return [f"istio-egress: Istio {mesh.istio}, {mesh.outbound_mode}, {through}"]
    except ApiException as error:
        raise TargetError(f"the mesh can't be looked at: {reason(error)}") from error
    except (ClusterError, HTTPError) as error:
        raise TargetError(" ".join(str(error).split())) from error
