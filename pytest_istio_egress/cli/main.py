"""The command `istio-egress`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pytest_istio_egress.cli.clean import register_clean_command
from pytest_istio_egress.cli.cluster import register_cluster_commands
from pytest_istio_egress.cli.compare import register_compare_command
from pytest_istio_egress.cli.coverage import register_coverage_command
from pytest_istio_egress.cli.rights import register_rights_command
from pytest_istio_egress.cli.traffic import register_traffic_command
from pytest_istio_egress.embedded.errors import EmbeddedError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; a failure is one line on stderr, with what to do about it, and the code 1."""
    parser = argparse.ArgumentParser(prog="istio-egress", description="What belongs to pytest --istio-egress.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    register_cluster_commands(commands)
    register_clean_command(commands)
    register_rights_command(commands)
    register_compare_command(commands)
    register_coverage_command(commands)
    register_traffic_command(commands)
    arguments = parser.parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except EmbeddedError as error:
        print(f"istio-egress: {error}", file=sys.stderr)
        if error.remedy:
            print(f"  to mend it: {error.remedy}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("istio-egress: interrupted; nothing is left running", file=sys.stderr)
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
