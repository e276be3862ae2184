"""The lookup path of DestinationRules: the client's namespace, the host's, the root namespace, and no other.

host                 rule in the namespace of   the sidecar
of-client.test       another                    has no subset of it: 503 (NC), though the rule is exported to the client
                     the client                 uses it
of-neighbour.test    the host                   uses it, if it is exported to the client
of-both.test         client and host            uses the client's only
"""

import pytest

from pytest_istio_egress import NEIGHBOUR, Egress, Outcome, Probe, documented, get, outbound, reached

SUBSET = "by-neighbour"
WITHOUT_SUBSET = Outcome(status=503, flags="NC", details="cluster_not_found")
"""The route's cluster, that of the subset, does not exist: no rule with the subset was found."""


@documented(
    source="ops/best-practices/traffic-management/#cross-namespace-configuration",
    summary="A DestinationRule applies in the client's namespace or in the host's, if it is exported to the client",
    fixtures=["neighbour_client.yaml"],
    outcomes=["destination-rule/lookup-path", "destination-rule/export-to"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("http://of-client.test/anything"), reached(), id="control-without-a-subset"),
        pytest.param(
            get("http://of-neighbour.test/anything"),
            reached(cluster=outbound("of-neighbour.test", subset=SUBSET)),
            id="in-the-hosts-namespace",
        ),
        pytest.param(
            get("http://of-client.test/anything/by-neighbour"),
            WITHOUT_SUBSET,
            id="in-another-namespace",
        ),
        # The same rules, from the namespace in which the DestinationRule is.
        pytest.param(
            get("http://of-client.test/anything/by-neighbour", client=NEIGHBOUR),
            reached(cluster=outbound("of-client.test", subset=SUBSET)),
            id="in-the-clients-namespace",
        ),
        pytest.param(
            get("http://of-neighbour-private.test/anything"), reached(), id="control-not-exported-without-a-subset"
        ),
        pytest.param(
            get("http://of-neighbour-private.test/anything/by-neighbour"),
            WITHOUT_SUBSET,
            id="not-exported-to-the-client",
        ),
        pytest.param(
            get("http://of-both.test/anything"),
            reached(cluster=outbound("of-both.test", subset="by-client")),
            id="the-clients-own-comes-first",
        ),
        pytest.param(
            get("http://of-both.test/anything/by-neighbour"),
            WITHOUT_SUBSET,
            id="the-hosts-comes-second",
        ),
    ],
)
def test_rule_found_on_lookup_path(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
