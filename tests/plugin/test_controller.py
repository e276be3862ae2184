"""Selection of the cluster, the moment of the first contact, and the cleanup."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import VersionApi
from repository import Repository  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.cluster import retry
from pytest_istio_egress.model.kube_context import IN_CLUSTER
from pytest_istio_egress.plugin.controller import ALL_SKIPPED, CLUSTER_UNUSABLE
from pytest_istio_egress.plugin.worker import ENVIRONMENT_FAILED
from pytest_istio_egress.run_target import Target, TargetError, new_run, reachability
from pytest_istio_egress.run_target.reachability import kubernetes_version
from pytest_istio_egress.settings import kubeconfig as kubeconfig_module
from pytest_istio_egress.settings.kubeconfig import NoContextError, chosen_context


def kubeconfig(path: Path, *contexts: str, current: str | None = None, server: str = "http://127.0.0.1:1") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": name, "cluster": {"server": server}} for name in contexts],
                "users": [{"name": name, "user": {}} for name in contexts],
                "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in contexts],
                "current-context": current,
            }
        )
    )
    return path


def target_of(path: Path, context: str) -> Target:
    return Target(
        kind="context",
        kubeconfig=path,
        context=context,
        run=new_run(),
        notes=(),
        timeout_scale=1.0,
        allow_mesh_wide=False,
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return tmp_path


def test_pod_without_kubeconfig_uses_its_service_account(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubeconfig_module, "SERVICE_ACCOUNT", home)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    with pytest.raises(NoContextError):
        chosen_context(None, None)
    (home / "token").write_text("t")
    assert chosen_context(None, None) == (None, IN_CLUSTER)
    with pytest.raises(NoContextError):
        chosen_context(None, "prod")
    path = kubeconfig(home / ".kube" / "config", "a", current="a")
    assert chosen_context(None, None) == (path, "a")


def test_current_context_of_the_default_kubeconfig_is_used(home: Path) -> None:
    path = kubeconfig(home / ".kube" / "config", "a", "b", current="b")
    assert chosen_context(None, None) == (path, "b")
    assert chosen_context(None, "a") == (path, "a")


def test_several_kubeconfigs_are_merged_as_kubectl_does(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = kubeconfig(home / "one", "a")
    two = kubeconfig(home / "two", "b", current="b")
    monkeypatch.setenv("KUBECONFIG", f"{one}:{home / 'missing'}:{two}")
    assert chosen_context(None, None) == (None, "b")
    assert chosen_context(None, "a") == (None, "a")
    assert chosen_context(two, None) == (two, "b")


def test_missing_context_is_an_error_that_names_the_choices(home: Path) -> None:
    with pytest.raises(NoContextError, match=r"\.kube/config"):
        chosen_context(None, None)
    path = kubeconfig(home / "config", "a", "b")
    with pytest.raises(NoContextError, match=r"no current context.*a, b"):
        chosen_context(path, None)
    with pytest.raises(NoContextError, match=r"'c'.*a, b"):
        chosen_context(path, "c")
    for damaged in ("a: [", "just words", "contexts: [1]", "\0"):
        path.write_text(damaged)
        with pytest.raises(NoContextError, match="config"):
            chosen_context(path, None)


def test_run_id_is_valid_in_names() -> None:
    runs = {new_run() for _ in range(100)}
    assert len(runs) > 90
    assert all(re.fullmatch("[a-z][a-z2-7]{5}", run) for run in runs)


def test_target_is_the_same_after_json(tmp_path: Path) -> None:
    target = target_of(tmp_path / "config", "a")
    assert Target.from_json(target.to_json()) == target
    without_file = Target("context", None, "a", "k3x9qb", ("one", "two"), 2.5, True)  # noqa: FBT003  # all fields, in order
    assert Target.from_json(without_file.to_json()) == without_file


class ApiServer(BaseHTTPRequestHandler):
    """An API server that responds with its version, or with an error."""

    status = 200

    def do_GET(self) -> None:
        words = ("buildDate", "compiler", "gitCommit", "gitTreeState", "goVersion", "major", "minor", "platform")
        body = json.dumps(dict.fromkeys(words, "-") | {"gitVersion": "v1.30.1"}).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def api_server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), ApiServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_reachable_cluster_returns_its_version(
    tmp_path: Path, api_server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kubeconfig(tmp_path / "config", "a", server=f"http://127.0.0.1:{api_server.server_port}")
    assert kubernetes_version(target_of(path, "a")) == "v1.30.1"
    monkeypatch.setattr(ApiServer, "status", 401)
    with pytest.raises(TargetError, match=r"'a'.*rejected the credentials"):
        kubernetes_version(target_of(path, "a"))


def test_first_request_verifies_as_kubectl_does(
    tmp_path: Path, api_server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.13 and later refuse the certificate authorities of many clusters (VERIFY_X509_STRICT)."""

    def strict() -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(retry, "create_urllib3_context", strict)
    pools: list[dict[str, Any]] = []

    def version_of(api_client: Any) -> Any:
        pools.append(api_client.rest_client.pool_manager.connection_pool_kw)
        return VersionApi(api_client)

    monkeypatch.setattr(reachability, "VersionApi", version_of)
    path = kubeconfig(tmp_path / "config", "a", server=f"http://127.0.0.1:{api_server.server_port}")
    assert kubernetes_version(target_of(path, "a")) == "v1.30.1"
    assert [pool["ssl_context"].verify_flags & ssl.VERIFY_X509_STRICT for pool in pools] == [0]


def test_cluster_without_response_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachability, "_timeout", lambda _: 0.2)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        path = kubeconfig(tmp_path / "config", "a", server=f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(TargetError, match=r"no response within 0\.2 s"):
            kubernetes_version(target_of(path, "a"))


def real_run(repository: Repository, *arguments: str) -> pytest.RunResult:
    """Run the shipped suite without the stand-in."""
    pytester: pytest.Pytester = repository.pytester
    return pytester.runpytest_subprocess("--istio-egress", *arguments)


@pytest.mark.parametrize("more", [[], ["-n", "2"]])
def test_run_without_configured_cluster_is_a_usage_error(repository: Repository, more: list[str]) -> None:
    result = real_run(repository, *more)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    errors = [line for line in result.errlines if line.strip()]
    assert len(errors) == 1
    assert "--istio-egress-target embedded" in errors[0]


@pytest.mark.parametrize("more", [[], ["-n", "2"]])
def test_unreachable_cluster_is_one_line_and_exit_3(repository: Repository, more: list[str]) -> None:
    kubeconfig(Path.home() / ".kube" / "config", "prod", current="prod")
    result = real_run(repository, *more)
    assert result.ret == CLUSTER_UNUSABLE
    lines = [line for line in result.outlines + result.errlines if "'prod'" in line]
    assert len(lines) == 1
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize(
    "arguments", [["--collect-only"], ["--collect-only", "-n", "2"], ["--fixtures"], ["--help"], ["--setup-plan"]]
)
def test_listing_needs_no_cluster(repository: Repository, arguments: list[str]) -> None:
    assert real_run(repository, *arguments).ret == pytest.ExitCode.OK


@pytest.mark.parametrize("more", [[], ["-n", "2"]])
def test_cluster_is_not_contacted_when_no_test_is_selected(repository: Repository, more: list[str]) -> None:
    result = repository.run("--istio-egress", "-k", "no_such_name", *more)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result = repository.run("--istio-egress", "conformance/mesh_wide", *more)
    assert result.ret == ALL_SKIPPED
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["istio-egress: every test was skipped, so nothing was tested (exit code 6)*"])
    assert not repository.notes.exists()


@pytest.mark.parametrize("more", [[], ["-n", "2"]])
def test_run_has_one_target(repository: Repository, more: list[str]) -> None:
    result = repository.run("--istio-egress", "--istio-egress-timeout-scale", "1.5", *more)
    result.assert_outcomes(passed=4, skipped=1)
    assert len(repository.notes_of("prepare")) == 1
    [release] = repository.notes_of("release")
    run = release.split()[1]
    assert repository.notes_of("target") == [f"target {run} stand-in ('noted',) 1.5"] * 4
    result.stdout.fnmatch_lines([f"*run {run}*", "*the stand-in is ready", "detected: v1.99.0"])


@pytest.mark.parametrize("more", [[], ["-n", "2"]])
@pytest.mark.parametrize("end", ["assert False", "raise KeyboardInterrupt", "import os; os._exit(9)"])
def test_cluster_is_cleaned_however_a_test_ends(repository: Repository, end: str, more: list[str]) -> None:
    if end.endswith("_exit(9)") and not more:
        pytest.skip("nothing is left of pytest then: `istio-egress clean` finds what it created")
    repository.write({"dns/test_ending.py": f"def test_ending(egress): {end}"})
    result = repository.run("--istio-egress", "conformance/dns", *more)
    assert result.ret not in {pytest.ExitCode.OK, CLUSTER_UNUSABLE}
    assert len(repository.notes_of("release")) == 1
    assert repository.notes.read_text().splitlines()[-1].startswith("release")


@pytest.mark.parametrize("more", [[], ["-n", "2"]])
def test_interrupted_cleanup_prints_the_remedy(
    repository: Repository, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_INTERRUPTED", "yes")
    result = repository.run("--istio-egress", *more)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    (run,) = repository.notes_of("release")
    result.stdout.fnmatch_lines([f"*istio-egress clean --run {run.split()[-1]}*", "*4 passed*"])


@pytest.mark.parametrize("more", [[], ["-n", "2"]])
def test_second_ctrl_c_while_pytest_handles_the_first_prints_the_remedy(
    repository: Repository, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_INTERRUPTED_AGAIN", "yes")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # where this test runs in a worker itself
    test = f"""
        import os, signal, time

        def test_ending(egress):
            os.kill(os.getppid() if {bool(more)} else os.getpid(), signal.SIGINT)
            time.sleep(5)
    """
    repository.write({"dns/test_ending.py": test})
    result = repository.run("--istio-egress", "conformance/dns/test_ending.py", *more)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*istio-egress: interrupted before the cluster was clean*"])
    assert not repository.notes_of("release")


def test_failed_cleanup_is_exit_3(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_STUCK", "yes")
    result = repository.run("--istio-egress")
    assert result.ret == CLUSTER_UNUSABLE
    result.stdout.fnmatch_lines(["istio-egress: a namespace is stuck", "*4 passed*"])


@pytest.mark.parametrize("more", [[], ["-n", "2"]])
def test_run_without_clients_and_servers_is_told_once_and_exit_3(repository: Repository, more: list[str]) -> None:
    end = f"""
        import pytest

        @pytest.mark.parametrize("number", range(5))
        def test_ending(egress, request, number):
            request.session.shouldstop = "{ENVIRONMENT_FAILED}: no ready pod"
            assert False
    """
    repository.write({"dns/test_ending.py": end})
    result = repository.run(
        "--istio-egress", "conformance/dns/test_ending.py", "--istio-egress-report", "r.yaml", *more
    )
    assert result.ret == CLUSTER_UNUSABLE
    result.assert_outcomes(failed=1)
    assert "no ready pod" in (repository.path / "r.yaml").read_text()


@pytest.mark.parametrize("more", [[], ["-n", "2"]])
@pytest.mark.parametrize("process", ["controller", "group"])
def test_sigterm_is_treated_as_ctrl_c(repository: Repository, process: str, more: list[str]) -> None:
    """A cancelled CI job gets SIGTERM: fixtures are finalized, and the cluster is cleaned."""
    end = f"""
        import os, signal, time
        from pathlib import Path

        def test_ending(egress):
            parent = os.getppid() if {bool(more)} else os.getpid()
            os.kill(parent, signal.SIGTERM)
            if {process == "group"}:
                os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
    """
    repository.write({"dns/test_ending.py": end})
    result = repository.run("--istio-egress", "conformance/dns/test_ending.py", *more)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert len(repository.notes_of("release")) == 1
    if not more or process == "group":
        assert repository.notes_of("test is over"), "the fixture of the test was finalized"


def unreachable(path: Path, **cluster: str) -> Target:
    """Return a target whose API server does not exist; the fields are those of its cluster in the kubeconfig."""
    config = json.loads(path.read_text())
    config["clusters"][0]["cluster"] |= {"server": "http://127.0.0.1:1", **cluster}
    path.write_text(json.dumps(config))
    return target_of(path, config["contexts"][0]["name"])


def with_plugin(folder: Path, script: str) -> Path:
    plugin = folder / "kubelogin"
    plugin.write_text(f"#!/bin/sh\n{script}\n")
    plugin.chmod(0o700)
    path = kubeconfig(folder / "config", "a")
    config = json.loads(path.read_text())
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}}
    config["users"] = [{"name": config["contexts"][0]["context"]["user"], "user": user}]
    path.write_text(json.dumps(config))
    return path


def test_plugin_that_waits_is_named_where_nothing_was_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachability, "_timeout", lambda _: 1.0)
    target = unreachable(with_plugin(tmp_path, "exec sleep 5"))
    with pytest.raises(TargetError, match=r"kubelogin may be waiting for you.*log in with kubectl first"):
        kubernetes_version(target)


def test_plugin_that_gave_credentials_is_no_reason(tmp_path: Path) -> None:
    version = "client.authentication.k8s.io/v1"
    credential = json.dumps({"kind": "ExecCredential", "status": {"token": "t"}, "apiVersion": version})
    target = unreachable(with_plugin(tmp_path, f"echo '{credential}'"))
    with pytest.raises(TargetError) as raised:
        kubernetes_version(target)
    assert "refused" in str(raised.value)
    assert "waiting" not in str(raised.value)


def test_plugin_that_fails_is_the_reason(tmp_path: Path) -> None:
    target = unreachable(with_plugin(tmp_path, "echo no session >&2; exit 1"))
    with pytest.raises(TargetError, match=r"kubelogin gave no credentials: .*no session"):
        kubernetes_version(target)


def test_unreachable_cluster_names_the_proxy_without_its_password(tmp_path: Path) -> None:
    target = unreachable(kubeconfig(tmp_path / "config", "a"), **{"proxy-url": "http://me:secret@127.0.0.1:1"})
    with pytest.raises(TargetError, match=r"the connection goes through the proxy http://127\.0\.0\.1:1") as raised:
        kubernetes_version(target)
    assert "secret" not in str(raised.value)


def test_unreachable_cluster_names_the_proxy_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(TargetError, match=r"through the proxy http://127\.0\.0\.1:1"):
        kubernetes_version(unreachable(kubeconfig(tmp_path / "config", "a"), server="http://192.0.2.1"))


def test_proposed_command_can_be_pasted(tmp_path: Path) -> None:
    target = unreachable(kubeconfig(tmp_path / "config", "the cluster"))
    with pytest.raises(TargetError, match=r"hint: kubectl --context 'the cluster' "):
        kubernetes_version(target)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "https"])
def test_proxy_that_exec_cannot_use_is_refused_at_once_with_what_to_do(tmp_path: Path, scheme: str) -> None:
    path = kubeconfig(tmp_path / "config", "a")
    config = json.loads(path.read_text())
    config["clusters"][0]["cluster"]["proxy-url"] = f"{scheme}://me:secret@bastion:1080"
    path.write_text(json.dumps(config))
    with pytest.raises(TargetError) as raised:
        kubernetes_version(target_of(path, "a"))
    text = str(raised.value)
    assert f"through the proxy {scheme}://bastion:1080" in text
    assert "ssh -L" in text
    assert "secret" not in text
    assert "\n" not in text
