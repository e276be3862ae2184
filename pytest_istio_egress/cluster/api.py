"""One connection to the chosen cluster's API, safe to use from many threads."""

from __future__ import annotations

import datetime
import threading
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ResourceNotFoundError

from pytest_istio_egress.cluster.retry import RetryingClient
from pytest_istio_egress.model.timeouts import Timeouts

IN_CLUSTER = "in-cluster"
"""As a context, where there is no kubeconfig: the service account of the pod that this runs in."""


class ClusterError(Exception):
    """The cluster (or the way to it) failed: an error of the run, never a verdict on the mesh."""


class Api:
    """The API server of one kubeconfig context; None means the current one. `timeouts` are those of the run."""

    def __init__(self, kubeconfig: Path | None, context: str | None, timeouts: Timeouts | None = None) -> None:
        self.timeouts = timeouts or Timeouts()
        self.configuration = client.Configuration()
        try:
            if kubeconfig is None and context == IN_CLUSTER:
                config.load_incluster_config(client_configuration=self.configuration)
            else:
                config.load_kube_config(
                    config_file=None if kubeconfig is None else str(kubeconfig),
                    context=context,
                    client_configuration=self.configuration,
                )
        except config.ConfigException as error:
            raise ClusterError(f"the kubeconfig can't be used: {error}") from error
        # Eight probes, three log streams and the settling of proxies run side by side.
        self.configuration.connection_pool_maxsize = 32
        # urllib3's own retries are over in a moment; PatientClient's last as long as a restart does.
        self.configuration.retries = False
        self.client = self.new_client()
        self.core = client.CoreV1Api(self.client)
        self._lock = threading.Lock()
        self._dynamic: DynamicClient | None = None

    def new_client(self) -> client.ApiClient:
        """Make a client of its own: `stream()` swaps the request method of the client it uses."""
        return RetryingClient(self.configuration, self.timeouts.api)

    def now(self) -> datetime.datetime:
        """Return the time by the API server's clock (whole seconds): those of machines around it may be wrong."""
        _, _, headers = client.VersionApi(self.client).get_code_with_http_info()
        told = headers.get("Date")
        return parsedate_to_datetime(told) if told else datetime.datetime.now(datetime.UTC)

    def resource(self, api_version: str, kind: str) -> Any:
        """Find a kind that the cluster serves; raises ClusterError where it does not."""
        with self._lock:
            try:
                if self._dynamic is None:
                    self._dynamic = DynamicClient(self.client)
                return self._dynamic.resources.get(api_version=api_version, kind=kind)
            except ResourceNotFoundError as error:
                raise ClusterError(f"the cluster serves no {kind} of {api_version}") from error

    def serves(self, api_version: str, kind: str) -> bool:
        """Whether the cluster knows a kind."""
        try:
            self.resource(api_version, kind)
        except ClusterError:
            return False
        return True


def reason(error: ApiException) -> str:
    """Return the API server's own message of a refusal, in one line."""
    import json
    import re

    try:
        message = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        message = error.reason or str(error)
        # What a refused exec leaves: the handshake's status line, headers and body in one.
        if found := re.search(r'"message":("(?:[^"\\]|\\.)*")', message):
            message = json.loads(found[1])
    return " ".join(str(message).split())
