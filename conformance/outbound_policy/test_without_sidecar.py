"""The same client without a sidecar: no Envoy, and no policy."""

import pytest

from pytest_istio_egress import (
    PLAIN,
    Egress,
    Outcome,
    Probe,
    blocked_http,
    documented,
    get,
    reached,
    reached_directly,
)

ENVOY_HEADERS = {"x-envoy-decorator-operation": None, "x-envoy-attempt-count": None, "x-request-id": None}


@documented(
    source="tasks/traffic-management/egress/egress-control/#understanding-what-happened",
    summary="Istio's configuration does not apply to traffic without a sidecar, and no header is added to it",
    outcomes=["injection/no-envoy-headers-without-sidecar", "outbound-policy/without-sidecar-not-applied"],
    independent_of_manifests={
        "without-sidecar": "without a sidecar no configuration applies, which is the expected outcome",
    },
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("http://unlisted-for-all.test/headers"), blocked_http(), id="with-sidecar"),
        pytest.param(
            get("http://listed-for-some.test/headers"),
            reached(),
            id="control-with-sidecar",
        ),
        pytest.param(
            get("http://unlisted-for-all.test/headers", client=PLAIN),
            reached_directly(source="client", request_headers=ENVOY_HEADERS),
            id="without-sidecar",
        ),
    ],
)
def test_request_without_sidecar_not_blocked(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
