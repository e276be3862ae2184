"""What is known of a mesh, fact by fact, and where each was learnt: pure data, handed to every worker as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

FACTS = {
    "istio": "Istio's version",
    "revision": "the revision of the control plane whose proxies are asked",
    "revisions": "every revision, its version and what it injects",
    "control-plane": "the control plane's namespace",
    "injection": "the label, KEY=VALUE, by which a namespace gets sidecars",
    "outbound-mode": "outboundTrafficPolicy where no Sidecar of the namespace's own says otherwise",
    "mesh-sidecar": "the Sidecar of the root namespace that holds for every namespace without one",
    "egress-gateways": "the mesh's egress gateways",
    "access-log": "what proxies log by default",
    "mutual-tls": "the mesh-wide PeerAuthentication",
    "dns-capture": "whether sidecars answer DNS queries",
    "native-sidecars": "whether the proxy is an init container that goes on running",
    "proxy-build": "whose Envoy the control plane is set up for",
    "trust-domain": "the trust domain of the mesh's identities",
    "pod-security": "Pod Security levels that namespaces enforce",
    "network-policy": "NetworkPolicy; whether it is enforced only pods of the run can tell",
    "gateway-api": "version and channel of the Gateway API's definitions",
    "definitions": "versions in which ServiceEntry is served",
    "ambient": "whether ambient mode is installed",
}
"""Every fact by its name, as in `--istio-egress-fact NAME=VALUE`. How each is found out: cluster/facts/."""

FOUND = "found"
OWN_GATEWAY = "own"
NO_GATEWAY = "none"
NO_SIDECAR = "none"
DEFAULT_REVISION = "default"
ISTIOS_OWN_BUILD = "Istio's own"
"""What the fact proxy-build says of Envoy with the filters that Istio adds to it."""
BY_GATEWAY_API = "Gateway API"
"""How a gateway came to be that Istio made for a Gateway of the Gateway API."""


@dataclass(frozen=True)
class Fact:
    """A fact: its value, empty where `why` says why it wasn't found out; `origin` is FOUND or a setting's place."""

    value: str
    origin: str = FOUND
    why: str = ""

    def __str__(self) -> str:
        """Return it for people."""
        if self.why:
            return f"not found out ({self.why})"
        return self.value if self.origin == FOUND else f"{self.value} ({self.origin})"


@dataclass(frozen=True)
class MeshSidecar:
    """The Sidecar of the root namespace that applies to every namespace without one of its own.

    `hosts` are its egress hosts, as written; `mode` is its outboundTrafficPolicy, None where it has none.
    """

    name: str
    hosts: tuple[str, ...] = ()
    mode: str | None = None

    @property
    def limits_hosts(self) -> bool:
        """Whether proxies without a Sidecar of their own get only a part of the mesh's hosts."""
        return bool(self.hosts) and "*/*" not in self.hosts

    def __str__(self) -> str:
        """Return the value of the fact `mesh-sidecar`."""
        parts = [f"hosts {' '.join(self.hosts)}"] if self.hosts else []
        parts += [f"outboundTrafficPolicy {self.mode}"] if self.mode else []
        return f"{self.name}: {', '.join(parts) or 'no egress of its own'}"

    @classmethod
    def parse(cls, text: str) -> MeshSidecar | None:
        """Read a value of the fact that a user gave, None for `none`; ValueError where it is something else."""
        if text == NO_SIDECAR:
            return None
        name, colon, rest = text.partition(":")
        hosts: tuple[str, ...] = ()
        mode: str | None = None
        for part in filter(None, (part.strip() for part in rest.split(","))):
            keyword, _, value = part.partition(" ")
            if keyword == "hosts":
                hosts = tuple(value.split())
            elif keyword == "outboundTrafficPolicy":
                mode = value.strip()
            elif part != "no egress of its own":
                raise ValueError(f"{part!r} is neither 'hosts ...' nor 'outboundTrafficPolicy MODE'")
        if not colon or not name.strip():
            raise ValueError("expected none or 'NAME: hosts HOST ..., outboundTrafficPolicy MODE'")
        return cls(name.strip(), hosts, mode)


@dataclass(frozen=True)
class Gateway:
    """An egress gateway: the Service in front of its pods, what selects these, and what is known of it.

    `made_by` says how it came to be; `logs` is False where nothing has its proxies write a readable access log.
    """

    namespace: str
    service: str
    labels: Mapping[str, str]
    ports: tuple[int, ...] = (80, 443)
    made_by: str = ""
    logs: bool = True

    @property
    def selector(self) -> str:
        """What selects its pods, as kubectl takes it."""
        return ",".join(f"{key}={value}" for key, value in sorted(self.labels.items()))

    def __str__(self) -> str:
        """Return it in one line for people."""
        ports = ",".join(map(str, self.ports))
        return (
            f"{self.service}.{self.namespace} ({self.selector}; ports {ports}{'; ' * bool(self.made_by)}{self.made_by})"
        )


STOCK_GATEWAY = Gateway("istio-system", "istio-egressgateway", {"istio": "egressgateway"})
"""The gateway that manifests name: Istio's own documents do so."""
RUNS_OWN_GATEWAY = Gateway("egress-gateway", "exit", {"gateway": "egress-gateway"}, made_by="the run's own")
"""The gateway of fixtures/gateway.yaml; its namespace is a reserved name that becomes the worker's own."""


@dataclass(frozen=True)
class MeshFacts:
    """What is found out once, before the first case, and then holds for the run, whatever happens to the mesh.

    A mesh that changes while it is asked shall fail its cases; it shall not be skipped as a mesh of another kind.
    `istiod` is the name of the control plane's Service; `gateway` the egress gateway to ask, None: there is none.
    """

    facts: Mapping[str, Fact] = field(default_factory=dict)
    istiod: str = "istiod"
    gateway: Gateway | None = None
    sidecar: MeshSidecar | None = None
    """The mesh-wide Sidecar, None where there is none."""

    def value(self, name: str, default: str = "") -> str:
        """Return a fact's value, the default where it isn't known."""
        known = self.facts.get(name)
        return (known.value if known else "") or default

    @property
    def istio(self) -> str:
        """Istio's version."""
        return self.value("istio")

    @property
    def outbound_mode(self) -> str:
        """REGISTRY_ONLY, ALLOW_ANY or ALLOW_ANY_DYNAMIC_DNS, for namespaces without a Sidecar of their own."""
        return self.value("outbound-mode", "ALLOW_ANY")

    @property
    def control_plane(self) -> str:
        """The control plane's namespace."""
        return self.value("control-plane", "istio-system")

    @property
    def mesh_config(self) -> str:
        """The name of the ConfigMap with the mesh's configuration: each revision has its own."""
        revision = self.value("revision", DEFAULT_REVISION)
        return "istio" if revision == DEFAULT_REVISION else f"istio-{revision}"

    @property
    def injection(self) -> tuple[str, str]:
        """The label by which a namespace gets sidecars."""
        key, _, value = self.value("injection", "istio-injection=enabled").partition("=")
        return key, value

    @property
    def own_gateway(self) -> bool:
        """Whether the run brings the egress gateway."""
        return self.gateway == RUNS_OWN_GATEWAY

    def to_mapping(self) -> dict[str, Any]:
        """Return it as what JSON holds."""
        return asdict(self)

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> MeshFacts:
        """Read what `to_mapping` returned."""
        gateway, sidecar = written.get("gateway"), written.get("sidecar")
        return cls(
            facts={name: Fact(**known) for name, known in written.get("facts", {}).items()},
            istiod=written.get("istiod", "istiod"),
            gateway=Gateway(**{**gateway, "ports": tuple(gateway["ports"])}) if gateway else None,
            sidecar=MeshSidecar(**{**sidecar, "hosts": tuple(sidecar["hosts"])}) if sidecar else None,
        )
