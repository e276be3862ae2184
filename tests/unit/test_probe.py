"""The command line of a probe, and the result that is parsed from curl's output."""

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pytest_istio_egress import Probe, get, tcp, workload
from pytest_istio_egress.model.probe import BODY_LIMIT, CA_FILE, CurlResult, NoCurlResultError, outcome_of_bytes, parse
from pytest_istio_egress.pipeline.source_ports import SourcePorts

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed here")


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(502 if self.path == "/blocked" else 200)
        self.send_header("X-Seen-Agent", self.headers["User-Agent"])
        self.end_headers()
        self.wfile.write(b"{--curl--%{json}\n" * (9000 if self.path == "/large" else 1))

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[int]:
    running = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running.server_port
    running.shutdown()


def curl(probe: Probe) -> tuple[str, str]:
    ran = subprocess.run(probe.command("agent/1", SourcePorts().take()), capture_output=True, text=True, check=False)
    return ran.stdout, ran.stderr


@needs_curl
def test_curls_report_follows_the_body(server: int) -> None:
    result = parse(*curl(get(f"http://127.0.0.1:{server}/blocked")))
    assert (result.exit, result.status, result.remote_address) == (0, 502, "127.0.0.1")
    assert result.local_port > 0
    assert result.headers["x-seen-agent"] == "agent/1"
    assert result.body == "{--curl--%{json}\n"


@needs_curl
def test_request_comes_from_the_given_source_ports(server: int) -> None:
    ports = SourcePorts()
    given = [ports.take() for _ in range(3)]
    for each in given:
        command = get(f"http://127.0.0.1:{server}/").command("agent/1", each)
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        first, last = map(int, each.split("-"))
        assert first <= parse(ran.stdout, ran.stderr).local_port <= last


@needs_curl
def test_failed_connection_has_a_result(server: int) -> None:
    result = parse(*curl(get(f"https://127.0.0.1:{server}/", arguments=["--cacert", "/dev/null"])))
    assert result.exit != 0
    assert result.status == 0
    assert result.error


@needs_curl
def test_large_body_is_cut_at_the_limit(server: int) -> None:
    assert len(parse(*curl(get(f"http://127.0.0.1:{server}/large"))).body) == BODY_LIMIT


@pytest.mark.parametrize("stdout", ["", "sh: curl: not found", 'body\n--curl--{"exitcode": 0\n--curl--{}'])
def test_output_without_curls_json_is_an_error(stdout: str) -> None:
    with pytest.raises(NoCurlResultError):
        parse(stdout, "no such container")


def test_only_test_hosts_are_pinned_to_an_address() -> None:
    assert get("http://api.test/x").resolve() == ("--resolve", "api.test:80:192.0.2.80")
    assert get("https://api.test/x", to="192.0.2.81").resolve() == ("--resolve", "api.test:443:192.0.2.81")
    assert get("http://web.egress-client.svc.cluster.local/").resolve() == ()
    assert get("http://api.test/", to=None).resolve() == ()


def test_https_verifies_the_certificate_with_the_runs_authority() -> None:
    command = get("https://api.test/").command("agent", "16384-16391")
    assert command[command.index("--cacert") + 1] == CA_FILE
    assert not {"-k", "--insecure"} & set(command)


def test_https_from_own_workload_uses_the_images_authorities() -> None:
    own = workload("deployment/payments", namespace="shop")
    assert get("https://api.example/", client=own).arguments == ()


def test_arguments_follow_authority_and_headers() -> None:
    probe = get("https://api.test/", headers={"x-a": "1"}, arguments=["--http1.1"])
    assert probe.arguments == ("--cacert", CA_FILE, "--header", "x-a: 1", "--http1.1")
    assert get("http://api.test/", headers={"x-a": "1"}).arguments == ("--header", "x-a: 1")


@pytest.mark.parametrize(
    ("url", "port"),
    [("http://a.test/", 80), ("https://a.test/", 443), ("gopher://a.test/", 70), ("https://a.test:444/", 444)],
)
def test_port_is_that_of_the_url_or_its_scheme(url: str, port: int) -> None:
    assert (Probe(url=url).host, Probe(url=url).port) == ("a.test", port)


def test_body_is_not_mistaken_for_curls_json() -> None:
    about = json.dumps(
        {"exitcode": 0, "http_code": 200, "errormsg": None, "time_total": 0.1, "local_ip": "1.1.1.1",
         "local_port": 5, "remote_ip": "2.2.2.2", "http_version": "1.1"}
    )  # fmt: skip
    result = parse(f'\n--curl--{{"exitcode": 7}}\n--curl--{{}}\n--curl--{about}\n--curl--{{"a": ["b", "c"]}}', "")
    assert (result.exit, result.headers) == (0, {"a": "b, c"})


@pytest.mark.parametrize(
    ("to", "resolved"),
    [("10.0.0.7", "api.example:80:10.0.0.7"), ("fd00::7", "api.example:80:[fd00::7]")],
)
def test_address_of_both_families_is_given_to_curl(to: str, resolved: str) -> None:
    probe = get("http://api.example/", client=workload("deployment/payments", namespace="pay"), to=to)
    assert probe.resolve() == ("--resolve", resolved)


def test_ipv6_address_is_in_brackets_in_the_url() -> None:
    probe = tcp("fd00::7", 9000)
    assert probe.url == "http://[fd00::7]:9000/headers"
    assert (probe.host, probe.port, probe.authority) == ("fd00::7", 9000, "[fd00::7]:9000")
    assert get("http://[fd00::7]/headers").authority == "[fd00::7]"


PAYMENTS = workload("deployment/payments", namespace="payments")


def greeting(connection: socket.socket) -> None:
    connection.sendall(b"220 ledger ESMTP\r\n")
    connection.recv(100)


def ponging(connection: socket.socket) -> None:
    if connection.makefile("rb").readline() == b"PING\r\n":  # curl may send the line in pieces
        connection.sendall(b"+PONG\r\n")
    connection.recv(100)


def closing(_: socket.socket) -> None: ...


def silent(connection: socket.socket) -> None:
    connection.recv(100)
    connection.recv(100)


@pytest.fixture
def listen() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """Serve one connection on a port of this machine, and return the port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def start(serve: Callable[[socket.socket], None]) -> int:
            def run() -> None:
                connection, _ = listener.accept()
                with connection:
                    serve(connection)

            threading.Thread(target=run, daemon=True).start()
            return int(listener.getsockname()[1])

        yield start


@needs_curl
@pytest.mark.parametrize(
    ("serve", "send", "receive", "exits", "body"),
    [
        (greeting, None, "220 ", {0}, "220 ledger ESMTP\r\n"),
        (ponging, "PING", "+PONG", {0}, "+PONG\r\n"),
        (ponging, "PING\r\n", "+PONG", {0}, "+PONG\r\n"),
        (greeting, None, "421", {28}, "220 ledger ESMTP\r\n"),
        (silent, None, "220", {28}, ""),
        (closing, None, "220", {52, 56}, ""),
        (closing, "PING", "+PONG", {52, 55, 56}, ""),
    ],
    ids=["server-first", "client-first", "its-line-end", "other-text", "silence", "closed", "closed-upon-bytes"],
)
def test_bytes_are_exchanged_over_plain_tcp(
    listen: Callable[[Callable[[socket.socket], None]], int],
    serve: Callable[[socket.socket], None],
    send: str | None,
    receive: str,
    exits: set[int],
    body: str,
) -> None:
    probe = tcp("127.0.0.1", listen(serve), client=PAYMENTS, send=send, receive=receive, max_time=1.0)
    ran = subprocess.run(
        probe.command("agent/1", SourcePorts().take()),
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    result = outcome_of_bytes(probe, parse(ran.stdout.decode(), ran.stderr.decode()))
    assert result.exit in exits
    assert result.body == body


def test_result_of_http_stays_as_it_is() -> None:
    timed_out = CurlResult(
        exit=28, status=0, error="", seconds=1.0, local_address="", local_port=1, remote_address="", http_version="",
        headers={}, body="",
    )  # fmt: skip
    assert outcome_of_bytes(get("http://api.test/"), timed_out) is timed_out


def test_bytes_without_an_answer_to_wait_for_are_refused() -> None:
    with pytest.raises(ValueError, match=r"tcp\('cache', 6379, send=\.\.\.\) also needs receive"):
        tcp("cache", 6379, send="PING")


def test_tcp_without_bytes_of_its_own_sends_http() -> None:
    assert tcp("api.test", 9000).url == "http://api.test:9000/headers"
    assert tcp("2001:db8::1", 25, receive="220").url == "telnet://[2001:db8::1]:25"
    assert tcp("cache", 6379, send="GET a b", receive="$").url == "gopher://cache:6379/_GET%20a%20b"


@pytest.mark.parametrize(("url", "port"), [("smtp://a.test", 25), ("ftp://a.test", 21), ("telnet://a.test:2525", 2525)])
def test_port_of_another_protocol_is_its_default(url: str, port: int) -> None:
    assert get(url).port == port


def test_own_authority_is_given_to_curl_instead_of_the_runs() -> None:
    probe = get("https://partner.test/", ca="company.pem")
    assert probe.ca == Path("company.pem")
    assert CA_FILE not in probe.arguments
    command = probe.command("agent/1", "1-2", "/tmp/ca.pem")  # of a container
    assert command[command.index("--cacert") + 1] == "/tmp/ca.pem"  # as above
    assert "--cacert" not in get("https://partner.test/", client=PAYMENTS).command("agent/1", "1-2")
