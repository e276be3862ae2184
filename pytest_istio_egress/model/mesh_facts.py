"""The facts of a mesh, each with its origin: plain data that every worker gets as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pytest_istio_egress.model.addresses import IPV4
from pytest_istio_egress.model.mesh_log import MeshLog

FACTS = {
    "istio": "Istio version",
    "proxies": "versions of Istio and Envoy in a proxy of the mesh",
    "revision": "revision of the control plane under test",
    "revisions": "all revisions, their versions and injection labels",
    "control-plane": "namespace of the control plane",
    "injection": "namespace label that enables sidecar injection, KEY=VALUE",
    "outbound-mode": "outboundTrafficPolicy mode of namespaces without a Sidecar resource",
    "mesh-sidecar": "mesh-wide Sidecar resource (in the root namespace, without a workloadSelector)",
    "discovery-selectors": "discoverySelectors: the namespaces that the control plane reads",
    "egress-gateways": "egress gateways of the mesh",
    "access-log": "format of the access log that proxies write by default",
    "telemetry-services": "hosts that proxies send traces and logs to (extensionProviders in use)",
    "mutual-tls": "mode of the mesh-wide PeerAuthentication",
    "dns-capture": "whether sidecars capture DNS queries (ISTIO_META_DNS_CAPTURE)",
    "native-sidecars": "whether istio-proxy is injected as a native sidecar",
    "proxy-build": "build of Envoy in the proxies",
    "cluster-domain": "domain of Services in Istio's names",
    "trust-domain": "trust domain of the mesh",
    "pod-security": "number of namespaces by enforced Pod Security level",
    "network-policy": "number of NetworkPolicies (a probe tests whether they are enforced)",
    "gateway-api": "version and channel of the Gateway API CRDs",
    "definitions": "release and served versions of the ServiceEntry CRD",
    "ambient": "whether ambient mode is installed",
    "ip-families": "IP families of pods, the first one first: IPv4, IPv6, or both",
    "istio-dual-stack": "whether istiod configures proxies for both IP families (ISTIO_DUAL_STACK)",
    "istiod-settings": "settings of istiod that tests depend on and that are not the default: NAME=VALUE",
    "mesh-settings": "settings of the mesh configuration that tests depend on and that are not the default: NAME=VALUE",
}
"""Description of every fact by name, as in `--istio-egress-fact NAME=VALUE`. cluster/facts/ detects them."""

FOUND = "found"
OWN_GATEWAY = "own"
NO_GATEWAY = "none"
MESH_GATEWAY = "mesh"
"""Choices of the egress gateway under test: deployed by the run, none, or the mesh's whatever can be tested with it."""
NO_SERVICE = "none"
NO_SIDECAR = "none"
NO_EGRESS = "no egress"
NO_ZTUNNEL = "not installed"
_ZTUNNEL_IN = "ztunnel in "
MESH_SIDECAR_FORMAT = "NAME: hosts HOST ..., outboundTrafficPolicy MODE"
"""Either of the two parts after the name may be missing; NO_EGRESS stands for both."""
DEFAULT_REVISION = "default"
ISTIOS_OWN_BUILD = "Istio's own"
"""Value of the fact `proxy-build` for Envoy with the filters that Istio adds to it."""
UPSTREAM_BUILD = "upstream Envoy"
CLUSTER_DOMAIN = "cluster.local"
"""The usual domain of Services, which manifests use."""
TRUST_DOMAIN = "cluster.local"
"""The usual trust domain, which manifests use."""
ISTIOD_SETTINGS: dict[str, bool | str] = {
    "PILOT_ENABLE_GATEWAY_API": True,
    "PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER": True,
    "PILOT_ENABLE_IP_AUTOALLOCATE": True,
    "PILOT_GATEWAY_API_DEFAULT_GATEWAYCLASS_NAME": "istio",
    "PILOT_SCOPE_GATEWAY_TO_NAMESPACE": False,
}
"""The environment variables of istiod that tests depend on, with their defaults since Istio 1.25."""
MESH_SETTINGS: dict[str, int | bool | str] = {
    "proxyListenPort": 15001,
    "proxyInboundListenPort": 15006,
    "defaultHttpRetryPolicy.attempts": 2,
    "defaultHttpRetryPolicy.retryOn": "",
    "serviceEntryVisibility.applyToSidecars": False,
    "h2UpgradePolicy": "DO_NOT_UPGRADE",
    "protocolDetectionTimeout": "0s",
}
"""The fields of the mesh configuration that tests depend on and that no other fact has, with their defaults."""
DEFAULT_SETTINGS = "default"
"""Value of the facts `istiod-settings` and `mesh-settings` where all settings have their defaults."""
OF_GATEWAY_API = "gateway.networking.k8s.io/gateway-name"
"""The label of what Istio makes for a Gateway of the Gateway API, pods among them: its name."""
BY_GATEWAY_API = "Gateway API"
"""`Gateway.made_by` of a gateway that istiod deployed for a Gateway of the Gateway API."""


def _settings(fact: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in fact.split() if "=" in word)


def config_map_of(revision: str) -> str:
    """Return the name of the ConfigMap that istiod of a revision reads as its mesh configuration.

    For `default` it is `istio`, spelled out or not (getMeshConfigMapName of Istio's pilot/pkg/bootstrap/mesh.go),
    though Istio's charts with `revision=default` spelled out write `istio-default`.
    """
    return "istio" if revision == DEFAULT_REVISION else f"istio-{revision}"


@dataclass(frozen=True)
class Fact:
    """One fact of the mesh."""

    value: str
    """Empty where the fact could not be detected."""
    origin: str = FOUND
    """FOUND, or the place of the setting that overrides it (settings.options.PLACES)."""
    why: str = ""
    """Why the fact could not be detected, empty where it was."""

    def __str__(self) -> str:
        """Return a human-readable form."""
        if self.why:
            return f"unknown ({self.why})"
        return self.value if self.origin == FOUND else f"{self.value} ({self.origin})"


@dataclass(frozen=True)
class MeshSidecar:
    """The mesh-wide Sidecar: that of the root namespace, for every namespace without a Sidecar."""

    name: str
    hosts: tuple[str, ...] = ()
    """Its egress hosts, as written in the resource; empty where it has no egress listener."""
    mode: str | None = None
    """The mode of its outboundTrafficPolicy, None where it has none."""

    @property
    def limits_hosts(self) -> bool:
        """Whether proxies of namespaces without a Sidecar get only a part of the mesh's hosts."""
        return bool(self.hosts) and "*/*" not in self.hosts

    def __str__(self) -> str:
        """Return the value of the fact `mesh-sidecar`, which `parse` reads."""
        hosts = [f"hosts {' '.join(self.hosts)}"] if self.hosts else []
        policy = [f"outboundTrafficPolicy {self.mode}"] if self.mode else []
        return f"{self.name}: {', '.join([*hosts, *policy]) or NO_EGRESS}"

    @classmethod
    def parse(cls, text: str) -> MeshSidecar | None:
        """Read a value of the fact `mesh-sidecar`: None for `none`. Raises ValueError with one line."""
        if text == NO_SIDECAR:
            return None
        name, colon, rest = text.partition(":")
        hosts: tuple[str, ...] = ()
        mode: str | None = None
        for part in (part.strip() for part in rest.split(",")):
            match part.split():
                case ["hosts", *named] if named:
                    hosts = tuple(named)
                case ["outboundTrafficPolicy", value]:
                    mode = value
                case _ if part != NO_EGRESS:
                    colon = ""
        if not colon or not name.strip():
            raise ValueError(f"invalid value {text!r}: use {NO_SIDECAR!r} or {MESH_SIDECAR_FORMAT!r}")
        return cls(name.strip(), hosts, mode)


@dataclass(frozen=True)
class Ztunnel:
    """The node proxy of ambient mode."""

    namespace: str

    def __str__(self) -> str:
        """Return the value of the fact `ambient`, which `parse` reads."""
        return f"{_ZTUNNEL_IN}{self.namespace}"

    @classmethod
    def parse(cls, text: str) -> Ztunnel | None:
        """Read a value of the fact `ambient`, such as a user's: None for NO_ZTUNNEL or any other text."""
        return cls(text.removeprefix(_ZTUNNEL_IN)) if text.startswith(_ZTUNNEL_IN) else None


@dataclass(frozen=True)
class Gateway:
    """An egress gateway."""

    namespace: str
    service: str
    """The Service in front of its pods."""
    labels: Mapping[str, str]
    """The labels that select its pods."""
    ports: tuple[int, ...] = (80, 443)
    """The Service's ports, without the one for health checks."""
    made_by: str = ""
    """How it was installed, such as `istioctl` or BY_GATEWAY_API; empty where that is unknown."""
    exported: bool = True
    """Whether its Service is visible to all namespaces of the mesh."""
    http2: bool = True
    """Whether its port 80 is one for HTTP/2, which sidecars then use on the hop to it."""

    @property
    def selector(self) -> str:
        """The label selector of its pods, in kubectl's syntax."""
        return ",".join(f"{key}={value}" for key, value in sorted(self.labels.items()))

    @property
    def is_runs_own(self) -> bool:
        """Whether it is the one of fixtures/gateway.yaml."""
        return (self.namespace, self.service) == ("egress-gateway", "exit")

    def __str__(self) -> str:
        """Return a human-readable form in one line."""
        details = [self.selector, f"ports {','.join(map(str, self.ports))}", self.made_by]
        return f"{self.service}.{self.namespace} ({'; '.join(filter(None, details))})"


STOCK_GATEWAY = Gateway("istio-system", "istio-egressgateway", {"istio": "egressgateway"})
"""The gateway of Istio's documentation, which manifests name."""
RUNS_OWN_GATEWAY = Gateway("egress-gateway", "exit", {"gateway": "egress-gateway"}, made_by="the run's own")
"""The gateway of fixtures/gateway.yaml; its namespace is a reserved name that is rendered for each worker."""


@dataclass(frozen=True)
class MeshFacts:
    """The facts of the mesh, detected once per run, before the first test.

    If the mesh changes during the run, tests fail; they are not skipped retroactively.
    """

    facts: Mapping[str, Fact] = field(default_factory=dict)
    """By their names in FACTS."""
    istiod: str = "istiod"
    """The name of the control plane's Service."""
    config_map: str = "istio"
    """The ConfigMap with the mesh configuration; empty where it is not in this cluster."""
    shared_config_map: str = ""
    """The ConfigMap that it overrides (SHARED_MESH_CONFIG); empty without one."""
    gateway: Gateway | None = None
    """The egress gateway under test, None where there is none."""
    sidecar: MeshSidecar | None = None
    """The mesh-wide Sidecar, None where there is none."""
    ztunnel: Ztunnel | None = None
    """The node proxy of ambient mode, None where it is not installed or where that is unknown."""
    log: MeshLog | None = None
    """The access log that proxies write by default, None where it is unknown."""

    @property
    def config_maps(self) -> tuple[str, ...]:
        """The ConfigMaps with the mesh configuration, each overrides those before it; empty without any."""
        return tuple(name for name in (self.shared_config_map, self.config_map) if name)

    def value(self, name: str, default: str = "") -> str:
        """Return a fact's value, the default where it is unknown."""
        fact = self.facts.get(name)
        return (fact.value if fact else "") or default

    def why_unknown(self, name: str) -> str:
        """Return why a fact could not be detected, empty where it was."""
        fact = self.facts.get(name)
        return fact.why if fact else ""

    @property
    def istio(self) -> str:
        """Istio's version."""
        return self.value("istio")

    @property
    def outbound_mode(self) -> str:
        """REGISTRY_ONLY, ALLOW_ANY, ALLOW_ANY_DYNAMIC_DNS, or that it is unknown, for namespaces without a Sidecar."""
        return self.value("outbound-mode", "unknown outboundTrafficPolicy")

    @property
    def control_plane(self) -> str:
        """The control plane's namespace."""
        return self.value("control-plane", "istio-system")

    @property
    def injection(self) -> tuple[str, str]:
        """The namespace label that enables sidecar injection: key and value."""
        key, _, value = self.value("injection", "istio-injection=enabled").partition("=")
        return key, value

    def istiod_setting(self, name: str) -> bool | str:
        """Return the value of one of ISTIOD_SETTINGS."""
        changed = _settings(self.value("istiod-settings"))
        if name not in changed:
            return ISTIOD_SETTINGS[name]
        return changed[name] == "true" if isinstance(ISTIOD_SETTINGS[name], bool) else changed[name]

    def changed_mesh_setting(self, name: str) -> str | None:
        """Return the value of one of MESH_SETTINGS where it is not the default, else None."""
        return _settings(self.value("mesh-settings")).get(name)

    @property
    def telemetry_services(self) -> tuple[str, ...]:
        """The hosts that proxies send traces and logs to; none where they are unknown."""
        return tuple(host for host in self.value("telemetry-services").split(", ") if host not in ("", NO_SERVICE))

    @property
    def ip_families(self) -> tuple[str, ...]:
        """The IP families of pods; IPv4 where they are unknown."""
        return tuple(family.strip() for family in self.value("ip-families", IPV4).split(","))

    @property
    def own_gateway(self) -> bool:
        """Whether the egress gateway under test is the run's own."""
        return self.gateway is not None and self.gateway.is_runs_own

    def to_mapping(self) -> dict[str, Any]:
        """Return plain data that JSON can hold."""
        return asdict(self)

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> MeshFacts:
        """Read what `to_mapping` returned."""
        gateway, sidecar = written.get("gateway"), written.get("sidecar")
        ztunnel, log = written.get("ztunnel"), written.get("log")
        return cls(
            facts={name: Fact(**fact) for name, fact in written.get("facts", {}).items()},
            istiod=written.get("istiod", "istiod"),
            config_map=written.get("config_map", "istio"),
            shared_config_map=written.get("shared_config_map", ""),
            gateway=Gateway(**{**gateway, "ports": tuple(gateway["ports"])}) if gateway else None,
            sidecar=MeshSidecar(**{**sidecar, "hosts": tuple(sidecar["hosts"])}) if sidecar else None,
            ztunnel=Ztunnel(**ztunnel) if ztunnel else None,
            log=MeshLog(**{**log, "providers": tuple(log["providers"])}) if log else None,
        )
