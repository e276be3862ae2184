"""Gathers what is kept of a case that does not hold, while its pods and its configuration are still there.

Whatever can't be had is said in the evidence itself; a verdict never depends on it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

import yaml
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.case import Case
from pytest_istio_egress.cluster.api import reason
from pytest_istio_egress.cluster.moment import events, log_end, log_ends, pod_states
from pytest_istio_egress.cluster.pods import PROXY, Pod
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.cluster.settle import rejections
from pytest_istio_egress.diagnosis import cause
from pytest_istio_egress.evidence import FAR_END, Verdict
from pytest_istio_egress.judge import Judge
from pytest_istio_egress.report.redaction import redact, redacted

LARGEST = 1_000_000
"""Characters of one file; the rest of a longer one is left out, and said to be."""
NOTHING = "(not a line in that time)\n"
MISSING = "not-collected.txt"
_BEFORE = 5
"""Seconds before the case was entered from which logs are kept."""

Files = dict[str, str]
"""Texts by file name, without secrets."""


def keep(judge: Judge, case: Case, verdict: Verdict | None) -> Files:
    """Gather the evidence; `verdict` is None where no probe failed, but a fact of the configuration, or the cluster."""
    try:
        return gathered(_tasks(judge, case, verdict), judge.timeouts.evidence)
    except Exception as error:  # noqa: BLE001  # whatever goes wrong here, the verdict stands, and says what it says
        return {MISSING: redact(f"nothing could be collected: {_why(error)}\n")}


def gathered(tasks: Mapping[str, Callable[[], str]], timeout: float) -> Files:
    """Run the tasks side by side for `timeout` seconds at most, and note which of them failed."""
    pool = ThreadPoolExecutor(8)
    running = {name: pool.submit(task) for name, task in tasks.items()}
    wait(running.values(), timeout)
    # What still waits for an answer has a timeout of its own; nobody waits for it here.
    pool.shutdown(wait=False, cancel_futures=True)
    files: Files = {}
    missing: list[str] = []
    for name, future in running.items():
        why = _trouble(future, timeout)
        if why:
            missing.append(f"{name}: {why}\n")
        elif text := future.result() or (name.endswith(".log") and NOTHING):
            files[name] = redact(_shortened(text))
    if missing:
        files[MISSING] = redact("".join(missing))
    return files


def _trouble(future: Future[str], timeout: float) -> str | None:
    if not future.done() or future.cancelled():
        return f"no answer within {timeout:g} s"
    error = future.exception()
    return _why(error) if error else None


def _why(error: BaseException) -> str:
    if isinstance(error, ApiException):
        return reason(error)
    return " ".join(str(error).split()) or type(error).__name__


def _shortened(text: str) -> str:
    return text if len(text) <= LARGEST else f"{text[:LARGEST]}\n... and {len(text) - LARGEST} more characters\n"


def _tasks(judge: Judge, case: Case, verdict: Verdict | None) -> dict[str, Callable[[], str]]:
    api, names = judge.api, judge.names
    since = int(time.monotonic() - judge.staging.entered) + _BEFORE
    proxies = dict(_proxies(judge, case, verdict))
    outside = names.namespace("egress-outside")
    hosts = _hosts(judge, verdict)
    port = _port(verdict)
    namespaces = sorted({pod.namespace for pod in proxies.values()} | ({outside} if judge.world.built else set()))
    tasks: dict[str, Callable[[], str]] = {
        "applied.yaml": lambda: _applied(judge.staging.documents, names.run),
        "mesh.yaml": lambda: _yaml([yaml.safe_load(_mesh(judge))]),
        "pods.yaml": lambda: _yaml(pod_states(api, namespaces)),
        "events.txt": lambda: "".join(f"{line}\n" for line in events(api, namespaces)),
    }
    if judge.world.built:
        tasks["outside.log"] = lambda: log_ends(api, outside, since)
    if verdict:
        tasks["probe.json"] = lambda: _json(_probe(verdict))
    else:
        tasks["istiod.log"] = lambda: log_ends(api, names.mesh.control_plane, since, "app=istiod")
    for name, pod in proxies.items():
        if pod.injected:
            tasks[f"{name}.log"] = lambda pod=pod: log_end(api, pod.namespace, pod.name, PROXY, since)  # type: ignore[misc]  # bound now
            tasks[f"{name}-config.json"] = lambda pod=pod: _json(_config(judge, pod, hosts, port))  # type: ignore[misc]  # bound now
    return tasks


def _proxies(judge: Judge, case: Case, verdict: Verdict | None) -> Iterator[tuple[str, Pod]]:
    """Yield the clients and gateways that had a part in it; only pods that were looked up already."""
    known = judge.world.found.known()
    if verdict is None:
        yield from ((name.replace("/", "-"), pod) for name, pod in known.items() if pod.injected)
        through = any("gateway" in feature for feature in case.requires)
        gateways = judge.witnesses.gateways() if through else []
    else:
        if verdict.probe.client in known:
            yield "client-sidecar", known[verdict.probe.client]
        hop = verdict.expected.gateway
        at = hop.at if hop else None
        gateways = [known[at]] if at and at in known else judge.witnesses.gateways() if hop else []
    for number, pod in enumerate(gateways, start=1):
        yield ("gateway" if number == 1 else f"gateway-{number}"), pod


def _probe(verdict: Verdict) -> dict[str, Any]:
    seen = verdict.exchange
    hops = {"sidecar": seen.sidecar, "gateway": seen.gateway, "forward proxy": seen.proxy}
    return {
        "sent": seen.client,
        "differences": [str(difference) for difference in verdict.differences],
        "cause": cause(verdict),
        "attempts": verdict.attempts,
        "curl": asdict(seen.curl),
        "outside": {
            name.removeprefix(FAR_END): value for name, value in seen.curl.headers.items() if name.startswith(FAR_END)
        },
        "access logs": {name: line.raw for name, line in hops.items() if line},
        "expected": {name: value for name, value in asdict(verdict.expected).items() if value not in (None, {}, ())},
    }


def _config(judge: Judge, pod: Pod, hosts: list[str], port: int | None) -> dict[str, Any]:
    part = ProxyConfig(judge.api, pod).concerning(hosts, port)
    return {"proxy": str(pod), "hosts": hosts, "rejected": rejections(judge.api, pod)} | part


def _hosts(judge: Judge, verdict: Verdict | None) -> list[str]:
    """Return the hosts that it is about: the probe's own, and those that the manifests name."""
    found: list[object] = []
    if verdict:
        host = urlsplit(verdict.probe.url).hostname or ""
        found.append(host if verdict.probe.literal else judge.names.text(host))
    for document in judge.staging.documents:
        spec = document.get("spec") or {}
        hosts = spec.get("hosts") if document["kind"] != "Sidecar" else None
        found += [*(hosts if isinstance(hosts, list) else []), spec.get("host")]
    # A name that stands for everything would make the part the whole.
    return sorted({host for host in found if isinstance(host, str) and host.strip("*.")})


def _port(verdict: Verdict | None) -> int | None:
    if verdict is None:
        return None
    parts = urlsplit(verdict.probe.url)
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _mesh(judge: Judge) -> str:
    mesh = judge.names.mesh
    return str(judge.api.core.read_namespaced_config_map(mesh.config_map, mesh.control_plane).data.get("mesh", ""))


def _applied(documents: list[dict[str, Any]], run: str) -> str:
    if not documents:
        return ""
    head = f"# What the case had applied when it failed, under the names of run {run}: kubectl apply -f applied.yaml\n"
    return head + _yaml(documents)


def _yaml(documents: list[Any]) -> str:
    return yaml.safe_dump_all(redacted(documents), sort_keys=False, allow_unicode=True, width=120)


def _json(value: Any) -> str:
    return json.dumps(redacted(value), indent=1, default=_as_json, ensure_ascii=False) + "\n"


def _as_json(value: Any) -> Any:
    return sorted(value) if isinstance(value, set | frozenset) else str(value)
