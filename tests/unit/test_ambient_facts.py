"""The feature ambient finds the ztunnel and the access log of waypoints in the facts as data."""

from __future__ import annotations

from test_facts import Objects

from pytest_istio_egress.cluster.facts.table import FactOverrides, detect_facts
from pytest_istio_egress.model.mesh_facts import Ztunnel
from pytest_istio_egress.model.mesh_log import MeshLog


def with_ztunnel(namespace: str) -> Objects:
    return Objects().add(
        "apps/v1", "DaemonSet", {"template": {"metadata": {"labels": {"app": "ztunnel"}}}}, namespace=namespace
    )


def test_ztunnel_and_log_are_detected() -> None:
    facts = detect_facts(with_ztunnel("istio-ambient").mesh(accessLogEncoding="JSON"), FactOverrides())
    assert (facts.ztunnel, facts.value("ambient")) == (Ztunnel("istio-ambient"), "ztunnel in istio-ambient")
    assert (facts.log, facts.value("access-log")) == (MeshLog("json"), "json")


def test_mesh_without_ztunnel_has_none() -> None:
    facts = detect_facts(Objects(), FactOverrides())
    assert (facts.ztunnel, facts.value("ambient")) == (None, "not installed")


def test_ztunnel_and_log_are_overridden_as_data() -> None:
    given = {"ambient": "not installed", "access-log": "text, filtered"}
    facts = detect_facts(with_ztunnel("istio-system"), FactOverrides(facts=given))
    assert (facts.ztunnel, facts.log) == (None, MeshLog("text", filtered=True))


def test_ztunnel_and_log_that_cannot_be_listed_are_unknown() -> None:
    facts = detect_facts(Objects(forbidden=["DaemonSet", "Telemetry"]), FactOverrides())
    assert (facts.ztunnel, facts.log) == (None, None)
    assert all("forbidden" in facts.facts[name].why for name in ("ambient", "access-log"))
