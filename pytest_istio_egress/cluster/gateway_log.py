"""Whether the access log of the mesh's own egress gateway can serve as evidence, by the gateway's configuration."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from pytest_istio_egress.cluster.admin import NoAnswerError
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.apply import Applier, load
from pytest_istio_egress.cluster.log_config import COMPARED
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.poll import poll
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.model.access_log import parse_line

_NAMESPACE = "egress-client"


def problem_of(api: Api, pods: list[Pod]) -> str | None:
    """Return why the log of these gateway pods cannot serve, empty where it can; None where they handle no requests."""
    problems = [_problem(ProxyConfig(api, pod), api.timeouts.log_line) for pod in pods]
    return next(filter(None, problems), None if None in problems or not problems else "")


def _problem(gateway: ProxyConfig, log_line: float) -> str | None:
    """Return `log_problem`, or that the configuration cannot be read, or that lines come too late for `log_line`."""
    try:
        problem = gateway.log_problem(parse_line, COMPARED)
    except NoAnswerError:
        return "the gateway's configuration cannot be read at the admin interface, port 15000 (proxyAdminPort)"
    if problem == "" and (interval := gateway.log_flush_interval()) >= log_line:
        return f"the gateway writes it only once in {interval:g} s (fileFlushInterval)"
    return problem


class GatewayLogCheck:
    """Gives a gateway that handles no requests yet a listener, to see its log; the result is cached.

    `ensure` creates the run's namespaces; `pods` returns those of the gateway. The listener must come within `timeout`
    seconds; without it nothing is known, and the tests show what the gateway does.
    """

    def __init__(
        self,
        api: Api,
        names: Names,
        ensure: Callable[[], None],
        pods: Callable[[], list[Pod]],
        manifests: Path,
        *,
        timeout: float,
    ) -> None:
        self.api = api
        self.names = names
        self._ensure = ensure
        self._pods = pods
        self.manifests = manifests
        self.timeout = timeout

    @cached_property
    def problem(self) -> str:
        """Why the log cannot serve as evidence; empty where it can, or where that could not be found out."""
        pods = self._pods()
        known = problem_of(self.api, pods)
        if known is not None or not pods:
            return known or ""
        self._ensure()
        applier = Applier(self.api, self.names)
        resources = applier.apply(load([self.manifests / "gateway_log.yaml"]), _NAMESPACE)
        try:
            poll(lambda: problem_of(self.api, pods) is not None, every=0.2, timeout=self.timeout)
            return problem_of(self.api, pods) or ""
        finally:
            applier.remove(resources)
