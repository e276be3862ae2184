"""Manifests that Istio's validation rejects, each with a valid one that differs only in the mistake.

kubectl -> API server (schema) -> istiod's webhook -> the answer; a dry run, so nothing is created

Schema or webhook, and the wording, change from version to version: the test looks for the name of the wrong field.
"""

import re

import pytest

from pytest_istio_egress import Egress, documented


@documented(
    source="reference/config/networking/",
    summary="Invalid configuration is rejected, and the answer names the cause",
    # By Istio 1.31: some of it is rejected by the schema, before istiod's webhook.
    manifests=[],
    requires=["validation-webhook"],
    outcomes=[
        "validation/two-destinations-without-weight",
        "validation/entry-without-hosts",
        "validation/wildcard-with-dns",
        "validation/none-with-endpoints",
        "validation/cidr-with-dns",
        "validation/same-port-twice",
        "validation/unknown-endpoint-port",
        "validation/selector-and-endpoints",
        "validation/export-to-all-and-some",
        "validation/sidecar-without-hosts",
        "validation/sni-outside-hosts",
        "validation/tls-match-without-sni",
        "validation/gateway-tls-without-settings",
        "validation/gateway-without-hosts",
        "validation/same-subset-twice",
        "validation/unknown-tunnel-protocol",
        "validation/sidecar-dynamic-dns",
    ],
)
@pytest.mark.parametrize(
    ("manifest", "good", "names"),
    [
        pytest.param(
            "two_destinations_without_weight.yaml",
            "virtual_service_weights.yaml",
            "weight",
            id="two-destinations-without-weight",
        ),
        pytest.param("service_entry_without_hosts.yaml", "service_entry.yaml", "hosts", id="entry-without-hosts"),
        pytest.param("wildcard_with_dns.yaml", "service_entry_dns.yaml", "hosts|FQDN|wildcard", id="wildcard-with-dns"),
        pytest.param("none_with_endpoints.yaml", "service_entry.yaml", "endpoints", id="none-with-endpoints"),
        pytest.param("cidr_with_dns.yaml", "service_entry_dns.yaml", "addresses|CIDR", id="cidr-with-dns"),
        pytest.param("same_port_number_twice.yaml", "service_entry.yaml", "port", id="same-port-number-twice"),
        pytest.param("same_port_name_twice.yaml", "service_entry.yaml", "port", id="same-port-name-twice"),
        pytest.param("unknown_endpoint_port.yaml", "service_entry.yaml", "port", id="unknown-endpoint-port"),
        pytest.param(
            "selector_and_endpoints.yaml", "service_entry.yaml", "workloadSelector", id="selector-and-endpoints"
        ),
        pytest.param("export_to_all_and_some.yaml", "service_entry.yaml", "exportTo", id="export-to-all-and-some"),
        pytest.param("sidecar_without_hosts.yaml", "sidecar.yaml", "host", id="sidecar-without-hosts"),
        pytest.param("sidecar_dynamic_dns.yaml", "sidecar.yaml", "outboundTrafficPolicy", id="sidecar-dynamic-dns"),
        pytest.param("sni_outside_hosts.yaml", "virtual_service_tls.yaml", "SNI", id="sni-outside-hosts"),
        pytest.param("tls_match_without_sni.yaml", "virtual_service_tls.yaml", "SNI", id="tls-match-without-sni"),
        pytest.param("gateway_tls_without_settings.yaml", "gateway.yaml", "TLS", id="gateway-tls-without-settings"),
        pytest.param("gateway_without_hosts.yaml", "gateway.yaml", "host", id="gateway-without-hosts"),
        pytest.param("same_subset_twice.yaml", "destination_rule.yaml", "subset", id="same-subset-twice"),
        pytest.param("unknown_tunnel_protocol.yaml", "destination_rule.yaml", "tunnel", id="unknown-tunnel-protocol"),
    ],
)
def test_invalid_manifest_rejected(egress: Egress, manifest: str, good: str, names: str) -> None:
    egress.expect_accepted(good)
    answer = egress.expect_rejected(manifest)
    named = re.search(names, answer, re.IGNORECASE)
    egress.check(f"cause in the API's answer to {manifest}", names if named else answer, names)
