"""Configuration that a proxy rejected (NACK): by its config dump, and by its own log."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

from pytest_istio_egress.cluster.admin import NoAnswerError, admin
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.pods import PROXY, Pod

_REFUSED = re.compile(
    r"(?:gRPC|delta) config for \S*?\.(?P<kind>\w+) rejected: (?P<why>.*?)"
    r"(?:\tthread=\d+)?(?=\n(?:\d{4}-|\[\d{4}-)|\s*\Z)",
    re.DOTALL,
)
"""One entry. Envoy may show all of the resource, over many lines, before it says what is wrong with it."""
_NAME = re.compile(r'^name: "(.*)"$', re.MULTILINE)
_REASON = re.compile(r"^: (.*)\Z", re.MULTILINE | re.DOTALL)


def logged_rejections(log: str) -> list[str]:
    """Return kind, name and Envoy's reason of each resource that was refused, each once."""
    found = []
    for entry in _REFUSED.finditer(log):
        why = entry["why"]
        name, reason = _NAME.search(why), _REASON.search(why)
        told = f"{name[1]}: {reason[1]}" if name and reason else why
        found.append(f"{entry['kind']} {' '.join(told.split())}")
    return list(dict.fromkeys(found))


def error_states(api: Api, pod: Pod) -> list[str]:
    """Return what a proxy refused of its configuration (NACK): resource and Envoy's reason."""
    found = []
    for resource in ("dynamic_listeners", "dynamic_active_clusters", "dynamic_route_configs"):
        try:
            dump = json.loads(admin(api, pod, f"/config_dump?resource={resource}"))
        except (NoAnswerError, json.JSONDecodeError):
            continue
        for entry in dump.get("configs", []):
            if "error_state" in entry:
                name = entry.get("name") or entry.get("cluster", {}).get("name") or resource
                found.append(f"{name}: {' '.join(str(entry['error_state'].get('details')).split())}")
    return found


def rejections(api: Api, pods: Mapping[str, Pod], since: float) -> list[str]:
    """Return what proxies refused of their configuration in the last seconds; `pods` are theirs by what to call them.

    The config dump shows refused listeners; of clusters and routes only the proxy's own log tells.
    """
    found = []
    for whose, pod in pods.items():
        found += [f"the {whose} rejected {what}" for what in error_states(api, pod)]
        text = api.core.read_namespaced_pod_log(
            pod.name, pod.namespace, container=PROXY, since_seconds=max(1, math.ceil(since))
        )
        found += [f"the {whose} rejected its {what}" for what in logged_rejections(text)]
    return list(dict.fromkeys(found))
