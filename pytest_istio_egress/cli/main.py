"""The command `istio-egress`: registers the subcommands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pytest_istio_egress.cli.clean import register_clean_command
from pytest_istio_egress.cli.cluster import register_cluster_commands
from pytest_istio_egress.cli.compare import register_compare_command
from pytest_istio_egress.cli.coverage import register_coverage_command
from pytest_istio_egress.cli.doctor import register_doctor_command
from pytest_istio_egress.cli.explain import register_explain_command
from pytest_istio_egress.cli.images import register_images_command
from pytest_istio_egress.cli.namespaces import register_namespaces_command
from pytest_istio_egress.cli.rights import register_rights_command
from pytest_istio_egress.cli.traffic import register_traffic_command


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="istio-egress", description="Commands beside pytest --istio-egress.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    register_cluster_commands(commands)
    register_clean_command(commands)
    register_doctor_command(commands)
    register_explain_command(commands)
    register_rights_command(commands)
    register_namespaces_command(commands)
    register_images_command(commands)
    register_compare_command(commands)
    register_coverage_command(commands)
    register_traffic_command(commands)
    arguments = parser.parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except KeyboardInterrupt:
        print("istio-egress: interrupted; no process is left running", file=sys.stderr)
        return 130
    return code
