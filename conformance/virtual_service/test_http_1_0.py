"""HTTP/1.0 does not match a listener's HTTP chain, so that it counts as TCP, unless istiod has PILOT_HTTP10.

curl --HTTP/1.0--> sidecar, ALLOW_ANY:     PassthroughCluster, past every rule -> outside
                            REGISTRY_ONLY: BlackHoleCluster
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blocked_tcp, documented, get, reached


@documented(
    source="reference/config/networking/virtual-service/",
    summary="VirtualService rules do not apply to HTTP/1.0: with ALLOW_ANY it passes through as TCP",
    # By Istio 1.31: HTTP/1.0 was answered with 426 once; with PILOT_HTTP10 rules apply to it.
    requires=["http-1.0-as-tcp"],
    outcomes=["virtual-service/faults-retries-headers"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://http-1-0.test/headers"),
            reached(),
            id="control-http-1.1",
        ),
        pytest.param(
            get("http://http-1-0.test/anything/abort"),
            Outcome(status=418, flags="FI", details="fault_filter_abort"),
            id="http-1.1-aborted",
        ),
        pytest.param(
            get("http://http-1-0.test/anything/abort", arguments=["--http1.0"]),
            reached(cluster="PassthroughCluster", server_saw={"protocol": "HTTP/1.0"}),
            id="http-1.0-not-aborted",
        ),
    ],
)
def test_http_1_0_with_allow_any_passed_through(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source="reference/config/networking/virtual-service/",
    summary="With REGISTRY_ONLY HTTP/1.0 is dropped, even on the port of an HTTP ServiceEntry",
    # By Istio 1.31: HTTP/1.0 was answered with 426 once; with PILOT_HTTP10 it is HTTP as any other.
    manifests=["http_rules.yaml"],
    requires=["http-1.0-as-tcp"],
    outcomes=["virtual-service/faults-retries-headers"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("http://http-rules.test/anything/plain"), reached(route="plain"), id="control-http-1.1"),
        pytest.param(
            get("http://http-rules.test/anything/plain", arguments=["--http1.0"]), blocked_tcp(), id="http-1.0"
        ),
    ],
)
def test_http_1_0_with_registry_only_dropped(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
