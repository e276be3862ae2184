"""Finds out whether the cluster enforces NetworkPolicy: by a pod that is cut off or not, never by a plugin's name."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.apply import Applier, load
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.pods import Pod, run
from pytest_istio_egress.cluster.readiness import ready_pod

_NAMESPACE = "egress-client"
_APP = "policy-probe"
_SERVER = "192.0.2.80"


class NetworkPolicyCheck:
    """Asked for when the first case needs to know, and then kept: the probe costs a pod and some seconds.

    A pod of its own gets through to the outside, then a policy that denies it everything comes; a cluster that
    enforces policies cuts the pod off within `timeout` seconds. `environment` returns the names of the run's own clients and
    servers, once they are there.
    """

    def __init__(
        self,
        api: Api,
        names: Names,
        ensure: Callable[[], None],
        manifests: Path,
        *,
        ready: float,
        timeout: float,
    ) -> None:
        self.api = api
        self.names = names
        self._ensure = ensure
        self.manifests = manifests
        self.ready = ready
        self.timeout = timeout

    @cached_property
    def network_policy(self) -> str | None:
        """None where a policy cuts the pod off, else why it can't be said to."""
        self._ensure()
        names = self.names
        applier = Applier(self.api, names)
        workload, policy = (load([self.manifests / name]) for name in ("policy_probe.yaml", "policy_deny_all.yaml"))
        resources = applier.resources([*workload, *policy], _NAMESPACE)
        try:
            applier.apply(workload, _NAMESPACE)
            pod = ready_pod(self.api, names.namespace(_NAMESPACE), f"app={_APP}", timeout=self.ready)
            url = names.render(f"http://{_SERVER}/status/200")
            if not self._gets_through(pod, url):
                return "whether NetworkPolicy is enforced can't be found out: a pod gets nowhere without a policy, too"
            applier.apply(policy, _NAMESPACE)
            return None if self._is_cut_off(pod, url) else self._not_enforced()
        finally:
            applier.remove(resources)

    def _is_cut_off(self, pod: Pod, url: str) -> bool:
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline:
            if not self._gets_through(pod, url):
                return True
        return False

    def _gets_through(self, pod: Pod, url: str) -> bool:
        return run(self.api, pod, ["curl", "--silent", "--output", "/dev/null", "--max-time", "2", url]).exit == 0

    def _not_enforced(self) -> str:
        return (
            "the cluster's network plugin does not enforce NetworkPolicy: a pod under a policy that denies all egress "
            f"still got out after {self.timeout:g} s"
        )
