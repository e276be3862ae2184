"""Probes from a workload of the user's: what is asked of the API, and what of a name is left as it is."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress import get, tcp, tls, workload
from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.own_workload import selector

PAYMENTS = workload("deployment/payments", namespace="payments")


def api_with(wanted: dict[str, Any]) -> Mock:
    api = Mock()
    api.resource.return_value.get.return_value.to_dict.return_value = {"spec": {"selector": wanted}}
    return api


@pytest.mark.parametrize("what", ["payments", "deployment/", "/payments", "pod/payments"])
def test_what_names_no_workload_is_refused_at_once(what: str) -> None:
    with pytest.raises(ValueError, match="deployment/payments"):
        workload(what, namespace="payments")


def test_dns_decides_unless_an_address_is_given() -> None:
    assert get("http://api.stripe.test/", client=PAYMENTS).resolve() == ()
    assert get("http://api.stripe.com/", client=PAYMENTS, to="10.0.0.1").resolve() == (
        "--resolve", "api.stripe.com:80:10.0.0.1",
    )  # fmt: skip
    assert tcp("db.example.com", 5432, client=PAYMENTS).resolve() == ()


def test_certificates_are_checked_against_the_images_own_authorities() -> None:
    assert "--cacert" not in tls("https://api.stripe.com/", client=PAYMENTS).arguments
    assert "--cacert" in tls("https://api.test/").arguments


def test_only_probes_from_own_workloads_are_literal() -> None:
    assert get("http://api.test/", client=PAYMENTS).from_own_workload
    assert not get("http://api.test/").from_own_workload


def test_a_selector_is_written_as_the_api_takes_it() -> None:
    wanted = {
        "matchLabels": {"app": "payments"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]},
            {"key": "track", "operator": "NotIn", "values": ["canary"]},
            {"key": "live", "operator": "Exists"},
            {"key": "old", "operator": "DoesNotExist"},
        ],
    }
    found = selector(api_with(wanted), "deployment/payments", "payments")
    assert found == "app=payments,tier in (a,b),track notin (canary),live,!old"


def test_a_workload_that_is_not_there_is_an_error_with_its_name() -> None:
    api = Mock()
    api.resource.return_value.get.side_effect = ApiException(status=404, reason="Not Found")
    with pytest.raises(ClusterError, match="statefulset ledger in namespace payments"):
        selector(api, "statefulset/ledger", "payments")
