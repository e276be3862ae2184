"""Why a proxy does not have a cluster that a rule names: its host, its port, or its subset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pytest_istio_egress.model.cluster_name import ClusterName
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration, Workload, ports_of
from pytest_istio_egress.verdict.analysis.documents import (
    Document,
    covers,
    full_name,
    namespace_of,
    selector_of,
    selects,
    spec_of,
)
from pytest_istio_egress.verdict.analysis.hosts import definitions, why_unknown
from pytest_istio_egress.verdict.analysis.visibility import export_targets, exported


def why_no_cluster(configuration: Configuration, cluster: str, client: ClientRequest) -> str:
    """Return why the client's proxy lacks a cluster (`outbound|80|v1|host`); empty where nothing explains it."""
    name = ClusterName.parse(cluster)
    if name is None:
        return ""
    request = replace(client, host=name.host, port=name.port)
    if reason := why_unknown(configuration, request):
        return reason
    found = definitions(configuration, name.host)
    if found and not any(name.port in ports_of(each) for each in found):
        return f"{full_name(found[0])} has no port {name.port}"
    return why_no_subset(configuration, name.host, name.subset, client) if name.subset else ""


def rules_for(configuration: Configuration, host: str) -> list[Document]:
    """Return the DestinationRules of a host, wildcards included."""
    return [
        rule
        for rule in configuration.destination_rules
        if covers(configuration.full_host(rule, str(spec_of(rule).get("host", ""))), host)
    ]


def lookup_path(configuration: Configuration, host: str, client: str) -> list[str]:
    """Return the namespaces in which Istio looks for a host's DestinationRule, the first one first.

    The client's, that of the Service or ServiceEntry, and the root namespace; the first that has a rule decides.
    """
    root = configuration.mesh.root
    own = [client] if client != root else []
    return list(dict.fromkeys([*own, *(namespace_of(each) for each in definitions(configuration, host)), root]))


def applied_rules(configuration: Configuration, host: str, client: str) -> list[Document]:
    """Return the DestinationRules of a host that a client in a namespace uses."""
    for namespace in lookup_path(configuration, host, client):
        here = [
            rule
            for rule in rules_for(configuration, host)
            if namespace_of(rule) == namespace and exported(rule, client, configuration.mesh)
        ]
        if here:
            longest = max(len(_host(rule)) for rule in here)
            return [rule for rule in here if len(_host(rule)) == longest]
    return []


def _host(rule: Document) -> str:
    return str(spec_of(rule).get("host", "")).lstrip("*")


def why_no_subset(configuration: Configuration, host: str, subset: str, client: ClientRequest) -> str:
    """Return why no DestinationRule gives the client a subset of a host; empty where one should."""
    if "DestinationRule" in configuration.unread:
        return ""
    applied = applied_rules(configuration, host, client.namespace)
    if any(subset in _subsets(rule) for rule in applied):
        return ""
    with_subset = [rule for rule in rules_for(configuration, host) if subset in _subsets(rule)]
    hindered = [(rule, list(_why_not_used(configuration, rule, host, client))) for rule in with_subset]
    # A rule that two things keep from the client is another client's: mending one of them would change nothing.
    near = [(rule, why) for rule, why in hindered if len(why) <= 1]
    if not near:
        usable = f" that a client in {client.namespace} can use" if with_subset else ""
        return f"no DestinationRule for {host}{usable} defines the subset {subset}"
    rule, why = near[0]
    return next(iter(why), "") or (
        f"{full_name(rule)} defines the subset {subset}, but "
        f"{full_name(applied[0]) if applied else 'another rule'} is used for {host}"
    )


def why_no_tls(configuration: Configuration, host: str, port: int, workload: Workload) -> str:
    """Return why a proxy originates no TLS to a host's port, as a main clause; empty where a rule should make it."""
    if "DestinationRule" in configuration.unread:
        return ""
    stating = [rule for rule in rules_for(configuration, host) if _originates(rule)]
    hindered = [(rule, list(_why_no_tls(configuration, rule, host, port, workload))) for rule in stating]
    if any(not why for _, why in hindered):
        return ""
    # As with subsets: a rule that two things keep from this proxy is not meant for it.
    near = next((why[0] for _, why in hindered if len(why) == 1), "")
    if near or applied_rules(configuration, host, workload.namespace):
        return near
    return f"no DestinationRule applies to {host} there"


def any_originates(configuration: Configuration, host: str) -> bool:
    """Whether a DestinationRule of a host sets TLS, whatever keeps it from a proxy."""
    return any(_originates(rule) for rule in rules_for(configuration, host))


_ORIGINATING = frozenset({"SIMPLE", "MUTUAL", "ISTIO_MUTUAL"})


def _mode(settings: Mapping[str, Any]) -> str:
    return str((settings.get("tls") or {}).get("mode") or "")


def _by_port(rule: Document) -> dict[int, Mapping[str, Any]]:
    levels = (spec_of(rule).get("trafficPolicy") or {}).get("portLevelSettings") or []
    return {int((each.get("port") or {}).get("number") or 0): each for each in levels}


def _of_all_ports(rule: Document) -> Mapping[str, Any]:
    policy: Mapping[str, Any] = spec_of(rule).get("trafficPolicy") or {}
    return policy


def _originates(rule: Document) -> bool:
    """Whether a rule sets TLS for some port."""
    return any(_mode(each) in _ORIGINATING for each in (_of_all_ports(rule), *_by_port(rule).values()))


def _why_no_tls(
    configuration: Configuration, rule: Document, host: str, port: int, workload: Workload
) -> Iterator[str]:
    yield from _why_not_used(configuration, rule, host, workload)
    if not selects(rule, workload.labels):
        labels = ", ".join(f"{name}={value}" for name, value in selector_of(rule).items())
        yield f"{full_name(rule)} selects {labels}, and the proxy's pod has other labels"
    levels = _by_port(rule)
    if port in levels:
        if _mode(levels[port]) not in _ORIGINATING:
            yield (
                f"{full_name(rule)} has portLevelSettings for port {port} without TLS, and these replace the TLS that "
                "it sets for all ports"
            )
    elif _mode(_of_all_ports(rule)) not in _ORIGINATING:
        ports = ", ".join(str(number) for number, each in sorted(levels.items()) if _mode(each) in _ORIGINATING)
        yield f"{full_name(rule)} sets TLS for port {ports} only, and the request is for port {port} of the host"


def _subsets(rule: Document) -> list[str]:
    return [str(subset.get("name")) for subset in spec_of(rule).get("subsets") or []]


def _why_not_used(configuration: Configuration, rule: Document, host: str, client: Workload) -> Iterator[str]:
    path = lookup_path(configuration, host, client.namespace)
    if not exported(rule, client.namespace, configuration.mesh):
        yield (
            f"{full_name(rule)} is not exported to {client.namespace}: its exportTo is "
            f"[{', '.join(export_targets(rule, configuration.mesh))}]"
        )
    if namespace_of(rule) not in path:
        yield (
            f"{full_name(rule)} is not looked up for a client in {client.namespace}: for {host} Istio looks in "
            f"{', '.join(path)} only, whatever exportTo says"
        )
