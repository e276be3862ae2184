"""Faults of a configuration as far as one host is concerned, found the way `istioctl analyze` does; pure."""

from __future__ import annotations

from pytest_istio_egress.cluster.analysis import (
    destination_rules,
    gateways,
    service_entries,
    sidecars,
    virtual_services,
)
from pytest_istio_egress.cluster.analysis.configuration import Asked, Configuration
from pytest_istio_egress.cluster.surroundings import Fault


def faults(configuration: Configuration, asked: Asked) -> list[Fault]:
    """Return what is wrong for this host, and its timeouts; an empty list means that no fault was found."""
    return [
        *sidecars.faults(configuration, asked),
        *service_entries.faults(configuration, asked),
        *virtual_services.faults(configuration, asked),
        *gateways.faults(configuration, asked),
        *destination_rules.faults(configuration, asked),
    ]
