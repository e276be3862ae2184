"""The project's tasks: `nox -l` lists them, `nox -s NAME` runs one."""

from __future__ import annotations

import tempfile
import tomllib
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True

SUITE = ("pytest", "--istio-egress")
EMBEDDED = (*SUITE, "--istio-egress-target", "embedded")
PINNED = tomllib.loads(Path("pytest_istio_egress/embedded/versions.toml").read_text(encoding="utf-8"))
ENVOY_VERSIONS = PINNED["envoy"]["versions"]
ISTIO_RELEASES = sorted(PINNED["istio"]["releases"])
ISTIO_VERSIONS = ("1.24", "1.26", "1.28", "1.30")
IP_FAMILIES = ("ipv6", "dual")
UNIT_TESTS = ("tests/unit", "tests/test_import_rules.py")
SCRIPTS = ("bootstrap", "kind/up", "kind/down")
WORKFLOWS = (".github/workflows/ci.yml", "docs/ci/github.yml")
SCHEMA = "pytest_istio_egress/report/conformance_report.schema.json"

istio_versions_run: set[str] = set()


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style of Python and shell."""
    session.install("-e", ".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("shellcheck", *SCRIPTS)


@nox.session
def types(session: nox.Session) -> None:
    """Check all types, strictly."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Run all of the project's own tests, which start real embedded clusters."""
    session.install("-e", ".[dev]")
    session.run("pytest", *session.posargs)


@nox.session
def unit(session: nox.Session) -> None:
    """Run the tests that need neither root nor a cluster, on all processors."""
    session.install("-e", ".[dev]")
    session.run("pytest", "-n", "auto", "-m", "not embedded", *UNIT_TESTS, *session.posargs)


@nox.session
def plugin(session: nox.Session) -> None:
    """Run the tests that start pytest sessions with a stub cluster; two minutes, without root or cluster."""
    session.install("-e", ".[dev]")
    session.run("pytest", "-n", "auto", "-m", "not embedded", "tests/plugin", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it, and run the suite from an empty folder."""
    session.install("build")
    built = Path(session.create_tmp())
    session.run("python", "-m", "build", "--wheel", "--outdir", str(built), silent=True)
    session.install(str(max(built.glob("*.whl"), key=lambda file: file.stat().st_mtime)))
    with tempfile.TemporaryDirectory() as empty, session.chdir(empty):
        session.run(*EMBEDDED, *session.posargs)


@nox.session
def embedded(session: nox.Session) -> None:
    """Run the suite on the embedded cluster with the pinned versions."""
    session.install("-e", ".")
    session.run(*EMBEDDED, *session.posargs)


@nox.session
def ambient(session: nox.Session) -> None:
    """Run the ambient suite and the project's own ambient tests: `-- PATH` of a ztunnel, then options of pytest."""
    if not session.posargs:
        session.error("name a ztunnel binary: nox -s ambient -- PATH (docs/ambient.md)")
    ztunnel, *more = session.posargs
    session.install("-e", ".[dev]")
    cluster = ("istio-egress", "cluster")
    session.run(*cluster, "up", "--name", "ambient", "--ambient", "--ztunnel", ztunnel, "--install-packages")
    try:
        kubeconfig = (session.run(*cluster, "kubeconfig", "--name", "ambient", silent=True) or "").strip()
        session.run(*SUITE, "--istio-egress-data-plane", "ambient", *more, env={"KUBECONFIG": kubeconfig})
        session.run("pytest", "tests/ambient", env={"AMBIENT_KUBECONFIG": kubeconfig})
    finally:
        session.run(*cluster, "down", "--name", "ambient")


@nox.session(name="embedded-ip-family")
@nox.parametrize("ip_family", IP_FAMILIES, ids=IP_FAMILIES)
def embedded_ip_family(session: nox.Session, ip_family: str) -> None:
    """Run the suite on an embedded cluster with IPv6, alone or beside IPv4."""
    session.install("-e", ".")
    session.run(*EMBEDDED, "--istio-egress-name", ip_family, "--istio-egress-ip-family", ip_family, *session.posargs)


@nox.session(name="embedded-envoy")
@nox.parametrize("envoy", ENVOY_VERSIONS, ids=ENVOY_VERSIONS)
def embedded_envoy(session: nox.Session, envoy: str) -> None:
    """Run the suite on the embedded cluster with one version of Envoy."""
    session.install("-e", ".")
    name = f"envoy-{envoy.replace('.', '-')}"
    session.run(*EMBEDDED, "--istio-egress-name", name, "--istio-egress-envoy", envoy, *session.posargs)


@nox.session
@nox.parametrize("istio", ISTIO_RELEASES, ids=ISTIO_RELEASES)
def embedded_istio(session: nox.Session, istio: str) -> None:
    """Run the suite on the embedded cluster with one release of Istio; `-- VERSION` names another instead."""
    named = session.posargs and not session.posargs[0].startswith("-")
    version, *more = session.posargs if named else (istio, *session.posargs)
    if version in istio_versions_run:
        session.skip(f"{version} has been run")
    istio_versions_run.add(version)
    session.install("-e", ".")
    name = f"istio-{version.replace('.', '-').lower()[:26].rstrip('-')}"
    session.run(*EMBEDDED, "--istio-egress-name", name, "--istio-egress-istio", version, *more)


@nox.session
def upgrade(session: nox.Session) -> None:
    """Upgrade an embedded cluster, run the suite at each step, and write docs/upgrade.md."""
    session.install("-e", ".")
    session.run("python", "demonstrations/upgrade/upgrade.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Check docs/coverage.md, the report's schema and the CI examples."""
    session.install("-e", ".[dev]")
    session.run("istio-egress", "coverage", "--check")
    session.run("check-jsonschema", "--check-metaschema", SCHEMA)
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    session.run("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "docs/ci/gitlab.yml")


@nox.session
@nox.parametrize("istio", ISTIO_VERSIONS, ids=ISTIO_VERSIONS)
def kind(session: nox.Session, istio: str) -> None:
    """Run the suite on a kind cluster with one release of Istio. Requires Docker, kind, kubectl and istioctl."""
    session.install("-e", ".")
    name = f"istio-egress-{istio.replace('.', '-')}"
    session.run("kind/up", name, istio, external=True)
    try:
        session.run(*SUITE, "--istio-egress-context", f"kind-{name}", *session.posargs)
    finally:
        session.run("kind/down", name, external=True)
