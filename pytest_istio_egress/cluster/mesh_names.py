"""Renders the names of Istio's documentation in manifests as those of the mesh under test.

istiod.istio-system                     istiod-canary.istio-control      the control plane
istio-egressgateway.istio-system        exit.tenants                     the egress gateway's Service
[., istio-system], [istio-system/*]     both namespaces, each once       exportTo and egress hosts
{istio: egressgateway}                  {app: exit, tier: edge}          the labels of the gateway's pods
{istio-injection: enabled}              {istio.io/rev: canary}           the injection label of namespaces
cluster.local/ns/a/sa/b                 corp.example/ns/a/sa/b           the trust domain
a.b.svc.cluster.local                   a.b.svc.corp.example             the cluster domain
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_istio_egress.cluster.discovery import Selectors, parsed
from pytest_istio_egress.model.addresses import IPV4
from pytest_istio_egress.model.mesh_facts import (
    CLUSTER_DOMAIN,
    DEFAULT_REVISION,
    STOCK_GATEWAY,
    TRUST_DOMAIN,
    Gateway,
    MeshFacts,
)

SYSTEM = "istio-system"
INJECTION = ("istio-injection", "enabled")
EXPORT_TO = "networking.istio.io/exportTo"
"""The annotation of a Service that lists the namespaces it is visible to, as the field exportTo does elsewhere."""
GATEWAY = f"{STOCK_GATEWAY.service}.{STOCK_GATEWAY.namespace}"

_GATEWAY_NAMESPACE = "<namespace of the egress gateway>"
"""Stands for it in a list until `render`: the namespace itself may have the name that stands for the control plane."""
_SYSTEM_NAMES = re.compile(
    rf"(?P<gateway>(?<![\w-]){re.escape(GATEWAY)}(?![\w-]))|(?P<istiod>(?<![\w-])istiod\.{SYSTEM}(?![\w-]))"
    rf"|(?P<system>(?<![\w.-]){SYSTEM}(?![\w-]))|(?P<gateway_namespace>{_GATEWAY_NAMESPACE})"
)
"""All of them at once: what replaces one may look like another."""
_DOMAIN = re.compile(rf"(?<=\.svc\.){re.escape(CLUSTER_DOMAIN)}(?![\w.-]*\w)")
_TRUST_DOMAIN = re.compile(rf"(?<![\w.-]){re.escape(TRUST_DOMAIN)}(?=/ns/)")


@dataclass(frozen=True)
class MeshNames:
    """The names of one mesh that replace those of Istio's documentation."""

    control_plane: str = SYSTEM
    revision: str = DEFAULT_REVISION
    istiod: str = "istiod"
    gateway: Gateway = STOCK_GATEWAY
    injection: tuple[str, str] = INJECTION
    trust_domain: str = TRUST_DOMAIN
    cluster_domain: str = CLUSTER_DOMAIN
    config_map: str = "istio"
    """The ConfigMap with the mesh configuration; empty where it is not in the cluster."""
    discovery: Selectors = ()
    """The mesh's discoverySelectors."""
    ip_families: tuple[str, ...] = (IPV4,)
    """The IP families of pods, the first one first."""
    telemetry_services: tuple[str, ...] = ()
    """The hosts that proxies send traces and logs to."""

    @classmethod
    def of(cls, facts: MeshFacts) -> MeshNames:
        """Return the names of a mesh; without an egress gateway, the documented name stays."""
        return cls(
            control_plane=facts.control_plane,
            revision=facts.value("revision", DEFAULT_REVISION),
            istiod=facts.istiod,
            gateway=facts.gateway or STOCK_GATEWAY,
            injection=facts.injection,
            trust_domain=facts.value("trust-domain", TRUST_DOMAIN),
            cluster_domain=facts.value("cluster-domain", CLUSTER_DOMAIN),
            config_map=facts.config_map,
            discovery=parsed(facts.value("discovery-selectors")),
            ip_families=facts.ip_families,
            telemetry_services=facts.telemetry_services,
        )

    def render(self, text: str) -> str:
        """Replace the documented names in a text."""
        text = _SYSTEM_NAMES.sub(self._system_name, text)
        text = _DOMAIN.sub(self.cluster_domain, text)
        return _TRUST_DOMAIN.sub(self.trust_domain, text)

    def _system_name(self, found: re.Match[str]) -> str:
        match found.lastgroup:
            case "gateway":
                return f"{self.gateway.service}.{self.gateway.namespace}"
            case "istiod":
                return f"{self.istiod}.{self.control_plane}"
            case "gateway_namespace":
                return self.gateway.namespace
            case _:
                return self.control_plane

    def render_items(self, value: list[Any]) -> list[Any]:
        """Put the egress gateway's namespace behind istio-system in a list, where it is another one; for `render`."""
        both = (SYSTEM,) if self.gateway.namespace == self.control_plane else (SYSTEM, _GATEWAY_NAMESPACE)
        rendered: list[Any] = []
        for item in value:
            if item in (SYSTEM, f"{SYSTEM}/*"):
                rest = item.removeprefix(SYSTEM)
                rendered += [f"{name}{rest}" for name in both if f"{name}{rest}" not in rendered]
            else:
                rendered.append(item)
        return rendered

    def render_labels(self, value: Mapping[Any, Any]) -> dict[Any, Any]:
        """Replace the labels of the gateway's pods, the injection label, and istio-system in a Service's exportTo."""
        rendered = dict(value)
        if isinstance(exported := rendered.get(EXPORT_TO), str):
            rendered[EXPORT_TO] = ",".join(self.render_items(exported.split(",")))
        (key, stock), wanted = next(iter(STOCK_GATEWAY.labels.items())), self.gateway.labels
        if rendered.get(key) == stock and wanted.get(key) != stock:
            del rendered[key]
            rendered.update(wanted)
        if rendered.get(INJECTION[0]) == INJECTION[1] and self.injection != INJECTION:
            del rendered[INJECTION[0]]
            rendered[self.injection[0]] = self.injection[1]
        return rendered

    def render_address_type(self, value: Mapping[Any, Any]) -> Mapping[Any, Any]:
        """Replace the family of an EndpointSlice's addresses: external servers are in the first one."""
        return {**value, "addressType": self.ip_families[0]} if value.get("addressType") == IPV4 else value

    def with_telemetry(self, sidecar: dict[str, Any]) -> dict[str, Any]:
        """Return a Sidecar with the hosts that proxies send traces and logs to.

        Envoy rejects each listener that names the cluster of such a host and does not get that cluster: a mesh with
        tracing needs the host in every Sidecar. An egress listener of one port has only hosts with that port, so where
        there is no other one, one is added.
        """
        egress = list(sidecar["spec"].get("egress") or [])
        if not egress or not self.telemetry_services:
            return sidecar
        added = [f"*/{host}" for host in self.telemetry_services]
        completed = [
            each if "port" in each or not each.get("hosts") else {**each, "hosts": [*each["hosts"], *added]}
            for each in egress
        ]
        if all("port" in each for each in egress):
            completed.append({"hosts": added})
        return {**sidecar, "spec": {**sidecar["spec"], "egress": completed}}

    def unrender(self, text: str) -> str:
        """Undo `render` for Services of the mesh; the run's own gateway keeps its name, which manifests use as well."""
        text = text.replace(f".svc.{self.cluster_domain}", f".svc.{CLUSTER_DOMAIN}")
        if self.gateway.namespace != "egress-gateway":
            text = text.replace(f"{self.gateway.service}.{self.gateway.namespace}.", f"{GATEWAY}.")
        return text.replace(f"{self.istiod}.{self.control_plane}.", f"istiod.{SYSTEM}.")
