"""Why a proxy does not have a cluster that a rule names: its host, its port, or its subset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration, ports_of
from pytest_istio_egress.verdict.analysis.documents import Document, covers, full_name, namespace_of, spec_of
from pytest_istio_egress.verdict.analysis.hosts import definitions, why_unknown
from pytest_istio_egress.verdict.analysis.visibility import export_targets, exported


def why_no_cluster(configuration: Configuration, cluster: str, client: ClientRequest) -> str:
    """Return why the client's proxy lacks a cluster (`outbound|80|v1|host`); empty where nothing explains it."""
    parts = cluster.split("|")
    if len(parts) != 4 or not parts[1].isdigit():
        return ""
    _, port, subset, host = parts
    request = replace(client, host=host, port=int(port))
    if reason := why_unknown(configuration, request):
        return reason
    found = definitions(configuration, host)
    if found and not any(int(port) in ports_of(each) for each in found):
        return f"{full_name(found[0])} has no port {port}"
    return why_no_subset(configuration, host, subset, client) if subset else ""


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


def _subsets(rule: Document) -> list[str]:
    return [str(subset.get("name")) for subset in spec_of(rule).get("subsets") or []]


def _why_not_used(configuration: Configuration, rule: Document, host: str, client: ClientRequest) -> Iterator[str]:
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
