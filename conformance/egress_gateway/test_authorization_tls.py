"""The egress gateway authorizes connections that it cannot read, by server name and by the client's identity.

curl --TLS--> sidecar ----------------------> gateway: AuthorizationPolicy by SNI      -> outside:443
     --TLS--> sidecar --mutual TLS of Istio-> gateway: AuthorizationPolicy by identity -> outside:443
                                                `- closes the connection
"""

import pytest

from pytest_istio_egress import NEIGHBOUR, Egress, Hop, Outcome, Probe, documented, get, outbound, reached

GATEWAY = "exit.egress-gateway"
SERVICE = "exit.egress-gateway.svc.cluster.local"


def allowed(host: str, subset: str = "") -> Outcome:
    return reached(
        cluster=outbound(SERVICE, 443, subset=subset),
        gateway=Hop(at=GATEWAY, cluster=outbound(host, 443), server_name=host),
        source="gateway",
        server_saw={"server-name": host},
    )


def denied(host: str, subset: str = "") -> Outcome:
    return Outcome(
        exit=35,
        cluster=outbound(SERVICE, 443, subset=subset),
        gateway=Hop(at=GATEWAY, server_name=host, termination="rbac_access_denied_matched_policy[none]"),
    )


@documented(
    source="reference/config/security/conditions/",
    summary="At the gateway an AuthorizationPolicy allows TLS by server name and principal; others are closed",
    fixtures=["gateway.yaml", "neighbour_client.yaml"],
    outcomes=["egress-gateway/authorization-policy-tls"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("https://sni-allowed.test/headers"), allowed("sni-allowed.test"), id="server-name"),
        pytest.param(get("https://sni-denied.test/headers"), denied("sni-denied.test"), id="another-server-name"),
        pytest.param(
            get("https://by-identity.test/headers"), allowed("by-identity.test", "by-identity"), id="principal"
        ),
        pytest.param(
            get("https://by-identity.test/headers", client=NEIGHBOUR),
            denied("by-identity.test", "by-identity"),
            id="another-principal",
        ),
        pytest.param(
            get("https://sni-allowed.test/headers", client=NEIGHBOUR),
            allowed("sni-allowed.test"),
            id="server-name-from-the-neighbour",
        ),
    ],
)
def test_connection_at_gateway_allowed_or_closed(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
