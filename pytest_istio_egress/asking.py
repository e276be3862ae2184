"""Probe and witness: sends a case's probes side by side, and gathers what curl, Envoy and the far end say of each."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.pods import GoneError, Pod, run
from pytest_istio_egress.cluster.readiness import NoPodError
from pytest_istio_egress.comparison import compare
from pytest_istio_egress.evidence import Exchange, Expectation, Verdict, pasteable
from pytest_istio_egress.istio_versions import older
from pytest_istio_egress.outcome import Outcome
from pytest_istio_egress.probe import NoCurlResultError, Probe, parse
from pytest_istio_egress.source_ports import SourcePorts
from pytest_istio_egress.staging import Staging

_HOPS = ("gateway", "proxy")
_NO_PORT = 45
"""Curl's exit where all ports that it may use are somebody else's: it says nothing about the mesh."""
_RANGES = 3
"""Ranges of source ports that are tried for one probe."""
AT_ONCE = 8
"""Probes of one case that run side by side."""


class Asking:
    """Asks the mesh as it is staged; what does not hold is not asked again here."""

    def __init__(self, staging: Staging) -> None:
        self.api: Api = staging.api
        self.staging = staging
        self.world = staging.world
        self.witnesses = staging.witnesses
        self.timeouts = staging.timeouts
        self.phases = staging.phases
        self._source_ports = SourcePorts()
        self._absent: dict[str, int] = {}
        """Gateways that Istio had not brought up in time, and after which settlement: a later one may bring them."""

    def ask(self, expectations: Sequence[Expectation], attempt: int) -> list[Verdict]:
        """Ask once. All are sent before any is looked up in a log: they share the second in which Envoy writes it."""
        expected = [documented if probe.literal else self._real(documented) for probe, documented in expectations]
        again = attempt > 1
        with self.phases.phase("probe again" if again else "probe"), ThreadPoolExecutor(AT_ONCE) as pool:
            exchanges = list(pool.map(self.send, [probe for probe, _ in expectations]))
        with self.phases.phase("witness again" if again else "witness"), ThreadPoolExecutor(len(expectations)) as pool:
            exchanges = list(pool.map(self._witness, expected, exchanges))
        return [
            Verdict(
                probe=probe,
                expected=documented,
                exchange=exchange,
                differences=compare(real, exchange),
                attempts=attempt,
            )
            for (probe, documented), real, exchange in zip(expectations, expected, exchanges, strict=True)
        ]

    def _real(self, outcome: Outcome) -> Outcome:
        """Return the outcome for this version of Istio, with the run's names in place of those of the manifests."""
        if outcome.before and older(self.witnesses.mesh.istio, outcome.before[0]):
            outcome = outcome.before[1]
        names = self.world.names
        given = {name: names.manifest(value) for name, value in vars(outcome).items() if name not in _HOPS}
        hops = {name: hop for name in _HOPS if (hop := getattr(outcome, name)) is not None}
        for name, hop in hops.items():
            given[name] = replace(hop, **{field: names.manifest(value) for field, value in vars(hop).items()})
        return replace(outcome, **given)

    def send(self, probe: Probe) -> Exchange:
        """Run curl in the client's pod. Envoy's log line has its user agent, which is unique, and its source port."""
        for _ in range(_RANGES):
            exchange = self._send(probe)
            if exchange.curl.exit != _NO_PORT:
                return exchange
        raise ClusterError(f"curl had no free source port in {probe.client}: {exchange.curl.error}; ask again later")

    def _send(self, probe: Probe) -> Exchange:
        user_agent = f"istio-egress/{uuid.uuid4().hex[:12]}"
        ports = self._source_ports.take()
        command = [word if probe.literal else self.world.names.text(word) for word in probe.command(user_agent, ports)]
        pod = self.world.pod(probe.client)
        try:
            return self._probe_in(pod, probe, command)
        except (GoneError, NoCurlResultError):
            if not self.world.found.replaced(probe.client, pod):
                raise
            return self._probe_in(self.world.pod(probe.client), probe, command)

    def _probe_in(self, pod: Pod, probe: Probe, command: Sequence[str]) -> Exchange:
        if pod.injected:
            self.witnesses.follow(pod)
        began = time.monotonic()
        ran = run(self.api, pod, command, timeout=probe.max_time + self.timeouts.exec)
        return Exchange(
            probe=probe,
            command=tuple(command),
            client=f"kubectl exec -n {pod.namespace} {pod.name} -c {pod.container} -- {pasteable(command)}",
            began=began,
            curl=parse(ran.stdout, ran.stderr),
            sidecar=None,
            gateway=None,
            addresses={
                "client": frozenset({pod.address}),
                "gateway": self.witnesses.gateway_addresses(),
                "proxy": frozenset(pod.address for pod in self.world.forward_proxies),
            },
        )

    def gateway_pods(self, at: str | None) -> list[Pod]:
        """Return the pods of a gateway; none where Istio brought none up in time, so that no line can be seen."""
        if at is None:
            return self.witnesses.gateways()
        if self._absent.get(at) != self.staging.settled:
            try:
                return [self.world.pod(at)]
            except NoPodError:
                self._absent[at] = self.staging.settled
        return []

    def _witness(self, expected: Outcome, exchange: Exchange) -> Exchange:
        """Ask Envoy: the sidecar's line for curl's own source port, and the gateway's for the same request."""
        pod = self.world.pod(exchange.probe.client)
        if not pod.injected:
            return exchange
        curl = exchange.curl
        user_agent = exchange.command[exchange.command.index("--user-agent") + 1]
        line = self.witnesses.sidecar_line(
            pod,
            f"{curl.local_address}:{curl.local_port}",
            user_agent,
            since=exchange.began,
            timeout=self.timeouts.log_line if expected.sidecar else self.timeouts.log_flush,
        )
        gateway, addresses = None, exchange.addresses
        if expected.gateway is not None and line is not None and line.went_on:
            pods = self.gateway_pods(expected.gateway.at)
            if pods or expected.gateway.at is None:
                gateway = self.witnesses.gateway_line(line, pods, since=exchange.began, timeout=self.timeouts.log_line)
            addresses = {**addresses, "gateway": frozenset(pod.address for pod in pods)}
        proxy = None
        last = gateway or line
        if expected.proxy is not None and last is not None and last.went_on:
            timeout = self.timeouts.log_line
            for pod in self.world.forward_proxies:
                proxy = self.witnesses.proxy_line(last, pod, since=exchange.began, timeout=timeout)
        return replace(exchange, sidecar=line, gateway=gateway, proxy=proxy, addresses=addresses)
