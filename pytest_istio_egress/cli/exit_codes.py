"""Exit codes of commands that talk to a cluster; the same numbers as those of pytest --istio-egress."""

UNUSABLE = 3
"""The cluster, its mesh or the workload cannot be used."""
USAGE = 4
"""No cluster is configured, or an option is invalid."""
