"""A pytest plugin for causes.py: breaks what a copied case applies, and the mesh that it finds.

Nothing of the suite is imported at the top: a plugin that is named by `-p` comes before pytest has prepared it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broken import Broken, load

if TYPE_CHECKING:
    from pytest_istio_egress.cluster.api import Api
    from pytest_istio_egress.model.case import Case
    from pytest_istio_egress.pipeline.runner import CaseRunner

CONVERGE = 3.0
"""Seconds until a verdict is final: what was broken does not mend itself."""
ALONE = frozenset({"without_istiod", "nothing_sent"})
"""What concerns the whole mesh: nothing else may run beside it."""


def pytest_configure() -> None:
    """Have the judge break what it applies, in every worker."""
    from importlib import import_module

    # The names that they use are changed, not those that they have them from.
    runner: Any = import_module("pytest_istio_egress.pipeline.runner")
    case_setup: Any = import_module("pytest_istio_egress.pipeline.case_setup")
    known = {broken.folder: broken for broken in load()}
    stage: list[Broken] = []
    everything, enter = case_setup.load, runner.CaseRunner.enter

    def broken_documents(files: Iterable[Path]) -> list[dict[str, Any]]:
        documents = everything(files)
        return stage[-1].documents(documents) if stage else documents

    def broken_enter(self: CaseRunner, case: Case) -> bool:
        self.timeouts = replace(self.timeouts, converge=CONVERGE)
        broken = known.get(case.folder.name)
        stage[:] = [broken] if broken else []
        self.case_setup.ensure_environment()  # while the mesh is whole
        with DURING[broken.live](self) if broken and broken.live else _nothing(self) as afterwards:
            entered: bool = enter(self, case)
        if entered and afterwards is not None:
            afterwards()
        return entered

    case_setup.load = broken_documents
    runner.CaseRunner.enter = broken_enter


@contextmanager
def _nothing(_: CaseRunner) -> Iterator[Callable[[], None] | None]:
    yield None


@contextmanager
def _stop_envoy(runner: CaseRunner) -> Iterator[Callable[[], None] | None]:
    """Have the guest's Envoy close its listeners: it runs on, and takes nothing."""
    from pytest_istio_egress.cluster.pods import PROXY, run

    address = "http://127.0.0.1:15000/drain_listeners"
    yield lambda: _done(
        run(runner.api, runner.environment.pod(_guest(runner)), ["curl", "-sX", "POST", address], container=PROXY)
    )


@contextmanager
def _without_istiod(runner: CaseRunner) -> Iterator[Callable[[], None] | None]:
    """Have no istiod while the case's configuration is applied; what it validates is refused then."""
    _scale(runner.api, 0)
    try:
        yield None
    finally:
        _scale(runner.api, 1)


@contextmanager
def _nothing_sent(runner: CaseRunner) -> Iterator[Callable[[], None] | None]:
    """Have no istiod, and its webhooks out of the way: the API takes the configuration, and no proxy gets it."""
    from kubernetes import client

    with _without_istiod(runner):
        admission = client.AdmissionregistrationV1Api(runner.api.client)
        for found in admission.list_validating_webhook_configuration().items:
            for webhook in found.webhooks:
                webhook.failure_policy = "Ignore"  # istiod puts it back once it runs again
            admission.replace_validating_webhook_configuration(found.metadata.name, found)
        yield None


DURING: dict[str, Callable[[CaseRunner], Any]] = {
    "stop_envoy": _stop_envoy,
    "without_istiod": _without_istiod,
    "nothing_sent": _nothing_sent,
}
"""What `live` may be: around the entering of a case; what is yielded is done once the case is entered."""


def _guest(runner: CaseRunner) -> str:
    return next(client for client in runner.environment.clients if not client.startswith("sleep."))


def _done(ran: Any) -> None:
    if ran.exit != 0:
        raise RuntimeError(f"the mesh could not be broken: {ran.stderr}")


def _scale(api: Api, replicas: int) -> None:
    """Set the number of istiods and wait until it is reached; webhooks need one, so all others go first."""
    import threading

    from kubernetes import client

    apps = client.AppsV1Api(api.client)
    apps.patch_namespaced_deployment_scale("istiod", "istio-system", {"spec": {"replicas": replicas}})
    while (apps.read_namespaced_deployment("istiod", "istio-system").status.ready_replicas or 0) != replicas:
        threading.Event().wait(0.2)
