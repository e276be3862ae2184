"""A VirtualService rewrites the authority: the external server receives another Host header than the client sent.

curl (Host: authority-rewrite.test) -> sidecar: rewrite -> outside (Host: new-authority.test)
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, reached


@documented(
    source="reference/config/networking/virtual-service/#HTTPRewrite",
    summary="A VirtualService that rewrites the authority changes the Host header that the external server receives",
    outcomes=["virtual-service/authority-rewrite-host"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://authority-rewrite.test/anything/unchanged"),
            reached(route="unchanged", server_saw={"host": "authority-rewrite.test"}),
            id="control-without-rewrite",
        ),
        pytest.param(
            get("http://authority-rewrite.test/anything/rewritten"),
            reached(route="rewritten", server_saw={"host": "new-authority.test"}),
            id="rewritten",
        ),
    ],
)
def test_rewritten_authority_arrives_as_host(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
