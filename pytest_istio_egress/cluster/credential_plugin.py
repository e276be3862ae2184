"""The credential plugin of a kubeconfig's user (`exec`), which may ask the user to log in.

The Kubernetes client attaches the standard input of this process wherever its standard output is a terminal, which
fails under pytest, and would let each worker ask. Here a plugin gets the terminal once, at the start of a command
(`log_in_at_terminal`), as from kubectl, and nothing later: it then hands out what it has stored.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.config.dateutil import parse_rfc3339
from kubernetes.config.exec_provider import ExecProvider
from kubernetes.config.kube_config import (
    KUBE_CONFIG_DEFAULT_LOCATION,
    FileOrData,
    KubeConfigLoader,
    KubeConfigMerger,
)

from pytest_istio_egress.model.kube_context import IN_CLUSTER

_LOG = logging.getLogger(__name__)


class PluginError(Exception):
    """A plugin gave no credentials."""


class PluginLoader(KubeConfigLoader):  # type: ignore[misc]  # the kubernetes package is untyped
    """Reads a context of a kubeconfig; runs a plugin with `terminal`, a file descriptor, None for no terminal."""

    terminal: int | None = None

    @property
    def may_ask(self) -> bool:
        """Whether the user has a plugin that may ask for something."""
        return bool(self._user) and "exec" in self._user and self._user["exec"].safe_get("interactiveMode") != "Never"

    def _load_from_exec_plugin(self) -> bool | None:
        """Set the credentials from the plugin; as the method that it replaces, log why there are none."""
        if "exec" not in self._user:
            return None
        try:
            self._set_credentials(_Plugin(self._user["exec"], self._folder, self._cluster).credentials(self.terminal))
        except (PluginError, config.ConfigException, OSError, ValueError) as error:
            _LOG.error("%s", error)
            return None
        return True

    @property
    def _folder(self) -> str:
        return str(self._get_base_path(self._cluster.path))

    def _set_credentials(self, status: dict[str, str]) -> None:
        if "token" in status:
            self.token = f"Bearer {status['token']}"
        elif {"clientCertificateData", "clientKeyData"} <= status.keys():
            self.cert_file = self._file(status, "clientCertificateData")
            self.key_file = self._file(status, "clientKeyData")
        else:
            raise PluginError("it printed neither a token nor a certificate with its key")
        if "expirationTimestamp" in status:
            self.expiry = parse_rfc3339(status["expirationTimestamp"])

    def _file(self, status: dict[str, str], field: str) -> Any:
        """Return the name of a file with the content of a field."""
        data = FileOrData(
            status, None, data_key_name=field, file_base_path=self._folder, base64_file_content=False,
            temp_file_path=self._temp_file_path,
        )  # fmt: skip
        return data.as_file()


class _Plugin(ExecProvider):  # type: ignore[misc]  # the kubernetes package is untyped
    def credentials(self, terminal: int | None) -> dict[str, str]:
        """Run the plugin, and return the status of what it prints; raises PluginError, OSError or ValueError."""
        done = subprocess.run(
            self.args,
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if terminal is None else terminal,
            cwd=self.cwd,
            env={**self.env, "KUBERNETES_EXEC_INFO": json.dumps(self._information(interactive=terminal is not None))},
            text=True,
            check=False,
            shell=os.name == "nt",  # plugins there are often .cmd files
        )
        if done.returncode:
            raise PluginError(f"it ended with exit code {done.returncode}. {(done.stderr or '').strip()}".strip(". "))
        try:
            printed = json.loads(done.stdout)
        except ValueError as error:
            raise PluginError(f"what it printed is not JSON: {error}") from error
        if not isinstance(printed, dict) or not isinstance(printed.get("status"), dict):
            raise PluginError("what it printed has no status")
        if printed.get("apiVersion") != self.api_version:
            raise PluginError(f"it printed {printed.get('apiVersion')}, and the kubeconfig says {self.api_version}")
        status: dict[str, str] = printed["status"]
        return status

    def _information(self, *, interactive: bool) -> dict[str, Any]:
        """Return the ExecCredential that the plugin gets in its environment."""
        spec: dict[str, Any] = {"interactive": interactive}
        if self.cluster:
            extensions = {each["name"]: each["extension"] for each in self.cluster.value.get("extensions") or ()}
            given = extensions.get("client.authentication.k8s.io/exec")
            spec["cluster"] = {**self.cluster.value, **({"config": given} if given else {})}
        return {"apiVersion": self.api_version, "kind": "ExecCredential", "spec": spec}


def load(kubeconfig: Path | None, context: str | None, into: client.Configuration) -> None:
    """Read a context, None for the current one; raises ConfigException where the kubeconfig is invalid."""
    if kubeconfig is None and context == IN_CLUSTER:
        config.load_incluster_config(client_configuration=into)
    else:
        _loader(kubeconfig, context).load_and_set(into)


def log_in_at_terminal(kubeconfig: Path | None, context: str | None) -> None:
    """Run the plugin of a context that may ask the user, with the terminal of this process, if it has one.

    It stores what it obtains, as for kubectl. Whether it fails shows where it is run again.
    """
    try:
        loader = None if kubeconfig is None and context == IN_CLUSTER else _loader(kubeconfig, context)
    except config.ConfigException:
        return  # it is reported where it is read for use
    if loader is None or not loader.may_ask:
        return
    with _terminal() as loader.terminal:
        if loader.terminal is not None:
            loader.load_and_set(client.Configuration())


def _loader(kubeconfig: Path | None, context: str | None) -> PluginLoader:
    merger = KubeConfigMerger(str(kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION))
    if merger.config is None:
        raise config.ConfigException("no configuration found")
    return PluginLoader(
        config_dict=merger.config, active_context=context, config_base_path=None, config_persister=merger.save_changes
    )


@contextmanager
def _terminal() -> Iterator[int | None]:
    """Yield a file descriptor of this process's terminal, whatever its standard streams are.

    None where it has none, or runs in the background: it would be stopped when it reads.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        yield None
        return
    try:
        yield terminal if os.tcgetpgrp(terminal) == os.getpgrp() else None
    finally:
        os.close(terminal)
