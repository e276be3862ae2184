"""A probe: one request, as the curl command that a client pod runs, and the result that curl reports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote, urlsplit

from pytest_istio_egress.model.addresses import bracketed, same_form
from pytest_istio_egress.model.client_proxy import ClientProxy, client_proxy

CLIENT = "sleep.egress-client"
"""The injected client, `<app label>.<namespace>` by the manifests' names."""
NEIGHBOUR = "sleep.egress-neighbour"
"""An injected client in a second namespace, for cases with the fixture `neighbour_client.yaml`."""
PLAIN = "sleep.egress-plain"
"""The same client in a namespace without injection."""

AMBIENT = "sleep.egress-ambient"
"""The same client in an ambient namespace, for cases with the fixture `ambient.yaml`."""

WORKLOAD_KINDS = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}
"""The kinds that `workload` takes, and Kubernetes' names for them (apps/v1)."""


def workload(what: str, *, namespace: str) -> str:
    """Return the name of your own workload as a probe's client: `deployment/payments`, in its namespace.

    The workload is neither restarted nor changed: the probe is sent from an ephemeral container in one of its pods.
    The names in such a probe and in its expected outcome are real ones; they are not rendered. Raises ValueError.
    """
    kind, slash, name = what.partition("/")
    if kind not in WORKLOAD_KINDS or not slash or not name or not namespace:
        kinds = ", ".join(f"{kind}/NAME" for kind in WORKLOAD_KINDS)
        raise ValueError(f"invalid workload {what!r} in {namespace!r}: use one of {kinds}, and a namespace")
    return f"{what}.{namespace}"


def is_workload(client: str) -> bool:
    """Whether a probe's client is the user's own workload, as `workload` returns it."""
    return "/" in client


OUTSIDE = "192.0.2.80"
"""The address, of the block reserved for documentation, that stands for the external server's in manifests."""

DEFAULT_PORTS = {"http": 80, "https": 443, "gopher": 70, "telnet": 23, "smtp": 25, "smtps": 465, "ftp": 21, "imap": 143}
"""The port of a URL without one, by scheme."""

CA_FILE = "/etc/egress-certificates/ca.crt"
"""The path of the run's certificate authority in every client pod."""

HEADER_OPTIONS = frozenset({"-H", "--header"})
"""curl's option that is followed by a header."""

HOLD = 5.0
"""Seconds for which a probe with `receive` holds its connection."""
CRLF = "\r\n"
EMPTY_REPLY, TIMED_OUT = 52, 28
"""curl's exit codes: nothing was received, and `max_time` is over."""

BODY_LIMIT = 64 * 1024
"""Bytes of a response body that are recorded; the rest is not needed as evidence."""

_SEPARATOR = "\n--curl--"


def authority_of(scheme: str, host: str, port: int) -> str:
    """Return the Host header of a request: the host, and the port unless it is the scheme's own."""
    return bracketed(host) if port == DEFAULT_PORTS.get(scheme) else f"{bracketed(host)}:{port}"


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One request. Namespaces, `.test` hosts and 192.0.2.x addresses are those of the manifests.

    `to` is the address that curl connects to for a `.test` host, without a DNS query; with None, DNS is used. A probe
    from the user's own `workload` uses DNS, unless `to` is another address, which then applies to any host. Where the
    arguments name a proxy (`--proxy`, `--socks5`), curl connects to that one: the host and the port are the proxy's.
    `max_time`, in seconds, ends a request without a response (curl exit 28).
    """

    url: str
    client: str = CLIENT
    to: str | None = OUTSIDE
    arguments: tuple[str, ...] = ()
    max_time: float = 15.0
    receive: str = ""
    """Text that must be received over plain TCP, within `max_time`; empty where the protocol is curl's own."""
    ca: Path | None = None
    """A file with the certificate authorities of an https host, in PEM; relative to the folder of the test."""

    def __post_init__(self) -> None:
        """Refuse a proxy that curl could not connect to."""
        client_proxy(self.arguments)

    @property
    def from_own_workload(self) -> bool:
        """Whether it is sent from the user's own workload: its names are real ones, which are not rendered."""
        return is_workload(self.client)

    @property
    def is_plain_http(self) -> bool:
        """Whether proxies see HTTP requests; of any other probe they see a connection only."""
        return urlsplit(self.url).scheme == "http"

    @property
    def status_name(self) -> str:
        """What curl's response code is called in this probe's protocol."""
        scheme = urlsplit(self.url).scheme
        return "HTTP status" if scheme in ("http", "https") else f"{scheme.upper()} reply code"

    @property
    def status_word(self) -> str:
        """The same in one word, for a line in which the protocol is obvious."""
        return "status" if urlsplit(self.url).scheme in ("http", "https") else "reply code"

    @property
    def host(self) -> str:
        """The host that curl requests."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port that curl connects to: the URL's, or the default of its scheme."""
        parts = urlsplit(self.url)
        return parts.port or DEFAULT_PORTS[parts.scheme]

    @property
    def proxy(self) -> ClientProxy | None:
        """The proxy between the client and the host, by the arguments; None where there is none."""
        return client_proxy(self.arguments)

    @property
    def destination(self) -> tuple[str, int]:
        """The host and the port that curl connects to: the proxy's, or those of the URL."""
        return (self.proxy.host, self.proxy.port) if self.proxy else (self.host, self.port)

    @property
    def authority(self) -> str:
        """The Host header that curl sends: the one among its arguments, else the URL's host and port."""
        for option, value in pairwise(self.arguments):
            name, _, stated = value.partition(":")
            if option in HEADER_OPTIONS and name.lower() == "host":
                return stated.strip()
        return authority_of(urlsplit(self.url).scheme, self.host, self.port)

    def resolve(self) -> tuple[str, ...]:
        """Return curl's arguments that set the host's address; empty where DNS or a literal address decides."""
        host, port = self.destination
        if self.to is None or (self.to == OUTSIDE if self.from_own_workload else not host.endswith(".test")):
            return ()
        return ("--resolve", f"{host}:{port}:{bracketed(self.to)}")

    def command(self, user_agent: str, local_ports: str, ca: str = "") -> list[str]:
        """Return the command line. It prints the body, then curl's two JSON documents: the transfer, the headers.

        `local_ports`, such as 16384-16391, are the source ports that curl may use; `ca` is the path of a file
        in the container, empty where curl's default applies.
        """
        return [
            "curl", "--silent", "--show-error", "--globoff",
            *(("--cacert", ca) if ca else ()),
            "--max-time", f"{self.max_time:g}",
            "--user-agent", user_agent,
            "--local-port", local_ports,
            *self.resolve(),
            # A policy may set http_proxy in all pods: curl must not send its request to that proxy.
            *(() if self.proxy else ("--noproxy", "*")),
            *self.arguments,
            "--write-out", f"{_SEPARATOR}%{{json}}{_SEPARATOR}%{{header_json}}",
            self.url,
        ]  # fmt: skip


def get(
    url: str,
    *,
    client: str = CLIENT,
    to: str | None = OUTSIDE,
    headers: Mapping[str, str] | None = None,
    ca: Path | str | None = None,
    arguments: Sequence[str] = (),
    max_time: float = 15.0,
) -> Probe:
    """Return a probe that sends a GET request.

    With https the server's certificate is verified: by the suite's clients against the run's certificate authority,
    by the user's own workload against the authorities of curl's image. `ca` names a PEM file with others, such as
    those of a company, relative to the folder of the test; without it, --istio-egress-ca applies to own workloads.
    """
    verified = urlsplit(url).scheme == "https" and not is_workload(client) and ca is None
    authority = ("--cacert", CA_FILE) if verified else ()
    more = [word for name, value in (headers or {}).items() for word in ("--header", f"{name}: {value}")]
    return Probe(
        url=url,
        client=client,
        to=to,
        arguments=(*authority, *more, *arguments),
        max_time=max_time,
        ca=None if ca is None else Path(ca),
    )


def tcp(
    host: str,
    port: int,
    *,
    client: str = CLIENT,
    to: str | None = OUTSIDE,
    send: str | None = None,
    receive: str = "",
    arguments: Sequence[str] = (),
    max_time: float | None = None,
) -> Probe:
    """Return a probe of a port that the mesh does not treat as HTTP.

    `receive` is a text that the host must send: after `send`, which curl ends with CRLF, or of its own accord, as
    servers for mail and databases do. The connection is held until the host closes it, or for `max_time` seconds
    (default: 5). With neither, an HTTP request is sent as plain TCP. Raises ValueError for `send` without `receive`.
    """
    if send is not None and not receive:
        raise ValueError(f"tcp({host!r}, {port}, send=...) also needs receive=..., the text that must come back")
    address = f"{bracketed(host)}:{port}"
    if send is not None:
        url = f"gopher://{address}/_{quote(send.removesuffix(CRLF))}"
    else:
        url = f"telnet://{address}" if receive else f"http://{address}/headers"
    limit = max_time or (HOLD if receive else 15.0)
    return Probe(url=url, client=client, to=to, arguments=tuple(arguments), max_time=limit, receive=receive)


@dataclass(frozen=True, kw_only=True)
class CurlResult:
    """The result that curl reports of one request.

    `seconds` is curl's time_total; `local_port` is 0 where no connection was made; the names of `headers` are in
    lower case.
    """

    exit: int
    status: int
    error: str
    seconds: float
    local_address: str
    local_port: int
    remote_address: str
    http_version: str
    headers: Mapping[str, str]
    body: str


def outcome_of_bytes(probe: Probe, curl: CurlResult) -> CurlResult:
    """Return curl's result of a probe with `receive` in the terms of HTTP.

    curl waits for more until its time is over (28) though the text has come, and is content (0) with a connection
    that was closed before anything came, which it reports as 52 for HTTP.
    """
    if not probe.receive:
        return curl
    if curl.exit == TIMED_OUT and probe.receive in curl.body:
        return replace(curl, exit=0, error="")
    if curl.exit == 0 and not curl.body:
        return replace(curl, exit=EMPTY_REPLY, error="the connection was closed before anything was received")
    return curl


class NoCurlResultError(Exception):
    """curl printed no JSON: a failure of the client's pod or of the exec, not evidence about the mesh."""


def parse(stdout: str, stderr: str) -> CurlResult:
    """Read what `Probe.command` printed; raises NoCurlResultError where its JSON is missing or damaged."""
    parts = stdout.rsplit(_SEPARATOR, 2)
    if len(parts) != 3:
        raise NoCurlResultError(f"curl printed no JSON; stdout {stdout[-300:]!r}, stderr {stderr[-300:]!r}")
    body, transfer, headers = parts
    try:
        report = json.loads(transfer)
        received = json.loads(headers or "{}")
    except json.JSONDecodeError as error:
        raise NoCurlResultError(f"curl's JSON is cut or damaged ({error}): {transfer[-300:]!r}") from error
    return CurlResult(
        exit=int(report["exitcode"]),
        status=int(report["http_code"]),
        error=report["errormsg"] or "",
        seconds=float(report["time_total"]),
        local_address=same_form(report["local_ip"]),
        local_port=int(report["local_port"]),
        remote_address=same_form(report["remote_ip"]),
        http_version=report["http_version"],
        headers={name.lower(): ", ".join(values) for name, values in received.items()},
        body=body[:BODY_LIMIT],
    )
