"""Faults of a configuration as far as one host is concerned, found the way `istioctl analyze` does; pure."""

from __future__ import annotations

from pytest_istio_egress.model.failure_context import Fault
from pytest_istio_egress.verdict.analysis import (
    destination_rules,
    gateways,
    service_entries,
    sidecars,
    virtual_services,
)
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration


def faults(configuration: Configuration, asked: ClientRequest) -> list[Fault]:
    """Return what is wrong for this host, and its timeouts; an empty list means that no fault was found."""
    return [
        *sidecars.faults(configuration, asked),
        *service_entries.faults(configuration, asked),
        *virtual_services.faults(configuration, asked),
        *gateways.faults(configuration, asked),
        *destination_rules.faults(configuration, asked),
    ]
