"""The egress gateway authorizes requests by path, by the client's identity and by a token.

curl -> sidecar --mutual TLS: the client's identity--> gateway: AuthorizationPolicy -> outside
                                                             `- 403, and no request outside
"""

import pytest

from pytest_istio_egress import NEIGHBOUR, Egress, Hop, Outcome, Probe, documented, get, outbound, reached

HOST = "http://authorized.test/anything"
GATEWAY = "exit.egress-gateway"
TO_THE_GATEWAY = outbound("exit.egress-gateway.svc.cluster.local", 443, subset="authorized")

# Signed with the private key of the JWKS in authorization.yaml, and valid until 2100; the key has been discarded.
OF_THE_TENANT = (
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImVncmVzcyIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJpc3N1ZXJAZWdyZXNzLmV4YW1wbGUiLCJ"
    "zdWIiOiJ0ZW5hbnQiLCJleHAiOjQxMDI0NDQ4MDB9.OQw1P4yVItQ3HFYK09EwW5_fWJ6V5KAxkFWdknh8ZirLvHFwIflUIdfF0L"
    "zQwnB15cy7bF2ZHcbVFG-qudpsnG89YBU1KkJJfxX0pccJgJQ4XPagQZIDhHejPf28TYaIKe8QjrpGFD81fDXfi2yZkSVMX6XYz9"
    "DN1fu2uHzrp6zOisNlhbt8cIiyaKDTBAW9DNxKYvAaVY7dBMg0B-N99YLlENg4z0qEfPlLpRHNKm76dDeU-zBLyRgjoUW3K717qs"
    "6OKJva0VMWSw0sddxTxC1rag1ubYsIlqJBE0W1iSEdhbljyTnonBqU2mGr8GitYhoWLCJ918GlsCxtan4gnw"
)
OF_ANOTHER_SUBJECT = (
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImVncmVzcyIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJpc3N1ZXJAZWdyZXNzLmV4YW1wbGUiLCJ"
    "zdWIiOiJzdHJhbmdlciIsImV4cCI6NDEwMjQ0NDgwMH0.Qy_1CYxfocGFFXGsJ0JvM1o2jYRJhwzn-ecc4SyoLiQ96Dt3tyqS1Ww"
    "xL8gi6IIVrMuBOHht0F-"
    "jLaXWPXEdrTCSrCqRF3soc7_ukfbeIL6f14VSKvPOqFVZtapw2YdwocHKEIE5GlesnTra5ED0kVWyhHHqKoMhxwpu0daTDa2yx9_"
    "LuUFJU8gRE8fUdwibpqnLMvQB2uvJJhUXAUrY070fSnHpMx1v1K2XNAzND9A6P04ZfcF8sva01TqtsrmIgZ3NyNsajFbYvJLixQs"
    "aosvnAybtHB3ecrS6qqvsqfBLun6qxqOSu_oefH1a_RgEwiJmL-8LJmsUcsMk7F0hKg"
)
DAMAGED = OF_THE_TENANT[:-8] + "AAAAAAAA"

ALLOWED = reached(
    cluster=TO_THE_GATEWAY, gateway=Hop(at=GATEWAY, cluster=outbound("authorized.test"), status=200), source="gateway"
)
DENIED = Outcome(
    status=403,
    cluster=TO_THE_GATEWAY,
    gateway=Hop(at=GATEWAY, status=403, details="rbac_access_denied_matched_policy[none]"),
    body="RBAC: access denied",
)
NO_TOKEN = Outcome(
    status=401,
    cluster=TO_THE_GATEWAY,
    gateway=Hop(at=GATEWAY, status=401),
    body="Jwt verification fails",
)


def with_token(token: str) -> Probe:
    return get(f"{HOST}/by-token", headers={"Authorization": f"Bearer {token}"})


@documented(
    source="reference/config/security/authorization-policy/",
    summary="At the gateway an AuthorizationPolicy allows requests by path, principal and token; others get 403",
    fixtures=["gateway.yaml", "neighbour_client.yaml"],
    outcomes=["egress-gateway/authorization-policy-200-or-403"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get(f"{HOST}/for-all"), ALLOWED, id="path-for-all"),
        pytest.param(get(f"{HOST}/for-nobody"), DENIED, id="path-for-nobody"),
        pytest.param(get(f"{HOST}/for-one"), ALLOWED, id="principal"),
        pytest.param(get(f"{HOST}/for-all", client=NEIGHBOUR), ALLOWED, id="path-for-all-from-the-neighbour"),
        pytest.param(get(f"{HOST}/for-one", client=NEIGHBOUR), DENIED, id="another-principal"),
        pytest.param(with_token(OF_THE_TENANT), ALLOWED, id="token"),
        pytest.param(with_token(OF_ANOTHER_SUBJECT), DENIED, id="token-of-another-subject"),
        pytest.param(with_token(DAMAGED), NO_TOKEN, id="damaged-token"),
        pytest.param(get(f"{HOST}/by-token"), DENIED, id="no-token"),
    ],
)
def test_request_at_gateway_allowed_or_403(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
