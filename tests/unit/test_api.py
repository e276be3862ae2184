"""The message of an error of the API in one line."""

import base64
import datetime
import json
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster import retry
from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.certificates import Authority


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
