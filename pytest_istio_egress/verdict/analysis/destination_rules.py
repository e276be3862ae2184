"""Whom a DestinationRule is for, and whether the Secrets that it names are there."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_istio_egress.model.failure_context import Fault
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration
from pytest_istio_egress.verdict.analysis.visibility import Document, covers, exported, named, spec_of


def faults(configuration: Configuration, asked: ClientRequest) -> Iterator[Fault]:
    """Yield DestinationRules for hosts that nothing has, and the host's with Secrets that are not there."""
    for policy in configuration.destination_rules:
        host = str(spec_of(policy).get("host", ""))
        if "." in host and host not in configuration.services and not configuration.listing(host):
            yield Fault("rule", f"{named(policy)} is for {host}, which no ServiceEntry or Service has")
        elif covers(host, asked.host):
            yield from _secrets(configuration, policy, asked.namespace)


def _secrets(configuration: Configuration, policy: Document, namespace: str) -> Iterator[Fault]:
    traffic = spec_of(policy).get("trafficPolicy") or {}
    for settings in [traffic, *(traffic.get("portLevelSettings") or [])]:
        name = (settings.get("tls") or {}).get("credentialName")
        targets = [where for where in configuration.secrets if exported(policy, where)]
        for where in targets:
            names = configuration.secrets[where]
            if name and names is not None and name not in names and (where == namespace or namespace not in targets):
                yield Fault("secret", f"{named(policy)} asks for the Secret {name}, which {where} does not have")
