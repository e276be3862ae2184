"""The suite on clusters whose pods have IPv6 addresses, alone or beside IPv4."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from suite_run import environment, read_outcomes  # type: ignore[import-not-found]  # pytest puts this folder on the path

pytestmark = pytest.mark.embedded

TESTS = (
    "conformance/service_entry/test_both_families.py",
    "conformance/service_entry/test_cidr_addresses.py",
    "conformance/service_entry/test_tcp_port.py",
    "conformance/kubernetes_services/test_endpoints.py",
    "conformance/egress_gateway/test_network_policy.py",
)
"""Literal addresses in URLs, ranges, EndpointSlices, source addresses, two hops, NetworkPolicies of both families."""
DUAL_STACK_ONLY = 7


@pytest.mark.parametrize(
    ("ip_family", "families", "skipped"),
    [("ipv6", "IPv6", DUAL_STACK_ONLY), ("dual", "IPv4, IPv6", 0)],
)
def test_suite_runs_on_cluster_of_ip_family(ip_family: str, families: str, skipped: int, tmp_path: Path) -> None:
    results, report = tmp_path / "junit.xml", tmp_path / "report.yaml"
    command = [
        sys.executable, "-m", "pytest", "--istio-egress", "--istio-egress-target", "embedded",
        "--istio-egress-install-packages", "--istio-egress-name", f"{ip_family}-{os.getpid()}",
        "--istio-egress-ip-family", ip_family, "--istio-egress-report", str(report), f"--junitxml={results}",
        "-p", "no:cacheprovider", *TESTS,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes: Mapping[str, str] = read_outcomes(results)
    assert list(outcomes.values()).count("skipped") == skipped, done.stdout
    assert list(outcomes.values()).count("passed") > 10
    assert yaml.safe_load(report.read_text())["mesh"]["facts"]["ip-families"]["value"] == families
