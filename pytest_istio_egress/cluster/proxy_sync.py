"""Waits until a proxy has everything that was applied: a marker travels behind the configuration.

Istio pushes to a proxy over one stream, in this order: clusters, endpoints, listeners, routes. The marker is a
listener (never bound to a port, like Istio's own) whose route istiod has to be asked for:

    apply X, then the marker n  ->  istiod: one snapshot with X and n
      -> proxy: clusters(X) endpoints(X) listeners(X, n) routes(X) | proxy asks for the route of n -> routes(n)

Envoy calls listener n active only once its route is there, and istiod answers that question only after the push is
out. So an active marker means that the proxy has all of X, removals included. An EnvoyFilter brings the marker,
because no Sidecar resource can hide it.

A gateway of the run's own is waited for likewise. There istiod answers no question for a route that no Gateway has, so
the marker brings its route along, and says no more than that clusters, endpoints and listeners are in.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pytest_istio_egress.cluster.admin import ADDRESS, admin
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.apply import Applier
from pytest_istio_egress.cluster.pods import CommandResult, GoneError, NotEndedError, Pod, run
from pytest_istio_egress.cluster.rejections import error_states

MARKER = "istio-egress-marker"
_FIRST_PORT = 20_000
_HTTP = "type.googleapis.com/envoy.extensions.filters"

_PAUSE = 0.05
"""Seconds between two questions to a gateway, each of which is an exec."""

# Only the shell's own words: an image with curl in it need not have grep.
_WAIT = """
i=0
while :; do
  case $(curl -s --max-time 2 '{address}/config_dump?resource=dynamic_listeners&name_regex=^{name}$') in
    *'"active_state"'*) exit 0 ;;
  esac
  i=$((i+1)); [ $i -lt {turns} ] || exit 9
  sleep 0.03
done
"""


class ProxyNotSyncedError(ClusterError):
    """A proxy did not get (or did not take) the configuration in time: nothing can be said about the mesh."""


def marker(number: int) -> dict[str, Any]:
    """Build the EnvoyFilter that brings marker `number` to every sidecar and gateway of its namespace."""
    asked_for = {
        "rds": {
            "route_config_name": str(_FIRST_PORT + number),
            "config_source": {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"},
        }
    }
    brought_along = {"route_config": {"name": MARKER}}
    return {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": MARKER},
        "spec": {
            "configPatches": [
                _added("SIDECAR_OUTBOUND", _listener(number, asked_for)),
                _added("GATEWAY", _listener(number, brought_along)),
            ]
        },
    }


def _added(context: str, listener: dict[str, Any]) -> dict[str, Any]:
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
    """Sends markers behind configuration and waits for them."""

    def __init__(self, api: Api, applier: Applier, timeout: float) -> None:
        self.api = api
        self.applier = applier
        self.timeout = timeout
        self.number = 0

    def wait(self, clients: Sequence[Pod], gateways: Sequence[Pod] = ()) -> None:
        """Return once each of these pods' proxies has all that was applied before; NotSettledError if not.

        `clients` are injected pods with curl and a shell in a container of their own; `gateways` have the proxy alone.
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
        # Its image may be distroless: no shell in it that could ask again and again.
        question = f"/config_dump?resource=dynamic_listeners&name_regex=^{self._marker}$"
        deadline = time.monotonic() + self.timeout
        while True:
            trouble = ""
            try:
                if '"active_state"' in admin(self.api, pod, question):
                    return
            except GoneError:
                raise
            except ClusterError as error:  # its container may have been started anew: it is asked when it is back
                trouble = str(error)
            if time.monotonic() > deadline:
                raise ProxyNotSyncedError(
                    f"the gateway {pod} did not take the configuration within {self.timeout:g} s: "
                    + self._why(pod, trouble)
                )
            threading.Event().wait(_PAUSE)

    @property
    def _marker(self) -> str:
        return _name(self.number)

    def _wait(self, pod: Pod) -> None:
        script = _WAIT.replace("{address}", ADDRESS).replace("{name}", self._marker)
        script = script.replace("{turns}", str(max(1, int(self.timeout / 0.05))))
        try:
            ran = run(self.api, pod, ["sh", "-c", script], timeout=self.timeout + 20)
        except NotEndedError:
            ran = CommandResult(stdout="", stderr="", exit=None)  # each turn took its time on a busy node
        if ran.exit != 0:
            raise ProxyNotSyncedError(
                f"the proxy of {pod} did not take the configuration within {self.timeout:g} s: "
                + self._why(pod, ran.stderr)
            )

    def _why(self, pod: Pod, stderr: str) -> str:
        rejected = error_states(self.api, pod)
        if rejected:
            return f"it rejected {rejected[0]}"
        if stderr.strip():
            return stderr.strip().splitlines()[-1]
        return "istiod sent nothing; see `istioctl proxy-status` and istiod's log"
