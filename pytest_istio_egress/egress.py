"""What a test function holds in its hand: ask for a documented outcome, look at a proxy's configuration."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_istio_egress.case import CASE_NAMESPACE, Case
from pytest_istio_egress.diagnosis import configuration
from pytest_istio_egress.evidence import CONTROL, Difference, Expectation, Verdict
from pytest_istio_egress.outcome import Outcome
from pytest_istio_egress.probe import CLIENT, Probe
from pytest_istio_egress.report.explanation import explain, explain_fact

if TYPE_CHECKING:
    # Every case names Egress; none shall load the Kubernetes client just to be collected.
    from pytest_istio_egress.cluster.proxy_config import ProxyConfig
    from pytest_istio_egress.judge import Judge


class DoesNotHoldError(AssertionError):
    """The mesh does not do as documented; the text is what an engineer would want to read."""


class Egress:
    """One case on the stage. `record` is told every verdict, whether it holds or not.

    `keep` gathers the evidence of what does not hold, at once: what the case brought may be gone a moment later.
    """

    def __init__(
        self,
        judge: Judge,
        case: Case,
        verdicts: Sequence[Verdict],
        record: Callable[[Verdict], None],
        keep: Callable[[Verdict | None], None] = lambda _: None,
    ) -> None:
        self.judge = judge
        self.case = case
        self._verdicts = list(verdicts)
        self._record = record
        self._keep = keep

    def expect(self, probe: Probe, expected: Outcome) -> Verdict:
        """Ask for an outcome; raises DoesNotHoldError, with all evidence, where it is not seen in time.

        What a case's parameters ask was asked side by side when the case was entered; here it is looked up.
        """
        verdict = self._beside_control(self._known((probe, expected)) or self._ask((probe, expected)))
        if trouble := verdict.surroundings.log_trouble:
            from pytest_istio_egress.cluster.logs import NoWitnessError  # loads the Kubernetes client

            raise NoWitnessError(trouble)
        if not verdict.holds:
            self._keep(verdict)
        self._record(verdict)
        if not verdict.holds:
            raise DoesNotHoldError(explain(self.case, verdict, self.judge.names))
        return verdict

    def expect_all(self, *expectations: Expectation) -> None:
        """Ask for several outcomes side by side: Envoy writes its log once a second, and they share that second."""
        self._verdicts += self.judge.examine([asked for asked in expectations if not self._known(asked)])
        for probe, expected in expectations:
            self.expect(probe, expected)

    def state(self, what: str, expected: object, seen: object) -> None:
        """Hold a fact of a proxy's configuration or of the API against what is documented."""
        if expected != seen:
            self.judge.check_undisturbed()
            self._keep(None)
            raise DoesNotHoldError(
                explain_fact(self.case, self.judge.names.plain(str(Difference(what, str(expected), str(seen)))))
            )

    def until(self, what: str, reached: Callable[[ProxyConfig], bool], client: str = CLIENT) -> None:
        """Wait until a client's proxy has come so far by itself, no longer than configuration may take to settle."""
        deadline = time.monotonic() + self.judge.timeouts.settle
        while not (there := reached(self.config(client))) and time.monotonic() < deadline:
            threading.Event().wait(0.2)
        self.state(f"whether {what}", expected=True, seen=there)

    def apply(self, manifest: str) -> None:
        """Apply one more manifest, from beside the case's own, and wait until the proxies have it."""
        self.judge.staging.add(self._beside(manifest))
        self._verdicts.clear()

    def remove(self, manifest: str) -> None:
        """Remove what a manifest brought, and wait until the proxies have lost it."""
        self.judge.staging.take_away(self._beside(manifest))
        self._verdicts.clear()

    @contextmanager
    def mesh(self, changes: Mapping[str, Any], arrived: Callable[[ProxyConfig], bool]) -> Iterator[None]:
        """Change fields of the mesh's own configuration for a while (cases in mesh_wide/ only)."""
        self._verdicts.clear()
        with self.judge.mesh(changes, arrived):
            yield
        self._verdicts.clear()

    def config(self, client: str = CLIENT) -> ProxyConfig:
        """Return the configuration of a client's proxy."""
        return self.judge.staging.config(client)

    def gateway_config(self) -> ProxyConfig:
        """Return the configuration of the mesh's egress gateway."""
        return self.judge.staging.gateway_config()

    def pod(self, client: str = CLIENT) -> dict[str, Any]:
        """Read a client's pod (`<app label>.<namespace>`) from the API."""
        pod = self.judge.staging.pod(client)
        return self.resource("v1", "Pod", pod.name, pod.namespace)

    def real(self, text: str) -> str:
        """Return a name of the manifests as it is in the cluster."""
        return self.judge.staging.built().text(text)

    def resource(self, api_version: str, kind: str, name: str, namespace: str = CASE_NAMESPACE) -> dict[str, Any]:
        """Read a resource of the case from the API; where there is none, the case does not hold."""
        found = self.judge.staging.read(api_version, kind, name, namespace)
        self.state(f"{kind} {name}", "there", "there" if found is not None else "none")
        return found or {}

    def refusal(self, manifest: str) -> str:
        """Have a manifest checked that must be refused, and return the API's answer; nothing of it is kept."""
        answer = self.judge.staging.refusal(self._beside(manifest))
        if answer is None:
            self.judge.check_undisturbed()
            self._keep(None)
            raise DoesNotHoldError(
                explain_fact(
                    self.case, f"{manifest}: expected to be refused, seen accepted", configuration.not_refused()
                )
            )
        return answer

    def accepted(self, manifest: str) -> None:
        """Have a manifest checked that must be taken: the control beside a refusal; nothing of it is kept."""
        answer = self.judge.staging.refusal(self._beside(manifest))
        if answer is not None:
            self.judge.check_undisturbed()
            self._keep(None)
            raise DoesNotHoldError(
                explain_fact(
                    self.case,
                    f"{manifest}: expected to be accepted, seen refused: {self.judge.names.plain(answer)}",
                    configuration.refused(answer),
                )
            )

    def _beside(self, manifest: str) -> Path:
        return self.case.folder / manifest

    def _known(self, expectation: Expectation) -> Verdict | None:
        return next((known for known in self._verdicts if (known.probe, known.expected) == expectation), None)

    def _ask(self, expectation: Expectation) -> Verdict:
        verdict = self.judge.examine([expectation])[0]
        self._verdicts.append(verdict)
        return verdict

    def _beside_control(self, verdict: Verdict) -> Verdict:
        """A block only counts beside a request that passed: a client that reaches nothing proves nothing."""
        if not verdict.expected.blocked or not verdict.holds:
            return verdict
        controls = [
            known
            for known in self._verdicts
            if known.probe.client == verdict.probe.client and not known.expected.blocked
        ]
        if any(control.holds for control in controls):
            return verdict
        tried = ", ".join(control.probe.url for control in controls) or "none was asked"
        return replace(verdict, differences=(Difference(CONTROL, "one that passes", f"none that does ({tried})"),))
