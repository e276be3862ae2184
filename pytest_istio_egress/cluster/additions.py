"""What a run adds to the configuration of its own proxies: markers, and an access log that it can read.

With EnvoyFilters both are independent of the mesh. A cluster may refuse EnvoyFilters, or its control plane ignore them,
as some managed ones do. There the markers are of another kind, and the proxies write the mesh's own log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pytest_istio_egress.cluster.envoy_filter_markers import EnvoyFilterMarkers
from pytest_istio_egress.cluster.log_config import COMPARED, LineParser
from pytest_istio_egress.cluster.markers import Markers
from pytest_istio_egress.cluster.policy_markers import PolicyMarkers
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.model.access_log import parse_line, parse_own_line


@dataclass(frozen=True)
class Additions:
    """The additions to the proxies of a run's namespaces."""

    markers: Markers
    access_log: str
    """The file of fixtures/ that gives the proxies of a namespace their access log."""
    parse: LineParser
    """Reads that log."""
    log_problem: Callable[[ProxyConfig], str]
    """Returns why that log cannot serve as evidence, by the configuration of a proxy in sync; empty where it can."""
    without: Additions | None = None
    """What to add where these are refused or ignored, None where nothing else can be done."""

    def sentence(self, why: str) -> str:
        """Return what these additions mean for the user, because of a sentence that says what cannot be added."""
        return f"synchronization: {self.markers.kind} markers and the mesh's own access log, as {why}"


def _of_the_mesh(config: ProxyConfig) -> str:
    problem = config.log_problem(parse_line, COMPARED)
    return f"the mesh's access log is no evidence at the run's own proxies: {problem}" if problem else ""


WITHOUT_ENVOY_FILTERS = Additions(PolicyMarkers(), "mesh_access_log.yaml", parse_line, _of_the_mesh)
WITH_ENVOY_FILTERS = Additions(
    EnvoyFilterMarkers(), "access_log.yaml", parse_own_line, lambda _: "", WITHOUT_ENVOY_FILTERS
)


def additions_where(refused: Mapping[str, str]) -> Additions:
    """Return what a run adds in a cluster that refuses objects of these kinds."""
    return WITHOUT_ENVOY_FILTERS if EnvoyFilterMarkers.kind in refused else WITH_ENVOY_FILTERS
