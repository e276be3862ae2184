"""A credential plugin gets the terminal once, at the start of a command, and never in a worker or later."""

from __future__ import annotations

import json
import os
import pty
import sys
from pathlib import Path
from typing import Any

import pytest
from api_server import Server, kubeconfig, serve
from kubernetes import client

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.credential_plugin import load, log_in_at_terminal

VERSION = "client.authentication.k8s.io/v1"
ASKS = """\
#!/bin/sh
echo "$KUBERNETES_EXEC_INFO" >> {folder}/calls
if [ ! -e {folder}/stored ]; then
  echo 'enter the code' >&2
  read answer || exit 3
  echo "$answer" > {folder}/stored
fi
echo '{{"apiVersion": "{version}", "kind": "ExecCredential", "status": {{"token": "'$(cat {folder}/stored)'"}}}}'
"""
"""A plugin that asks once, and stores the answer, which is its token."""
AT_TERMINAL = """\
import sys
from pathlib import Path
from pytest_istio_egress.cluster.credential_plugin import log_in_at_terminal
sys.stdin = object()  # as pytest replaces it
log_in_at_terminal(Path({path!r}), "a")
"""


def plugin(folder: Path, text: str, url: str = "http://127.0.0.1:1", **more: Any) -> Path:
    command = folder / "plugin"
    command.write_text(text.format(folder=folder, version=VERSION))
    command.chmod(0o700)
    user = {"exec": {"apiVersion": VERSION, "command": str(command), **more}}
    return kubeconfig(folder, url, user)


def at_a_terminal(code: str, typed: bytes) -> bytes:
    """Run Python code in a process with a terminal of its own, type what is asked for, and return what it shows."""
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-c", code])
    shown = b""
    try:
        while data := os.read(terminal, 1024):
            shown += data
            if b"code" in data:
                os.write(terminal, typed)
    except OSError:
        pass  # it has ended
    finally:
        os.close(terminal)
        os.waitpid(process, 0)
    return shown


def interactive(folder: Path) -> list[bool]:
    return [json.loads(line)["spec"]["interactive"] for line in (folder / "calls").read_text().splitlines()]


def test_plugin_asks_at_the_terminal_and_then_hands_out_what_it_stored(tmp_path: Path) -> None:
    path = plugin(tmp_path, ASKS)
    assert b"enter the code" in at_a_terminal(AT_TERMINAL.format(path=str(path)), b"secret\n")
    assert Api(path, "a").configuration.api_key["BearerToken"] == "Bearer secret"
    assert interactive(tmp_path) == [True, False]


def test_plugin_of_a_run_in_the_background_asks_nobody(tmp_path: Path) -> None:
    """Its first read from the terminal would stop the run."""
    code = AT_TERMINAL.format(path=str(plugin(tmp_path, ASKS)))
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], process_group=0)"
    assert at_a_terminal(outer, b"") == b""
    assert not (tmp_path / "calls").exists()


def test_plugin_without_a_terminal_asks_nobody(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"it ended with exit code 3\. enter the code \(log in with kubectl first\)"):
        Api(plugin(tmp_path, ASKS), "a")
    assert interactive(tmp_path) == [False]


def test_plugin_that_never_asks_is_not_run_for_that(tmp_path: Path) -> None:
    path = plugin(tmp_path, ASKS, interactiveMode="Never")
    assert at_a_terminal(AT_TERMINAL.format(path=str(path)), b"") == b""
    assert not (tmp_path / "calls").exists()


def test_context_without_a_plugin_needs_no_login(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "http://127.0.0.1:1", {"token": "t"})
    log_in_at_terminal(path, "a")
    log_in_at_terminal(tmp_path / "missing", "a")


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        ("no JSON", "is not JSON"),
        ("[]", "has no status"),
        (json.dumps({"apiVersion": "client.authentication.k8s.io/v1beta1", "status": {"token": "t"}}), "v1beta1"),
        (json.dumps({"apiVersion": VERSION, "status": {"clientCertificateData": "c"}}), "neither a token nor a cert"),
    ],
    ids=["no JSON", "no object", "other version", "certificate without key"],
)
def test_what_a_plugin_prints_is_checked(tmp_path: Path, printed: str, words: str) -> None:
    (tmp_path / "printed").write_text(printed)
    with pytest.raises(ClusterError, match=words):
        Api(plugin(tmp_path, "#!/bin/sh\ncat {folder}/printed\n"), "a")


def test_plugin_is_run_again_before_a_request_after_its_token_has_expired(tmp_path: Path) -> None:
    server = Server(accepts="second")
    listening = serve(server)
    text = """#!/bin/sh
echo call >> {folder}/calls
token=$([ $(wc -l < {folder}/calls) = 1 ] && echo first || echo second)
echo '{{"apiVersion": "{version}", "kind": "ExecCredential", "status": \
  {{"token": "'$token'", "expirationTimestamp": "2001-02-03T04:05:06Z"}}}}'
"""
    api = Api(plugin(tmp_path, text, url=server.url), "a")
    assert client.VersionApi(api.client).get_code().git_version == "v1"
    assert server.seen == ["second"]
    listening.shutdown()
    listening.server_close()


def test_plugin_gets_the_cluster_where_it_asks_for_it(tmp_path: Path) -> None:
    text = '#!/bin/sh\necho "$KUBERNETES_EXEC_INFO" > {folder}/calls\nexit 1\n'
    load(plugin(tmp_path, text, provideClusterInfo=True), "a", client.Configuration())
    assert json.loads((tmp_path / "calls").read_text())["spec"]["cluster"] == {"server": "http://127.0.0.1:1"}
