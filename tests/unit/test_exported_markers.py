"""Markers for gateways in namespaces of others: exported to these alone, and never taken for another worker's."""

from pytest_istio_egress.cluster.exported_markers import ExportedMarkers


def test_marker_is_exported_to_the_namespaces_of_the_gateways_alone() -> None:
    marker = ExportedMarkers("gw0", {"istio-system", "egress"}).of_gateways(7)
    spec = marker.resource["spec"]
    assert spec["exportTo"] == ["egress", "istio-system"]
    assert spec["hosts"] == ["istio-egress-marker-gw0-7.test"]
    assert spec["resolution"] == "STATIC", "gateways get no cluster of an entry with resolution NONE"


def test_marker_is_shown_by_its_own_cluster() -> None:
    (shown,) = ExportedMarkers("gw1", {"istio-system"}).of_gateways(1).shown_by
    assert shown.text in "outbound|20000||istio-egress-marker-gw1-1.k3x9q.test"
    for other in ("gw1-12", "gw11-1", "gw0-1"):
        assert shown.text not in f"outbound|20000||istio-egress-marker-{other}.k3x9q.test"
