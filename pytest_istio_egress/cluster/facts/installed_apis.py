"""Facts about the CRDs in the cluster: the Gateway API's and Istio's."""

from __future__ import annotations

from pytest_istio_egress.cluster.facts.objects import ObjectReader, labels
from pytest_istio_egress.model.istio_versions import release

NOT_INSTALLED = "not installed"
_BUNDLE = "gateway.networking.k8s.io/bundle-version"
_CHANNEL = "gateway.networking.k8s.io/channel"


def gateway_api(reader: ObjectReader) -> str:
    """Return version and channel of the Gateway API, from the annotations of its CRDs."""
    crd = reader.one("apiextensions.k8s.io/v1", "CustomResourceDefinition", "gateways.gateway.networking.k8s.io")
    if crd is None:
        return NOT_INSTALLED
    annotations = crd["metadata"].get("annotations") or {}
    return f"{annotations.get(_BUNDLE, 'unknown version')} {annotations.get(_CHANNEL, '')}".strip()


def definitions(reader: ObjectReader) -> str:
    """Return the release that the ServiceEntry CRD is of, where its labels name one, and its served versions."""
    crd = reader.one("apiextensions.k8s.io/v1", "CustomResourceDefinition", "serviceentries.networking.istio.io")
    if crd is None:
        return NOT_INSTALLED
    served = ", ".join(version["name"] for version in crd["spec"]["versions"] if version.get("served"))
    chart = labels(crd).get("helm.sh/chart", "").rpartition("base-")[2]
    named = next((each for each in (labels(crd).get("app.kubernetes.io/version", ""), chart) if release(each)), "")
    return f"{named}: {served}" if named else served
