"""Facts about the proxies: native sidecars, the build of Envoy, ambient mode, dual stack."""

from __future__ import annotations

from pytest_istio_egress.cluster.facts.objects import Object, ObjectReader, labels
from pytest_istio_egress.cluster.facts.revisions import environment, version
from pytest_istio_egress.model.istio_versions import older
from pytest_istio_egress.model.mesh_facts import ISTIOS_OWN_BUILD

_NATIVE_SINCE = "1.27"
"""The release of Istio that injects native sidecars by default."""


def native_sidecars(istiod: Object) -> str:
    """Return whether istiod injects native sidecars: by its environment, else by the default of its version."""
    setting = environment(istiod).get("ENABLE_NATIVE_SIDECARS")
    if setting:
        return "yes" if setting.lower() == "true" else "no"
    return "no (default)" if older(version(istiod), _NATIVE_SINCE) else "yes (default)"


def proxy_build(istiod: Object) -> str:
    """Return the build of Envoy that istiod is configured for: upstream's lacks the filters that Istio adds."""
    variables = environment(istiod)
    filters = ("PILOT_ENABLE_METADATA_EXCHANGE", "PILOT_ENABLE_ALPN_FILTER")
    disabled = all(variables.get(name, "").lower() == "false" for name in filters)
    return "upstream Envoy" if disabled else ISTIOS_OWN_BUILD


def dual_stack(istiod: Object) -> str:
    """Return whether istiod configures proxies for both families of a dual-stack cluster (ISTIO_DUAL_STACK)."""
    return "on" if environment(istiod).get("ISTIO_DUAL_STACK", "").lower() == "true" else "off"


def ambient(reader: ObjectReader) -> str:
    """Return the namespace of ztunnel, the node proxy of ambient mode."""
    ztunnels = [each for each in reader.objects("apps/v1", "DaemonSet") if labels(each).get("app") == "ztunnel"]
    return f"ztunnel in {ztunnels[0]['metadata']['namespace']}" if ztunnels else "not installed"
