"""Lets `python -m pytest_istio_egress.cli` run the command."""

import sys

from pytest_istio_egress.cli.main import main

sys.exit(main())
