"""Credentials that expire or are replaced during a run are read again, for requests and for exec."""

from __future__ import annotations

import datetime
import json
import shlex
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from api_server import Server, kubeconfig, serve, write
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster import exec_connection
from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.certificates import Authority, Signed
from pytest_istio_egress.cluster.exec_connection import LostError
from pytest_istio_egress.cluster.login import Login, source_of
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.model.timeouts import Timeouts
from pytest_istio_egress.plugin.failure_reports import error_line


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    listening = serve(server)
    yield server
    listening.shutdown()
    listening.server_close()


def api_of(path: Path) -> Api:
    return Api(path, "a", Timeouts(api=0.0))


def version(api: Api) -> str:
    return str(client.VersionApi(api.client).get_code().git_version)


def test_token_that_another_process_replaced_is_read_again(server: Server, tmp_path: Path) -> None:
    api = api_of(kubeconfig(tmp_path, server.url, {"token": "old"}))
    kubeconfig(tmp_path, server.url, {"token": "new"})
    assert version(api) == "v1"
    assert version(api) == "v1"
    assert server.seen == ["old", "new", "new"]


def test_rejected_credentials_are_an_error_that_names_their_file_and_no_permissions(
    server: Server, tmp_path: Path
) -> None:
    path = kubeconfig(tmp_path, server.url, {"token": "old"})
    with pytest.raises(ApiException) as raised:
        version(api_of(path))
    assert raised.value.status == 401
    line = error_line(raised.value)
    assert f"rejected the credentials of the kubeconfig {path}" in line
    assert "kubectl auth whoami" in line
    assert "permission" not in line
    assert server.seen == ["old"], "the same credentials are not sent twice"


def test_rejected_credentials_are_read_again_only_after_a_pause(server: Server, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, server.url, {"token": "old"})
    api = api_of(path)
    reads: list[None] = []
    read = api.login._load

    def counted(into: client.Configuration) -> None:
        reads.append(None)
        read(into)

    api.login._load = counted
    for _ in range(3):
        with pytest.raises(ApiException):
            version(api)
    assert len(reads) == 1


def hand_out(credential: Path, signed: Signed) -> None:
    """Let the plugin hand out this certificate from now on."""
    status = {"clientCertificateData": signed.certificate.decode(), "clientKeyData": signed.key.decode()}
    version = "client.authentication.k8s.io/v1"
    credential.write_text(json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status}))


@pytest.fixture
def authority() -> Authority:
    return Authority("a", datetime.datetime.now(datetime.UTC))


@pytest.fixture
def with_certificates(authority: Authority, tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    """A server that wants certificates, and a kubeconfig with a plugin that hands out what is in `credential.json`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write(tmp_path, "server", authority.sign("server", ["localhost"])))
    (tmp_path / "ca.crt").write_bytes(authority.certificate)
    context.load_verify_locations(tmp_path / "ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    server = Server()
    listening = serve(server, context)
    plugin = tmp_path / "plugin"
    plugin.write_text(f"#!/bin/sh\nexec cat {shlex.quote(str(tmp_path / 'credential.json'))}\n")
    plugin.chmod(0o700)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}}
    yield server, kubeconfig(tmp_path, server.url, user, **{"certificate-authority": str(tmp_path / "ca.crt")})
    listening.shutdown()
    listening.server_close()


def test_plugin_is_run_again_for_a_certificate_that_is_rejected(
    with_certificates: tuple[Server, Path], authority: Authority, tmp_path: Path
) -> None:
    server, path = with_certificates
    hand_out(tmp_path / "credential.json", authority.sign("old", []))
    api = api_of(path)
    before = api.configuration.cert_file
    hand_out(tmp_path / "credential.json", authority.sign("new", []))
    assert version(api) == "v1"
    assert server.seen == ["old", "new"], "on a connection of its own, which has the new certificate"
    assert api.configuration.cert_file != before, "exec reads it from there"


def test_plugin_is_run_again_before_a_request_with_an_expired_certificate(
    with_certificates: tuple[Server, Path], authority: Authority, tmp_path: Path
) -> None:
    server, path = with_certificates
    hand_out(tmp_path / "credential.json", authority.sign("old", []))
    api = api_of(path)
    api.login._expires = datetime.datetime.now(datetime.UTC)
    hand_out(tmp_path / "credential.json", authority.sign("new", []))
    assert version(api) == "v1"
    assert server.seen == ["new"]
    hand_out(tmp_path / "credential.json", authority.sign("newer", []))
    assert version(api) == "v1"
    assert server.seen == ["new"] * 2, "not before it expires"


def plugin_that_fails(folder: Path) -> dict[str, Any]:
    plugin = folder / "kubelogin"
    plugin.write_text("#!/bin/sh\necho 'no session for tenant a' >&2\nexit 1\n")
    plugin.chmod(0o700)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}}


def test_plugin_that_fails_is_an_error_and_no_request_is_anonymous(server: Server, tmp_path: Path) -> None:
    user = plugin_that_fails(tmp_path)
    with pytest.raises(ClusterError) as raised:
        api_of(kubeconfig(tmp_path, server.url, user))
    line = str(raised.value)
    assert f"the credential plugin {user['exec']['command']} gave no credentials: it ended with exit code 1" in line
    assert "no session for tenant a (log in with kubectl first)" in line
    assert server.seen == []


def test_plugin_that_does_not_exist_is_named(server: Server, tmp_path: Path) -> None:
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "kubelogin-that-is-not-installed"}}
    with pytest.raises(ClusterError, match=r"gave no credentials.*No such file.*kubelogin-that-is-not-installed"):
        api_of(kubeconfig(tmp_path, server.url, user))


def test_rejection_says_why_the_plugin_gave_no_other_credentials(
    with_certificates: tuple[Server, Path], authority: Authority, tmp_path: Path
) -> None:
    _, path = with_certificates
    hand_out(tmp_path / "credential.json", authority.sign("old", []))
    api = api_of(path)
    (tmp_path / "credential.json").unlink()
    with pytest.raises(ApiException) as raised:
        version(api)
    assert "could not be renewed: it ended with exit code 1" in reason(raised.value)


def test_two_threads_renew_rejected_credentials_once() -> None:
    tokens = iter(["a", "b", "c"])

    def load(into: client.Configuration) -> None:
        into.api_key["BearerToken"] = next(tokens)

    subject = Login(load, "a file")
    first = subject.generation
    assert subject.renew(first)
    assert subject.renew(first), "by the other thread"
    assert subject.configuration.api_key["BearerToken"] == "b"


POD = Pod(namespace="n", name="sleep", uid="u", address="10.0.0.9", injected=True, container="curl")


class ApiWithLogin:
    """Of `Api`, what exec uses."""

    def __init__(self, *, renews: bool) -> None:
        self.login = cast(Any, self)
        self.generation = 0
        self.rejected = "the credentials of the credential plugin x are rejected"
        self.renews = renews

    def renew(self, generation: int) -> bool:
        assert generation == 0
        return self.renews

    def new_client(self) -> None: ...


@pytest.mark.parametrize(
    ("renews", "kind", "text"),
    [(True, LostError, "exec in"), (False, ClusterError, "the credentials of the credential plugin x")],
    ids=["renewed", "rejected"],
)
def test_exec_is_run_again_with_renewed_credentials(
    monkeypatch: pytest.MonkeyPatch,
    renews: bool,  # noqa: FBT001  # pytest hands it over by name
    kind: type[ClusterError],
    text: str,
) -> None:
    def rejected(*_: object, **__: object) -> None:
        raise ApiException(status=0, reason="Handshake status 401 Unauthorized -+-+- {}")

    monkeypatch.setattr(exec_connection, "stream", rejected)
    with pytest.raises(kind, match=text) as raised:
        exec_connection.connect(cast(Api, ApiWithLogin(renews=renews)), POD, ["true"], "curl", 1.0)
    assert isinstance(raised.value, LostError) is renews, "LostError is what is run again"


@pytest.mark.parametrize(
    ("user", "source"),
    [
        ({"exec": {"command": "kubelogin"}}, "the credential plugin kubelogin"),
        ({"tokenFile": "/var/token"}, "the file /var/token"),
        ({"client-certificate": "a.crt"}, "the file a.crt"),
        ({"token": "t"}, "the kubeconfig {path}"),
    ],
    ids=["plugin", "token file", "certificate", "token"],
)
def test_source_of_credentials(tmp_path: Path, user: dict[str, Any], source: str) -> None:
    path = kubeconfig(tmp_path, "http://127.0.0.1:1", user)
    assert source_of(path, "a") == source.format(path=path)


def test_message_of_a_rejection_is_that_of_the_login() -> None:
    subject = Login(lambda _: None, "the file a.crt")
    assert reason(subject.rejection()) == subject.rejected
