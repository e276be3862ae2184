"""The way of one case: need, apply, settle, probe, witness, judge, clean."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.case import CASE_NAMESPACE, Case
from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.apply import Applier, RefusedError, Resource, load
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.pods import GoneError, Pod, changed, run
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.cluster.readiness import NoPodError
from pytest_istio_egress.cluster.settle import Settler
from pytest_istio_egress.cluster.witnesses import Witnesses
from pytest_istio_egress.cluster.world import World
from pytest_istio_egress.comparison import compare
from pytest_istio_egress.disturbances import Disturbances
from pytest_istio_egress.evidence import Exchange, Expectation, Verdict, pasteable
from pytest_istio_egress.inquiry import Inquiry
from pytest_istio_egress.istio_versions import older
from pytest_istio_egress.outcome import Outcome
from pytest_istio_egress.phases import Phases
from pytest_istio_egress.probe import NoCurlResultError, Probe, is_workload, parse
from pytest_istio_egress.timeouts import Timeouts

_HOPS = ("gateway", "proxy")
ASKED_AGAIN = 2
"""Times that a case starts afresh because something else than the mesh disturbed it."""
AT_ONCE = 8
"""Probes of one case that run side by side."""


class Judge:
    """Takes cases one after the other through the pipeline, on one worker's part of the cluster."""

    def __init__(self, api: Api, world: World, witnesses: Witnesses, timeouts: Timeouts) -> None:
        self.api = api
        self.world = world
        self.witnesses = witnesses
        self.timeouts = timeouts
        self._applier = Applier(api, world.names)
        self._settler = Settler(api, self._applier, timeouts.settle)
        self._inquiry = Inquiry(api, world, witnesses, self._probe, self._gateway_pods)
        self._disturbances = Disturbances(api, world, witnesses)
        self._applied: list[Resource] = []
        self._case: Case | None = None
        self._absent: set[str] = set()
        self.phases = Phases()
        self.documents: list[dict[str, Any]] = []
        """What the case on stage applied, as it was sent."""
        self.entered = time.monotonic()

    @property
    def names(self) -> Names:
        """The run's names."""
        return self.world.names

    def stage(self) -> Names:
        """Return the names of the suite's own clients and servers, which are made when this is first asked for.

        A case that is asked from a user's own workload alone needs none of them.
        """
        if not self.world.built:
            with self.phases.phase("world"):
                self.world.build()
            self._applier.names = self.world.names
            for pod in self._injected():
                self.witnesses.follow(pod)
            if self._case is not None:
                self._settle()
        return self.names

    def enter(self, case: Case) -> bool:
        """Apply and settle: bring the proxies from the previous case's configuration to this one's.

        Returns False where they have it already, and nothing had to be done.
        """
        if case is self._case:
            return False
        self._case = None
        self.entered = time.monotonic()
        self._disturbances.begin()
        previous, self._applied = self._applied, []
        self._inquiry.since = time.monotonic()
        documents = load(case.manifests)
        fixtures = self.world.needed(case.fixtures, case.requires)
        if documents or fixtures:
            self.stage()
        with self.phases.phase("world"):
            self.world.extend(fixtures)
        self._applier.names = self.world.names
        self.documents = [self._applier.rendered(document, CASE_NAMESPACE) for document in documents]
        try:
            self._apply(documents)
        finally:
            # What both cases have was overwritten in place; only the rest has to go.
            self._remove([resource for resource in previous if resource not in self._applied])
        self.world.forget_guests()
        self._welcome(documents)
        self._settle()
        self._case = case
        return True

    def add(self, manifest: Path) -> None:
        """Apply more in the middle of a case, and settle; the next case starts afresh."""
        self._case = None
        self.stage()
        documents = load([manifest])
        self.documents += [self._applier.rendered(document, CASE_NAMESPACE) for document in documents]
        self._apply(documents)
        self._welcome(documents)
        self._settle()

    def take_away(self, manifest: Path) -> None:
        """Remove in the middle of a case what a manifest brought, and settle."""
        self._case = None
        removed = load([manifest])
        gone = self._applier.resources(removed, CASE_NAMESPACE)
        self._remove(gone)
        self._applied = [resource for resource in self._applied if resource not in gone]
        sent = [self._applier.rendered(document, CASE_NAMESPACE) for document in removed]
        self.documents = [document for document in self.documents if document not in sent]
        self._settle()

    def _apply(self, documents: Sequence[dict[str, Any]]) -> None:
        with self.phases.phase("apply"):
            for document in documents:  # one by one: what came before a refused one is in, and has to go again
                self._applied += self._applier.apply([document], CASE_NAMESPACE)

    def _remove(self, resources: Sequence[Resource]) -> None:
        with self.phases.phase("clean"):
            self._applier.remove(resources)

    def _welcome(self, documents: Sequence[dict[str, Any]]) -> None:
        """Wait for the pods that a case brings along, which is no part of settling."""
        self.world.welcome(documents)
        with self.phases.phase("pods"):
            for client in self.world.clients:
                self.world.pod(client)

    def _settle(self) -> None:
        self._absent.clear()  # what was applied may bring a gateway
        with self.phases.phase("settle"):
            try:
                self._settler.settle(self._injected())
            except GoneError:
                self.world.forget()  # a client's pod was replaced; its successor's proxy is waited for
                self._settler.settle(self._injected())

    def _injected(self) -> list[Pod]:
        return [pod for pod in map(self.world.pod, self.world.clients) if pod.injected]

    @contextmanager
    def mesh(self, changes: Mapping[str, Any], arrived: Callable[[ProxyConfig], bool]) -> Iterator[None]:
        """Change the mesh's configuration for a while. `arrived` tells from a proxy's configuration that it holds."""
        self._case = None
        self.stage()  # whose proxies tell when the change has come
        settings = self._disturbances.settings
        before = settings.change(changes)
        try:
            self._wait_for_mesh(arrived, held=True)
            yield
        finally:
            settings.put_back(before)
            try:
                self._wait_for_mesh(arrived, held=False)
            finally:
                settings.release()
                self._disturbances.mesh_changed()

    def _wait_for_mesh(self, arrived: Callable[[ProxyConfig], bool], *, held: bool) -> None:
        """Wait until the clients' proxies follow the mesh configuration: istiod may read it from a mounted file."""
        deadline = time.monotonic() + self.timeouts.mesh
        clients = [client for client in self.world.clients if self.world.pod(client).injected]
        while True:
            self._settle()
            if all(arrived(self.config(client)) is held for client in clients):
                return
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"the proxies did not follow the mesh configuration within {self.timeouts.mesh:g} s: is istiod's "
                    f"configuration the ConfigMap {self.names.mesh.config_map} in {self.names.mesh.control_plane}?"
                )
            threading.Event().wait(0.5)

    def leave(self) -> None:
        """Clean: remove what the last case applied."""
        self._remove(self._applied)
        self._applied = []
        self._case = None

    def refusal(self, manifest: Path) -> str | None:
        """Ask the API (validation webhooks included) for its answer to a manifest; None where it takes it."""
        self.stage()
        try:
            self._applier.dry_run(load([manifest]), CASE_NAMESPACE)
        except RefusedError as error:
            return str(error)
        return None

    def config(self, client: str) -> ProxyConfig:
        """Return the configuration of a client's proxy, as it is when it is asked for."""
        return ProxyConfig(self.api, self.pod(client))

    def pod(self, client: str) -> Pod:
        """Return the ready pod of a client: `<app label>.<namespace>`, or a user's own workload."""
        if not is_workload(client):
            self.stage()
        return self.world.pod(client)

    def gateway_config(self) -> ProxyConfig:
        """Return the configuration of the egress gateway: of its first pod, for all have the same."""
        if changed(self.api, self.witnesses.gateways()):
            self.witnesses.forget()  # it was restarted
        pods = self.witnesses.gateways()
        if not pods:
            raise ClusterError("the mesh has no ready egress gateway whose configuration could be read")
        return ProxyConfig(self.api, pods[0])

    def read(self, api_version: str, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        """Read a resource, None where there is none; names are those of the manifests."""
        try:
            found = self.api.resource(api_version, kind).get(name=name, namespace=self.names.namespace(namespace))
        except ApiException as error:
            if error.status == 404:
                return None
            raise ClusterError(f"{kind} {name} can't be read: {reason(error)}") from error
        resource: dict[str, Any] = found.to_dict()
        return resource

    def examine(self, expectations: Sequence[Expectation]) -> list[Verdict]:
        """Probe, witness and judge, all expectations side by side.

        A mesh is told not to hold only if nothing else explains it: what was seen while a server, client or gateway
        was restarted, or another run had the mesh changed, is asked again from the start; in the middle of a case it
        is an error.
        """
        verdicts = self._converged(expectations)
        for _ in range(ASKED_AGAIN):
            if all(verdict.holds for verdict in verdicts) or not (disturbed := self._disturbances.look()):
                return verdicts
            case, self._case = self._case, None
            if case is None:
                raise ClusterError(f"{disturbed}: what was seen then says nothing about the mesh")
            self.enter(case)
            verdicts = self._converged(expectations)
        if all(verdict.holds for verdict in verdicts) or not (disturbed := self._disturbances.look()):
            return verdicts
        raise ClusterError(f"{disturbed}, again and again: what was seen says nothing about the mesh")

    def check_undisturbed(self) -> None:
        """Raise ClusterError where something else than the mesh may be why a fact is not as documented."""
        if found := self._disturbances.look():
            raise ClusterError(f"{found}: what was seen then says nothing about the mesh")

    def _converged(self, expectations: Sequence[Expectation]) -> list[Verdict]:
        """Ask until all hold or the time to converge is up.

        Istio is consistent in the end, not at once: what does not hold is asked again until it does or its time is
        up. How often is part of the verdict.
        """
        if not expectations:
            return []
        if not all(probe.literal for probe, _ in expectations):
            self.stage()
        for gateway in {outcome.gateway.at for _, outcome in expectations if outcome.gateway}:
            self._gateway_pods(gateway)  # one that Istio has yet to bring up is waited for: no part of converging
        deadline = max(time.monotonic() + self.timeouts.converge, self._disturbances.unsettled_until)
        verdicts = self._ask(expectations, attempt=1)
        attempt = 1
        while time.monotonic() < deadline:
            again = [index for index, verdict in enumerate(verdicts) if not verdict.holds]
            if not again:
                break
            threading.Event().wait(0.2)  # a proxy that is behind is not helped by a flood of questions
            attempt += 1
            answers = self._ask([expectations[index] for index in again], attempt)
            for index, verdict in zip(again, answers, strict=True):
                verdicts[index] = verdict
        return [verdict if verdict.holds else self._inquiry.into(verdict) for verdict in verdicts]

    def _ask(self, expectations: Sequence[Expectation], attempt: int) -> list[Verdict]:
        """Ask once. All are sent before any is looked up in a log: they share the second in which Envoy writes it."""
        expected = [documented if probe.literal else self._real(documented) for probe, documented in expectations]
        again = attempt > 1
        with self.phases.phase("probe again" if again else "probe"), ThreadPoolExecutor(AT_ONCE) as pool:
            exchanges = list(pool.map(self._probe, [probe for probe, _ in expectations]))
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
        given = {name: self.names.manifest(value) for name, value in vars(outcome).items() if name not in _HOPS}
        hops = {name: hop for name in _HOPS if (hop := getattr(outcome, name)) is not None}
        for name, hop in hops.items():
            given[name] = replace(hop, **{field: self.names.manifest(value) for field, value in vars(hop).items()})
        return replace(outcome, **given)

    def _probe(self, probe: Probe) -> Exchange:
        """Run curl in the client's pod. Its user agent is unique: Envoy's log line carries it."""
        user_agent = f"istio-egress/{uuid.uuid4().hex[:12]}"
        command = [word if probe.literal else self.names.text(word) for word in probe.command(user_agent)]
        pod = self.world.pod(probe.client)
        try:
            return self._probe_in(pod, probe, command)
        except (GoneError, NoCurlResultError):
            if not self.world.replaced(probe.client, pod):
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

    def _gateway_pods(self, at: str | None) -> list[Pod]:
        """Return the pods of a gateway; none where Istio brought none up in time, so that no line can be seen."""
        if at is None:
            return self.witnesses.gateways()
        if at not in self._absent:
            try:
                return [self.world.pod(at)]
            except NoPodError:
                self._absent.add(at)
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
        if expected.gateway is not None and line is not None:
            pods = self._gateway_pods(expected.gateway.at)
            if pods or expected.gateway.at is None:
                gateway = self.witnesses.gateway_line(line, pods, since=exchange.began, timeout=self.timeouts.log_line)
            addresses = {**addresses, "gateway": frozenset(pod.address for pod in pods)}
        proxy = None
        if expected.proxy is not None and line is not None:
            timeout = self.timeouts.log_line
            for pod in self.world.forward_proxies:
                proxy = self.witnesses.proxy_line(gateway or line, pod, since=exchange.began, timeout=timeout)
        return replace(exchange, sidecar=line, gateway=gateway, proxy=proxy, addresses=addresses)
