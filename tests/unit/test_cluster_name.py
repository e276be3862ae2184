"""Istio's names of clusters, read and written."""

import pytest

from pytest_istio_egress import at_waypoint, outbound
from pytest_istio_egress.model.cluster_name import ClusterName, host_of, port_of


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (outbound("api.test"), ClusterName("api.test", 80, "")),
        (outbound("api.test", 443, subset="v1"), ClusterName("api.test", 443, "v1")),
        (at_waypoint("api.test"), ClusterName("api.test", 80, "")),
        (at_waypoint("api.test", protocol="http/v1"), ClusterName("api.test", 80, "v1")),
        ("BlackHoleCluster", None),
        ("outbound|http||api.test", None),
        ("-", None),
    ],
    ids=str,
)
def test_name_of_a_host_and_port_is_read(name: str, parts: ClusterName | None) -> None:
    assert ClusterName.parse(name) == parts
    assert (host_of(name), port_of(name)) == ((parts.host, parts.port) if parts else ("", 0))
