"""Tells when a failure cannot be late configuration any more, because the proxies that decide it stand still.

A failure is probed again, as configuration may be on its way to a proxy: its kind may overtake the marker's, a cluster
may warm up, an address may be looked up. Where none of this is so, a later answer would be the same:

    first failure ──1 s──> marker applied, and acknowledged ──> state A ──1.5 s, probed meanwhile──> state B

If A and B are equal and nothing is pending in them, everything that istiod knew a second after the first failure has
arrived, and the answer is final. Whatever else may be late (addresses of Services, NetworkPolicies) is waited for as
long as `timeouts.converge` says, unless the lines of the proxies show that it took no part:

    curl ──> sidecar: 502, no upstream          the sidecar's configuration decides alone
    curl ──> sidecar ──> gateway: 404           the gateway's, too: only now it gets a marker (exported_markers.py)
    curl ──> sidecar ──x gateway: 503 UF        the same: it has no listener for the port
    curl ──> sidecar: 503 UH or UF              endpoints may be late: not final
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.configuration_state import Concerns, ConfigurationState, configuration_state
from pytest_istio_egress.cluster.names import OF_ONE_WORKER, Names
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.model.access_log import AccessLogLine
from pytest_istio_egress.model.outcome import BLACK_HOLE
from pytest_istio_egress.model.probe import is_workload
from pytest_istio_egress.pipeline.case_setup import CaseSetup
from pytest_istio_egress.pipeline.context import WorkerContext
from pytest_istio_egress.verdict.verdict import Expectation, Verdict

FIRST_LOOK = 1.0
"""Seconds after the first failure: most that is late arrives before, and costs no reading of the proxies."""
STILL = 1.5
"""Seconds that the proxies must stand still: more than istiod needs to send another kind that it knows already."""

OF_CONFIGURATION = frozenset({"-", "NR", "NC"})
"""Response flags of an Envoy that forwarded a response, or had none to forward by its configuration alone.

Injected faults (FI) may concern a share of the requests, and a rate limit (RL) ends.
"""

REFUSED = frozenset({"UF", "UF,URX"})
"""Response flags where the upstream host refused the connection: a gateway without a listener for the port does."""


class Standstill:
    """Observes the proxies of one test while its failures are probed again."""

    def __init__(self, context: WorkerContext, case_setup: CaseSetup, expectations: Sequence[Expectation]) -> None:
        self.context = context
        self._case_setup = case_setup
        self._began = time.monotonic()
        self._expectations = expectations
        self._possible = case_setup.case is not None
        self._only_marked_proxies_decide = self._possible and self._all_hops_are_marked()
        self._gateways_have_marker = False
        self._seen: tuple[float, list[ConfigurationState]] | None = None

    def reached(self, failed: Sequence[Verdict]) -> bool:
        """Whether the proxies have stood still since an earlier call; the probes were sent in between."""
        if not self._possible or time.monotonic() < self._began + FIRST_LOOK:
            return False
        if not self._only_marked_proxies_decide and not all(map(self._is_decided_by_proxies, failed)):
            return False
        clients = sorted({answer.probe.client for answer in failed})
        at_gateways = any(map(self._is_decided_at_gateways, failed))
        try:
            if not self._have_markers(clients, at_gateways=at_gateways):
                self._possible = False
                return False
            now = time.monotonic(), self._states(clients, self._mesh_gateways if at_gateways else [])
        except ClusterError:
            self._possible = False  # then it is not known, and the failures are probed again until the end
            return False
        if self._seen is None or now[1] != self._seen[1] or any(state.pending for state in now[1]):
            self._seen = now
            return False
        return now[0] >= self._seen[0] + STILL

    def _have_markers(self, clients: Sequence[str], *, at_gateways: bool) -> bool:
        """Wait until the proxies have one more marker; False where nothing shows whether they have it.

        A request may reach the mesh's gateway only after some attempts: then that gets its marker later.
        """
        if self._seen is None:
            self._case_setup.sync_again()
            if not self._case_setup.sync_workloads_again(filter(is_workload, clients)):
                return False
        if at_gateways and not self._gateways_have_marker:
            self._gateways_have_marker = self._case_setup.sync_mesh_gateways()
            self._seen = None
        return self._gateways_have_marker or not at_gateways

    @property
    def _mesh_gateways(self) -> list[Pod]:
        return self.context.access_logs.gateways()

    @cached_property
    def _concerns(self) -> Concerns:
        urls = [probe.url for probe, _ in self._expectations]
        return concerned(self.context.names, [self._case_setup.documents, urls])

    def _states(self, clients: Iterable[str], gateways: Iterable[Pod]) -> list[ConfigurationState]:
        environment, api = self.context.environment, self.context.api
        pods = [pod for pod in map(environment.pod, (*clients, *environment.own_gateways)) if pod.injected]
        return [configuration_state(ProxyConfig(api, pod), self._concerns) for pod in (*pods, *gateways)]

    def _all_hops_are_marked(self) -> bool:
        """Whether the outcomes depend on proxies that get markers, and on nothing else that may be late."""
        own_gateway = self.context.names.mesh.gateway.is_runs_own
        at_marked = all(
            outcome.gateway is None or (outcome.gateway.at is None and own_gateway) for _, outcome in self._expectations
        )
        case = self._case_setup.case
        of_mesh = case is not None and "egress-gateway" in case.requires and not own_gateway
        return at_marked and not of_mesh and self._case_setup.changed_only_proxies

    def _is_decided_by_proxies(self, answer: Verdict) -> bool:
        """Whether the lines of the proxies show that their configuration made the answer, and nothing that may be late.

        The name of a Service that the test applied may still be resolved to the address of one before it.
        """
        line = answer.exchange.sidecar
        if line is None:
            return False
        refused = answer.exchange.went_to_gateway and line.flags in REFUSED
        host, _ = answer.probe.destination
        if self.context.names.render(host).partition(".")[0] in self._services_with_address:
            return False
        if line.upstream == "-":
            return _is_of_configuration(line)
        return (refused or _is_of_configuration(line)) and self._is_decided_behind_the_sidecar(answer)

    def _is_decided_behind_the_sidecar(self, answer: Verdict) -> bool:
        hop, line = answer.expected.gateway, answer.exchange.gateway
        marked = hop is None or hop.at is None or hop.at in self.context.environment.own_gateways
        return marked and self._case_setup.changed_only_istiod and (line is None or _is_of_configuration(line))

    def _is_decided_at_gateways(self, answer: Verdict) -> bool:
        """Whether the answer depends on the mesh's own gateways, which get no marker otherwise."""
        line = answer.exchange.sidecar
        hop, own = answer.expected.gateway, self.context.names.mesh.gateway.is_runs_own
        return hop is not None and hop.at is None and not own and (line is None or line.upstream != "-")

    @cached_property
    def _services_with_address(self) -> frozenset[str]:
        return frozenset(
            document["metadata"]["name"]
            for document in self._case_setup.documents
            if document["kind"] == "Service" and document.get("spec", {}).get("type") != "ExternalName"
        )


def _is_of_configuration(line: AccessLogLine) -> bool:
    if line.upstream is None:
        return False  # the format of the log has no upstream, so that nothing is known
    return line.cluster == BLACK_HOLE or line.flags in OF_CONFIGURATION


def concerned(names: Names, mine: Any) -> Concerns:
    """Return a function that tells the parts of a dump that are about other tests of the run from all others.

    `mine` is whatever names the hosts of the test. Other workers change their own hosts and namespaces all the time.
    """
    # Without the lookbehind, a certificate in base64 takes minutes: every character of it may begin a host.
    host = re.compile(rf"(?<![\w*.-])[\w*.-]+\.{re.escape(names.run)}\.test")
    namespace = re.compile(rf"(?:{'|'.join(OF_ONE_WORKER)})-{re.escape(names.run)}-(\w+)")
    own = {found.lstrip("*.") for found in host.findall(names.render(json.dumps(mine)))}

    def concerns(part: Any) -> bool:
        text = json.dumps(part)
        if {*namespace.findall(text)} - {names.worker}:
            return False
        hosts = host.findall(text)
        return not hosts or any(found.endswith(each) for found in hosts for each in own)

    return concerns
