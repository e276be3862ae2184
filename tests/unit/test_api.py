"""The message of an error of the API in one line."""

import base64
import datetime
import json
import socket
import ssl
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from api_server import VERSION, kubeconfig
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient

from pytest_istio_egress.cluster import retry
from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.certificates import Authority
from pytest_istio_egress.model.timeouts import Timeouts


def with_body(body: str | None, status: int = 403, reason: str = "Forbidden") -> ApiException:
    error = ApiException(status=status, reason=reason)
    error.body = body
    return error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (with_body(json.dumps({"message": "pods is\n forbidden"})), "pods is forbidden"),
        (with_body(None), "HTTP 403 Forbidden"),
        (with_body("<html>"), "HTTP 403 Forbidden"),
        (
            with_body(None, 0, 'Handshake status 403 -+- b\'{"message":"exec is \\"forbidden\\""}\''),
            'exec is "forbidden"',
        ),
        (with_body(None, 0, "[Errno 111] Connection refused"), "[Errno 111] Connection refused"),
        (ClusterError("two\n  lines"), "two lines"),
        (OSError(), "OSError"),
    ],
)
def test_reason_is_the_message_in_one_line(error: Exception, line: str) -> None:
    assert reason(error) == line


KUBECONFIG = """
clusters: [{name: a, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: a, user: {}}]
contexts: [{name: a, context: {cluster: a, user: a}}]
current-context: a
"""


def pool_arguments(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "config").write_text(KUBECONFIG)
    arguments: dict[str, Any] = Api(tmp_path / "config", "a").client.rest_client.pool_manager.connection_pool_kw
    return arguments


def test_idle_connections_are_probed(tmp_path: Path) -> None:
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in pool_arguments(tmp_path)["socket_options"]


def test_certificates_are_verified_as_kubectl_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strict = ssl.create_default_context()
    strict.verify_flags |= ssl.VERIFY_X509_STRICT  # the default of Python 3.13
    monkeypatch.setattr(retry, "create_urllib3_context", lambda: strict)
    context = pool_arguments(tmp_path)["ssl_context"]
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_shared_context_loads_certificates_once(tmp_path: Path) -> None:
    """To load them while another thread connects crashes the process."""
    authority = Authority("a", datetime.datetime.now(datetime.UTC))
    secret = authority.sign("client", []).secret(authority.certificate)
    files = {name: tmp_path / name for name in secret}
    for name, data in secret.items():
        files[name].write_bytes(base64.b64decode(data))
    pool: dict[str, Any] = {
        "ca_certs": str(files["ca.crt"]),
        "cert_file": str(files["tls.crt"]),
        "key_file": str(files["tls.key"]),
    }
    retry.verify_as_kubectl(ssl.create_default_context(), pool)
    assert list(pool) == ["ssl_context"]
    assert pool["ssl_context"].get_ca_certs()


@pytest.mark.skipif(
    bool(ssl.create_default_context().verify_flags & ssl.VERIFY_X509_STRICT), reason="this Python is strict"
)
def test_other_pythons_keep_a_context_for_each_connection(tmp_path: Path) -> None:
    assert "ssl_context" not in pool_arguments(tmp_path)


class Discovery(BaseHTTPRequestHandler):
    """Answers discovery with the kinds of the core API."""

    kinds: ClassVar[list[str]] = []

    def answers(self) -> dict[str, Any]:
        return {"/version": dict.fromkeys(VERSION, "v1"), "/apis": {"kind": "APIGroupList", "groups": []}}

    def do_GET(self) -> None:
        verbs = ["get", "list"]
        served = [{"kind": kind, "name": kind.lower(), "namespaced": True, "verbs": verbs} for kind in self.kinds]
        kinds = {"kind": "APIResourceList", "resources": served}
        body = json.dumps(self.answers().get(self.path.rstrip("/"), kinds)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def test_kinds_of_a_former_cluster_at_the_same_address_are_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), Discovery) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        path = kubeconfig(tmp_path, f"http://127.0.0.1:{server.server_port}", {})
        monkeypatch.setattr(Discovery, "kinds", ["Pod", "Former"])
        assert DynamicClient(Api(path, "a").client).resources.get(api_version="v1", kind="Former")  # keeps it in a file
        assert list(tmp_path.glob("osrcp-*"))
        assert Api(path, "a").serves("v1", "Former")
        monkeypatch.setattr(Discovery, "kinds", ["Pod"])
        assert Api(path, "a").serves("v1", "Pod")
        assert not Api(path, "a").serves("v1", "Former")
        server.shutdown()


class DeadGroup(Discovery):
    """Serves the core API and apps, and lists a group whose aggregated API server does not answer."""

    kinds: ClassVar[list[str]] = ["Pod"]

    def do_GET(self) -> None:
        if self.path.startswith("/apis/dead.example"):
            self.send_error(503)
        else:
            super().do_GET()

    def answers(self) -> dict[str, Any]:
        names = ("apps", "dead.example")
        if "as=APIGroupDiscoveryList" in self.headers["Accept"]:
            fresh = {"apps": "Current", "dead.example": "Stale"}
            groups = [
                {"metadata": {"name": name}, "versions": [{"version": "v1", "freshness": fresh[name]}]}
                for name in names
            ]
            listed = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": groups}
            return {**super().answers(), "/apis": listed}
        groups = [
            {"name": name, "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}} for name in names
        ]
        return {**super().answers(), "/apis": {"kind": "APIGroupList", "groups": groups}}


def test_group_whose_server_does_not_answer_costs_no_time(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), DeadGroup) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        api = Api(kubeconfig(tmp_path, f"http://127.0.0.1:{server.server_port}", {}), "a", Timeouts(api=10.0))
        began = time.monotonic()
        assert api.resource("v1", "Pod").group_version == "v1"
        assert {kind.group_version for kind in api.namespaced_kinds({"list"})} == {"v1", "apps/v1"}
        assert api.broken_api_services() == ["v1.dead.example"]
        assert time.monotonic() - began < 5, "requests that are answered 503 are retried"
        with pytest.raises(ClusterError, match=r"does not serve Pod of dead\.example/v1"):
            api.resource("dead.example/v1", "Pod")
        server.shutdown()
