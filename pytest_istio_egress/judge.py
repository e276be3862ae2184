"""Judge: seen against documented; asked again while the mesh may converge, or where something else explains it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pytest_istio_egress.asking import Asking
from pytest_istio_egress.case import Case
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.cluster.witnesses import Witnesses
from pytest_istio_egress.cluster.world import World
from pytest_istio_egress.disturbances import Disturbances
from pytest_istio_egress.evidence import Expectation, Verdict
from pytest_istio_egress.inquiry import Inquiry
from pytest_istio_egress.phases import Phases
from pytest_istio_egress.staging import Staging
from pytest_istio_egress.timeouts import Timeouts

PAUSE, LONGEST_PAUSE = 0.2, 1.0
"""Seconds between two questions: most of what does not hold at once does so soon, what is left later or never."""
ASKED_AGAIN = 2
"""Times that a case starts afresh because something else than the mesh disturbed it."""


class Judge:
    """Takes cases one after the other through the pipeline, on one worker's part of the cluster."""

    def __init__(self, api: Api, world: World, witnesses: Witnesses, timeouts: Timeouts) -> None:
        self.api = api
        self.world = world
        self.witnesses = witnesses
        self.timeouts = timeouts
        self.phases = Phases()
        self.staging = Staging(api, world, witnesses, timeouts, self.phases)
        self._asking = Asking(self.staging)
        self._inquiry = Inquiry(self.staging, self._asking)
        self._disturbances = Disturbances(api, world, witnesses)

    @property
    def names(self) -> Names:
        """The run's names."""
        return self.world.names

    def enter(self, case: Case) -> bool:
        """Bring a case on stage; False where it is there already, as it began."""
        self._disturbances.begin()
        return self.staging.enter(case)

    @contextmanager
    def mesh(self, changes: Mapping[str, Any], arrived: Callable[[ProxyConfig], bool]) -> Iterator[None]:
        """Change the mesh's configuration for a while. `arrived` tells from a proxy's configuration that it holds."""
        self.staging.case = None
        self.staging.built()  # its proxies tell when the change has come
        settings = self._disturbances.settings
        before = settings.change(changes)
        try:
            self.staging.follow_mesh(arrived, held=True)
            yield
        finally:
            settings.put_back(before)
            try:
                self.staging.follow_mesh(arrived, held=False)
            finally:
                settings.release()
                self._disturbances.mesh_changed()

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
            case, self.staging.case = self.staging.case, None
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

    def _await_gateways(self, places: Iterable[str | None]) -> None:
        """Wait for gateways that Istio has yet to bring up, which is no part of converging, and for their endpoints."""
        known = self.world.found.known().keys()
        came = [self._asking.gateway_pods(at) for at in places if at is not None and at not in known]
        if any(came):
            self.staging.settle()

    def _converged(self, expectations: Sequence[Expectation]) -> list[Verdict]:
        """Ask until all hold or the time to converge is up.

        Istio is consistent in the end, not at once: what does not hold is asked again until it does or its time is
        up. How often is part of the verdict.
        """
        if not expectations:
            return []
        if not all(probe.literal for probe, _ in expectations):
            self.staging.built()
        self._await_gateways({outcome.gateway.at for _, outcome in expectations if outcome.gateway})
        deadline = max(time.monotonic() + self.timeouts.converge, self._disturbances.unsettled_until)
        verdicts = self._asking.ask(expectations, attempt=1)
        attempt = 1
        while time.monotonic() < deadline:
            again = [index for index, verdict in enumerate(verdicts) if not verdict.holds]
            if not again:
                break
            # A proxy that is behind is not helped by a flood of questions.
            threading.Event().wait(min(PAUSE * attempt, LONGEST_PAUSE))
            attempt += 1
            answers = self._asking.ask([expectations[index] for index in again], attempt)
            for index, verdict in zip(again, answers, strict=True):
                verdicts[index] = verdict
        return [verdict if verdict.holds else self._inquiry.into(verdict) for verdict in verdicts]
