"""The `egress` fixture's object: what a test function calls to verify outcomes and to read the mesh."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_istio_egress.model.case import CASE_NAMESPACE, Case
from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.model.probe import CLIENT, Probe
from pytest_istio_egress.pipeline.own_hosts import check_expectation
from pytest_istio_egress.pipeline.verdicts import Verdicts, error_of, proof
from pytest_istio_egress.verdict.diagnosis import CONTROL_FAILED, configuration
from pytest_istio_egress.verdict.failure_text import check_failure, probe_failure
from pytest_istio_egress.verdict.verdict import Answer, Expectation, NoVerdict, Verdict

if TYPE_CHECKING:
    # Every test names Egress; collecting them must not load the Kubernetes client.
    from pytest_istio_egress.cluster.names import Names
    from pytest_istio_egress.cluster.proxy_config import ProxyConfig
    from pytest_istio_egress.pipeline.case_setup import CaseSetup
    from pytest_istio_egress.pipeline.runner import CaseRunner


class MismatchError(AssertionError):
    """The mesh does not behave as documented; the text is what an engineer reads first.

    `differences` and `cause` are the same as data, with the manifests' names.
    """

    def __init__(self, text: str, differences: Sequence[Difference], cause: str = "") -> None:
        super().__init__(text)
        self.differences = tuple(differences)
        self.cause = cause


class Egress:
    """One test in its configured mesh. `record` gets every verdict, whether it passed or failed.

    `collect` collects the evidence of a failure, at once: the test's resources may be gone a moment later.
    """

    def __init__(
        self,
        runner: CaseRunner,
        case_setup: CaseSetup,
        case: Case,
        verdicts: Verdicts,
        *,
        record: Callable[[Verdict], None],
        collect: Callable[[Verdict | None], None] = lambda _: None,
    ) -> None:
        self.runner = runner
        self.case_setup = case_setup
        self.case = case
        self._verdicts = verdicts
        self._record = record
        self._collect = collect

    def expect(self, probe: Probe, expected: Outcome) -> Verdict:
        """Verify one outcome; raises MismatchError, with all evidence, where it is not seen.

        The parameters of a test were probed when the test was set up; here each takes its own verdict. Any further call
        sends the probe again.
        """
        expectation = probe, expected.for_probe(probe)
        check_expectation(expectation)
        answer = self._verdicts.take(expectation)
        if answer is None:
            self._verdicts.add(self.runner.verify([expectation]))
            answer = self._verdicts.take(expectation)
        assert answer is not None, "the runner returns an answer to each expectation"
        return self._recorded(self.with_control(answer))

    def expect_all(self, *expectations: Expectation) -> None:
        """Verify several outcomes side by side, also from users' own workloads; each is recorded, whatever failed."""
        pairs = [(probe, expected.for_probe(probe)) for probe, expected in expectations]
        for pair in pairs:
            check_expectation(pair)
        missing = [pair for pair in pairs if not self._verdicts.pending(pair)]
        self._verdicts.add(self.runner.verify(missing, own_at_once=len(missing)))
        failures = []
        for probe, expected in expectations:
            try:
                self.expect(probe, expected)
            except MismatchError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    @contextmanager
    def while_sending(self, *expectations: Expectation) -> Iterator[None]:
        """Send probes that last while the block of the `with` runs, and verify their outcomes at its end.

        They are sent once: a second attempt would have nothing beside it. So the test first verifies, by a control,
        that its configuration has arrived, and in the block waits until the proxy has these requests (`wait_until`).
        """
        pairs = [(probe, expected.for_probe(probe)) for probe, expected in expectations]
        for pair in pairs:
            check_expectation(pair)
        with self.runner.sending(pairs) as answers:
            yield
        self._verdicts.add(answers)
        for probe, expected in expectations:
            self.expect(probe, expected)

    def raise_errors(self, expectations: Iterable[Expectation]) -> None:
        """Raise the error of a parameter whose probe, or the control of whose block, ended in one.

        Called in the test's setup, so that pytest shows an error, and not a failure.
        """
        for expectation in expectations:
            if answer := self._verdicts.pending(expectation):
                self.with_control(answer)

    def check(self, what: str, seen: object, expected: object) -> None:
        """Compare a value of a proxy's configuration, or of the API, with the documented one."""
        if seen != expected:
            self._fail(Difference("cluster", what, str(expected), str(seen)))

    def wait_until(self, what: str, reached: Callable[[ProxyConfig], bool], client: str = CLIENT) -> None:
        """Wait until a client's proxy reaches a state by itself, no longer than configuration may take to arrive."""
        self.check(what, self._awaited(lambda: reached(self.config(client)), expected=True), expected=True)

    def expect_condition(
        self, api_version: str, kind: str, name: str, condition: str, expected: str, namespace: str = CASE_NAMESPACE
    ) -> None:
        """Expect a condition in a resource's status, `STATUS: REASON` or `none`; a controller may write it late."""
        seen = self._awaited(lambda: self._condition(api_version, kind, name, condition, namespace), expected)
        self.check(f"condition {condition} of {kind} {name}", seen, expected)

    def _awaited(self, see: Callable[[], Any], expected: Any) -> Any:
        """Return what is seen once it is as expected, or once configuration may take no longer to arrive."""
        deadline = time.monotonic() + self.runner.context.timeouts.settle
        while (seen := see()) != expected and time.monotonic() < deadline:
            threading.Event().wait(0.2)
        return seen

    def _condition(self, api_version: str, kind: str, name: str, condition: str, namespace: str) -> str:
        status = self.resource(api_version, kind, name, namespace).get("status") or {}
        found = (each for each in status.get("conditions") or [] if each["type"] == condition)
        return next((f"{each['status']}: {each.get('reason', '')}" for each in found), "none")

    def apply(self, manifest: str) -> None:
        """Apply one more manifest of the test's folder, and wait until the proxies have it."""
        self.case_setup.add(self._path(manifest))
        self._verdicts.clear()

    def remove(self, manifest: str) -> None:
        """Delete the resources of a manifest, and wait until the proxies have lost them."""
        self.case_setup.remove(self._path(manifest))
        self._verdicts.clear()

    @contextmanager
    def changed_mesh_config(self, changes: Mapping[str, Any], arrived: Callable[[ProxyConfig], bool]) -> Iterator[None]:
        """Change fields of the mesh configuration for a while (only in mesh_wide/).

        `arrived` tells from a proxy's configuration whether it follows the change.
        """
        self._verdicts.clear()
        with self.runner.changed_mesh_config(changes, arrived):
            yield
        self._verdicts.clear()

    def config(self, client: str = CLIENT) -> ProxyConfig:
        """Return the configuration of a client's proxy."""
        return self.case_setup.config(client)

    def gateway_config(self) -> ProxyConfig:
        """Return the configuration of the mesh's egress gateway."""
        return self.case_setup.gateway_config()

    def pod(self, client: str = CLIENT) -> dict[str, Any]:
        """Read a client's pod (`<app label>.<namespace>`) from the API."""
        pod = self.case_setup.pod(client)
        return self.resource("v1", "Pod", pod.name, pod.namespace)

    def in_cluster(self, text: str) -> str:
        """Return a text with the run's names in place of the manifests'."""
        self.case_setup.ensure_environment()
        return self._names.render(text)

    @property
    def telemetry_services(self) -> tuple[str, ...]:
        """The hosts that proxies send traces and logs to: every Sidecar of the run includes them."""
        return self._names.mesh.telemetry_services

    @property
    def ip_families(self) -> tuple[str, ...]:
        """The IP families of the cluster's pods, `IPv4` and `IPv6`, the first one first."""
        return self._names.mesh.ip_families

    def resource(self, api_version: str, kind: str, name: str, namespace: str = CASE_NAMESPACE) -> dict[str, Any]:
        """Read a resource by the manifests' names; where it does not exist, the test fails."""
        content = self.case_setup.read(api_version, kind, name, namespace)
        self.check(f"{kind} {name}", "exists" if content is not None else "does not exist", "exists")
        return content or {}

    def expect_rejected(self, manifest: str) -> str:
        """Expect that a dry run rejects a manifest, and return the API server's answer."""
        answer = self.case_setup.rejection(self._path(manifest))
        if answer is None:
            self._fail(Difference("cluster", manifest, "rejected", "accepted"), configuration.not_rejected())
        return answer or ""

    def expect_accepted(self, manifest: str) -> None:
        """Expect that a dry run accepts a manifest: the control beside a rejection."""
        answer = self.case_setup.rejection(self._path(manifest))
        if answer is not None:
            self._fail(
                Difference("cluster", manifest, "accepted", f"rejected: {answer}"),
                configuration.manifest_rejected(answer),
            )

    @property
    def _names(self) -> Names:
        return self.case_setup.context.names

    def _path(self, manifest: str) -> Path:
        return self.case.folder / manifest

    def _fail(self, difference: Difference, cause: str = "") -> None:
        """Raise MismatchError for a check, unless something other than the mesh may explain it."""
        self.runner.check_interference()
        self._collect(None)
        shown = difference.unrendered(self._names.unrender)
        raise MismatchError(check_failure(self.case, [shown], cause), [shown], cause)

    def with_control(self, answer: Answer) -> Verdict:
        """Return the verdict; a block without a control fails, for a client that reaches nothing proves nothing.

        Raises the error where there is no verdict, or where the control has none.
        """
        if isinstance(answer, NoVerdict):
            raise answer.error
        if not (self.runner.require_control and answer.expected.blocked and answer.passed):
            return answer
        controls = self._verdicts.controls(answer)
        if proof(controls):
            return answer
        if error := error_of(controls):
            raise error
        urls = ", ".join(control.probe.url for control in controls) or "no control was sent"
        difference = Difference("control", "request of the same client", "passed", f"failed ({urls})")
        return replace(answer, differences=(difference,), cause=CONTROL_FAILED)

    def _recorded(self, verdict: Verdict) -> Verdict:
        if not verdict.passed:
            self._collect(verdict)
        self._record(verdict)
        if not verdict.passed:
            unrender = self._names.unrender
            differences = [difference.unrendered(unrender) for difference in verdict.differences]
            raise MismatchError(probe_failure(self.case, verdict, unrender), differences, unrender(verdict.cause))
        return verdict
