"""NetworkPolicies: whether the cluster enforces them, and the ones that a policy engine adds.

A pod reaches an external server; then a policy denies all its egress. A cluster that enforces policies cuts it off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.apply import RUN_LABEL, Applier, load, resource_of
from pytest_istio_egress.cluster.commands import run
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.readiness import ready_pod
from pytest_istio_egress.model.probe import OUTSIDE

_NAMESPACE = "egress-client"
_APP = "policy-probe"


class NetworkPolicyCheck:
    """Checks with a pod whether NetworkPolicy is enforced; the result is cached, for it costs a pod and some seconds.

    `ensure` creates the run's clients and servers. The pod must be ready within `ready` seconds and cut off within
    `timeout` seconds after the policy was applied.
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
    def not_enforced(self) -> str | None:
        """Why policies are not, or may not be, enforced; None where they are."""
        self._ensure()
        names = self.names
        applier = Applier(self.api, names)
        workload, policy = (
            [applier.rendered(document, _NAMESPACE) for document in load([self.manifests / name])]
            for name in ("policy_probe.yaml", "policy_deny_all.yaml")
        )
        try:
            for document in workload:
                applier.send(document)
            pod = ready_pod(self.api, names.namespace(_NAMESPACE), f"app={_APP}", timeout=self.ready)
            url = names.render(f"http://{OUTSIDE}/status/200")
            if not self._reaches(pod, url):
                return "cannot test whether NetworkPolicy is enforced: the pod has no egress even without a policy"
            for document in policy:
                applier.send(document)
            return None if self._is_cut_off(pod, url) else self._reason()
        finally:
            applier.remove([resource_of(document) for document in (*workload, *policy)])

    def _is_cut_off(self, pod: Pod, url: str) -> bool:
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline:
            if not self._reaches(pod, url):
                return True
        return False

    def _reaches(self, pod: Pod, url: str) -> bool:
        command = ["curl", "--silent", "--noproxy", "*", "--output", "/dev/null", "--max-time", "2", url]
        return run(self.api, pod, command).exit == 0

    def _reason(self) -> str:
        return (
            "the network plugin does not enforce NetworkPolicy: a pod under a policy that denies all egress still had "
            f"egress after {self.timeout:g} s"
        )


def foreign_policies(api: Api, namespaces: Iterable[str]) -> list[str]:
    """Return the policies in the run's namespaces that are not the run's: those of a policy engine."""
    networking = client.NetworkingV1Api(api.client)
    names = []
    for namespace in namespaces:
        try:
            policies = networking.list_namespaced_network_policy(namespace, label_selector=f"!{RUN_LABEL}").items
        except ApiException as error:
            raise ClusterError(f"cannot list NetworkPolicies in {namespace}: {reason(error)}") from error
        names += [f"networkpolicy/{policy.metadata.name} -n {namespace}" for policy in policies]
    return names
