"""The rules that the users of the reports would have written: what payments may reach, and how."""

import os
from pathlib import Path

import pytest
from payments import INSECURE, MOODY, PAYMENTS, REDIRECTOR, WIKI, A, B, directly, through_gateway

from pytest_istio_egress import Egress, Outcome, Probe, blocked_http, documented, get, outbound, tcp

LEDGER = "ledger.payments.svc.cluster.local"


@documented(source=f"{WIKI}e01", summary="payments reaches partner.test over TLS of the gateway", manifests=[])
def test_e01(egress: Egress) -> None:
    egress.expect(get("http://partner.test/get", client=PAYMENTS, to=A), through_gateway("partner", 443))


@documented(source=f"{WIKI}e02", summary="payments reaches partner.test through the egress gateway", manifests=[])
def test_e02(egress: Egress) -> None:
    egress.expect(get("http://partner.test/get", client=PAYMENTS, to=A), through_gateway("", 80))


@documented(source=f"{WIKI}e02b", summary="payments reaches partner.test through the egress gateway", manifests=[])
def test_e02b(egress: Egress) -> None:
    egress.expect(get("http://partner.test/get", client=PAYMENTS, to=A), through_gateway("", 80))


@documented(source=f"{WIKI}e02c", summary="payments reaches partner.test through the egress gateway", manifests=[])
def test_e02c(egress: Egress) -> None:
    egress.expect(get("http://partner.test/get", client=PAYMENTS, to=A), through_gateway("", 80))


@documented(source=f"{WIKI}e03", summary="payments reaches partner.test by TLS through the gateway", manifests=[])
def test_e03(egress: Egress) -> None:
    probe = get("https://partner.test/get", client=PAYMENTS, to=A, arguments=INSECURE)
    egress.expect(probe, through_gateway("", 443, at_port=443))


@documented(source=f"{WIKI}e04", summary="payments reaches partner.test by TLS through the gateway", manifests=[])
def test_e04(egress: Egress) -> None:
    probe = get("https://partner.test/get", client=PAYMENTS, to=A, arguments=INSECURE)
    egress.expect(probe, through_gateway("", 443, at_port=443))


@documented(source=f"{WIKI}e05", summary="payments reaches the Service rates of platform", manifests=[])
def test_e05(egress: Egress) -> None:
    host = "rates.platform.svc.cluster.local"
    egress.expect(get(f"http://{host}/get", client=PAYMENTS), directly(host))


@documented(source=f"{WIKI}e07", summary="slow.test has thirty seconds to answer", manifests=[])
def test_e07(egress: Egress) -> None:
    egress.expect(get("http://slow.test/delay/3", client=PAYMENTS, to=A), directly("slow.test"))


@documented(source=f"{WIKI}e08", summary="payments reaches partner.test after some errors", manifests=[])
def test_e08(egress: Egress) -> None:
    egress.expect(get("http://partner.test/get", client=PAYMENTS, to=A), directly("partner.test"))


@documented(source=f"{WIKI}e10", summary="payments reaches the host mixed.test", manifests=[])
def test_e10(egress: Egress) -> None:
    egress.expect(get("http://mixed.test/get", client=PAYMENTS, to=A), directly("mixed.test"))


@documented(source=f"{WIKI}e11", summary="payments reaches partner.test through the egress gateway", manifests=[])
def test_e11(egress: Egress) -> None:
    egress.expect(get("http://partner.test/get", client=PAYMENTS, to=A), through_gateway("partner", 80))


@documented(source=f"{WIKI}e13", summary="payments reaches the ledger by SMTP", manifests=[])
def test_e13(egress: Egress) -> None:
    host = "ledger.payments.svc.cluster.local"
    probe = get(f"smtp://{host}:2525", client=PAYMENTS, max_time=5)
    egress.expect(probe, Outcome(status=214, cluster=outbound(host, 2525)))


@documented(source=f"{WIKI}e14", summary="a long request head arrives at partner.test", manifests=[])
def test_e14(egress: Egress) -> None:
    url = "http://partner.test/anything?q=" + "a" * 9000
    egress.expect(get(url, client=PAYMENTS, to=A), directly("partner.test"))


@documented(source=f"{WIKI}e16", summary="moody.test answers each of several requests", manifests=[])
def test_e16(egress: Egress) -> None:
    for number in range(6):
        probe = get(f"http://moody.test/?{number}", client=PAYMENTS, to=MOODY)
        egress.expect(probe, directly("moody.test"))


@documented(source=f"{WIKI}e17", summary="the sidecar uses TLS to partner.test", manifests=[])
def test_e17(egress: Egress) -> None:
    egress.expect(get("http://partner.test/get", client=PAYMENTS, to=A), directly("partner.test"))


@documented(source=f"{WIKI}e19", summary="the sidecar uses TLS to partner.test, which answers", manifests=[])
def test_e19(egress: Egress) -> None:
    egress.expect(get("http://partner.test/", client=PAYMENTS, to=REDIRECTOR), directly("partner.test"))


@documented(source=f"{WIKI}e20", summary="payments may reach other.test, and nothing else", manifests=[])
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("http://other.test/get", client=PAYMENTS, to=B), directly("other.test"), id="control"),
        pytest.param(get("http://unlisted.test/get", client=PAYMENTS, to=A), blocked_http(), id="unlisted"),
    ],
)
def test_e20(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(source=f"{WIKI}e22", summary="payments reaches both ports of queue-a.test", manifests=[])
def test_e22(egress: Egress) -> None:
    for number in range(6):
        for port in (9092, 9093):
            probe = get(f"http://queue-a.test:{port}/get?{number}", client=PAYMENTS, to=None)
            egress.expect(probe, directly("queue-a.test", port))


@documented(source=f"{WIKI}e24", summary="a request to partner.test ends after one second", manifests=[])
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://partner.test/delay/3", client=PAYMENTS, to=A),
            Outcome(status=504, details="response_timeout", seconds=1),
            id="slow",
        ),
        pytest.param(get("http://partner.test/get", client=PAYMENTS, to=A), directly("partner.test"), id="control"),
    ],
)
def test_e24(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(source=f"{WIKI}e26", summary="payments may send partner.test eight requests at once", manifests=[])
def test_e26(egress: Egress) -> None:
    probes = (get(f"http://partner.test/delay/4?{number}", client=PAYMENTS, to=A) for number in range(8))
    egress.expect_all(*((probe, directly("partner.test")) for probe in probes))


@documented(source=f"{WIKI}e29", summary="payments reaches queue-b.test on its own port", manifests=[])
def test_e29(egress: Egress) -> None:
    egress.expect(tcp("queue-b.test", 9092, client=PAYMENTS, to=B), directly("queue-b.test", 9092))


@documented(source=f"{WIKI}e30", summary="payments reaches the host other.test", manifests=[])
def test_e30(egress: Egress) -> None:
    egress.expect(get("http://other.test/get", client=PAYMENTS, to=B), directly("other.test"))


@documented(source=f"{WIKI}x03", summary="payments reads an order of partner.test through the gateway", manifests=[])
def test_x03(egress: Egress) -> None:
    egress.expect(get("http://partner.test/status/404", client=PAYMENTS, to=A), through_gateway("", 443))


@documented(source=f"{WIKI}x10", summary="partner.test asks payments for a key", manifests=[])
def test_x10(egress: Egress) -> None:
    expected = Outcome(status=401, cluster=outbound("partner.test"), details="via_upstream")
    egress.expect(get("http://partner.test/status/401", client=PAYMENTS, to=A), expected)


@documented(source=f"{WIKI}x11", summary="payments reaches partner.test by TLS of its own", manifests=[])
def test_x11(egress: Egress) -> None:
    is_mended = os.environ.get("FIELD_REPORTS") == "mended"
    ca = Path(os.environ["FIELD_REPORTS_CERTIFICATES"], "ca.crt") if is_mended else None
    egress.expect(get("https://partner.test/get", client=PAYMENTS, to=A, ca=ca), directly("partner.test", 443))


@documented(source=f"{WIKI}x13", summary="the ledger greets payments, and answers its question", manifests=[])
@pytest.mark.parametrize(
    "probe",
    [
        pytest.param(tcp(LEDGER, 2525, client=PAYMENTS, to=None, receive="220 ledger"), id="greeting"),
        pytest.param(tcp(LEDGER, 2525, client=PAYMENTS, to=None, send="EHLO me", receive="250 ledger"), id="answer"),
    ],
)
def test_x13(egress: Egress, probe: Probe) -> None:
    egress.expect(probe, Outcome(cluster=outbound(LEDGER, 2525)))
