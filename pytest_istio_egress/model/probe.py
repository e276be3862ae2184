"""What is asked: one curl command in one client pod, described without running it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

CLIENT = "sleep.egress-client"
"""The injected client; `<app label>.<namespace>` as the manifests name them."""
NEIGHBOUR = "sleep.egress-neighbour"
"""An injected client in a second namespace; it takes part in cases with the fixture `neighbour_client.yaml`."""
PLAIN = "sleep.egress-plain"
"""The same client in a namespace without injection."""

WORKLOAD_KINDS = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}
"""The kinds that `workload` takes, and Kubernetes' names for them (apps/v1)."""


def workload(what: str, *, namespace: str) -> str:
    """Name a workload of one's own as a probe's client: `deployment/payments`, in its own namespace.

    Nothing of it is restarted or changed: the probe is sent from an ephemeral container in one of its pods. All names
    of such a probe, and of what is expected of it, are taken as they stand.
    """
    kind, slash, name = what.partition("/")
    if kind not in WORKLOAD_KINDS or not slash or not name or not namespace:
        kinds = ", ".join(f"{kind}/NAME" for kind in WORKLOAD_KINDS)
        raise ValueError(f"invalid workload {what!r} in {namespace!r}: use one of {kinds}, and a namespace")
    return f"{what}.{namespace}"


def is_workload(client: str) -> bool:
    """Whether a probe's client is a workload of the user's own, as `workload` names it."""
    return "/" in client


OUTSIDE = "192.0.2.80"
"""The address (from the block reserved for documentation) that stands for the outside server's in manifests."""

DEFAULT_PORTS = {"http": 80, "https": 443, "gopher": 70}
"""The port of a URL that names none, by scheme."""

CA_FILE = "/etc/egress-certificates/ca.crt"
"""Where every client pod finds the run's own certificate authority."""

BODY_LIMIT = 64 * 1024
"""Bytes of an answer that are kept; the rest says nothing about egress."""

_SEPARATOR = "\n--curl--"


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One request. Namespaces, `.test` hosts and 192.0.2.x addresses are those of the manifests.

    `to` is the address that curl connects to for a `.test` host (no DNS is asked); None leaves it to DNS. From a
    `workload` of one's own DNS decides, unless `to` is another address, which then holds for any host.
    `max_time` is in seconds and ends a request that nothing answers (curl exit 28).
    """

    url: str
    client: str = CLIENT
    to: str | None = OUTSIDE
    arguments: tuple[str, ...] = ()
    max_time: float = 15.0

    @property
    def from_own_workload(self) -> bool:
        """Whether it is sent from somebody's own workload: its names are real ones, and stay as they are."""
        return is_workload(self.client)

    @property
    def host(self) -> str:
        """The host that curl requests."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port that curl connects to: the URL's own, or its scheme's default."""
        parts = urlsplit(self.url)
        return parts.port or DEFAULT_PORTS[parts.scheme]

    def resolve(self) -> tuple[str, ...]:
        """Curl's arguments that pin the host's address; empty where DNS (or a literal address) decides."""
        if self.to is None or (self.to == OUTSIDE if self.from_own_workload else not self.host.endswith(".test")):
            return ()
        return ("--resolve", f"{self.host}:{self.port}:{self.to}")

    def command(self, user_agent: str, local_ports: str) -> list[str]:
        """Build the command line: the body goes to stdout, then curl's own two JSON documents.

        `local_ports` (16384-16391) are those that the connection may come from.
        """
        return [
            "curl", "--silent", "--show-error", "--globoff",
            "--max-time", f"{self.max_time:g}",
            "--user-agent", user_agent,
            "--local-port", local_ports,
            *self.resolve(),
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
    arguments: Sequence[str] = (),
    max_time: float = 15.0,
) -> Probe:
    """Send a GET request.

    With https the server's certificate is verified: by the run's own authority from the suite's clients, by the image's
    authorities from a user's own workload.
    """
    verified = urlsplit(url).scheme == "https" and not is_workload(client)
    authority = ("--cacert", CA_FILE) if verified else ()
    more = [word for name, value in (headers or {}).items() for word in ("--header", f"{name}: {value}")]
    return Probe(url=url, client=client, to=to, arguments=(*authority, *more, *arguments), max_time=max_time)


def tcp(
    host: str,
    port: int,
    *,
    client: str = CLIENT,
    to: str | None = OUTSIDE,
    arguments: Sequence[str] = (),
    max_time: float = 15.0,
) -> Probe:
    """Send bytes over TCP: an HTTP request, on a port that the mesh does not know to be HTTP."""
    return Probe(
        url=f"http://{host}:{port}/headers", client=client, to=to, arguments=tuple(arguments), max_time=max_time
    )


@dataclass(frozen=True, kw_only=True)
class CurlResult:
    """What curl said of one request, in its own words.

    `seconds` is curl's time_total; `local_port` is 0 where no connection was made.
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


class NoCurlResultError(Exception):
    """Curl left no JSON: the harness failed, and nothing is known about the mesh."""


def parse(stdout: str, stderr: str) -> CurlResult:
    """Read what `Probe.command` printed; raises NoCurlResultError when curl's JSON isn't there."""
    parts = stdout.rsplit(_SEPARATOR, 2)
    if len(parts) != 3:
        raise NoCurlResultError(f"curl printed no JSON; stdout {stdout[-300:]!r}, stderr {stderr[-300:]!r}")
    body, about, headers = parts
    try:
        said = json.loads(about)
        seen = json.loads(headers or "{}")
    except json.JSONDecodeError as error:
        raise NoCurlResultError(f"curl's JSON is cut or damaged ({error}): {about[-300:]!r}") from error
    return CurlResult(
        exit=int(said["exitcode"]),
        status=int(said["http_code"]),
        error=said["errormsg"] or "",
        seconds=float(said["time_total"]),
        local_address=said["local_ip"],
        local_port=int(said["local_port"]),
        remote_address=said["remote_ip"],
        http_version=said["http_version"],
        headers={name.lower(): ", ".join(values) for name, values in seen.items()},
        body=body[:BODY_LIMIT],
    )
