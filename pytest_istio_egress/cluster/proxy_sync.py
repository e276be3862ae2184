"""Waits until proxies are in sync with everything that was applied, by a marker that is applied last.

What a marker is, and why a proxy that has it has everything else, is in envoy_filter_markers.py and policy_markers.py;
exported_markers.py has those of the mesh's own gateways, after failures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pytest_istio_egress.cluster.admin import ADDRESS, admin
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.apply import Applier
from pytest_istio_egress.cluster.commands import run
from pytest_istio_egress.cluster.exec_connection import CommandResult, GoneError, NotEndedError
from pytest_istio_egress.cluster.markers import Condition, Marker, Markers, name_of
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.poll import poll
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.cluster.rejections import error_states

_DEBOUNCE = 0.1
"""Seconds for which istiod waits for further changes before it pushes (PILOT__DEBOUNCE_AFTER): no marker is earlier."""
_PAUSE = 0.05
"""Seconds between two requests to a proxy: each is a process in its pod, at a gateway also an exec."""

_WARMING = "/config_dump?resource=dynamic_warming_clusters"
"""The clusters that have yet to warm up: a route to one of them is answered with 503, cluster_not_found.

They wait for a secret, or for the first address of a host. Neither may ever come, which can be what a test is about.
"""
_WARM_UP = 1.0
"""Seconds in which clusters may warm up before the first probe."""

# Only shell builtins and curl: the image may have no grep.
_WAIT = """
has() {
  case $(curl -s --noproxy '*' --max-time 2 "{address}$1") in *"$2"*) ;; *) return 1 ;; esac
}
sleep {first}
i=0
until {conditions}; do
  i=$((i+1)); [ $i -lt {turns} ] || exit 9
  sleep {pause}
done
i=0
while {warming} && [ $i -lt {warm_up_turns} ]; do
  i=$((i+1))
  sleep {pause}
done
exit 0
"""


class ProxyNotSyncedError(ClusterError):
    """A proxy did not receive or accept the configuration in time: an error of the run, not a failed test."""


class ProxySync:
    """Applies markers after configuration and waits until the proxies have them."""

    def __init__(self, api: Api, applier: Applier, timeout: float, markers: Markers) -> None:
        self.api = api
        self.applier = applier
        self.timeout = timeout
        self.markers = markers
        self.number = 0

    def by(self, markers: Markers) -> ProxySync:
        """Return one that applies markers of another kind."""
        return ProxySync(self.api, self.applier, self.timeout, markers)

    def wait(self, clients: Sequence[Pod], gateways: Sequence[Pod] = ()) -> None:
        """Wait until the proxies of these pods have everything that was applied; raises ProxyNotSyncedError.

        `clients` are injected pods with curl and a shell in one container; `gateways` have only the proxy.
        """
        for _ in range(self.markers.rounds):
            self.number += 1
            self._round(clients, gateways)

    def _round(self, clients: Sequence[Pod], gateways: Sequence[Pod]) -> None:
        of_clients, of_gateways = (of(self.number) for of in (self.markers.of_clients, self.markers.of_gateways))
        for marker, pods in ((of_clients, clients), (of_gateways, gateways)):
            for namespace in sorted({pod.namespace for pod in pods}):
                self.applier.apply([marker.resource], namespace)
        waits = [partial(self._wait, pod, of_clients) for pod in clients]
        waits += [partial(self._wait_at_gateway, pod, of_gateways) for pod in gateways]
        _all(waits)

    def received(self, pod: Pod) -> bool:
        """Whether a proxy has the last marker in any state, as one that has yet to warm up, or was rejected."""
        last = self.markers.of_clients(self.number).shown_by[0]
        return name_of(self.number) in admin(self.api, pod, last.path)

    def _wait_at_gateway(self, pod: Pod, marker: Marker) -> None:
        # Its image may be distroless, without a shell that could poll.
        error_text = ""

        def has_marker() -> bool:
            nonlocal error_text
            try:
                error_text = ""
                return all(each.text in admin(self.api, pod, each.path) for each in marker.shown_by)
            except GoneError:
                raise
            except ClusterError as error:  # its container may restart
                error_text = str(error)
                return False

        if not poll(has_marker, every=_PAUSE, timeout=self.timeout):
            raise self._not_synced(f"gateway {pod}", pod, error_text)
        warming = self._warming
        poll(lambda: warming.text not in self._dump(pod, warming.path), every=_PAUSE, timeout=_WARM_UP)

    @property
    def _warming(self) -> Condition:
        """Met while clusters for hosts of the run have yet to warm up; those of other users may never do."""
        return Condition(_WARMING, f".{self.applier.names.run}.test")

    def _dump(self, pod: Pod, path: str) -> str:
        """Return a response of the admin interface, empty where there is none: its container may restart."""
        try:
            return admin(self.api, pod, path)
        except GoneError:
            raise
        except ClusterError:
            return ""

    def _wait(self, pod: Pod, marker: Marker) -> None:
        script = _WAIT.replace("{address}", ADDRESS).replace("{conditions}", _shell(marker.shown_by))
        script = script.replace("{first}", str(_DEBOUNCE)).replace("{pause}", str(_PAUSE))
        script = script.replace("{turns}", str(_turns(self.timeout)))
        script = script.replace("{warming}", _shell([self._warming])).replace("{warm_up_turns}", str(_turns(_WARM_UP)))
        try:
            result = run(self.api, pod, ["sh", "-c", script], timeout=self.timeout + 20)
        except NotEndedError:
            result = CommandResult(stdout="", stderr="", exit=None)  # the loop is slow on a busy node
        if result.exit != 0:
            raise self._not_synced(f"proxy of {pod}", pod, result.stderr)

    def _not_synced(self, proxy: str, pod: Pod, error_text: str) -> ProxyNotSyncedError:
        rejected = error_states(ProxyConfig(self.api, pod))
        if rejected:
            why = f"it rejected {rejected[0]}"
        elif error_text.strip():
            why = error_text.strip().splitlines()[-1]
        else:
            why = "istiod sent nothing; try `istioctl proxy-status` and istiod's log"
        return ProxyNotSyncedError(f"the {proxy} did not accept the configuration within {self.timeout:g} s: {why}")


def first_sync(sync: ProxySync, other: Markers | None, clients: Sequence[Pod]) -> ProxySync:
    """Wait for new proxies, and return what is to be used from now on: with `other` where the control plane ignores
    the kind of marker of `sync`.

    A slow control plane ignores nothing. So the other markers decide, and not the time: a proxy that has these, which
    were applied later, and not a trace of the former, will never get it. Where neither arrives, nothing is known, and
    the error is that of the former.
    """
    try:
        sync.wait(clients)
    except ProxyNotSyncedError as error:
        if other is None:
            raise
        instead = sync.by(other)
        try:
            instead.wait(clients)
        except ProxyNotSyncedError:
            raise error from None
        if not any(sync.received(pod) for pod in clients):
            return instead
        sync.wait(clients)
    return sync


def _turns(seconds: float) -> int:
    """Return how often the script looks in so many seconds; a look takes some time beside its pause."""
    return max(1, int(seconds / _PAUSE))


def _shell(conditions: Iterable[Condition]) -> str:
    return " && ".join(f"has '{each.path}' '{each.text}'" for each in conditions)


def _all(waits: Sequence[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(max(1, len(waits))) as pool:
        for wait in [pool.submit(each) for each in waits]:
            wait.result()
