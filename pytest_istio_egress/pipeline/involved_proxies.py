"""The pods whose proxies took part in a probe: the client's, and the egress gateway's."""

from __future__ import annotations

from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.outcome import Hop
from pytest_istio_egress.pipeline.context import WorkerContext
from pytest_istio_egress.verdict.verdict import Verdict

CLIENT_SIDECAR = "client-sidecar"
GATEWAY = "gateway"


def proxies_of_probe(context: WorkerContext, verdict: Verdict) -> dict[str, Pod]:
    """Return the injected pods by the names that evidence files use; no pod is waited for, or looked up anew."""
    cached = context.environment.pod_lookup.cached()
    client = cached.get(verdict.probe.client)
    proxies = {CLIENT_SIDECAR: client} if client and client.injected else {}
    hop = verdict.expected.gateway
    return proxies | _numbered(known_gateways(context, hop) if hop else [])


def known_gateways(context: WorkerContext, hop: Hop) -> list[Pod]:
    """Return the pods of a gateway that a probe is to pass; none of a test's own gateway is waited for."""
    if not hop.at:
        return context.access_logs.gateways()
    pod = context.environment.pod_lookup.cached().get(hop.at)
    return [pod] if pod else []


def proxies_of_case(context: WorkerContext, case: Case) -> dict[str, Pod]:
    """Return the injected pods of a whole test, where no single probe failed."""
    cached = context.environment.pod_lookup.cached()
    proxies = {name.replace("/", "-"): pod for name, pod in cached.items() if pod.injected}
    through_gateway = any("gateway" in feature for feature in case.requires)
    return proxies | _numbered(context.access_logs.gateways() if through_gateway else [])


def _numbered(gateways: list[Pod]) -> dict[str, Pod]:
    return {GATEWAY if number == 1 else f"{GATEWAY}-{number}": pod for number, pod in enumerate(gateways, start=1)}
