"""The rules that the users of further_mistakes.yaml would have written."""

import pytest
from payments import GATEWAY, INSECURE, PAYMENTS, WIKI, A, B, directly, through_gateway

from pytest_istio_egress import (
    Egress,
    Hop,
    Outcome,
    Probe,
    answered,
    blocked_http,
    blocked_tcp,
    documented,
    get,
    outbound,
    tcp,
)

AT_PROXY = "10.96.200.85"
STRICT = "10.96.200.84"
DENIED = "rbac_access_denied_matched_policy[ns[istio-system]-policy[no-partner]-rule[0]]"
AFTER_A_SECOND = Outcome(status=504, details="response_timeout", seconds=1)
PARTNER = get("http://partner.test/get", client=PAYMENTS, to=A)
PARTNER_BY_TLS = get("https://partner.test/get", client=PAYMENTS, to=A, arguments=INSECURE)
PROXY = ("-x", "http://proxy.test:3128")
BY_PROXY = get("https://partner.test/get", client=PAYMENTS, to=AT_PROXY, arguments=(*INSECURE, *PROXY))
HTTP_BY_PROXY = get("http://partner.test/get", client=PAYMENTS, to=AT_PROXY, arguments=PROXY)
OTHER = pytest.param(get("http://other.test/get", client=PAYMENTS, to=B), directly("other.test"), id="control-other")
DENIED_AT_GATEWAY = pytest.param(
    PARTNER, Outcome(status=403, cluster=outbound(GATEWAY, 80), gateway=Hop(status=403, details=DENIED)), id="denied"
)


@documented(source=f"{WIKI}f01", summary="payments reaches partner.test by TLS of its own", manifests=[])
def test_f01(egress: Egress) -> None:
    egress.expect(PARTNER_BY_TLS, directly("partner.test", 443))


@documented(source=f"{WIKI}f02", summary="payments reaches partner.test by plain HTTP", manifests=[])
def test_f02(egress: Egress) -> None:
    egress.expect(PARTNER, directly("partner.test"))


@documented(source=f"{WIKI}f03", summary="the sidecar uses TLS to partner.test", manifests=[])
def test_f03(egress: Egress) -> None:
    egress.expect(PARTNER, directly("partner.test"))


@documented(source=f"{WIKI}f04", summary="payments reaches partner.test by TLS of its own", manifests=[])
def test_f04(egress: Egress) -> None:
    egress.expect(PARTNER_BY_TLS, directly("partner.test", 443))


@documented(source=f"{WIKI}f05", summary="payments reaches partner.test by TLS through the gateway", manifests=[])
def test_f05(egress: Egress) -> None:
    egress.expect(PARTNER_BY_TLS, through_gateway("", 443, at_port=443))


@documented(source=f"{WIKI}f06", summary="a request to partner.test ends after one second", manifests=[])
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://partner.test:9092/delay/3", client=PAYMENTS, to=A),
            AFTER_A_SECOND,
            id="slow",
        ),
        pytest.param(
            get("http://partner.test:9092/get", client=PAYMENTS, to=A), directly("partner.test", 9092), id="control"
        ),
    ],
)
def test_f06(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(source=f"{WIKI}f07", summary="the sidecar uses TLS to partner.test", manifests=[])
def test_f07(egress: Egress) -> None:
    egress.expect(PARTNER, directly("partner.test"))


@documented(source=f"{WIKI}f08", summary="the sidecar uses TLS to partner.test", manifests=[])
def test_f08(egress: Egress) -> None:
    egress.expect(PARTNER, directly("partner.test"))


@documented(source=f"{WIKI}f09", summary="the sidecar uses TLS to partner.test", manifests=[])
def test_f09(egress: Egress) -> None:
    egress.expect(PARTNER, directly("partner.test"))


@documented(source=f"{WIKI}f10", summary="the sidecar uses TLS to partner.test", manifests=[])
def test_f10(egress: Egress) -> None:
    egress.expect(PARTNER, directly("partner.test"))


@documented(source=f"{WIKI}f11", summary="payments reaches partner.test by plain HTTP", manifests=[])
def test_f11(egress: Egress) -> None:
    egress.expect(PARTNER, directly("partner.test"))


@documented(source=f"{WIKI}f12", summary="the sidecar uses TLS to partner.test", manifests=[])
def test_f12(egress: Egress) -> None:
    egress.expect(PARTNER, directly("partner.test"))


@documented(source=f"{WIKI}f13", summary="the sidecar uses mutual TLS to partner.test", manifests=[])
def test_f13(egress: Egress) -> None:
    egress.expect(get("http://partner.test/", client=PAYMENTS, to=STRICT), directly("partner.test"))


@documented(source=f"{WIKI}f14", summary="payments reaches partner.test by plain HTTP", manifests=[])
def test_f14(egress: Egress) -> None:
    egress.expect(get("http://partner.test/", client=PAYMENTS, to=STRICT), directly("partner.test"))


@documented(source=f"{WIKI}f15", summary="payments reaches partner.test by plain HTTP", manifests=[])
def test_f15(egress: Egress) -> None:
    egress.expect(PARTNER, directly("partner.test"))


@documented(source=f"{WIKI}f16", summary="payments reaches partner.test over TLS of the gateway", manifests=[])
def test_f16(egress: Egress) -> None:
    egress.expect(PARTNER, through_gateway("", 443))


@documented(source=f"{WIKI}f17", summary="payments reaches partner.test over TLS of the gateway", manifests=[])
def test_f17(egress: Egress) -> None:
    egress.expect(PARTNER, through_gateway("", 443))


@documented(source=f"{WIKI}f18", summary="payments reaches partner.test through the egress gateway", manifests=[])
def test_f18(egress: Egress) -> None:
    egress.expect(PARTNER, through_gateway("", 80))


@documented(source=f"{WIKI}f20", summary="payments reaches partner.test through the egress gateway", manifests=[])
def test_f20(egress: Egress) -> None:
    egress.expect(PARTNER, through_gateway("", 80))


@documented(source=f"{WIKI}f21", summary="payments reaches partner.test through the egress gateway", manifests=[])
def test_f21(egress: Egress) -> None:
    egress.expect(PARTNER, through_gateway("", 80))


@documented(source=f"{WIKI}f22", summary="payments reaches partner.test through the egress gateway", manifests=[])
def test_f22(egress: Egress) -> None:
    egress.expect(PARTNER, through_gateway("", 80))


@documented(source=f"{WIKI}f23", summary="payments reaches partner.test through the egress gateway", manifests=[])
def test_f23(egress: Egress) -> None:
    egress.expect(PARTNER, through_gateway("", 80))


@documented(source=f"{WIKI}f24", summary="payments reaches partner.test through the egress gateway", manifests=[])
def test_f24(egress: Egress) -> None:
    egress.expect(PARTNER, through_gateway("", 80))


@documented(source=f"{WIKI}f25", summary="payments reaches partner.test through the egress gateway", manifests=[])
def test_f25(egress: Egress) -> None:
    egress.expect(PARTNER, through_gateway("", 80))


@documented(source=f"{WIKI}f26", summary="payments reaches partner.test through the egress gateway", manifests=[])
def test_f26(egress: Egress) -> None:
    egress.expect(PARTNER, through_gateway("", 80))


@documented(source=f"{WIKI}f27", summary="payments reaches partner.test through the egress gateway", manifests=[])
def test_f27(egress: Egress) -> None:
    egress.expect(get("http://partner.test:9092/get", client=PAYMENTS, to=A), through_gateway("", 9092))


@documented(source=f"{WIKI}f28", summary="payments reaches partner.test by TLS through the gateway", manifests=[])
def test_f28(egress: Egress) -> None:
    egress.expect(PARTNER_BY_TLS, through_gateway("", 443, at_port=443))


@documented(source=f"{WIKI}f29", summary="payments reaches partner.test through the egress gateway", manifests=[])
def test_f29(egress: Egress) -> None:
    egress.expect(PARTNER, through_gateway("", 80))


@documented(source=f"{WIKI}f30", summary="payments may not reach partner.test any more", manifests=[])
@pytest.mark.parametrize(("probe", "expected"), [OTHER, pytest.param(PARTNER, Outcome(status=403), id="denied")])
def test_f30(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(source=f"{WIKI}f31", summary="payments may not reach partner.test any more", manifests=[])
@pytest.mark.parametrize(
    ("probe", "expected"),
    [OTHER, DENIED_AT_GATEWAY],
)
def test_f31(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(source=f"{WIKI}f32", summary="payments reaches queue-a.test, and nothing else there", manifests=[])
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(tcp("queue-a.test", 9092, client=PAYMENTS, to=A), directly("queue-a.test", 9092), id="control"),
        pytest.param(tcp("unlisted.test", 9092, client=PAYMENTS, to=B), blocked_tcp(), id="unlisted"),
    ],
)
def test_f32(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(source=f"{WIKI}f33", summary="payments reaches queue-a.test on its own port", manifests=[])
def test_f33(egress: Egress) -> None:
    egress.expect(tcp("queue-a.test", 9092, client=PAYMENTS, to=A), directly("queue-a.test", 9092))


@documented(source=f"{WIKI}f34", summary="payments reaches queue-b.test on its own port", manifests=[])
def test_f34(egress: Egress) -> None:
    egress.expect(tcp("queue-b.test", 9092, client=PAYMENTS, to=B), directly("queue-b.test", 9092))


@documented(source=f"{WIKI}f35", summary="a request to partner.test ends after one second", manifests=[])
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("http://partner.test/delay/3", client=PAYMENTS, to=A), AFTER_A_SECOND, id="slow"),
        pytest.param(PARTNER, directly("partner.test"), id="control"),
    ],
)
def test_f35(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(source=f"{WIKI}f36", summary="payments reaches partner.test below its old path", manifests=[])
def test_f36(egress: Egress) -> None:
    egress.expect(get("http://partner.test/api/get", client=PAYMENTS, to=A), directly("partner.test"))


@documented(source=f"{WIKI}f37", summary="requests for partner.test are answered by strict.test", manifests=[])
def test_f37(egress: Egress) -> None:
    egress.expect(get("http://partner.test/", client=PAYMENTS, to=A), directly("strict.test"))


@documented(source=f"{WIKI}f38", summary="answers of partner.test have the header x-team", manifests=[])
def test_f38(egress: Egress) -> None:
    expected = Outcome(status=200, cluster=outbound("partner.test"), response_headers={"x-team": "payments"})
    egress.expect(PARTNER, expected)


@documented(source=f"{WIKI}f39", summary="payments may reach other.test, and nothing else", manifests=[])
@pytest.mark.parametrize(
    ("probe", "expected"),
    [OTHER, pytest.param(get("http://unlisted.test/get", client=PAYMENTS, to=A), blocked_http(), id="unlisted")],
)
def test_f39(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(source=f"{WIKI}f40", summary="a request to partner.test ends after one second", manifests=[])
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("http://partner.test/delay/3", client=PAYMENTS, to=A), AFTER_A_SECOND, id="slow"),
        pytest.param(PARTNER, directly("partner.test"), id="control"),
    ],
)
def test_f40(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(source=f"{WIKI}f41", summary="payments reaches partner.test by plain HTTP", manifests=[])
def test_f41(egress: Egress) -> None:
    egress.expect(PARTNER, directly("partner.test"))


@documented(source=f"{WIKI}f42", summary="queue-a.test may pause for three seconds", manifests=[])
def test_f42(egress: Egress) -> None:
    egress.expect(get("http://queue-a.test:9092/delay/3", client=PAYMENTS, to=A), directly("queue-a.test", 9092))


@documented(source=f"{WIKI}f43", summary="payments reaches partner.test by plain HTTP", manifests=[])
def test_f43(egress: Egress) -> None:
    egress.expect(PARTNER, directly("partner.test"))


@documented(source=f"{WIKI}f44", summary="payments reaches partner.test by plain HTTP", manifests=[])
def test_f44(egress: Egress) -> None:
    egress.expect(PARTNER, directly("partner.test"))


@documented(source=f"{WIKI}f45", summary="payments reaches partner.test by plain HTTP", manifests=[])
def test_f45(egress: Egress) -> None:
    egress.expect(PARTNER, directly("partner.test"))


@documented(source=f"{WIKI}f46", summary="payments reaches partner.test by plain HTTP", manifests=[])
def test_f46(egress: Egress) -> None:
    egress.expect(PARTNER, directly("partner.test"))


@documented(source=f"{WIKI}f47", summary="payments reaches the hosts of wild.test", manifests=[])
def test_f47(egress: Egress) -> None:
    egress.expect(get("http://a.wild.test/get", client=PAYMENTS, to=A), Outcome(status=200))


@documented(source=f"{WIKI}f48", summary="payments may reach other.test, and nothing else", manifests=[])
@pytest.mark.parametrize(
    ("probe", "expected"),
    [OTHER, pytest.param(get("http://unlisted.test/get", client=PAYMENTS, to=A), blocked_http(), id="unlisted")],
)
def test_f48(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(source=f"{WIKI}f49", summary="payments reaches partner.test by plain HTTP", manifests=[])
def test_f49(egress: Egress) -> None:
    egress.expect(PARTNER, directly("partner.test"))


@documented(source=f"{WIKI}f50", summary="payments reaches partner.test by plain HTTP", manifests=[])
def test_f50(egress: Egress) -> None:
    egress.expect(PARTNER, directly("partner.test"))


@documented(source=f"{WIKI}f51", summary="payments reaches partner.test by plain HTTP", manifests=[])
def test_f51(egress: Egress) -> None:
    egress.expect(PARTNER, directly("partner.test"))


@documented(source=f"{WIKI}f52", summary="payments reaches partner.test through the egress gateway", manifests=[])
def test_f52(egress: Egress) -> None:
    egress.expect(PARTNER, through_gateway("", 80))


@documented(source=f"{WIKI}f53", summary="payments reaches partner.test through the egress gateway", manifests=[])
def test_f53(egress: Egress) -> None:
    egress.expect(PARTNER, through_gateway("", 80))


@documented(source=f"{WIKI}f54", summary="payments may reach other.test, and nothing else", manifests=[])
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        OTHER,
        pytest.param(
            get("http://host-a.partner-net.svc.cluster.local/get", client=PAYMENTS), blocked_http(), id="unlisted"
        ),
    ],
)
def test_f54(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(source=f"{WIKI}f55", summary="payments may not reach partner.test any more", manifests=[])
@pytest.mark.parametrize(
    ("probe", "expected"),
    [OTHER, DENIED_AT_GATEWAY],
)
def test_f55(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(source=f"{WIKI}f56", summary="payments may not reach partner.test any more", manifests=[])
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        OTHER,
        pytest.param(PARTNER, Outcome(status=403, cluster=outbound(GATEWAY, 80), gateway=Hop(status=403)), id="denied"),
    ],
)
def test_f56(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(source=f"{WIKI}f57", summary="payments reaches partner.test by TLS through its proxy", manifests=[])
def test_f57(egress: Egress) -> None:
    egress.expect(BY_PROXY, directly("proxy.test", 3128))


@documented(source=f"{WIKI}f58", summary="payments reaches partner.test by plain HTTP through its proxy", manifests=[])
def test_f58(egress: Egress) -> None:
    egress.expect(HTTP_BY_PROXY, directly("proxy.test", 3128))


@documented(source=f"{WIKI}f59", summary="payments reaches partner.test by TLS through its proxy", manifests=[])
def test_f59(egress: Egress) -> None:
    egress.expect(BY_PROXY, answered())


@documented(source=f"{WIKI}f60", summary="payments reaches partner.test by TLS through its proxy", manifests=[])
def test_f60(egress: Egress) -> None:
    egress.expect(BY_PROXY, answered())


@documented(source=f"{WIKI}f61", summary="payments reaches partner.test by plain HTTP through its proxy", manifests=[])
def test_f61(egress: Egress) -> None:
    egress.expect(HTTP_BY_PROXY, answered())


@documented(source=f"{WIKI}f62", summary="payments reaches partner.test by plain HTTP", manifests=[])
def test_f62(egress: Egress) -> None:
    egress.expect(PARTNER, directly("partner.test"))


@documented(source=f"{WIKI}f63", summary="payments reaches partner.test by TLS through the gateway", manifests=[])
def test_f63(egress: Egress) -> None:
    egress.expect(PARTNER_BY_TLS, through_gateway("", 443, at_port=443))
