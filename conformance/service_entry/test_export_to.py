"""A ServiceEntry that is exported to the neighbour, and a VirtualService that is not.

egress-client:    both.test, 0.5 s timeout (VirtualService exportTo ".")
egress-neighbour: both.test, no timeout"""

import pytest

from pytest_istio_egress import NEIGHBOUR, Egress, Outcome, Probe, documented, get, outbound, reached, timed_out

CLUSTER = outbound("both.test")


@documented(
    source="reference/config/networking/service-entry/#ServiceEntry",
    summary="exportTo limits a ServiceEntry to the namespaces it names, and a VirtualService with '.' to its own",
    fixtures=["neighbour_client.yaml"],
    outcomes=[
        "service-entry/export-to-other-namespaces",
        "virtual-service/export-to-own-namespace",
        "virtual-service/gateway-mesh-applies-to-sidecars",
    ],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("http://both.test/headers"), reached(), id="control-own"),
        pytest.param(
            get("http://both.test/delay/1"),
            timed_out(after=0.5),
            id="own-rule",
        ),
        pytest.param(
            get("http://both.test/headers", client=NEIGHBOUR),
            reached(),
            id="neighbour",
        ),
        pytest.param(
            get("http://both.test/delay/1", client=NEIGHBOUR),
            reached(seconds=1.0),
            id="neighbour-without-the-rule",
        ),
    ],
)
def test_exported_entry_reached_from_named_namespaces(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
