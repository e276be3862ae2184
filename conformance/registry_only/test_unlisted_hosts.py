"""REGISTRY_ONLY, set for a namespace by its Sidecar: what is not listed does not get out.

curl -> sidecar :80   -> route of listed.test -> outside
                      -> block_all (502)
                :8081 -> no listener -> BlackHoleCluster
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blackholed, block_all, documented, get, tls


@documented(
    source="tasks/traffic-management/egress/egress-control/#change-to-the-blocking-by-default-policy",
    summary="With REGISTRY_ONLY a sidecar lets traffic out only to hosts that the registry lists",
    outcomes=["workshop/blocked", "workshop/black-hole", "serviceentry/blocked-by-default", "A2", "A11"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://listed.test/headers"),
            Outcome(status=200, reached="outside", cluster="outbound|80||listed.test"),
            id="control-listed",
        ),
        pytest.param(get("http://unlisted.test/headers"), block_all(), id="http-host-unlisted"),
        pytest.param(get("http://unlisted.test:8081/headers"), blackholed(), id="http-port-unlisted"),
        pytest.param(
            tls("https://unlisted.test/headers"),
            Outcome(exit=35, cluster="BlackHoleCluster", flags="UH"),
            id="tls-unlisted",
        ),
    ],
)
def test_unlisted_hosts(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
