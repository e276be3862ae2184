"""Probes from a user's workload: the selector of its pods, and names that are not rendered."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress import get, tcp, tls, workload
from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.own_workload import selector

PAYMENTS = workload("deployment/payments", namespace="payments")


def api_with(selector: dict[str, Any]) -> Mock:
    api = Mock()
    api.resource.return_value.get.return_value.to_dict.return_value = {"spec": {"selector": selector}}
    return api


@pytest.mark.parametrize("name", ["payments", "deployment/", "/payments", "pod/payments"])
def test_invalid_workload_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match="deployment/NAME"):
        workload(name, namespace="payments")


def test_probe_uses_dns_unless_it_has_an_address() -> None:
    assert get("http://api.stripe.test/", client=PAYMENTS).resolve() == ()
    assert get("http://api.stripe.com/", client=PAYMENTS, to="10.0.0.1").resolve() == (
        "--resolve", "api.stripe.com:80:10.0.0.1",
    )  # fmt: skip
    assert tcp("db.example.com", 5432, client=PAYMENTS).resolve() == ()


def test_certificates_are_verified_with_the_images_authorities() -> None:
    assert "--cacert" not in tls("https://api.stripe.com/", client=PAYMENTS).arguments
    assert "--cacert" in tls("https://api.test/").arguments


def test_probe_from_a_users_workload_is_marked() -> None:
    assert get("http://api.test/", client=PAYMENTS).from_own_workload
    assert not get("http://api.test/").from_own_workload


def test_selector_has_the_apis_syntax() -> None:
    manifest = {
        "matchLabels": {"app": "payments"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]},
            {"key": "track", "operator": "NotIn", "values": ["canary"]},
            {"key": "live", "operator": "Exists"},
            {"key": "old", "operator": "DoesNotExist"},
        ],
    }
    text = selector(api_with(manifest), "deployment/payments", "payments")
    assert text == "app=payments,tier in (a,b),track notin (canary),live,!old"


def test_missing_workload_is_an_error_with_its_name() -> None:
    api = Mock()
    api.resource.return_value.get.side_effect = ApiException(status=404, reason="Not Found")
    with pytest.raises(ClusterError, match="statefulset ledger in namespace payments"):
        selector(api, "statefulset/ledger", "payments")
