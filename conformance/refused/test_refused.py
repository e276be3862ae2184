"""Configuration that Istio's validation refuses, each beside one that differs in nothing but the fault.

kubectl -> API server (schema) -> istiod's webhook -> the answer; checked by dry run, so nothing of it is kept
"""

import pytest

from pytest_istio_egress import Egress, documented


@documented(
    at="reference/config/networking/",
    says="The API refuses configuration that can't mean anything, and says what is wrong with it",
    since="by 1.31: part of it is refused by the schema already, before istiod is asked; the words are today's",
    manifests=[],
    rows=[
        "refused/two-destinations-without-weight",
        "refused/entry-without-hosts",
        "refused/wildcard-with-dns",
        "refused/none-with-endpoints",
        "refused/cidr-with-dns",
        "refused/same-port-twice",
        "refused/unknown-endpoint-port",
        "refused/selector-and-endpoints",
        "refused/export-to-all-and-some",
        "refused/sidecar-without-hosts",
        "refused/sni-outside-hosts",
        "refused/tls-match-without-sni",
        "refused/gateway-tls-without-settings",
        "refused/gateway-without-hosts",
        "refused/same-subset-twice",
        "refused/unknown-tunnel-protocol",
        "refused/sidecar-dynamic-dns",
    ],
)
@pytest.mark.parametrize(
    ("manifest", "good", "answer"),
    [
        pytest.param(
            "two_destinations_without_weight.yaml",
            "two_destinations.yaml",
            "total destination weight = 0",
            id="two-destinations-without-weight",
        ),
        pytest.param(
            "entry_without_hosts.yaml",
            "entry.yaml",
            "spec.hosts in body should have at least 1 items",
            id="entry-without-hosts",
        ),
        pytest.param("wildcard_with_dns.yaml", "entry_dns.yaml", "hosts must be FQDN", id="wildcard-with-dns"),
        pytest.param(
            "none_with_endpoints.yaml", "entry.yaml", "NONE mode cannot set endpoints", id="none-with-endpoints"
        ),
        pytest.param(
            "cidr_with_dns.yaml",
            "entry_dns.yaml",
            "CIDR addresses are allowed only for NONE/STATIC",
            id="cidr-with-dns",
        ),
        pytest.param(
            "same_port_number_twice.yaml", "entry.yaml", "port number cannot be duplicated", id="same-port-number-twice"
        ),
        pytest.param("same_port_name_twice.yaml", "entry.yaml", "duplicate entries for key", id="same-port-name-twice"),
        pytest.param(
            "unknown_endpoint_port.yaml",
            "entry.yaml",
            "is not defined by the service entry",
            id="unknown-endpoint-port",
        ),
        pytest.param(
            "selector_and_endpoints.yaml",
            "entry.yaml",
            "only one of WorkloadSelector or Endpoints",
            id="selector-and-endpoints",
        ),
        pytest.param(
            "export_to_all_and_some.yaml",
            "entry.yaml",
            "both public (*) and non-public exportTo",
            id="export-to-all-and-some",
        ),
        pytest.param(
            "sidecar_without_hosts.yaml",
            "sidecar.yaml",
            "egress listener must contain at least one host",
            id="sidecar-without-hosts",
        ),
        pytest.param(
            "sidecar_dynamic_dns.yaml",
            "sidecar.yaml",
            "outboundTrafficPolicy.mode: Unsupported value",
            id="sidecar-dynamic-dns",
        ),
        pytest.param(
            "sni_outside_hosts.yaml",
            "tls_rule.yaml",
            "is not a compatible subset of any of the virtual service hosts",
            id="sni-outside-hosts",
        ),
        pytest.param(
            "tls_match_without_sni.yaml", "tls_rule.yaml", "sniHosts: Required value", id="tls-match-without-sni"
        ),
        pytest.param(
            "gateway_tls_without_settings.yaml",
            "exit.yaml",
            "server must have TLS settings",
            id="gateway-tls-without-settings",
        ),
        pytest.param(
            "gateway_without_hosts.yaml", "exit.yaml", "must contain at least one host", id="gateway-without-hosts"
        ),
        pytest.param(
            "same_subset_twice.yaml", "destination_rule.yaml", "duplicate subset names", id="same-subset-twice"
        ),
        pytest.param(
            "unknown_tunnel_protocol.yaml",
            "destination_rule.yaml",
            "tunnel protocol must be",
            id="unknown-tunnel-protocol",
        ),
    ],
)
def test_refused(egress: Egress, manifest: str, good: str, answer: str) -> None:
    egress.accepted(good)
    said = egress.refusal(manifest)
    egress.state(f"the API's answer to {manifest}", f"...{answer}...", f"...{answer}..." if answer in said else said)
