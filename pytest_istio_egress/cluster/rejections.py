"""Configuration that a proxy rejected (NACK), from its config dump and its log."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping

from pytest_istio_egress.cluster.admin import NoAnswerError
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.pods import PROXY, Pod
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.model.text import one_line

_REJECTED = re.compile(
    r"(?:gRPC|delta) config for \S*?\.(?P<kind>\w+) rejected: (?P<why>.*?)"
    r"(?:\tthread=\d+)?(?=\n(?:\d{4}-|\[\d{4}-)|\s*\Z)",
    re.DOTALL,
)
"""One log entry. Envoy may print the whole resource, over many lines, before the reason."""
_NAME = re.compile(r'^name: "(.*)"$', re.MULTILINE)
_REASON = re.compile(r"^: (.*)\Z", re.MULTILINE | re.DOTALL)


def logged_rejections(log: str) -> list[str]:
    """Return kind, name and Envoy's reason of each rejected resource, each once."""
    entries = []
    for entry in _REJECTED.finditer("\n".join(map(_plain, log.splitlines()))):
        text = entry["why"]
        name, reason = _NAME.search(text), _REASON.search(text)
        entries.append(
            one_line(f"{entry['kind']} {name[1]}: {reason[1]}" if name and reason else f"{entry['kind']} {text}")
        )
    return list(dict.fromkeys(entries))


def _plain(line: str) -> str:
    """Return a line of a log in JSON (`global.logAsJson`) as the text format has it, which may be several lines."""
    if not line.startswith("{"):
        return line
    try:
        entry = json.loads(line)
    except json.JSONDecodeError:
        return line
    return f"0000-00-00 {entry.get('msg', '')}" if isinstance(entry, dict) else line


def error_states(config: ProxyConfig) -> list[str]:
    """Return name and Envoy's reason of each rejected resource in the config dump of a proxy."""
    rejected = []
    for resource in ("dynamic_listeners", "dynamic_active_clusters", "dynamic_route_configs"):
        try:
            dump = json.loads(config.text(f"/config_dump?resource={resource}"))
        except (NoAnswerError, json.JSONDecodeError):
            continue
        for entry in dump.get("configs", []):
            if "error_state" in entry:
                name = entry.get("name") or entry.get("cluster", {}).get("name") or resource
                rejected.append(one_line(f"{name}: {entry['error_state'].get('details')}"))
    return rejected


def rejections(
    pods: Mapping[str, Pod], errors_of: Callable[[Pod], list[str]], log_of: Callable[[Pod], str]
) -> list[str]:
    """Return a sentence for each resource that proxies rejected.

    `pods` are the pods of the proxies, by their description in the sentence. `errors_of` returns the rejected listeners
    (`error_states`); rejected clusters and routes are only in the log, of which `log_of` returns the part that counts.
    """
    sentences = []
    for proxy, pod in pods.items():
        sentences += [f"the {proxy} rejected {resource}" for resource in errors_of(pod)]
        sentences += [f"the {proxy} rejected its {resource}" for resource in logged_rejections(log_of(pod))]
    return list(dict.fromkeys(sentences))


def recent_log(api: Api, pod: Pod, seconds: float) -> str:
    """Return what a proxy logged in the last `seconds`."""
    text: str = api.core.read_namespaced_pod_log(
        pod.name, pod.namespace, container=PROXY, since_seconds=max(1, math.ceil(seconds))
    )
    return text
