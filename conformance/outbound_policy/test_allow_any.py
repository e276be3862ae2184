"""ALLOW_ANY, set for a namespace by its Sidecar: unlisted traffic passes unchanged, to the client's address.

curl -> sidecar :80 (HTTP, another host's)  -> route allow_any -> PassthroughCluster -> the address that curl chose
                :443 :9000 (no listener)    -----------------> -> PassthroughCluster -> the address that curl chose
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, reached

PAGE = "tasks/traffic-management/egress/egress-control/#envoy-passthrough-to-external-services"


def passed(protocol: str, route: str | None = None) -> Outcome:
    return reached(source="client", cluster="PassthroughCluster", route=route, server_saw={"protocol": protocol})


# The external server's answer to bytes that are not HTTP; it shows that they arrived there.
BYTES_PASSED = Outcome(cluster="PassthroughCluster", body="X-Outside-Server: outside")


@documented(
    source=PAGE,
    summary="With ALLOW_ANY requests to unlisted hosts pass through with their protocol unchanged, and are logged",
    outcomes=[
        "outbound-policy/allow-any-passed-through",
        "outbound-policy/allow-any-logged",
        "outbound-policy/allow-any-tls-200",
        "outbound-policy/allow-any-http-200",
        "outbound-policy/allow-any-tls-and-tcp-passed-through",
    ],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://listed-beside-passthrough.test/headers"),
            reached("second"),
            id="listed-goes-to-its-endpoint",
        ),
        pytest.param(get("http://passed-through.test/headers"), passed("HTTP/1.1", "allow_any"), id="http1"),
        pytest.param(
            get("http://passed-through.test:8082/headers", arguments=["--http2-prior-knowledge"]),
            passed("HTTP/2.0", "allow_any"),
            id="http2",
        ),
        pytest.param(get("https://passed-through.test/headers"), passed("HTTP/2.0"), id="tls"),
        pytest.param(get("http://passed-through.test:9000/headers"), passed("HTTP/1.1"), id="http-unlisted-port"),
        pytest.param(get("gopher://passed-through.test:9000/_bytes"), BYTES_PASSED, id="tcp"),
    ],
)
def test_unlisted_host_with_allow_any_passed_through(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source=PAGE,
    summary="With ALLOW_ANY, TLS and TCP to unlisted hosts pass through, even on the port of an HTTP ServiceEntry",
    manifests=["allow_any_port_conflict.yaml"],
    outcomes=["outbound-policy/allow-any-passed-through", "outbound-policy/allow-any-tls-and-tcp-passed-through"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://conflicts-with-passthrough.test:9000/headers"),
            reached("second"),
            id="listed-goes-to-its-endpoint",
        ),
        pytest.param(get("https://passed-conflict.test/headers"), passed("HTTP/2.0"), id="tls"),
        pytest.param(get("http://passed-conflict.test:9000/headers"), passed("HTTP/1.1", "allow_any"), id="http"),
        pytest.param(get("gopher://passed-conflict.test:9000/_bytes"), BYTES_PASSED, id="tcp"),
    ],
)
def test_unlisted_host_on_listed_port_passed_through(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
