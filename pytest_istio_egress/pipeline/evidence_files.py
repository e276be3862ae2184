"""Collects the evidence files of a failed test while its pods and its configuration still exist.

A file that cannot be collected is listed in `not-collected.txt`; no verdict depends on any of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from functools import cache, partial
from typing import Any

import yaml

from pytest_istio_egress.cluster.admin import admin
from pytest_istio_egress.cluster.api import reason
from pytest_istio_egress.cluster.inspection.pods import events, log_end, log_ends, pod_states
from pytest_istio_egress.cluster.pods import PROXY, Pod
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.cluster.rejections import error_states
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.pipeline.case_setup import CaseSetup
from pytest_istio_egress.pipeline.context import WorkerContext
from pytest_istio_egress.pipeline.involved_proxies import proxies_of_case, proxies_of_probe
from pytest_istio_egress.redaction import redact, redacted
from pytest_istio_egress.verdict.verdict import SERVER_HEADER, Verdict

LARGEST = 1_000_000
"""Characters of one file; a longer one ends with the number of characters left out."""
NO_LINES = "(no line in that time)\n"
NOT_COLLECTED = "not-collected.txt"
_BEFORE = 5
"""Seconds before the setup of the test from which logs are collected."""

Files = dict[str, str]
"""Texts by file name, without secrets."""


def collect_evidence(context: WorkerContext, case_setup: CaseSetup, case: Case, verdict: Verdict | None) -> Files:
    """Return the files; `verdict` is None where no probe failed, but a check of the configuration, or the cluster."""
    try:
        return collected(_tasks(context, case_setup, case, verdict), context.timeouts.evidence)
    except Exception as error:  # noqa: BLE001  # no failure here may change a verdict
        return {NOT_COLLECTED: redact(f"cannot collect any evidence: {reason(error)}\n")}


def collected(tasks: Mapping[str, Callable[[], str]], timeout: float) -> Files:
    """Run the tasks side by side for `timeout` seconds at most, and list those that failed in NOT_COLLECTED."""
    pool = ThreadPoolExecutor(8)
    running = {name: pool.submit(task) for name, task in tasks.items()}
    wait(running.values(), timeout)
    # A task that still runs ends by its own timeout; it is not waited for.
    pool.shutdown(wait=False, cancel_futures=True)
    files: Files = {}
    missing: list[str] = []
    for name, future in running.items():
        if failure := _failure(future, timeout):
            missing.append(f"{name}: {failure}\n")
        elif text := future.result() or (name.endswith(".log") and NO_LINES):
            files[name] = redact(_shortened(text))
    if missing:
        files[NOT_COLLECTED] = redact("".join(missing))
    return files


def _failure(future: Future[str], timeout: float) -> str | None:
    if not future.done() or future.cancelled():
        return f"no answer within {timeout:g} s"
    error = future.exception()
    return reason(error) if error else None


def _shortened(text: str) -> str:
    return text if len(text) <= LARGEST else f"{text[:LARGEST]}\n... and {len(text) - LARGEST} more characters\n"


def _tasks(
    context: WorkerContext, case_setup: CaseSetup, case: Case, verdict: Verdict | None
) -> dict[str, Callable[[], str]]:
    """Return the function that collects each file, by the file's name."""
    api, names, built = context.api, context.names, context.environment.built
    since = int(time.monotonic() - case_setup.entered) + _BEFORE
    proxies = proxies_of_probe(context, verdict) if verdict else proxies_of_case(context, case)
    outside = names.namespace("egress-outside")
    namespaces = sorted({pod.namespace for pod in proxies.values()} | ({outside} if built else set()))
    tasks: dict[str, Callable[[], str]] = {
        "applied.yaml": lambda: _applied(case_setup.documents, names.run),
        "mesh.yaml": lambda: _yaml([yaml.safe_load(_mesh_config(context))]),
        "pods.yaml": lambda: _yaml(pod_states(api, namespaces)),
        "events.txt": lambda: "".join(f"{line}\n" for line in events(api, namespaces)),
    }
    if built:
        tasks["outside.log"] = lambda: log_ends(api, outside, since)
    if verdict:
        tasks["probe.json"] = lambda: _json(_probe(verdict))
    else:
        tasks["istiod.log"] = lambda: log_ends(api, names.mesh.control_plane, since, "app=istiod")
    hosts, port = _hosts(context, case_setup, verdict), verdict.probe.destination[1] if verdict else None
    for name, pod in proxies.items():
        tasks[f"{name}.log"] = partial(log_end, api, pod.namespace, pod.name, PROXY, since)
        tasks[f"{name}-config.json"] = partial(_config, context, pod, hosts, port)
    return tasks


def _probe(verdict: Verdict) -> dict[str, Any]:
    exchange = verdict.exchange
    hops = {
        "sidecar": exchange.sidecar,
        "ztunnel": exchange.ztunnel,
        "waypoint": exchange.waypoint,
        "gateway": exchange.gateway,
        "forward proxy": exchange.proxy,
    }
    return {
        "sent": exchange.kubectl_command,
        "differences": [difference.to_mapping() for difference in verdict.differences],
        "cause": verdict.cause,
        "attempts": verdict.attempts,
        "curl": asdict(exchange.curl),
        "external server": {
            name.removeprefix(SERVER_HEADER): value
            for name, value in exchange.curl.headers.items()
            if name.startswith(SERVER_HEADER)
        },
        "access logs": {name: line.raw for name, line in hops.items() if line},
        "expected": {name: value for name, value in asdict(verdict.expected).items() if value not in (None, {}, ())},
    }


def _config(context: WorkerContext, pod: Pod, hosts: list[str], port: int | None) -> str:
    # Both parts read the same sections of the dump.
    config = ProxyConfig(context.api, pod, cache(partial(admin, context.api, pod)))
    rejected = error_states(config)
    return _json({"proxy": str(pod), "hosts": hosts, "rejected": rejected} | config.concerning(hosts, port))


def _hosts(context: WorkerContext, case_setup: CaseSetup, verdict: Verdict | None) -> list[str]:
    """Return the probe's host and those that the manifests name."""
    named: list[object] = []
    if verdict:
        asked = {verdict.probe.host, verdict.probe.destination[0]}
        named += [host if verdict.probe.from_own_workload else context.names.render(host) for host in asked]
    for document in case_setup.documents:
        spec = document.get("spec") or {}
        hosts = spec.get("hosts") if document["kind"] != "Sidecar" else None
        named += [*(hosts if isinstance(hosts, list) else []), spec.get("host")]
    # A bare wildcard would select the whole configuration.
    return sorted({host for host in named if isinstance(host, str) and host.strip("*.")})


def _mesh_config(context: WorkerContext) -> str:
    mesh = context.names.mesh
    if not mesh.config_map:
        return ""
    return str(context.api.core.read_namespaced_config_map(mesh.config_map, mesh.control_plane).data.get("mesh", ""))


def _applied(documents: list[dict[str, Any]], run: str) -> str:
    if not documents:
        return ""
    head = f"# The resources of the failed test, with the names of run {run}: kubectl apply -f applied.yaml\n"
    return head + _yaml(documents)


def _yaml(documents: list[Any]) -> str:
    return yaml.safe_dump_all(redacted(documents), sort_keys=False, allow_unicode=True, width=120)


def _json(value: Any) -> str:
    return json.dumps(redacted(value), indent=1, default=_as_json, ensure_ascii=False) + "\n"


def _as_json(value: Any) -> Any:
    return sorted(value) if isinstance(value, set | frozenset) else str(value)
