"""The credentials of a kubeconfig context, read again when they expire or are rejected.

    token of a plugin with an expiry    the Kubernetes client runs the plugin again before each request after that
    certificate of a plugin             read again here once it has expired, or after an answer 401
    token or certificate in a file      read again here after an answer 401: another process may have replaced it

After 401 a request is repeated once, if the credentials are others by then.
"""

from __future__ import annotations

import datetime
import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigMerger

from pytest_istio_egress.cluster.api_proxy import set_up_proxy
from pytest_istio_egress.model.kube_context import IN_CLUSTER
from pytest_istio_egress.model.text import one_line

_PAUSE = 10.0
"""Seconds between two attempts to get other credentials: a plugin may take long, and requests are many."""

_MODULES = frozenset({"kube_config", "credential_plugin"})
"""The modules that log why there are no credentials."""

Load = Callable[[client.Configuration], None]
"""Reads the kubeconfig into a configuration, and runs its plugin."""


class NoCredentialsError(Exception):
    """The credential plugin failed, so requests would be anonymous. The message is one line."""


class Login:
    """The configuration of the Kubernetes client for one context; `generation` counts its credentials."""

    def __init__(self, load: Load, source: str) -> None:
        self.configuration = client.Configuration()
        failure = _load(load, self.configuration)
        if failure and not any(_credentials(self.configuration)):
            raise NoCredentialsError(f"{source} gave no credentials: {failure} (log in with kubectl first)")
        set_up_proxy(self.configuration)
        self.source = source
        """Where the credentials come from, for messages."""
        self.failure = ""
        """Why the last attempt to renew the credentials gave none, empty where it did not fail."""
        self.generation = 0
        self._load = load
        self._credentials = _credentials(self.configuration)
        self._expires = _certificate_end(self.configuration)
        self._lock = threading.Lock()
        self._next_attempt = 0.0

    def renew_if_expired(self) -> None:
        """Read the credentials again if they are a certificate that has expired."""
        if self._expires and datetime.datetime.now(datetime.UTC) >= self._expires:
            self.renew(self.generation)

    def renew(self, generation: int) -> bool:
        """Read the credentials again, which were rejected or have expired; return whether there are others now.

        `generation` is that of the rejected ones: another thread may have renewed them meanwhile.
        """
        with self._lock:
            if generation != self.generation:
                return True
            if time.monotonic() < self._next_attempt:
                return False
            self._next_attempt = time.monotonic() + _PAUSE
            fresh = client.Configuration()
            try:
                self.failure = _load(self._load, fresh)
                found = _credentials(fresh)
            except (config.ConfigException, OSError):
                return False
            if found == self._credentials or not any(found):
                return False
            for field in ("api_key", "refresh_api_key_hook", "cert_file", "key_file"):
                setattr(self.configuration, field, getattr(fresh, field))
            self._credentials, self._expires = found, _certificate_end(fresh)
            self._next_attempt = 0.0
            self.generation += 1
            return True

    @property
    def rejected(self) -> str:
        """The message for credentials that are rejected, and not replaced."""
        why = f"they could not be renewed: {self.failure}" if self.failure else "which are expired or not valid"
        return f"Unauthorized: the API server rejected the credentials of {self.source}, {why}"

    def rejection(self) -> ApiException:
        """Return an error with that message in place of the API server's, which is one word."""
        error = ApiException(status=401, reason="Unauthorized")
        error.body = json.dumps({"message": self.rejected})
        return error


def _load(load: Load, into: client.Configuration) -> str:
    """Read a kubeconfig; return why its plugin gave no credentials, which is only logged."""
    with _Logged() as messages:
        load(into)
    return one_line("; ".join(messages))


class _Logged(logging.Handler):
    """The errors that are logged in this thread while a kubeconfig is read."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._messages: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message of a record."""
        if record.thread == self._thread and record.module in _MODULES:
            self._messages.append(record.getMessage())

    def __enter__(self) -> list[str]:
        logging.getLogger().addHandler(self)
        return self._messages

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)


def source_of(kubeconfig: Path | None, context: str | None) -> str:
    """Return where the credentials of a context come from: a plugin, a file, or the kubeconfig."""
    if kubeconfig is None and context == IN_CLUSTER:
        return "the pod's service account"
    path = str(kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION)
    try:
        merged = KubeConfigMerger(path).config
        chosen = merged["contexts"].get_with_name(context or merged["current-context"])
        user = merged["users"].get_with_name(chosen["context"]["user"])["user"]
        if "exec" in user:
            return f"the credential plugin {user['exec']['command']}"
        files = [str(user[field]) for field in ("tokenFile", "client-certificate") if field in user]
    except (config.ConfigException, KeyError, TypeError):
        files = []
    return f"the file {files[0]}" if files else f"the kubeconfig {path}"


def _credentials(configuration: client.Configuration) -> tuple[Any, bytes]:
    """Return the token, and the content of the certificate's file: a file can be replaced under its name."""
    certificate = Path(configuration.cert_file).read_bytes() if configuration.cert_file else b""
    keys = configuration.api_key or {}
    return keys.get("BearerToken") or keys.get("authorization"), certificate


def _certificate_end(configuration: client.Configuration) -> datetime.datetime | None:
    """Return when the client's certificate expires; None without one, or where it cannot be read."""
    if not configuration.cert_file:
        return None
    try:
        return x509.load_pem_x509_certificate(Path(configuration.cert_file).read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None
