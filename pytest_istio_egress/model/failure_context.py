"""What a cluster says around a request that went otherwise than documented: plain data, gathered by survey.py."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """Something that `istioctl analyze` would name, too. `kind` says what it keeps from working:

    entry        the proxy's knowledge of the host
    sidecar      which Sidecar rules the client
    destination  where a VirtualService leads
    gateway      a Gateway, or who is bound to it
    rule         a DestinationRule
    secret       a credentialName
    timeout      no fault, but the timeout that a VirtualService sets for the host
    """

    kind: str
    text: str


@dataclass(frozen=True, kw_only=True)
class FailureContext:
    """What may explain a verdict, and never changes it.

    `injected` is whether the client's pod has a proxy, `proxy_trouble` why that is not ready. `excluded` names the
    annotation that keeps traffic from being redirected to it. `rejected` is what proxies refused of their
    configuration. `captured` is whether the client's Envoy counted the request when it was sent once more, None
    where that was not tried. `log_trouble` says why a proxy's access log is no witness. `cluster_type` is Envoy's
    type of the cluster that the last proxy chose. `incomplete` says what kept the rest from being found out.
    """

    injected: bool = True
    proxy_trouble: str = ""
    excluded: str = ""
    rejected: tuple[str, ...] = ()
    captured: bool | None = None
    log_trouble: str = ""
    cluster_type: str = ""
    faults: tuple[Fault, ...] = ()
    incomplete: str = ""

    def fault(self, *about: str) -> str:
        """Return the first fault of these kinds, empty without one."""
        return next((fault.text for kind in about for fault in self.faults if fault.kind == kind), "")
