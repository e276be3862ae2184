"""demonstrations/noticed: what is taken away, and what a finding means."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTICED = ROOT / "demonstrations" / "noticed"
sys.path.insert(0, str(NOTICED))

import noticed  # noqa: E402  # only its command and this test look there
import noticed_page  # noqa: E402  # the same
import without_rules  # noqa: E402  # the same

from pytest_istio_egress.model.case import Case  # noqa: E402  # in one block with them
from pytest_istio_egress.model.result_names import ERROR, FAILED, PASSED, SKIPPED
from pytest_istio_egress.report.results import Result

NAME = "conformance/area/test_x.py::test_y"
CASES = {
    NAME: Case(
        page="page/",
        summary="It is said",
        folder=Path("area"),
        manifests=(),
        requires=(),
        since=None,
        outcomes=("row",),
        independent_of_manifests={"past": "it goes past all sidecars"},
    )
}


def found(**outcomes: str) -> dict[str, noticed_page.Finding]:
    results = [Result(id=f"{NAME}[{name.replace('_', '-')}]", result=said) for name, said in outcomes.items()]
    return noticed.findings(results, noticed.OPEN)


@pytest.mark.parametrize(
    ("outcomes", "defective"),
    [
        ({"block": FAILED}, False),
        ({"block": PASSED}, True),
        ({"block": ERROR}, True),
        ({"block": SKIPPED}, True),
        ({"control_listed": PASSED}, False),
        ({"control_listed": ERROR}, True),
        ({"past": PASSED}, False),
    ],
    ids=str,
)
def test_only_what_noticed_or_need_not_is_no_defect(outcomes: dict[str, str], defective: bool) -> None:  # noqa: FBT001  # what is expected
    assert bool(noticed_page.defects(found(**outcomes), CASES)) is defective


def test_the_page_tells_why_something_need_not_notice_and_what_is_left() -> None:
    page = noticed_page.page(found(block=PASSED, past=PASSED, other=ERROR, seen=FAILED), CASES)
    assert "| area/x: y[past] | it goes past all sidecars |" in page
    assert "- area/x: y[block]: not noticed." in page
    assert "- area/x: y[other]: error." in page
    assert "| error | 1 |" in page
    assert "| noticed | 1 |" in page


def test_rules_and_services_that_lead_out_go_and_workloads_stay_without_their_annotations() -> None:
    annotations = {"traffic.sidecar.istio.io/includeOutboundIPRanges": "", "mine": "stays"}
    client = {"kind": "Deployment", "spec": {"template": {"metadata": {"annotations": annotations}}}}
    inside = {"kind": "Service", "spec": {"selector": {"app": "sleep"}}}
    alias = {"kind": "Service", "spec": {"type": "ExternalName"}}
    kept = without_rules.without_rules([client, inside, alias, {"kind": "Sidecar"}, {"kind": "Endpoints"}])
    assert kept == [client, inside]
    assert kept[0]["spec"]["template"]["metadata"]["annotations"] == {"mine": "stays"}


@pytest.mark.parametrize("plugin", ["without_rules", "without_later_rules"])
def test_what_a_plugin_replaces_is_still_there_to_be_replaced(plugin: str) -> None:
    script = f"import sys; sys.path.insert(0, {str(NOTICED)!r}); import {plugin}; {plugin}.pytest_configure()"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_help_starts_no_cluster() -> None:
    ran = subprocess.run([sys.executable, NOTICED / "noticed.py", "--help"], capture_output=True, text=True, check=True)
    assert "usage" in ran.stdout
    assert not ran.stderr


def test_the_kept_table_has_no_defect() -> None:
    page = (ROOT / "docs" / "noticed.md").read_text()
    assert page.startswith(noticed_page.HEAD), "made by an older command: run it again"
    assert "| not noticed, a defect | 0 |" in page
    assert "Neither noticed nor right so" not in page
