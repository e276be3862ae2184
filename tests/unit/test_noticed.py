"""demonstrations/noticed: which manifests its plugins remove, and how its page reads results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.result_names import ERROR, FAILED, PASSED, SKIPPED
from pytest_istio_egress.model.timeouts import Timeouts
from pytest_istio_egress.pipeline.case_setup import CaseSetup
from pytest_istio_egress.pipeline.runner import CaseRunner
from pytest_istio_egress.plugin import hooks
from pytest_istio_egress.report.results import Result

ROOT = Path(__file__).parents[2]
NOTICED = ROOT / "demonstrations" / "noticed"
sys.path.insert(0, str(NOTICED))

import noticed  # noqa: E402  # only its command and this test import from that folder
import noticed_page  # noqa: E402  # the same
import without_later_manifests  # noqa: E402  # the same
import without_manifests  # noqa: E402  # the same

TEST = "conformance/area/test_x.py::test_y"
CASES = {
    TEST: Case(
        page="page/",
        summary="A summary",
        folder=Path("area"),
        manifests=(),
        requires=(),
        outcomes=("row",),
        independent_of_manifests={"bypassed": "it bypasses all sidecars"},
    )
}
SIDECAR = {"kind": "Sidecar"}
CLIENT = {"kind": "Deployment"}


def findings(**results: str) -> dict[str, noticed_page.Finding]:
    return noticed.findings(
        [Result(id=f"{TEST}[{name.replace('_', '-')}]", result=result) for name, result in results.items()],
        noticed.OPEN,
    )


def runner_with(plugin: ModuleType) -> CaseRunner:
    """Return a runner after the plugin's hook: as with `-p`, the plugin is registered before the hook is declared."""
    manager = pytest.PytestPluginManager()
    manager.register(plugin)
    manager.add_hookspecs(hooks)
    manager.check_pending()
    context: Any = SimpleNamespace(timeouts=Timeouts(), names=Names("k3x9q", "gw0"))
    nothing = cast(Any, None)
    case_setup = CaseSetup(context, nothing, nothing)
    runner = CaseRunner(context, case_setup, nothing, nothing, nothing, nothing)
    manager.hook.pytest_istio_egress_runner(runner=runner)
    return runner


@pytest.mark.parametrize(
    ("results", "defective"),
    [
        ({"block": FAILED}, False),
        ({"block": PASSED}, True),
        ({"block": ERROR}, True),
        ({"block": SKIPPED}, True),
        ({"control_listed": PASSED}, False),
        ({"control_listed": ERROR}, True),
        ({"bypassed": PASSED}, False),
    ],
    ids=str,
)
def test_parameter_is_a_defect_unless_it_fails_or_is_exempt(results: dict[str, str], defective: bool) -> None:  # noqa: FBT001  # what is expected
    assert bool(noticed_page.defects(noticed_page.SIDECARS, findings(**results), CASES)) is defective


def test_page_lists_exemptions_defects_and_counts() -> None:
    page = noticed_page.page(
        noticed_page.SIDECARS, findings(block=PASSED, bypassed=PASSED, other=ERROR, listed=FAILED), CASES
    )
    assert "| area/x: y[bypassed] | it bypasses all sidecars |" in page
    assert "- area/x: y[block]: passes." in page
    assert "- area/x: y[other]: error." in page
    assert "| error | 1 |" in page
    assert "| fails | 1 |" in page
    assert "| passes, a defect of its test | 1 |" in page


def test_without_rules_keeps_workloads_without_istio_annotations_and_services_with_selector() -> None:
    annotations = {"traffic.sidecar.istio.io/includeOutboundIPRanges": "", "own": "stays"}
    client = {"kind": "Deployment", "spec": {"template": {"metadata": {"annotations": annotations}}}}
    inside = {"kind": "Service", "spec": {"selector": {"app": "sleep"}}}
    alias = {"kind": "Service", "spec": {"type": "ExternalName"}}
    left = without_manifests.without_rules([client, inside, alias, SIDECAR, {"kind": "Endpoints"}])
    assert left == [client, inside]
    assert left[0]["spec"]["template"]["metadata"]["annotations"] == {"own": "stays"}


def test_plugin_without_manifests_removes_first_and_later_ones() -> None:
    runner = runner_with(without_manifests)
    assert runner.case_setup.first_manifests([CLIENT, SIDECAR]) == [CLIENT]
    assert runner.case_setup.later_manifests([CLIENT, SIDECAR]) == [CLIENT]


def test_plugin_without_later_manifests_keeps_first_ones() -> None:
    runner = runner_with(without_later_manifests)
    assert runner.case_setup.first_manifests([CLIENT, SIDECAR]) == [CLIENT, SIDECAR]
    assert runner.case_setup.later_manifests([CLIENT, SIDECAR]) == [CLIENT]


@pytest.mark.parametrize("plugin", [without_manifests, without_later_manifests])
def test_plugin_leaves_mesh_config_and_judges_parameters_separately(plugin: ModuleType) -> None:
    runner = runner_with(plugin)
    assert not runner.change_mesh_config
    assert not runner.require_control
    assert runner.converge == without_manifests.CONVERGE


def test_command_overrides_outbound_mode() -> None:
    command = noticed.command(noticed.OPEN, Path("kubeconfig"), Path("report.yaml"))
    assert "outbound-mode=REGISTRY_ONLY" in command


def test_help_starts_no_cluster() -> None:
    ran = subprocess.run([sys.executable, NOTICED / "noticed.py", "--help"], capture_output=True, text=True, check=True)
    assert "usage" in ran.stdout
    assert not ran.stderr


def test_committed_page_is_current_and_has_no_defect() -> None:
    page = (ROOT / "docs" / "noticed.md").read_text()
    assert page.startswith(noticed_page.HEAD), "made by an older command: run it again"
    assert "| passes, a defect of its test | 0 |" in page
    assert "## Defects" not in page
