"""A pytest plugin for causes.py: breaks the manifests of a copied test, or the running mesh around its setup."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from broken import Broken, load

if TYPE_CHECKING:  # a plugin named by -p is loaded before the suite's own
    from pytest_istio_egress.cluster.api import Api
    from pytest_istio_egress.model.case import Case
    from pytest_istio_egress.pipeline.runner import CaseRunner

ENTRIES = "BROKEN_ENTRIES"
"""The environment variable with the path of the entries' file."""
CONVERGE = 3.0
"""Seconds in which a parameter that fails is probed again: nothing repairs the broken mesh."""
ALONE = frozenset({"without_istiod", "nothing_sent", "opted_out_pod", "namespace_left"})
"""What concerns the whole mesh: no other test may run at the same time."""


@pytest.hookimpl(optionalhook=True)
def pytest_istio_egress_runner(runner: CaseRunner) -> None:
    """Break the tests that broken.yaml names, in every worker."""
    breaker = Breaker(runner)
    runner.converge = CONVERGE
    runner.entering = breaker.entering
    runner.case_setup.first_manifests = breaker.manifests


class Breaker:
    """Knows which entry of broken.yaml the current test belongs to."""

    def __init__(self, runner: CaseRunner) -> None:
        self._runner = runner
        self._by_folder = {broken.folder: broken for broken in load(Path(os.environ[ENTRIES]))}
        self._current: Broken | None = None

    @contextmanager
    def entering(self, case: Case) -> Iterator[None]:
        """Break the running mesh while the test is set up, where its entry asks for that."""
        self._current = self._by_folder.get(case.folder.name)
        self._runner.case_setup.ensure_environment()  # while the mesh is whole
        action = LIVE[self._current.live] if self._current else _nothing
        with action(self._runner):
            yield

    def manifests(self, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the current test's documents, broken."""
        return self._current.documents(documents) if self._current else documents


def _nothing(_: CaseRunner) -> AbstractContextManager[None]:
    return nullcontext()


@contextmanager
def _stop_envoy(runner: CaseRunner) -> Iterator[None]:
    """Have the Envoy of the test's own client close its listeners: it still runs, and accepts no connection."""
    from pytest_istio_egress.cluster.commands import run
    from pytest_istio_egress.cluster.pods import PROXY

    yield
    environment = runner.context.environment
    client = next(client for client in environment.clients if not client.startswith("sleep."))
    address = "http://localhost:15000/drain_listeners"
    ran = run(runner.context.api, environment.pod(client), ["curl", "-sX", "POST", address], container=PROXY)
    if ran.exit != 0:
        raise RuntimeError(f"cannot stop the Envoy of {client}: {ran.stderr}")


@contextmanager
def _without_istiod(runner: CaseRunner) -> Iterator[None]:
    """Have no istiod while the test's manifests are applied: its webhook cannot be called then."""
    _scale(runner.context.api, 0)
    try:
        yield
    finally:
        _scale(runner.context.api, 1)


@contextmanager
def _nothing_sent(runner: CaseRunner) -> Iterator[None]:
    """Have no istiod, and its webhooks ignored: the API accepts the configuration, and no proxy gets it."""
    from kubernetes import client

    with _without_istiod(runner):
        admission = client.AdmissionregistrationV1Api(runner.context.api.client)
        for configuration in admission.list_validating_webhook_configuration().items:
            for webhook in configuration.webhooks:
                webhook.failure_policy = "Ignore"  # istiod resets it when it runs again
            admission.replace_validating_webhook_configuration(configuration.metadata.name, configuration)
        yield


@contextmanager
def _opted_out_pod(runner: CaseRunner) -> Iterator[None]:
    """Have the ambient client's pod leave the ambient mesh, as a label of its own does."""
    from pytest_istio_egress.model.ambient_names import DATAPLANE_MODE

    yield
    pod = runner.context.environment.pod("sleep.egress-ambient")
    opted_out = {"metadata": {"labels": {DATAPLANE_MODE: "none"}}}
    runner.context.api.core.patch_namespaced_pod(pod.name, pod.namespace, opted_out)
    _await_release(runner)


@contextmanager
def _namespace_left(runner: CaseRunner) -> Iterator[None]:
    """Have the ambient client's namespace leave the ambient mesh."""
    from pytest_istio_egress.model.ambient_names import DATAPLANE_MODE

    yield
    namespace = runner.context.environment.pod("sleep.egress-ambient").namespace
    runner.context.api.core.patch_namespace(namespace, {"metadata": {"labels": {DATAPLANE_MODE: None}}})
    _await_release(runner)


def _await_release(runner: CaseRunner) -> None:
    """Wait until Istio's CNI agent has ended the redirection of the ambient client's pod."""
    from pytest_istio_egress.model.ambient_names import REDIRECTION

    pod = runner.context.environment.pod("sleep.egress-ambient")
    while REDIRECTION in (
        runner.context.api.core.read_namespaced_pod(pod.name, pod.namespace).metadata.annotations or {}
    ):
        time.sleep(0.2)
    runner.context.environment.forget()


LIVE: dict[str, Callable[[CaseRunner], AbstractContextManager[None]]] = {
    "": _nothing,
    "stop_envoy": _stop_envoy,
    "without_istiod": _without_istiod,
    "nothing_sent": _nothing_sent,
    "opted_out_pod": _opted_out_pod,
    "namespace_left": _namespace_left,
}
"""By the value of `live` in broken.yaml: a context manager around the setup of the test."""


def _scale(api: Api, replicas: int) -> None:
    """Set the number of istiod's replicas, and wait until it is reached."""
    from kubernetes import client

    apps = client.AppsV1Api(api.client)
    apps.patch_namespaced_deployment_scale("istiod", "istio-system", {"spec": {"replicas": replicas}})
    while (apps.read_namespaced_deployment("istiod", "istio-system").status.ready_replicas or 0) != replicas:
        time.sleep(0.2)
