"""Finds the faults of a configuration that concern one host, the way `istioctl analyze` does; pure functions."""

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


def faults(configuration: Configuration, request: ClientRequest) -> list[Fault]:
    """Return the faults that concern the request's host, and its timeouts; an empty list where there are none."""
    return [
        *sidecars.faults(configuration, request),
        *service_entries.faults(configuration, request),
        *virtual_services.faults(configuration, request),
        *gateways.faults(configuration, request),
        *destination_rules.faults(configuration, request),
    ]
