"""Reads the configuration of a proxy for the analysis of a request's path."""

from __future__ import annotations

import json
from typing import Any

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.verdict.proxy_path.dump import ProxyDump, read_dump


def proxy_dump(api: Api, pod: Pod) -> ProxyDump:
    """Return the configuration and the endpoints of the proxy of an injected pod; raises ClusterError."""
    config = ProxyConfig(api, pod)
    return read_dump(_json(config, "/config_dump"), _json(config, "/clusters?format=json"))


def _json(config: ProxyConfig, path: str) -> dict[str, Any]:
    response = config.text(path)
    try:
        parsed: dict[str, Any] = json.loads(response)
    except json.JSONDecodeError as error:
        raise ClusterError(f"the proxy of {config.pod} returned no JSON for {path}: {error}") from error
    return parsed
