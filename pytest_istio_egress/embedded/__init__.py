"""A real one-node Kubernetes cluster with Istio, built from package registries alone, without a route out of it."""

from pytest_istio_egress.embedded.cluster import ClusterStatus, down, status, up
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.spec import ClusterSpec, EmbeddedCluster

__all__ = ["ClusterSpec", "ClusterStatus", "EmbeddedCluster", "EmbeddedError", "down", "status", "up"]
