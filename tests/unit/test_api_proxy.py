"""Requests and exec reach the API server through an HTTP proxy that wants a password."""

from __future__ import annotations

import base64
import datetime
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from api_server import Server, kubeconfig, serve, write
from kubernetes import client
from kubernetes.client.rest import RESTClientObject
from kubernetes.stream.ws_client import websocket_proxycare
from websocket._url import get_proxy_info

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.api_proxy import UnsupportedProxyError, set_up_proxy
from pytest_istio_egress.cluster.certificates import Authority
from pytest_istio_egress.cluster.exec_check import why_no_exec
from pytest_istio_egress.model.timeouts import Timeouts

PASSWORD = "p@ss/w+rd"  # of a proxy in this test
IN_URL = "p%40ss%2Fw%2Brd"


class Proxy:
    """A proxy for CONNECT that wants a user and a password."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.answers: list[int] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._tunnel, args=(connection,), daemon=True).start()

    def _tunnel(self, connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(4096)
        first, *lines = request.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        wanted = "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()
        permitted = headers.get("proxy-authorization") == wanted
        self.answers.append(200 if permitted else 407)
        if not permitted:
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            connection.close()
            return
        host, _, port = first.split()[1].rpartition(":")
        with connection, socket.create_connection((host, int(port))) as server:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ends = {connection: server, server: connection}
            while True:
                for ready in select.select(list(ends), [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    ends[ready].sendall(data)

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
    yield proxy
    proxy.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with TLS, as those are to which a proxy opens a tunnel."""
    authority = Authority("a", datetime.datetime.now(datetime.UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write(tmp_path, "server", authority.sign("server", ["localhost"])))
    (tmp_path / "ca.crt").write_bytes(authority.certificate)
    server = Server(accepts="t")
    listening = serve(server, context)
    yield server
    listening.shutdown()
    listening.server_close()


def api_through(server: Server, folder: Path, proxy_url: str) -> Api:
    more = {"certificate-authority": str(folder / "ca.crt"), "proxy-url": proxy_url}
    return Api(kubeconfig(folder, server.url, {"token": "t"}, **more), "a", Timeouts(api=0.0))


def test_requests_and_exec_give_the_proxy_the_password(server: Server, proxy: Proxy, tmp_path: Path) -> None:
    api = api_through(server, tmp_path, f"http://me:{IN_URL}@127.0.0.1:{proxy.port}")
    assert client.VersionApi(api.client).get_code().git_version == "v1"
    assert why_no_exec(api, "n") == ""
    assert proxy.answers == [200, 200]


def test_rejected_password_is_reported_without_it(server: Server, proxy: Proxy, tmp_path: Path) -> None:
    api = api_through(server, tmp_path, f"http://me:wrong@127.0.0.1:{proxy.port}")
    why = why_no_exec(api, "n")
    assert "407" in why
    assert f"through the proxy http://127.0.0.1:{proxy.port}" in why
    assert "wrong" not in why
    assert proxy.answers == [407]


def of_kubeconfig(proxy: str) -> client.Configuration:
    made = client.Configuration(host="https://api.corp.example:6443")
    made.proxy = proxy
    return made


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., client.Configuration]:
    """Return a configuration without a proxy-url, in an environment with these variables."""

    def made(**variables: str) -> client.Configuration:
        for name in ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        made = client.Configuration()
        made.host = "https://api.corp.example:6443"  # as the kubeconfig is read
        return made

    return made


def way_of_exec(configuration: client.Configuration) -> str:
    """Return host and port of the proxy that exec uses, empty where it uses none."""
    options = websocket_proxycare({}, configuration, "", {}) if configuration.proxy else {}
    host, port, _ = get_proxy_info(
        urlsplit(configuration.host).hostname,
        True,  # noqa: FBT003  # websocket-client takes it by position
        proxy_host=options.get("http_proxy_host"),
        proxy_port=options.get("http_proxy_port", 0),
        no_proxy=options.get("http_no_proxy"),
    )
    return f"{host}:{port}" if host else ""


def way_of_requests(configuration: client.Configuration) -> str:
    """Return the same of requests."""
    pool = RESTClientObject(configuration).pool_manager
    return pool.proxy.netloc if pool.proxy else ""


def ways(configuration: client.Configuration) -> set[str]:
    set_up_proxy(configuration)
    return {way_of_exec(configuration), way_of_requests(configuration)}


def test_password_is_in_no_url() -> None:
    made = of_kubeconfig(f"http://me:{IN_URL}@proxy:3128")
    set_up_proxy(made)
    assert made.proxy == "http://proxy:3128"


def test_proxy_without_a_port_has_that_of_http() -> None:
    assert ways(of_kubeconfig("http://proxy")) == {"proxy:80"}


def test_proxy_without_a_scheme_is_an_http_proxy(environment: Callable[..., client.Configuration]) -> None:
    assert ways(environment(HTTPS_PROXY="proxy:3128")) == {"proxy:3128"}


@pytest.mark.parametrize("exempt", ["corp.example", ".corp.example", "a, api.corp.example", "api.corp.example:6443"])
def test_requests_and_exec_exempt_the_same_hosts_from_the_environments_proxy(
    environment: Callable[..., client.Configuration], exempt: str
) -> None:
    assert ways(environment(HTTPS_PROXY="socks5://bastion:1080", NO_PROXY=exempt)) == {""}
    assert ways(environment(HTTPS_PROXY="http://proxy:3128", NO_PROXY="other.example")) == {"proxy:3128"}


@pytest.mark.parametrize("server", ["https://127.0.0.1:6443", "https://localhost:6443", "https://[::1]:6443"])
def test_api_server_on_this_machine_is_reached_without_the_environments_proxy(
    environment: Callable[..., client.Configuration], server: str
) -> None:
    made = environment(HTTPS_PROXY="http://proxy:3128")
    made.host = server
    assert ways(made) == {""}


def test_no_proxy_does_not_apply_to_the_proxy_of_a_kubeconfig(
    environment: Callable[..., client.Configuration],
) -> None:
    made = environment(HTTPS_PROXY="http://another:1", NO_PROXY="corp.example")
    made.proxy = "http://bastion:3128"
    assert ways(made) == {"bastion:3128"}


def test_all_proxy_is_not_used_as_kubectl_does_not(environment: Callable[..., client.Configuration]) -> None:
    assert ways(environment(ALL_PROXY="socks5://localhost:1080")) == {""}


def test_refused_proxy_of_the_environment_names_the_variable(
    environment: Callable[..., client.Configuration],
) -> None:
    with pytest.raises(UnsupportedProxyError, match="exempt the API server from HTTPS_PROXY with NO_PROXY"):
        set_up_proxy(environment(HTTPS_PROXY="socks5://bastion:1080"))
    with pytest.raises(UnsupportedProxyError) as raised:
        set_up_proxy(of_kubeconfig("socks5://bastion:1080"))
    assert "HTTPS_PROXY" not in str(raised.value)
