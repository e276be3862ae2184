"""What `istio-egress explain` shows of a request's path, and what it finds odd; correct paths have nothing odd."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from failures import (
    CLIENT,
    CLUSTER,
    GATEWAY_PODS,
    REQUEST,
    SIMPLE_TLS,
    cluster,
    configuration,
    entry,
    http_dump,
    resource,
    route,
    sidecar,
    to,
    virtual_service,
)
from failures import KNOWN as KNOWN_PATH

from pytest_istio_egress.cli.explain import url, workload
from pytest_istio_egress.verdict.analysis.configuration import Configuration
from pytest_istio_egress.verdict.explanation import (
    ExplainedHop,
    Explanation,
    Way,
    next_request,
    odd_at_gateway,
    odd_at_sidecar,
)
from pytest_istio_egress.verdict.explanation.way import end_of
from pytest_istio_egress.verdict.proxy_path import Endpoint, ProxyDump, ProxyPath, RequestAtProxy, path_of
from pytest_istio_egress.verdict.proxy_path.dump import read_dump

RECORDED = Path(__file__).with_name("proxies") / "sidecar.yaml"
EXIT = "outbound|80|partner|istio-egressgateway.istio-system.svc.cluster.local"
KNOWN = configuration(
    entries=[entry()],
    sidecars=[sidecar("./*", "istio-system/*", outboundTrafficPolicy={"mode": "REGISTRY_ONLY"})],
)


def dump(*endpoints: Endpoint) -> ProxyDump:
    read = read_dump(yaml.safe_load(RECORDED.read_text()), {})
    return replace(read, endpoints={EXIT: endpoints or (Endpoint("10.244.0.4:8080"),)})


def path(host: str, port: int = 80, recorded: ProxyDump | None = None) -> ProxyPath:
    request = RequestAtProxy(address="192.0.2.80", port=port, authority=host)
    return path_of(recorded or dump(), request)


def odd(
    taken: ProxyPath, known: Configuration = KNOWN, annotations: Mapping[str, str] | None = None, **request: Any
) -> list[str]:
    return list(odd_at_sidecar(taken, known, replace(CLIENT, **request), annotations or {}))


def test_each_part_is_shown_with_the_resource_that_decided_it() -> None:
    taken = path("partner.test")
    shown = Explanation(
        request="a -> b", way=Way(hops=(ExplainedHop(name="sidecar of a", path=taken),), end=end_of(taken))
    )
    text = "\n".join(" ".join(line.split()) for line in shown.lines())
    assert "listener 0.0.0.0_80" in text
    assert "<- VirtualService by-gateway in payments" in text
    assert f"cluster {EXIT} <- DestinationRule exit-for-partner in payments" in text
    assert "endpoints 10.244.0.4:8080" in text
    assert "ends: 10.244.0.4:8080" in text
    assert "odd: nothing found" in text


def test_what_could_not_be_read_is_named() -> None:
    shown = Explanation(request="a", way=Way(hops=(), end="b", odd=("no ServiceEntry lists x",)), unread=("Sidecar",))
    assert list(shown.lines())[-2:] == [
        "odd: no ServiceEntry lists x",
        "not readable, so nothing is said about it: Sidecar",
    ]


def test_request_at_the_gateway_is_that_of_the_first_endpoint() -> None:
    received = next_request(path("partner.test"))
    assert received is not None
    assert (received.address, received.port, received.authority) == ("10.244.0.4", 8080, "partner.test")


@pytest.mark.parametrize("taken", [path("unlisted.test"), path("unlisted.test", 8081)], ids=["block-all", "black-hole"])
def test_blocked_request_goes_no_further(taken: ProxyPath) -> None:
    assert next_request(taken) is None
    assert end_of(taken).startswith("this proxy ")


def test_path_as_configured_has_nothing_odd() -> None:
    assert odd(path("partner.test")) == []


@pytest.mark.parametrize(
    ("taken", "known", "request_", "texts"),
    [
        (
            path("unlisted.test"),
            KNOWN,
            {"host": "unlisted.test"},
            ["no ServiceEntry lists unlisted.test", "Sidecar default in client is REGISTRY_ONLY"],
        ),
        (
            path("partner.test", 8081),
            KNOWN,
            {"port": 8081},
            ["ServiceEntry partner in client defines partner.test for port 80, not for 8081", "REGISTRY_ONLY"],
        ),
        (
            path("partner.test", recorded=dump(Endpoint("10.244.0.5:80", "failed_outlier_check"))),
            KNOWN,
            {},
            ["the proxy uses no endpoint of outbound|80|partner|", "failed_outlier_check"],
        ),
        (
            path("partner.test", recorded=replace(dump(), endpoints={})),
            KNOWN,
            {},
            [f"{EXIT} has no endpoints"],
        ),
        (
            path("partner.test", recorded=replace(dump(), clusters={})),
            replace(KNOWN, destination_rules=[]),
            {},
            ["there is no Service istio-egressgateway in istio-system"],
        ),
        (
            path("partner.test"),
            replace(KNOWN, rules=[virtual_service(to("other"), namespace="platform")]),
            {},
            ["VirtualService partner in platform is outside of the egress hosts of Sidecar default in client"],
        ),
        (
            path("partner.test"),
            replace(KNOWN, entries=[entry(), entry("again", resolution="DNS")]),
            {},
            ["ServiceEntry partner in client and ServiceEntry again in client define partner.test differently"],
        ),
        (
            path("partner.test"),
            replace(KNOWN, sidecars=[*KNOWN.sidecars, sidecar("./*", name="own")]),
            {},
            ["Sidecar default in client and Sidecar own in client select the same workload"],
        ),
    ],
    ids=["unknown", "port", "unhealthy", "no-endpoints", "no-cluster", "hidden-rule", "two-entries", "two-sidecars"],
)
def test_what_is_odd_is_named(
    taken: ProxyPath, known: Configuration, request_: dict[str, Any], texts: list[str]
) -> None:
    found = "; ".join(odd(taken, known, **request_))
    assert [text for text in texts if text not in found] == []


def test_tls_policy_without_effect_on_the_host_is_odd() -> None:
    target = {"kind": "ServiceEntry", "name": "another"}
    policy = resource("BackendTLSPolicy", "to-partner", targetRefs=[target], validation={"hostname": "partner.test"})
    found = "; ".join(odd(KNOWN_PATH, replace(KNOWN, tls_policies=[policy])))
    assert "BackendTLSPolicy to-partner in client verifies partner.test" in found


def test_nothing_is_said_to_be_missing_of_a_kind_that_could_not_be_read() -> None:
    unread = replace(KNOWN, entries=[], unread=frozenset({"ServiceEntry", "Sidecar"}))
    assert odd(path("unlisted.test"), unread, host="unlisted.test") == []


def test_annotations_that_limit_the_redirection_are_odd() -> None:
    name = "traffic.sidecar.istio.io/excludeOutboundPorts"
    assert odd(path("partner.test"), annotations={name: "443"}) == [
        f"the pod's annotation {name}: 443 limits which traffic passes the sidecar"
    ]


def test_policy_at_the_gateway_is_shown_with_its_action() -> None:
    policy = resource("AuthorizationPolicy", "no-posts", "istio-system", action="DENY")
    found = list(odd_at_gateway(path("partner.test"), replace(KNOWN, policies=[policy]), CLIENT, GATEWAY_PODS))
    assert found == ["AuthorizationPolicy no-posts in istio-system (DENY) applies to the gateway's pods"]


def test_host_that_the_gateway_does_not_know_is_named() -> None:
    unrouted = replace(path("web.shop"), http=True, route=None, clusters=())
    found = list(odd_at_gateway(unrouted, KNOWN, replace(CLIENT, host="web.shop"), GATEWAY_PODS))
    assert found == [
        "the gateway has no route for web.shop: no VirtualService that is bound to one of its Gateways has a route "
        "that matches it"
    ]


@pytest.mark.parametrize("text", ["payments", "payments/payments", "payments/pod/payments", "/deployment/x", "a/b/c/d"])
def test_workload_in_another_form_is_a_usage_error(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="use NAMESPACE/KIND/NAME"):
        workload(text)


def test_workload_and_url_are_read() -> None:
    assert workload("payments/deployment/api") == ("payments", "deployment/api")
    assert url("https://partner.test/v1").hostname == "partner.test"
    assert url("tcp://db.test:5432").port == 5432


@pytest.mark.parametrize("text", ["partner.test", "tcp://db.test", "https://", "http://[::1", "http://a:port/"])
def test_url_without_host_or_port_is_a_usage_error(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="invalid URL"):
        url(text)


def test_cluster_that_waits_is_shown_with_its_own_secrets_alone() -> None:
    awaited = frozenset({"kubernetes://partner-ca-cacert", "kubernetes://of-another"})
    waiting = http_dump([route()], [], warming_clusters={CLUSTER: cluster(**SIMPLE_TLS)}, awaited_secrets=awaited)
    found = odd(path_of(waiting, REQUEST))
    assert f"the proxy does not use {CLUSTER} yet: it waits for kubernetes://partner-ca-cacert" in found
