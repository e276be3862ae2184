"""The connection to the cluster's API, safe to use from many threads."""

from __future__ import annotations

import datetime
import json
import os
import re
import socket
import threading
from collections.abc import Collection
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ResourceNotFoundError
from kubernetes.dynamic.resource import Resource, ResourceList

from pytest_istio_egress.cluster.api_proxy import UnsupportedProxyError
from pytest_istio_egress.cluster.credential_plugin import load, log_in_at_terminal
from pytest_istio_egress.cluster.idle_shells import IdleShells
from pytest_istio_egress.cluster.login import Login, NoCredentialsError, source_of
from pytest_istio_egress.cluster.retry import RetryingClient
from pytest_istio_egress.cluster.served_kinds import ServedKinds
from pytest_istio_egress.model.text import one_line
from pytest_istio_egress.model.timeouts import Timeouts

_NO_FILE = f"{os.devnull}/none"
"""In place of the file in which the Kubernetes client keeps the kinds that a host served at some time: it cannot exist.

Another cluster may have that host by now, and another user may own the file.
"""


class ClusterError(Exception):
    """The cluster, or the connection to it, failed: an error of the run, not a failed test."""


class Api:
    """The API server of one kubeconfig context, None for the current one."""

    @classmethod
    def of_command(cls, kubeconfig: Path | None, context: str | None) -> Api:
        """Connect a command of the user's, which is the one process: a credential plugin may ask at the terminal."""
        log_in_at_terminal(kubeconfig, context)
        return cls(kubeconfig, context)

    def __init__(self, kubeconfig: Path | None, context: str | None, timeouts: Timeouts | None = None) -> None:
        self.timeouts = timeouts or Timeouts()
        try:
            self.login = Login(lambda into: load(kubeconfig, context, into), source_of(kubeconfig, context))
        except config.ConfigException as error:
            raise ClusterError(f"invalid kubeconfig: {one_line(error)}") from error
        except (UnsupportedProxyError, NoCredentialsError) as error:
            raise ClusterError(str(error)) from error
        self.configuration = self.login.configuration
        # Eight probes, three log streams and the sync of proxies run concurrently.
        self.configuration.connection_pool_maxsize = 32
        # urllib3 retries for a moment only; RetryingClient retries for as long as a restart of the API server takes.
        self.configuration.retries = False
        # A load balancer may drop an idle connection without closing it: a log stream would wait for ever.
        self.configuration.socket_options = _keepalive()
        self.client = self.new_client()
        self.core = client.CoreV1Api(self.client)
        self.idle_shells = IdleShells()
        """Shells in the pods of the suite's own clients."""
        self._lock = threading.Lock()
        self._dynamic: DynamicClient | None = None

    def new_client(self) -> client.ApiClient:
        """Return a new client: `stream()` replaces the request method of the client that it uses."""
        self.login.renew_if_expired()
        return RetryingClient(self.login, self.timeouts.api)

    def now(self) -> datetime.datetime:
        """Return the time of the API server's clock, in whole seconds."""
        _, _, headers = client.VersionApi(self.client).get_code_with_http_info()
        date = headers.get("Date")
        return parsedate_to_datetime(date) if date else datetime.datetime.now(datetime.UTC)

    def resource(self, api_version: str, kind: str) -> Any:
        """Return a kind that the cluster serves; raises ClusterError where it does not."""
        with self._lock:
            try:
                # Without the prefix, a search for v1 asks each group that has a version of this name.
                prefix = "apis" if "/" in api_version else "api"
                return self._served().get(prefix=prefix, api_version=api_version, kind=kind)
            except ResourceNotFoundError as error:
                raise ClusterError(f"the cluster does not serve {kind} of {api_version}") from error

    def namespaced_kinds(self, verbs: Collection[str]) -> list[Any]:
        """Return the kinds of namespaced objects that the cluster serves with these verbs, each in one version.

        Without those of aggregated API servers that do not answer.
        """
        with self._lock:
            kinds = self._served()
            kinds.leave_out_stale()
            served = [each for some in kinds for each in some if not isinstance(each, ResourceList)]
        fitting = [each for each in served if each.namespaced and set(verbs) <= set(each.verbs)]
        return list({(each.group, each.name): each for each in sorted(fitting, key=_is_preferred)}.values())

    def broken_api_services(self) -> list[str]:
        """Return the names of APIServices whose server does not answer at the moment."""
        with self._lock:
            return sorted(f"{version}.{group}" for group, version in self._served().stale_versions())

    def _served(self) -> Any:
        """Return the kinds that the cluster serves, for callers that have the lock; they are asked for once."""
        if self._dynamic is None:
            self._dynamic = DynamicClient(self.client, cache_file=_NO_FILE, discoverer=ServedKinds)
        return self._dynamic.resources

    def serves(self, api_version: str, kind: str) -> bool:
        """Whether the cluster serves a kind."""
        try:
            self.resource(api_version, kind)
        except ClusterError:
            return False
        return True


def _is_preferred(kind: Resource) -> bool:
    return bool(kind.preferred)


def _keepalive() -> list[tuple[int, int, int]]:
    """Return socket options that probe an idle connection after 30 s, and give it up a minute later."""
    idle = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}  # not every platform has all of them
    tuned = [
        (socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in idle.items() if hasattr(socket, name)
    ]
    return [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),  # urllib3's default, which this list replaces
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        *tuned,
    ]


def reason(error: BaseException) -> str:
    """Return the message of an error in one line: of a rejected request the one that the API server sent."""
    return one_line(_api_message(error) if isinstance(error, ApiException) else error)


def _api_message(error: ApiException) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        # A rejected exec: the status line, the headers and the body of the handshake in one.
        text = str(error.reason or error)
        if match := re.search(r'"message":("(?:[^"\\]|\\.)*")', text):
            return str(json.loads(match[1]))
        return f"HTTP {error.status} {text}" if error.status and error.reason else text
