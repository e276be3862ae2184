"""The command line of a probe, and the result that is parsed from curl's output."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pytest_istio_egress import Probe, get, tcp, workload
from pytest_istio_egress.model.probe import BODY_LIMIT, CA_FILE, NoCurlResultError, parse
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
