"""The context of a run without a kubeconfig."""

IN_CLUSTER = "in-cluster"
"""Stands for a context where there is no kubeconfig but the service account of the pod that the run is in."""
