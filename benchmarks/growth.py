"""Runs the suite in a mesh as it is, then in the same mesh with many more resources, and compares the times.

    python benchmarks/growth.py [--kubeconfig FILE] [--workers N] [--rounds R] [--entries E] [PYTEST ARGUMENT ...]

Adds 100 namespaces, 300 Services and 1,000 ServiceEntries (or E), visible to every proxy, which is Istio's default.
They carry a label and are removed at the end.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from suite import Round, run_suite, spread

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.plugin.scheduler import WORKERS

LABEL = "istio-egress.dev/growth"
NAMESPACES, SERVICES = 100, 300


def namespaces() -> Iterator[dict[str, Any]]:
    """Yield the namespaces."""
    for number in range(NAMESPACES):
        metadata = {"name": f"growth-{number}", "labels": {LABEL: "true"}}
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def resources(entries: int) -> Iterator[dict[str, Any]]:
    """Yield the Services and so many ServiceEntries, spread evenly over the namespaces."""
    for number in range(SERVICES):
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": f"service-{number}", "namespace": f"growth-{number % NAMESPACES}"},
            "spec": {"ports": [{"name": "http", "port": 8000 + number}], "selector": {"app": f"service-{number}"}},
        }
    for number in range(entries):
        yield {
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {"name": f"entry-{number}", "namespace": f"growth-{number % NAMESPACES}"},
            "spec": {
                "hosts": [f"growth-{number}.test"],
                "location": "MESH_EXTERNAL",
                "resolution": "STATIC",
                "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
                "endpoints": [{"address": f"198.{18 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"}],
            },
        }


def existing(api: Api) -> list[Any]:
    """Return the added namespaces that exist now."""
    items: list[Any] = api.core.list_namespace(label_selector=LABEL).items
    return items


@contextmanager
def grown(api: Api, entries: int) -> Iterator[None]:
    """Add the resources, and remove them at the end."""

    def create(document: dict[str, Any]) -> None:
        kind = api.resource(document["apiVersion"], document["kind"])
        kind.create(body=document, namespace=document["metadata"].get("namespace"))

    with ThreadPoolExecutor(8) as pool:
        try:
            list(pool.map(create, namespaces()))
            list(pool.map(create, resources(entries)))
            yield
        finally:
            list(pool.map(lambda namespace: api.core.delete_namespace(namespace.metadata.name), existing(api)))
            while existing(api):  # otherwise the next call finds their names taken
                time.sleep(1)


def main() -> None:
    """Compare; exit status 1 if a parameter failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", type=Path)
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--entries", type=int, default=1000)
    chosen, arguments = parser.parse_known_args()
    if chosen.kubeconfig:
        arguments += ["--istio-egress-kubeconfig", str(chosen.kubeconfig)]

    def rounds() -> list[Round]:
        return [run_suite(chosen.workers, arguments) for _ in range(chosen.rounds)]

    small = rounds()
    with grown(Api(chosen.kubeconfig, None), chosen.entries):
        large = rounds()
    before, after = [one.wall for one in small], [one.wall for one in large]
    ratio = statistics.median(after) / statistics.median(before)
    failed = [name for one in (*small, *large) for name in one.failed]
    print(f"{small[0].parameters} parameters, {chosen.workers} workers, {chosen.rounds} rounds each")
    print(f"added: {NAMESPACES} namespaces, {SERVICES} Services, {chosen.entries} ServiceEntries")
    print(f"{'seconds':22}     min   median      max")
    print(f"{'the mesh as it is':22} {spread(before)}")
    print(f"{'with the added ones':22} {spread(after)}")
    print(f"ratio of the medians: {ratio:.2f}; failed: {', '.join(failed) or 'none'}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
