"""`istio-egress doctor` shows what can be tested in a cluster, and why not the rest."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import pytest

from pytest_istio_egress.cli import doctor
from pytest_istio_egress.cli.main import main
from pytest_istio_egress.model.mesh_facts import STOCK_GATEWAY, Fact, MeshFacts
from pytest_istio_egress.run_target import NoClusterError, Prepared, Target, TargetError, mesh_detection, selection

MESH = MeshFacts({"istio": Fact("1.31.0"), "outbound-mode": Fact("REGISTRY_ONLY")}, gateway=STOCK_GATEWAY)
REFUSAL = "ValidatingAdmissionPolicy 'no-endpoints' with binding 'all' denied request: no"


def prepared(**refused: str) -> Prepared:
    target = Target(
        kind="context",
        kubeconfig=None,
        context="prod",
        run="k3x9q",
        notes=(),
        timeout_scale=1.0,
        allow_mesh_wide=False,
        mesh=MESH.to_mapping(),
        refused=refused,
    )
    return Prepared(target, "v1.36.0", gateway=f"egress gateway {STOCK_GATEWAY}")


def settings(**given: Any) -> Any:
    arguments = {option.name: None for option in doctor._ASKED}
    return doctor.settings_of({**arguments, **given})


def test_table_has_every_area_and_the_reasons() -> None:
    lacking = replace(prepared(Endpoints=REFUSAL), features={"gateway-api": "no Gateway API here"})
    lines = list(doctor.report(lacking, settings()))
    assert any(line.startswith("context prod, Kubernetes v1.36.0") for line in lines)
    total = next(line for line in lines if line.startswith("all ")).split()
    reasons = [line for line in lines if " cannot run: " in line]
    assert int(total[1]) - int(total[2]) == sum(int(line.split()[0]) for line in reasons)
    assert any("--istio-egress-allow-mesh-wide" in line for line in reasons)
    assert any(line.endswith("no Gateway API here") for line in reasons)
    assert any("this cluster refuses Endpoints" in line and "no-endpoints" in line for line in reasons)
    assert not [line for line in lines if line.startswith("mesh_wide ") and not line.endswith(" 0")]


def test_everything_can_run_where_nothing_lacks() -> None:
    lines = list(doctor.report(prepared(), settings(allow_mesh_wide=True)))
    total = next(line for line in lines if line.startswith("all ")).split()
    assert total[1] == total[2]
    assert not [line for line in lines if "cannot run" in line]


def test_options_are_those_of_a_run() -> None:
    read = settings(label=["team=payments"], gateway="own", timeout_scale=2.0)
    assert (read.label, read.gateway, read.timeout_scale) == (("team=payments",), "own", 2.0)
    assert read.places["label"] == "command line"
    with pytest.raises(argparse.ArgumentTypeError, match="--label: invalid label 'team'"):
        settings(label=["team"])


@pytest.mark.parametrize(
    ("error", "code"), [(TargetError("refuses what every test needs"), 3), (NoClusterError("no cluster"), 4)]
)
def test_unusable_cluster_is_one_line(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(selection, "prepare", lambda *_: prepared())
    monkeypatch.setattr(mesh_detection, "look_beforehand", fail)
    assert main(["doctor"]) == code
    assert capsys.readouterr().err == f"istio-egress: {error}\n"
