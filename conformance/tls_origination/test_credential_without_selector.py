"""A Secret that a DestinationRule names reaches sidecars only where the rule selects their workload.

curl --HTTP--> sidecar --TLS, with the authority of the Secret--> outside:443      rule with workloadSelector
                       --HTTP, as the client sent it          --> outside:443 (400) rule without
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, over_tls, reached


@documented(
    source="reference/config/networking/destination-rule/#ClientTLSSettings",
    summary="A sidecar takes credentialName from a DestinationRule with a workloadSelector only",
    outcomes=["tls-origination/credential-name-needs-selector"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://rule-with-selector.test/headers"),
            reached(source="client", server_saw=over_tls("rule-with-selector.test")),
            id="rule-with-a-workload-selector",
        ),
        pytest.param(
            get("http://rule-without-selector.test/headers"),
            reached(
                status=400,
                details="via_upstream",
                body="plain HTTP request was sent to HTTPS port",
                server_saw={"port": "8443"},
            ),
            id="rule-without-a-workload-selector",
        ),
    ],
)
def test_credential_name_used_with_workload_selector_only(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
