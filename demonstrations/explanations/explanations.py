"""Explains ten requests with `istio-egress explain`.

    python demonstrations/explanations/explanations.py > docs/explanations.md

The workloads and rules are those of docs/example and of mesh.yaml. The exit status is 1 where a text lacks a part that
requests.yaml demands; stderr names it. The requests are explained with the rights of docs/rights.yaml and no others.
`--cluster NAME` uses an embedded cluster that runs already.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from demonstrations.cluster_tools import kubectl
from demonstrations.command_line import parser_of
from demonstrations.service_account import with_documented_rights
from pytest_istio_egress.embedded import ClusterSpec, EmbeddedCluster, down, up

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "docs" / "example" / "manifests"
WORKLOADS = (("payments", "payments"), ("stripe", "api"), ("shop", "shop"))
CLUSTER = "explanations"
HEAD = """\
# The way of ten requests

Made by `python demonstrations/explanations/explanations.py` on the embedded cluster, with the manifests of
[docs/example](example/README.md) and of [mesh.yaml](../demonstrations/explanations/mesh.yaml). `istio-egress explain`
reads the configuration of the proxies and Istio's resources; nothing is sent. The requests were explained by a service
account with the rights of [rights.yaml](rights.yaml) and no others.
"""


@dataclass(frozen=True)
class Request:
    """An entry of requests.yaml, whose head explains the fields."""

    about: str
    client: str
    url: str
    shows: tuple[str, ...]

    @property
    def command(self) -> list[str]:
        """The command line that explains it."""
        return ["istio-egress", "explain", "--from", self.client, self.url]


def load() -> list[Request]:
    """Read requests.yaml."""
    entries = yaml.safe_load((HERE / "requests.yaml").read_text(encoding="utf-8"))
    return [Request(**{**entry, "shows": tuple(entry["shows"])}) for entry in entries]


def section(request: Request, text: str) -> str:
    """Return the page's section of a request."""
    return f"## {request.about}\n\n```console\n$ {' '.join(request.command)}\n{text.strip()}\n```\n"


def missing(request: Request, text: str) -> Iterator[str]:
    """Yield what a request's text lacks."""
    yield from (f"{request.url}: the text lacks {part!r}" for part in request.shows if part not in text)


def explained(requests: Iterable[Request], kubeconfig: Path) -> dict[Request, str]:
    """Return the text of each request."""
    texts = {}
    for request in requests:
        command = [sys.executable, "-m", "pytest_istio_egress.cli", *request.command[1:]]
        command += ["--kubeconfig", str(kubeconfig)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        texts[request] = done.stdout or done.stderr
    return texts


def prepare(cluster: EmbeddedCluster) -> None:
    """Apply the workloads and their rules, and wait for the pods."""
    for manifests in (EXAMPLE, HERE / "mesh.yaml"):
        kubectl(cluster, "apply", "-f", str(manifests))
    for namespace, name in WORKLOADS:
        kubectl(cluster, "rollout", "status", "-n", namespace, f"deployment/{name}", "--timeout=180s")


def main() -> int:
    """Explain the requests, print the page, name what it lacks."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument(
        "--cluster", metavar="NAME", help="an embedded cluster that runs already; it keeps the manifests"
    )
    options = parser.parse_args()
    cluster = up(ClusterSpec(name=options.cluster or CLUSTER), tied_to_caller=not options.cluster)
    try:
        prepare(cluster)
        with tempfile.TemporaryDirectory() as folder:
            texts = explained(load(), with_documented_rights(cluster, Path(folder)))
    finally:
        if not options.cluster:
            down(CLUSTER)
    sys.stdout.write("\n".join([HEAD, *(section(request, text) for request, text in texts.items())]))
    found = [problem for request, text in texts.items() for problem in missing(request, text)]
    for problem in found:
        sys.stderr.write(f"{problem}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
