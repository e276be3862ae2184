"""The mesh-wide Sidecar as data: its text form, and all facts as JSON for workers."""

import json

import pytest

from pytest_istio_egress.model.mesh_facts import Fact, Gateway, MeshFacts, MeshSidecar, Ztunnel, config_map_of
from pytest_istio_egress.model.mesh_log import MeshLog

SIDECARS = {
    "default: hosts */*": MeshSidecar("default", ("*/*",)),
    "default: hosts ./* istio-system/*": MeshSidecar("default", ("./*", "istio-system/*")),
    "default: outboundTrafficPolicy REGISTRY_ONLY": MeshSidecar("default", (), "REGISTRY_ONLY"),
    "default: hosts */*, outboundTrafficPolicy ALLOW_ANY": MeshSidecar("default", ("*/*",), "ALLOW_ANY"),
    "default: no egress": MeshSidecar("default"),
}


@pytest.mark.parametrize(("text", "sidecar"), SIDECARS.items())
def test_sidecar_is_parsed_from_its_own_text(text: str, sidecar: MeshSidecar) -> None:
    assert MeshSidecar.parse(text) == sidecar
    assert str(sidecar) == text


def test_none_is_parsed_as_no_sidecar() -> None:
    assert MeshSidecar.parse("none") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "default",
        "default:",
        ": hosts */*",
        "default: hosts",
        "default: hosts */*,",
        "default: outboundTrafficPolicy",
        "default: outboundTrafficPolicy ALLOW_ANY REGISTRY_ONLY",
        "default: */*",
    ],
)
def test_invalid_sidecar_is_an_error_with_the_format(text: str) -> None:
    with pytest.raises(ValueError, match=r"^invalid value .*NAME: hosts HOST") as raised:
        MeshSidecar.parse(text)
    assert repr(text) in str(raised.value)
    assert "\n" not in str(raised.value)


LOGS = {
    "none": (MeshLog(), False),
    "text": (MeshLog("text"), True),
    "json (Telemetry)": (MeshLog("json", by_telemetry=True), True),
    "text, provider otel": (MeshLog("text", ("otel",)), True),
    "provider otel, provider zipkin": (MeshLog("", ("otel", "zipkin")), False),
    "text, provider otel, filtered (Telemetry)": (MeshLog("text", ("otel",), filtered=True, by_telemetry=True), False),
    "custom format": (MeshLog("custom format"), False),
}


@pytest.mark.parametrize(("text", "log", "has_compared_fields"), [(text, *log) for text, log in LOGS.items()])
def test_log_is_parsed_from_its_own_text(text: str, log: MeshLog, has_compared_fields: bool) -> None:  # noqa: FBT001  # what is expected
    assert MeshLog.parse(text) == log
    assert str(log) == text
    assert log.has_compared_fields is has_compared_fields


def test_ztunnel_is_parsed_from_its_own_text() -> None:
    assert Ztunnel.parse("ztunnel in istio-system") == Ztunnel("istio-system")
    assert str(Ztunnel("istio-system")) == "ztunnel in istio-system"
    assert Ztunnel.parse("not installed") is None


@pytest.mark.parametrize("sidecar", [None, *SIDECARS.values()], ids=str)
def test_facts_survive_the_way_to_a_worker(sidecar: MeshSidecar | None) -> None:
    facts = MeshFacts(
        facts={"istio": Fact("1.31"), "ambient": Fact("", why="cannot list DaemonSet")},
        gateway=Gateway("tenants", "exit", {"app": "exit"}, ports=(80,)),
        sidecar=sidecar,
        ztunnel=Ztunnel("istio-system"),
        log=MeshLog("json", ("otel",), filtered=True),
    )
    assert MeshFacts.of(json.loads(json.dumps(facts.to_mapping()))) == facts


@pytest.mark.parametrize(("revision", "name"), [("default", "istio"), ("canary", "istio-canary")])
def test_each_revision_has_its_own_config_map(revision: str, name: str) -> None:
    assert config_map_of(revision) == name
