"""Changes of one field of one manifest, generated from the manifests by a table of fields and how each is changed.

A field is named by the kind of its resource and its path, with `[]` for the items of a list:

    VirtualService spec.http[].timeout      3s -> 4.5s
    ServiceEntry spec.ports[].protocol      HTTP -> TCP
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Value = str | int | float | bool
Alteration = Callable[[Value], Value | None]
"""Returns the changed value; None where this value cannot be changed a little."""
Document = dict[str, Any]

STRETCH = 1.5
"""A time becomes half as long again: more than any tolerance for a busy node."""
_NEIGHBOURS = {80: 8081, 8081: 80, 443: 444, 9000: 47811, 8443: 8444, 8080: 8081}
"""Ports that the external servers have, and another one of the same protocol; any other port becomes the next one."""
_SERVERS = {"192.0.2.80": "192.0.2.81", "192.0.2.81": "192.0.2.80", "192.0.2.82": "192.0.2.80",
            "192.0.2.180": "192.0.2.181", "198.51.100.7": "198.51.100.8"}  # fmt: skip
_PROTOCOLS = {"HTTP": "TCP", "HTTP2": "HTTP", "HTTPS": "TCP", "TLS": "TCP", "TCP": "HTTP", "GRPC": "TCP"}
_TRANSPORTS = {"TCP": "UDP", "UDP": "TCP"}
_NAME_PROTOCOLS = {"http": "tcp", "https": "tcp", "http2": "tcp", "grpc": "tcp", "tls": "tcp", "tcp": "http"}
_MODES = {"REGISTRY_ONLY": "ALLOW_ANY", "ALLOW_ANY": "REGISTRY_ONLY", "DISABLE": "SIMPLE", "SIMPLE": "DISABLE",
          "MUTUAL": "SIMPLE", "ISTIO_MUTUAL": "DISABLE", "NONE": "IPTABLES"}  # fmt: skip
_UPGRADES = {"UPGRADE": "DO_NOT_UPGRADE", "DO_NOT_UPGRADE": "UPGRADE"}
_SERVER_MODES = {"PASSTHROUGH": "ISTIO_MUTUAL", "ISTIO_MUTUAL": "PASSTHROUGH"}
_RESOLUTIONS = {"STATIC": "NONE", "NONE": "DNS", "DNS": "NONE", "DYNAMIC_DNS": "NONE"}
_WAYPOINTS = {"none": "waypoint", "waypoint": "none", "missing": "none", "shared-waypoint": "waypoint",
              "for-workloads": "waypoint"}  # fmt: skip
_TIME = re.compile(r"([\d.]+)(ms|s)")


def _by(table: Mapping[Any, Any]) -> Alteration:
    return table.get


def _always(new: Value) -> Alteration:
    return lambda _: new


def _time(value: Value) -> Value | None:
    found = _TIME.fullmatch(str(value))
    return f"{float(found[1]) * STRETCH:g}{found[2]}" if found else None


def _port(value: Value) -> Value | None:
    return _NEIGHBOURS.get(int(value), int(value) + 1)


def _number(value: Value) -> Value | None:
    return int(value) + 1


def _name(value: Value) -> Value | None:
    """Another name; of a wildcard, another domain."""
    text = str(value)
    return f"*.other-{text[2:]}" if text.startswith("*.") else f"other-{text}"


def _scoped_host(value: Value) -> Value | None:
    """`namespace/host` of a Sidecar: another host, or another namespace where it lists all hosts of one."""
    namespace, _, host = str(value).partition("/")
    if host != "*":
        return f"{namespace}/{_name(host)}"
    return "egress-plain/*" if namespace != "*" else "./*"


def _address(value: Value) -> Value | None:
    text = str(value)
    for address, other in _SERVERS.items():
        if text == address or text.startswith(f"{address}/"):
            return text.replace(address, other)
    if text.startswith(("outside.", "second.")):
        return text.replace("outside.", "second.", 1) if text.startswith("outside.") else f"outside{text[6:]}"
    return None


def _ranges(value: Value) -> Value | None:
    """The annotations with IP ranges: another server's address; no range becomes all of them."""
    return None if value == "*" else _address(value) or "*"


def _port_name(value: Value) -> Value | None:
    """The name of a Service's port, which selects its protocol."""
    protocol, dash, rest = str(value).partition("-")
    return f"{_NAME_PROTOCOLS[protocol]}{dash}{rest}" if protocol in _NAME_PROTOCOLS else None


def _proxy_config(value: Value) -> Value | None:
    return str(value).replace('"true"', '"false"')


FIELDS: tuple[tuple[str, str, Alteration], ...] = (
    ("time", r"VirtualService spec\.http\[\]\.(timeout|retries\.perTryTimeout|fault\.delay\.fixedDelay)", _time),
    ("time", r"HTTPRoute spec\.rules\[\]\.timeouts\.request", _time),
    ("time", r"DestinationRule .*\.idleTimeout", _time),
    ("port", r"\S+ .*\.(port\.number|ports\[\]\.number|ports\[\]\.port|match\[\]\.port|targetPort)", _port),
    ("port", r"ServiceEntry spec\.endpoints\[\]\.ports\.\w+", _port),
    ("port", r"(HTTPRoute|TLSRoute) .*(backendRefs|parentRefs)\[\]\.port", _port),
    ("port", r"Gateway spec\.listeners\[\]\.port", _port),
    ("port", r"EndpointSlice ports\[\]\.port", _port),
    ("port", r"Deployment .*/(in|ex)cludeOutboundPorts", lambda value: str(_port(value))),
    ("protocol", r"(ServiceEntry|Sidecar|Gateway) .*\.protocol", _by(_PROTOCOLS)),
    ("protocol", r"NetworkPolicy .*\.protocol", _by(_TRANSPORTS)),
    ("protocol", r"Service spec\.ports\[\]\.name", _port_name),
    ("mode", r"Gateway spec\.servers\[\]\.tls\.mode", _by(_SERVER_MODES)),
    ("mode", r"\S+ .*(mode|captureMode)", _by(_MODES)),
    ("mode", r"ServiceEntry spec\.resolution", _by(_RESOLUTIONS)),
    ("mode", r"DestinationRule .*\.insecureSkipVerify", _always(new=False)),
    ("mode", r"AuthorizationPolicy spec\.action", _always("DENY")),
    ("mode", r"Gateway .*allowedRoutes\.namespaces\.from", _by({"Same": "All"})),
    ("mode", r"Deployment .*proxy\.istio\.io/config", _proxy_config),
    ("address", r"(ServiceEntry|Endpoints|EndpointSlice) .*(address|addresses\[\]|\.ip)", _address),
    ("address", r"Deployment .*/(in|ex)cludeOutboundIPRanges", _ranges),
    ("address", r"Sidecar spec\.egress\[\]\.bind", _by({"127.0.0.1": "127.0.0.2"})),
    ("host, server name or path", r"Sidecar spec\.egress\[\]\.hosts\[\]", _scoped_host),
    (
        "host, server name or path",
        r"\S+ .*(host|hosts\[\]|hostname|hostnames\[\]|sniHosts\[\]|sni|targetHost|authority|externalName)",
        _name,
    ),
    ("host, server name or path", r"(HTTPRoute|TLSRoute) .*backendRefs\[\]\.name", _name),
    ("host, server name or path", r"VirtualService .*\.uri\.prefix", lambda value: f"{value}-other"),
    ("host, server name or path", r"HTTPRoute .*\.path\.value", lambda value: f"{value}-other"),
    ("host, server name or path", r"AuthorizationPolicy .*\.paths\[\]", lambda value: f"{value}-other"),
    ("host, server name or path", r"AuthorizationPolicy .*\.when\[\]\.values\[\]", _name),
    ("namespace", r"AuthorizationPolicy .*source\.namespaces\[\]", _name),
    ("namespace", r"HTTPRoute .*parentRefs\[\]\.namespace", _name),
    ("namespace", r"ServiceEntry .*istio\.io/use-waypoint-namespace", _name),
    ("namespace", r"\S+ .*exportTo(\[\])?", _always("egress-plain")),
    ("namespace", r"NetworkPolicy .*kubernetes\.io/metadata\.name", _name),
    ("header or number", r"VirtualService .*\.headers\.\w+\.(set|add)\.[\w-]+", lambda value: f"{value}-other"),
    ("header or number", r"VirtualService .*\.headers\.\w+\.remove\[\]", _name),
    ("header or number", r"HTTPRoute .*HeaderModifier\.(add\[\]\.(name|value)|remove\[\])", _name),
    ("header or number", r"HTTPRoute .*requestRedirect\.statusCode", _by({301: 302})),
    ("header or number", r"HTTPRoute .*\.weight", _by({0: 100, 100: 0})),
    ("header or number", r"VirtualService .*\.percentage\.value", _always(0)),
    ("header or number", r"VirtualService .*\.weight", lambda value: None if value == 100 else 100 - int(value)),
    ("header or number", r"VirtualService .*\.(httpStatus|attempts)", _number),
    ("header or number", r"VirtualService .*\.retryOn", _always("reset")),
    (
        "header or number",
        r"DestinationRule .*\.(consecutive5xxErrors|maxConnections|http1MaxPendingRequests)",
        _number,
    ),
    ("header or number", r"DestinationRule .*\.(maxEjectionPercent|minHealthPercent)", _by({100: 0, 0: 100})),
    ("mode", r"DestinationRule .*\.h2UpgradePolicy", _by(_UPGRADES)),
    ("mode", r"AuthorizationPolicy .*operation\.methods\[\]", _by({"GET": "HEAD"})),
    ("mode", r"ServiceEntry .*istio\.io/use-waypoint", _by(_WAYPOINTS)),
    ("mode", r"Gateway .*istio\.io/waypoint-for", _by({"service": "workload", "workload": "service"})),
    ("reference or selector", r"AuthorizationPolicy .*targetRefs\[\]\.name", _name),
    ("reference or selector", r"VirtualService .*\.delegate\.name", _name),
    ("namespace", r"VirtualService .*\.delegate\.namespace", _always("egress-plain")),
    ("reference or selector", r"VirtualService .*gateways\[\]", _name),
    ("reference or selector", r"\S+ .*(subset|subsets\[\]\.name|credentialName|sectionName)", _name),
    ("reference or selector", r"(HTTPRoute|TLSRoute) .*parentRefs\[\]\.name", _name),
    ("reference or selector", r"BackendTLSPolicy .*(targetRefs|caCertificateRefs)\[\]\.name", _name),
    (
        "reference or selector",
        r"(DestinationRule|Sidecar|AuthorizationPolicy|RequestAuthentication|Gateway|Service) .*[sS]elector.*",
        _name,
    ),
    ("reference or selector", r"EndpointSlice .*kubernetes\.io/service-name", _name),
    ("reference or selector", r"NetworkPolicy .*podSelector\.matchLabels\..*", _name),
    ("reference or selector", r"AuthorizationPolicy .*(principals|requestPrincipals)\[\]", _name),
    ("reference or selector", r"RequestAuthentication .*\.issuer", _name),
)
"""What is changed, the fields (a pattern of kind and path), and how; the first pattern that matches counts."""

UNCHANGED: tuple[tuple[str, str], ...] = (
    (r"(Deployment|ServiceAccount|Role|RoleBinding) .*", "it makes a client or server run, and is no rule of Istio"),
    (r"ServiceEntry spec\.location", "external hosts have no sidecar, so it changes no request and no configuration"),
    (r"(ServiceEntry|Gateway|Sidecar) .*ports?(\[\])?\.name", "a name that nothing else of the resource refers to"),
    (r"(Endpoints|EndpointSlice) .*ports\[\]\.(name|protocol)", "it has to match the Service, which is changed itself"),
    (r"EndpointSlice addressType", "it has to match the address"),
    (r"DestinationRule .*outlierDetection\.(interval|baseEjectionTime)", "the test ends long before an ejection does"),
    (r"VirtualService spec\.http\[\]\.name", "a name; tests compare it as the route of the access log"),
    (r"HTTPRoute .*(filters\[\]|\.path)\.type", "another type has fields of another kind"),
    (r"HTTPRoute .*requestRedirect\.scheme", "the only other scheme is the client's own, which is a loop"),
    (
        r"(HTTPRoute|TLSRoute|AuthorizationPolicy|BackendTLSPolicy) .*\.(group|kind)",
        "the type of the resource that is referred to",
    ),
    (r"BackendTLSPolicy .*subjectAltNames\[\]\.type", "another type has fields of another kind"),
    (r"BackendTLSPolicy .*wellKnownCACertificates", "the only other value that is valid here is none"),
    (r"Gateway spec\.(gatewayClassName|infrastructure\..*app)", "without it no gateway is created"),
    (r"Gateway .*(service-type|listeners\[\]\.(name|tls\.mode)|allowedRoutes.*)", "any other value is not valid here"),
    (r"Service spec\.(type|clusterIP|ports\[\]\.protocol)", "it makes the Service what it is"),
    (r"NetworkPolicy .*values\[\]", "without istiod no proxy gets the next configuration, and every test is an error"),
    (r"NetworkPolicy .*(policyTypes\[\]|matchExpressions\[\]\.(key|operator))", "any other value is not valid here"),
    (r"AuthorizationPolicy .*\.when\[\]\.key", "another key takes values of another kind"),
    (r"RequestAuthentication .*jwks", "a key; the parameter damaged-token has a signature that it does not verify"),
)
"""Fields that are not changed, and why; for the others of these kinds there is a line above."""


@dataclass(frozen=True)
class Mutation:
    """One field of one resource, changed a little."""

    manifest: str
    """`area/file.yaml`."""
    kind: str
    resource: str
    """The name of the resource."""
    path: tuple[str | int, ...]
    before: Value
    after: Value

    @property
    def field(self) -> str:
        """The kind and the path, with `[]` for each index: what FIELDS and UNCHANGED match."""
        return field_of(self.kind, self.path)

    def __str__(self) -> str:
        """Return `area/file.yaml VirtualService/hurried spec.http[0].timeout: 3s -> 4.5s`."""
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path).lstrip(".")
        return f"{self.manifest} {self.kind}/{self.resource} {place}: {_shown(self.before)} -> {_shown(self.after)}"


@dataclass(frozen=True)
class Change:
    """A mutation and the resource that it changes."""

    mutation: Mutation
    original: Document

    def apply(self, documents: Iterable[Document]) -> list[Document]:
        """Return the documents, with the changed resource in place of the original."""
        return [self._changed() if document == self.original else document for document in documents]

    def _changed(self) -> Document:
        changed = copy.deepcopy(self.original)
        *parents, last = self.mutation.path
        place: Any = changed
        for step in parents:
            place = place[step]
        place[last] = self.mutation.after
        return changed


def changes_of_area(folder: Path, *, every_field: bool = False) -> Iterator[Change]:
    """Yield the changes of an area's manifests.

    Each field is changed in the first resource of the area that has it; a protocol, a mode and a header once for each
    value, and a time wherever it is. With `every_field`, each field of each resource is changed.
    """
    seen: set[Hashable] = set()
    for manifest in sorted(folder.glob("*.yaml")):
        for change in changes_of(manifest):
            once: Hashable = change.mutation if every_field else _once(change.mutation)
            if once not in seen:
                seen.add(once)
                yield change


def _once(mutation: Mutation) -> Hashable:
    """Return what is changed only once in an area."""
    category = category_of(mutation.field)
    if category == "time":
        return mutation
    value = str(mutation.before).partition("-")[0]  # of the name of a Service's port, the protocol
    return mutation.field, value if category in ("protocol", "mode", "header or number") else None


def changes_of(manifest: Path) -> Iterator[Change]:
    """Yield the change of each field of a manifest that can be changed."""
    for document in yaml.safe_load_all(manifest.read_text()):
        if document:
            yield from _changes_of(document, f"{manifest.parent.name}/{manifest.name}")


def _changes_of(document: Document, manifest: str) -> Iterator[Change]:
    for path, value in leaves(document):
        alter = alteration_of(field_of(document["kind"], path))
        new = alter(value) if alter else None
        if new is not None and new != value:
            yield Change(Mutation(manifest, document["kind"], document["metadata"]["name"], path, value, new), document)


def alteration_of(field: str) -> Alteration | None:
    """Return how a field is changed; None for one of UNCHANGED."""
    return next((alter for _, pattern, alter in FIELDS if re.fullmatch(pattern, field)), None)


def category_of(field: str) -> str:
    """Return what is changed in a field: a time, a port, a host."""
    return next(category for category, pattern, _ in FIELDS if re.fullmatch(pattern, field))


def field_of(kind: str, path: Iterable[str | int]) -> str:
    """Return the kind and the path of a field as FIELDS and UNCHANGED name it."""
    return f"{kind} " + "".join("[]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def leaves(document: Document) -> Iterator[tuple[tuple[str | int, ...], Value]]:
    """Yield the path and the value of each field that can matter: everything but the type and the name."""
    for key, value in document.items():
        if key == "metadata":
            for kind in ("labels", "annotations"):
                yield from _leaves(value.get(kind, {}), (key, kind))
        elif key not in ("apiVersion", "kind"):
            yield from _leaves(value, (key,))


def _leaves(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Value]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, value


def _shown(value: Value) -> str:
    return " ".join(str(value).split()) or '""'
