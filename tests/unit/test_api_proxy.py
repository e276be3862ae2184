"""Requests and exec reach the API server through an HTTP proxy that wants a password."""

from __future__ import annotations

import base64
import datetime
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_server import Server, kubeconfig, serve, write
from kubernetes import client

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
    assert f"through the proxy 127.0.0.1:{proxy.port}" in why
    assert "wrong" not in why
    assert proxy.answers == [407]


def configuration(proxy: str, no_proxy: str = "") -> client.Configuration:
    made = client.Configuration(host="https://api.example:6443")
    made.proxy, made.no_proxy = proxy, no_proxy
    return made


def test_password_is_in_no_url() -> None:
    made = configuration(f"http://me:{IN_URL}@proxy:3128")
    set_up_proxy(made)
    assert made.proxy == "http://proxy:3128"


def test_proxy_that_is_bypassed_may_be_any() -> None:
    set_up_proxy(configuration("socks5://bastion:1080", no_proxy="api.example"))
    with pytest.raises(UnsupportedProxyError):
        set_up_proxy(configuration("socks5://bastion:1080", no_proxy="other.example"))
