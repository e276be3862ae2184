"""Causes that are told by the upstream transport failure which an Envoy logs."""

from __future__ import annotations

from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import Failure
from pytest_istio_egress.verdict.diagnosis.rule import OUTCOME, Cause
from pytest_istio_egress.verdict.diagnosis.tls_setter import tls_of, tls_setter


def transport_failure(name: str, phrases: tuple[str, ...], text: str, *, unless: tuple[str, ...] = ()) -> Cause:
    """Return a cause that fits where Envoy's upstream transport failure has one of the phrases, and none of `unless`.

    The text may name {hop}, {cluster}, {upstream}, {names}, and {setter} with its fields, {setter.mode} for one.
    """

    def sentence(failure: Failure) -> str | None:
        for hop in failure.hops:
            if any(phrase in hop.failure for phrase in phrases) and not any(each in hop.failure for each in unless):
                tls = tls_of(hop)
                names = ", ".join(tls.verified_names) if tls and tls.verified_names else ""
                return text.format(
                    hop=hop.name,
                    cluster=hop.line.cluster,
                    upstream=hop.line.upstream,
                    setter=tls_setter(failure, hop),
                    names=f" ({names})" if names else "",
                )
        return None

    return Cause(name, OUTCOME, (Evidence.TRANSPORT_FAILURE,), sentence)
