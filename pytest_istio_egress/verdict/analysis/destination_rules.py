"""Faults of DestinationRules: hosts that do not exist, and Secrets that do not exist."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_istio_egress.model.failure_context import Fault
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration
from pytest_istio_egress.verdict.analysis.visibility import Document, covers, exported, full_name, spec_of


def faults(configuration: Configuration, request: ClientRequest) -> Iterator[Fault]:
    """Yield DestinationRules for hosts that nothing defines, and those of the host whose Secrets do not exist."""
    for policy in configuration.destination_rules:
        host = str(spec_of(policy).get("host", ""))
        if "." in host and host not in configuration.services and not configuration.entries_of(host):
            yield Fault("rule", f"{full_name(policy)} is for {host}, which no ServiceEntry or Service defines")
        elif covers(host, request.host):
            yield from _secrets(configuration, policy, request.namespace)


def _secrets(configuration: Configuration, policy: Document, client: str) -> Iterator[Fault]:
    traffic = spec_of(policy).get("trafficPolicy") or {}
    for settings in [traffic, *(traffic.get("portLevelSettings") or [])]:
        name = (settings.get("tls") or {}).get("credentialName")
        targets = [namespace for namespace in configuration.secrets if exported(policy, namespace)]
        for target in targets:
            names = configuration.secrets[target]
            if name and names is not None and name not in names and (target == client or client not in targets):
                yield Fault("secret", f"{full_name(policy)} names the Secret {name}, which does not exist in {target}")
