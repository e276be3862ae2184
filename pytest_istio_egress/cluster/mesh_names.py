"""The mesh's own names: manifests say those of Istio's documents, and get those of the mesh that is there.

istiod.istio-system                     istiod-canary.istio-control      the control plane
istio-egressgateway.istio-system        exit.tenants                     the egress gateway's Service
[., istio-system], [istio-system/*]     both namespaces, each once       what is exported to or imported from them
{istio: egressgateway}                  {app: exit, tier: edge}          what selects the gateway's pods
{istio-injection: enabled}              {istio.io/rev: canary}           what has a namespace's pods injected
cluster.local/ns/a/sa/b                 corp.example/ns/a/sa/b           the trust domain
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_istio_egress.model.mesh_facts import STOCK_GATEWAY, Gateway, MeshFacts

SYSTEM = "istio-system"
INJECTION = ("istio-injection", "enabled")
TRUST_DOMAIN = "cluster.local"
GATEWAY = f"{STOCK_GATEWAY.service}.{STOCK_GATEWAY.namespace}"

_GATEWAY = re.compile(rf"(?<![\w-]){re.escape(GATEWAY)}(?![\w-])")
_ISTIOD = re.compile(rf"(?<![\w-])istiod\.{SYSTEM}(?![\w-])")
_SYSTEM = re.compile(rf"(?<![\w.-]){SYSTEM}(?![\w-])")
_TRUST_DOMAIN = re.compile(rf"(?<![\w.-]){re.escape(TRUST_DOMAIN)}(?=/ns/)")


@dataclass(frozen=True)
class MeshNames:
    """What stands in the place of the names of Istio's documents."""

    control_plane: str = SYSTEM
    istiod: str = "istiod"
    gateway: Gateway = STOCK_GATEWAY
    injection: tuple[str, str] = INJECTION
    trust_domain: str = TRUST_DOMAIN
    config_map: str = "istio"
    """The ConfigMap with the mesh's configuration."""

    @classmethod
    def of(cls, facts: MeshFacts) -> MeshNames:
        """Return the names of a mesh; without a gateway, the documents' name stands for one that isn't there."""
        return cls(
            control_plane=facts.control_plane,
            istiod=facts.istiod,
            gateway=facts.gateway or STOCK_GATEWAY,
            injection=facts.injection,
            trust_domain=facts.value("trust-domain", TRUST_DOMAIN),
            config_map=facts.mesh_config,
        )

    def render(self, text: str) -> str:
        """Replace the documents' names in a text."""
        text = _GATEWAY.sub(f"{self.gateway.service}.{self.gateway.namespace}", text)
        text = _ISTIOD.sub(f"{self.istiod}.{self.control_plane}", text)
        text = _SYSTEM.sub(self.control_plane, text)
        return _TRUST_DOMAIN.sub(self.trust_domain, text)

    def render_items(self, value: list[Any]) -> list[Any]:
        """Have an element of a list that names Istio's namespace name both: control plane and gateway may be apart."""
        found: list[Any] = []
        for item in value:
            if item in (SYSTEM, f"{SYSTEM}/*"):
                rest = item.removeprefix(SYSTEM)
                both = (f"{self.control_plane}{rest}", f"{self.gateway.namespace}{rest}")
                found += [name for name in dict.fromkeys(both) if name not in found]
            else:
                found.append(item)
        return found

    def render_labels(self, value: Mapping[Any, Any]) -> dict[Any, Any]:
        """Replace the label that selects the gateway's pods, and the one that has a namespace injected."""
        found = dict(value)
        (key, stock), wanted = next(iter(STOCK_GATEWAY.labels.items())), self.gateway.labels
        if found.get(key) == stock and wanted.get(key) != stock:
            del found[key]
            found.update(wanted)
        if found.get(INJECTION[0]) == INJECTION[1] and self.injection != INJECTION:
            del found[INJECTION[0]]
            found[self.injection[0]] = self.injection[1]
        return found

    def unrender(self, text: str) -> str:
        """Undo `render` for Services of the mesh; the run's own gateway keeps its name, for cases use it as such too."""
        if self.gateway.namespace != "egress-gateway":
            text = text.replace(f"{self.gateway.service}.{self.gateway.namespace}.", f"{GATEWAY}.")
        return text.replace(f"{self.istiod}.{self.control_plane}.", f"istiod.{SYSTEM}.")
