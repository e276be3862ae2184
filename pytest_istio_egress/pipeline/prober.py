"""Sends the probes of a test side by side, finds their access log lines, and compares both with what is expected."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.authority import Authorities
from pytest_istio_egress.cluster.commands import run
from pytest_istio_egress.cluster.exec_connection import GoneError
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.readiness import NoPodError
from pytest_istio_egress.model.access_log import AccessLogLine
from pytest_istio_egress.model.addresses import with_port
from pytest_istio_egress.model.case import InvalidTestError
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.model.probe import NoCurlResultError, Probe, outcome_of_bytes, parse
from pytest_istio_egress.model.ztunnel_log import ZtunnelLine
from pytest_istio_egress.pipeline.case_setup import CaseSetup
from pytest_istio_egress.pipeline.context import WorkerContext
from pytest_istio_egress.pipeline.involved_proxies import known_gateways
from pytest_istio_egress.pipeline.source_ports import SourcePorts
from pytest_istio_egress.pipeline.workload_turns import WorkloadTurns
from pytest_istio_egress.verdict.comparison import compare, unknown_fields
from pytest_istio_egress.verdict.controls import beside_controls
from pytest_istio_egress.verdict.verdict import Answer, Exchange, Expectation, NoVerdict, Verdict, without_json_output

_HOPS = ("ztunnel", "waypoint", "gateway", "proxy")
_NO_PORT = 45
"""curl's exit code where all ports that it may use are taken: it says nothing about the mesh."""
_TIMED_OUT = 28
"""curl's exit code where its --max-time ended the request."""
_PORT_RANGES = 3
"""Ranges of source ports that are tried for one probe."""
AT_ONCE = 8
"""Probes of one test that run side by side."""
PROBE_ERRORS = (ClusterError, InvalidTestError, ApiException, HTTPError, NoCurlResultError)
"""Errors of one probe that say nothing about the mesh: the cluster, the connection to it or the test itself failed."""


class Prober:
    """Probes the mesh in its current configuration, once; retries are the runner's."""

    def __init__(self, context: WorkerContext, case_setup: CaseSetup) -> None:
        self.context = context
        self._case_setup = case_setup
        self._source_ports = SourcePorts()
        self._authorities = Authorities(context.api)
        self.own_authority: Path | None = None
        """The file with the authorities of https hosts, for probes from users' workloads that name none."""
        self.turns = WorkloadTurns()
        """When this worker may probe from users' own workloads."""
        self._absent: dict[str, int] = {}
        """Gateways that Istio had not created in time, and after which proxy sync: a later one may bring them."""

    def verify(self, expectations: Sequence[Expectation], attempt: int, own_at_once: int = 1) -> list[Answer]:
        """Return what came of each parameter.

        The suite's clients send theirs side by side. Probes from users' workloads could disturb each other (a circuit
        breaker, a host's rate limit): they are sent one after the other, or `own_at_once` at a time, and by one worker
        at a time. All are sent before any line is looked up: they share the second in which Envoy writes its log.
        """
        suffix = " again" if attempt > 1 else ""
        with self.context.timer.phase(f"probe{suffix}"):
            sent = self._sent(expectations, own_at_once)
        with self.context.timer.phase(f"log lines{suffix}"), ThreadPoolExecutor(len(expectations)) as pool:
            found = list(pool.map(self._with_evidence, expectations, sent))
        complete = [each for each in found if not isinstance(each, NoVerdict)]
        exchanges = iter(beside_controls(complete))
        return [
            each if isinstance(each, NoVerdict) else self._verdict(pair, each[0], next(exchanges), attempt)
            for pair, each in zip(expectations, found, strict=True)
        ]

    def _sent(self, expectations: Sequence[Expectation], own_at_once: int) -> list[Exchange | NoVerdict]:
        """Send the probes; return them in the order of the expectations."""
        queues: dict[bool, list[int]] = {False: [], True: []}
        for index, (probe, outcome) in enumerate(expectations):
            queues[probe.from_own_workload or outcome.times > 1].append(index)
        sent: dict[int, Exchange | NoVerdict] = {}
        for alone, indexes in queues.items():
            own = {expectations[index][0].client for index in indexes if expectations[index][0].from_own_workload}
            with self.turns.of(own), ThreadPoolExecutor(own_at_once if alone else AT_ONCE) as pool:
                sent |= zip(indexes, pool.map(lambda index: self._try(expectations[index]), indexes), strict=True)
        return [sent[index] for index in range(len(expectations))]

    def _try(self, expectation: Expectation) -> Exchange | NoVerdict:
        """Send one probe; an error concerns this parameter alone, and not those beside it."""
        probe, outcome = expectation
        try:
            return self.send(probe)
        except PROBE_ERRORS as error:
            return NoVerdict(probe=probe, expected=outcome, error=error)

    def _with_evidence(
        self, expectation: Expectation, sent: Exchange | NoVerdict
    ) -> tuple[Outcome, Exchange] | NoVerdict:
        """Return the expected outcome with the run's names, and the exchange with its access log lines."""
        if isinstance(sent, NoVerdict):
            return sent
        probe, outcome = expectation
        try:
            rendered = outcome if probe.from_own_workload else self.rendered(outcome)
            return rendered, self._with_log_lines(rendered, sent)
        except PROBE_ERRORS as error:
            return NoVerdict(probe=probe, expected=outcome, error=error)

    def _verdict(self, expectation: Expectation, rendered: Outcome, exchange: Exchange, attempt: int) -> Verdict:
        probe, outcome = expectation
        return Verdict(
            probe=probe,
            expected=outcome,
            exchange=exchange,
            differences=compare(rendered, exchange),
            unknown=unknown_fields(rendered, exchange),
            attempts=attempt,
        )

    def rendered(self, outcome: Outcome) -> Outcome:
        """Return the outcome for the mesh's version of Istio, with the run's names in place of the manifests'."""
        outcome = outcome.for_istio(self.context.access_logs.mesh.facts.istio)
        names = self.context.names
        values = {name: names.render_manifest(value) for name, value in vars(outcome).items() if name not in _HOPS}
        hops = {name: hop for name in _HOPS if (hop := getattr(outcome, name)) is not None}
        for name, hop in hops.items():
            # `at` is a name of the manifests, as a probe's client is: its pod is looked up by it.
            fields = {field: names.render_manifest(value) for field, value in vars(hop).items() if field != "at"}
            values[name] = replace(hop, **fields)
        return replace(outcome, **values)

    def send(self, probe: Probe) -> Exchange:
        """Run curl in the client's pod; ClusterError where it found no free source port."""
        for _ in range(_PORT_RANGES):
            exchange = self._send_once(probe)
            if exchange.curl.exit != _NO_PORT:
                return exchange
        raise ClusterError(f"curl had no free source port in {probe.client}: {exchange.curl.error}; run the test again")

    def _send_once(self, probe: Probe) -> Exchange:
        environment = self.context.environment
        if not probe.from_own_workload and probe.client not in environment.clients:
            raise InvalidTestError(
                f"unknown client {probe.client!r} (choose from {', '.join(environment.clients)}, or from the "
                "Deployments of the test's manifests)"
            )
        pod = environment.pod(probe.client)
        try:
            return self._run(pod, probe)
        except (GoneError, NoCurlResultError):
            if not environment.pod_lookup.replaced(probe.client, pod):
                raise
            return self._run(environment.pod(probe.client), probe)

    def _command(self, pod: Pod, probe: Probe) -> list[str]:
        """Return curl's command line in this pod, with the run's names."""
        file = probe.ca
        if file is None and probe.from_own_workload and probe.url.startswith("https:"):
            file = self.own_authority
        authority = self._authorities.path(pod, self._case_setup.folder / file) if file else ""
        # Envoy's log line has the user agent, which is unique, and the source port.
        command = probe.command(f"istio-egress/{uuid.uuid4().hex[:12]}", self._source_ports.take(), authority)
        return command if probe.from_own_workload else [self.context.names.render(word) for word in command]

    def _run(self, pod: Pod, probe: Probe) -> Exchange:
        command = self._command(pod, probe)
        logs = self.context.access_logs
        if pod.injected:
            logs.follow(pod)
        elif pod.ambient:
            logs.follow_ztunnel(pod)
        began = time.monotonic()
        result = run(self.context.api, pod, command, timeout=probe.max_time + self.context.timeouts.exec)
        shown = without_json_output(command)
        return Exchange(
            probe=probe,
            command=tuple(command),
            kubectl_command=f"kubectl exec -n {pod.namespace} {pod.name} -c {pod.container} -- {shown}",
            began=began,
            curl=outcome_of_bytes(probe, parse(result.stdout, result.stderr)),
            sidecar=None,
            gateway=None,
            addresses={
                "client": pod.addresses,
                "gateway": logs.gateway_addresses(),
                "proxy": _addresses(self.context.environment.forward_proxies),
            },
        )

    def gateway_pods(self, at: str | None) -> list[Pod]:
        """Return the pods of a gateway: None stands for the mesh's own, else `<app label>.<namespace>`.

        The list is empty where Istio did not create the gateway in time, so that no line can exist. One that nothing
        creates is not waited for.
        """
        if at is None:
            return self.context.access_logs.gateways()
        if not self.context.environment.may_have_pods(at, self._case_setup.documents):
            return []
        if self._absent.get(at) != self._case_setup.syncs:
            try:
                return [self.context.environment.pod(at)]
            except NoPodError:
                self._absent[at] = self._case_setup.syncs
        return []

    def _with_log_lines(self, expected: Outcome, exchange: Exchange) -> Exchange:
        """Add the sidecar's line for curl's own source port, and the other proxies' lines for the same request."""
        pod = self.context.environment.pod(exchange.probe.client)
        if pod.ambient:
            return self._with_ambient_lines(expected, exchange, pod)
        if not pod.injected:
            return exchange
        logs, timeouts, curl = self.context.access_logs, self.context.timeouts, exchange.curl
        line = logs.sidecar_line(
            pod,
            with_port(curl.local_address, curl.local_port),
            exchange.command[exchange.command.index("--user-agent") + 1],
            since=exchange.began,
            timeout=timeouts.log_line if expected.sidecar else timeouts.log_flush,
        )
        gateway, addresses, hop = None, exchange.addresses, expected.gateway
        if hop is not None and line is not None:
            if line.forwarded is False:
                pods = known_gateways(self.context, hop)  # one of them may have refused the connection
            else:
                pods = self.gateway_pods(hop.at)
                if pods or hop.at is None:
                    gateway = logs.gateway_line(line, pods, since=exchange.began, timeout=timeouts.log_line)
            addresses = {**addresses, "gateway": _addresses(pods)}
        proxy = None
        last = gateway or line
        if expected.proxy is not None and last is not None and last.forwarded is not False:
            for pod in self.context.environment.forward_proxies:
                proxy = logs.proxy_line(last, pod, since=exchange.began, timeout=timeouts.log_line)
        return replace(exchange, sidecar=line, gateway=gateway, proxy=proxy, addresses=addresses)

    def _with_ambient_lines(self, expected: Outcome, exchange: Exchange, pod: Pod) -> Exchange:
        """Add ztunnel's line for curl's own source port, and the waypoint's line for the same request."""
        logs, timeouts, curl = self.context.access_logs, self.context.timeouts, exchange.curl
        line = logs.ztunnel_line(
            pod,
            with_port(curl.local_address, curl.local_port),
            since=exchange.began,
            timeout=(timeouts.log_line if expected.ztunnel else timeouts.log_flush)
            + (timeouts.tunnel if curl.exit == _TIMED_OUT else 0),
        )
        waypoint, pods = None, [*self.context.environment.waypoints]
        if expected.waypoint is not None and expected.waypoint.at is not None:
            pods = self.gateway_pods(expected.waypoint.at)
            waypoint = self._waypoint_line(exchange, line, pods) if pods else None
        addresses = {**exchange.addresses, "waypoint": _addresses(pods)}
        return replace(exchange, ztunnel=line, waypoint=waypoint, addresses=addresses)

    def _waypoint_line(
        self, exchange: Exchange, tunnel: ZtunnelLine | None, pods: Sequence[Pod]
    ) -> AccessLogLine | None:
        """Find the waypoint's line of a request, or of a connection that ztunnel sent to it."""
        logs, since, timeout = self.context.access_logs, exchange.began, self.context.timeouts.log_line
        if exchange.probe.is_plain_http:
            agent = exchange.command[exchange.command.index("--user-agent") + 1]
            return logs.waypoint_line(pods, agent, since=since, timeout=timeout)
        return logs.waypoint_connection(pods, tunnel, since=since, timeout=timeout) if tunnel else None


def _addresses(pods: Sequence[Pod]) -> frozenset[str]:
    return frozenset().union(*(pod.addresses for pod in pods))
