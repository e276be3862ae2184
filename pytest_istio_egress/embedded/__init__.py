"""A real one-node Kubernetes cluster with Istio, made from package registries alone, without a way out."""

from pytest_istio_egress.embedded.cluster import ClusterStatus, down, status, up
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.spec import ClusterSpec, EmbeddedCluster

__all__ = ["ClusterSpec", "ClusterStatus", "EmbeddedCluster", "EmbeddedError", "down", "status", "up"]
