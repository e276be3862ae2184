"""A cluster that runs gets another Envoy or Istio: the gateway and new sidecars have it, and `up` knows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

from pytest_istio_egress.embedded import ClusterSpec, EmbeddedCluster, EmbeddedError, down, status, up
from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.upgrade import upgrade
from pytest_istio_egress.embedded.versions import versions
from pytest_istio_egress.embedded.workshop import component_key

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


def test_another_release_of_istio(own: EmbeddedCluster) -> None:
    release = versions().releases["1.30"]
    if not Cache().has("istio", component_key(versions().istio_at(release.version))):
        pytest.skip("Istio 1.30 has not been built on this machine: nox -s 'embedded_istio(1.30)' does")
    kubectl = Kubectl(own)
    upgraded = upgrade(ClusterSpec(name=own.name, istio=release.name))
    assert (upgraded.istio, upgraded.envoy) == ("1.30-dev", release.envoy)
    told = kubectl("version", program="istioctl")
    assert re.findall(r"(client|control plane|data plane) version: 1\.30-dev", told) == [
        "client",
        "control plane",
        "data plane",
    ]
    kubectl("label", "namespace", "default", "istio-injection=enabled")
    kubectl.apply(pod("default", "client"))
    kubectl.ready("default", "client")
    images = kubectl("get", "pod", "client", "-o", "jsonpath={..initContainers[*].image}").split()
    assert {image.rpartition("/")[2] for image in images} == {f"proxyv2:1.30-dev-envoy-{release.envoy}"}
    assert not up(ClusterSpec(name=own.name, istio=release.name)).started
    definition = "customresourcedefinition/httproutes.gateway.networking.k8s.io"
    bundle = "jsonpath={.metadata.annotations.gateway\\.networking\\.k8s\\.io/bundle-version}"
    assert kubectl("get", definition, "-o", bundle) == release.gateway_api


def test_no_cluster_to_upgrade() -> None:
    with pytest.raises(EmbeddedError, match="is not running") as refused:
        upgrade(ClusterSpec(name="nobody"))
    assert "cluster up" in (refused.value.remedy or "")
