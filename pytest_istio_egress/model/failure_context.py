"""The state of the cluster around a failed request, as plain data; pipeline/failure_context.py collects it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A fault of the configuration, such as `istioctl analyze` reports. `kind` is what it concerns:

    entry        whether the proxy knows the host
    conflict     two ServiceEntries for the host
    sidecar      which Sidecar applies to the client
    destination  the destination of a VirtualService
    gateway      a Gateway, or the VirtualServices bound to it
    rule         whether a VirtualService or DestinationRule applies
    secret       a credentialName
    timeout      no fault, but the timeout that a VirtualService sets for the host
    """

    kind: str
    text: str
    """A main clause without a full stop, such as `no ServiceEntry lists api.test`."""


@dataclass(frozen=True, kw_only=True)
class FailureContext:
    """What may explain a failure; it never changes a verdict."""

    injected: bool = True
    """Whether the client's pod has a proxy."""
    proxy_trouble: str = ""
    """Why the client's proxy is not ready; empty where it is."""
    excluded: str = ""
    """The annotations, `NAME: VALUE`, that exclude traffic from redirection to the proxy."""
    rejected: tuple[str, ...] = ()
    """Parts of their configuration that proxies rejected (NACK), each with Envoy's reason."""
    captured: bool | None = None
    """Whether the client's Envoy counted the request when it was sent again; None where that was not tried."""
    log_trouble: str = ""
    """Why a proxy's access log cannot serve as evidence; empty where it can."""
    cluster_type: str = ""
    """Envoy's type of the cluster that the last proxy chose, such as STRICT_DNS."""
    faults: tuple[Fault, ...] = ()
    incomplete: str = ""
    """The error that ended the collection early; empty where it is complete."""

    def fault(self, *kinds: str) -> str:
        """Return the text of the first fault of these kinds, the first kind first; empty without one."""
        return next((fault.text for kind in kinds for fault in self.faults if fault.kind == kind), "")
