"""A cluster that runs gets another Envoy: the gateway and new sidecars have it, and `up` knows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

from pytest_istio_egress.embedded import ClusterSpec, EmbeddedCluster, EmbeddedError, down, status, up
from pytest_istio_egress.embedded.upgrade import upgrade

from .conftest import Kubectl, pod

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.skipif(os.geteuid() != 0, reason="the embedded cluster needs root"),
]
OTHER = "1.36.4"


@pytest.fixture
def own(request: pytest.FixtureRequest) -> Iterator[EmbeddedCluster]:
    """A cluster of this test alone: it does not stay as it was."""
    name = f"upgrade-{os.getpid()}"
    request.addfinalizer(lambda: down(name))
    yield up(ClusterSpec(name=name), install_packages=True, tied_to_caller=True)


def test_another_envoy_and_compatibility(own: EmbeddedCluster) -> None:
    kubectl = Kubectl(own)
    spec = ClusterSpec(name=own.name, envoy=OTHER, compatibility="1.30")
    assert upgrade(spec).envoy == OTHER
    version = ("pilot-agent", "request", "GET", "server_info")
    told = kubectl("-n", "istio-system", "exec", "deploy/istio-egressgateway", "--", *version)
    assert re.search(rf"/{re.escape(OTHER)}/", told)
    kubectl("label", "namespace", "default", "istio-injection=enabled")
    kubectl.apply(pod("default", "client"))
    kubectl.ready("default", "client")
    assert re.search(rf"/{re.escape(OTHER)}/", kubectl("exec", "client", "-c", "istio-proxy", "--", *version))
    settings = kubectl("-n", "istio-system", "get", "deployment", "istiod", "-o", "jsonpath={..env[*].name}")
    assert "PILOT_ENABLE_STRICT_GATEWAY_MERGING" in settings
    assert not up(spec).started
    found = status(own.name).cluster
    assert found is not None
    assert found.envoy == OTHER


def test_no_cluster_to_upgrade() -> None:
    with pytest.raises(EmbeddedError, match="does not run") as refused:
        upgrade(ClusterSpec(name="nobody"))
    assert "cluster up" in (refused.value.remedy or "")
