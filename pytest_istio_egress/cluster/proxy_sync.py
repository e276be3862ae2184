"""Waits until proxies are in sync with everything that was applied, by a marker that is applied last.

istiod pushes to a proxy over one stream, in this order: clusters, endpoints, listeners, routes. The marker is an
EnvoyFilter, which no Sidecar resource can hide. It adds a listener (not bound to a port) whose route the proxy must
request:

    apply X, then marker n  ->  istiod: one snapshot with X and n
      -> proxy: clusters(X) endpoints(X) listeners(X, n) routes(X) | proxy requests the route of n -> routes(n)

Envoy reports listener n as active only when its route has arrived, and istiod responds to that request only after the
push. So an active marker means that the proxy has all of X, including deletions.

For the run's own gateway the marker contains its route, because istiod does not serve routes that no Gateway has. There
an active marker means that clusters, endpoints and listeners have arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pytest_istio_egress.cluster.admin import ADDRESS, admin
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.apply import Applier
from pytest_istio_egress.cluster.pods import CommandResult, GoneError, NotEndedError, Pod, run
from pytest_istio_egress.cluster.poll import poll
from pytest_istio_egress.cluster.rejections import error_states

MARKER = "istio-egress-marker"
_FIRST_PORT = 20_000
_HTTP = "type.googleapis.com/envoy.extensions.filters"

_PAUSE = 0.05
"""Seconds between two requests to a gateway, each of which is an exec."""

# Only shell builtins and curl: the image may have no grep.
_WAIT = """
i=0
while :; do
  case $(curl -s --noproxy '*' --max-time 2 '{address}/config_dump?resource=dynamic_listeners&name_regex=^{name}$') in
    *'"active_state"'*) exit 0 ;;
  esac
  i=$((i+1)); [ $i -lt {turns} ] || exit 9
  sleep 0.03
done
"""


class ProxyNotSyncedError(ClusterError):
    """A proxy did not receive or accept the configuration in time: an error of the run, not a failed test."""


def marker(number: int) -> dict[str, Any]:
    """Build the EnvoyFilter that adds marker `number` to every sidecar and gateway of its namespace."""
    requested = {
        "rds": {
            "route_config_name": str(_FIRST_PORT + number),
            "config_source": {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"},
        }
    }
    included = {"route_config": {"name": MARKER}}
    return {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": MARKER},
        "spec": {
            "configPatches": [
                _addition("SIDECAR_OUTBOUND", _listener(number, requested)),
                _addition("GATEWAY", _listener(number, included)),
            ]
        },
    }


def _addition(context: str, listener: dict[str, Any]) -> dict[str, Any]:
    patch = {"operation": "ADD", "value": listener}
    return {"applyTo": "LISTENER", "match": {"context": context}, "patch": patch}


def _listener(number: int, routes: dict[str, Any]) -> dict[str, Any]:
    manager = {
        "@type": f"{_HTTP}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": MARKER,
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_HTTP}.http.router.v3.Router"}}
        ],
        **routes,
    }
    return {
        "name": _name(number),
        "traffic_direction": "OUTBOUND",
        "bind_to_port": False,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": _FIRST_PORT + number}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _name(number: int) -> str:
    return f"{MARKER}-{number}"


class ProxySync:
    """Applies markers after configuration and waits until they are active."""

    def __init__(self, api: Api, applier: Applier, timeout: float) -> None:
        self.api = api
        self.applier = applier
        self.timeout = timeout
        self.number = 0

    def wait(self, clients: Sequence[Pod], gateways: Sequence[Pod] = ()) -> None:
        """Wait until the proxies of these pods have everything that was applied; raises ProxyNotSyncedError.

        `clients` are injected pods with curl and a shell in one container; `gateways` have only the proxy.
        """
        self.number += 1
        for namespace in sorted({pod.namespace for pod in (*clients, *gateways)}):
            self.applier.apply([marker(self.number)], namespace)
        with ThreadPoolExecutor(max(1, len(clients) + len(gateways))) as pool:
            waits = [pool.submit(self._wait, pod) for pod in clients]
            waits += [pool.submit(self._wait_at_gateway, pod) for pod in gateways]
            for wait in waits:
                wait.result()

    def _wait_at_gateway(self, pod: Pod) -> None:
        # Its image may be distroless, without a shell that could poll.
        path = f"/config_dump?resource=dynamic_listeners&name_regex=^{self._marker}$"
        error_text = ""

        def is_active() -> bool:
            nonlocal error_text
            try:
                error_text = ""
                return '"active_state"' in admin(self.api, pod, path)
            except GoneError:
                raise
            except ClusterError as error:  # its container may restart
                error_text = str(error)
                return False

        if not poll(is_active, every=_PAUSE, timeout=self.timeout):
            raise self._not_synced(f"gateway {pod}", pod, error_text)

    @property
    def _marker(self) -> str:
        return _name(self.number)

    def _wait(self, pod: Pod) -> None:
        script = _WAIT.replace("{address}", ADDRESS).replace("{name}", self._marker)
        script = script.replace("{turns}", str(max(1, int(self.timeout / 0.05))))
        try:
            result = run(self.api, pod, ["sh", "-c", script], timeout=self.timeout + 20)
        except NotEndedError:
            result = CommandResult(stdout="", stderr="", exit=None)  # the loop is slow on a busy node
        if result.exit != 0:
            raise self._not_synced(f"proxy of {pod}", pod, result.stderr)

    def _not_synced(self, proxy: str, pod: Pod, error_text: str) -> ProxyNotSyncedError:
        rejected = error_states(self.api, pod)
        if rejected:
            why = f"it rejected {rejected[0]}"
        elif error_text.strip():
            why = error_text.strip().splitlines()[-1]
        else:
            why = "istiod sent nothing; try `istioctl proxy-status` and istiod's log"
        return ProxyNotSyncedError(f"the {proxy} did not accept the configuration within {self.timeout:g} s: {why}")
