"""Follows the access log of a proxy and indexes its lines by request."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.pods import PROXY, Pod
from pytest_istio_egress.cluster.retry import REQUEST_TIMEOUT
from pytest_istio_egress.model.access_log import AccessLogLine

KEPT_LINES = 20_000
KEPT_MESSAGES = 2_000
_ENTRY = re.compile(r"\[?\d{4}-\d\d-\d\d[T ]|\{")
"""How an entry begins: a line of the access log, a message, or either in JSON."""
_DAY = 24 * 3600.0
_OVERLAP = 5
"""Seconds that a new connection to the log reaches back, so that no line is missed."""


class Line(Protocol):
    """A line of an access log."""

    @property
    def raw(self) -> str:
        """The line as it was written."""

    @property
    def downstream_remote(self) -> str:
        """The address and port of the connection's client."""

    @property
    def downstream_local(self) -> str | None:
        """The address and port that the connection's client connected to; None where the log has none."""

    @property
    def user_agent(self) -> str | None:
        """The user agent; None where the log has none."""


L = TypeVar("L", bound=Line)
_Index = dict[str, deque[tuple[float, L]]]


class UnreadableLogError(ClusterError):
    """The access log of a proxy cannot be read, or is empty: the outcome of a request is unknown."""


class ProxyLog(Generic[L]):
    """The access log of one proxy, followed by a thread from now on.

    Envoy writes its log in batches (in Istio one per second), so a line comes up to a second after its request.
    `arrived` is notified of every batch; logs may share it.
    """

    def __init__(self, api: Api, pod: Pod, arrived: threading.Condition, parse: Callable[[str], L | None]) -> None:
        self.pod = pod
        self.parse = parse
        self.began = time.monotonic()
        """When the log was first followed: all that was written since then is read."""
        self.readable = 0
        self.unreadable = 0
        self.trouble: str | None = None
        """Why the log cannot be read, None where it can."""
        self.arrived = arrived
        self._core = client.CoreV1Api(api.new_client())
        self._order: deque[str] = deque()
        self._lines: dict[str, L | None] = {}
        self._messages: deque[tuple[float, str]] = deque(maxlen=KEPT_MESSAGES)
        """What is no access log line, with the time of its arrival."""
        self._in_new_entry = False
        """Whether the entry that is read now was not read before."""
        # Lines with the time of their arrival, oldest first, by the key of their lookup.
        self._by_source: _Index[L] = {}
        self._by_destination: _Index[L] = {}
        self._by_user_agent: _Index[L] = {}
        self._closed = False
        self._generation = 0
        """Increased where a stream is given up."""
        self._start()

    def of_connection(self, source: str, user_agents: Container[str], since: float) -> L | None:
        """Return the newest line of a connection from `source` (address:port) with one of these user agents.

        Only of lines that arrived after `since` (time.monotonic()): ports are reused. A line in a format without user
        agents is found by its source alone.
        """
        return self._newest(
            self._by_source, source, since, lambda line: line.user_agent is None or line.user_agent in user_agents
        )

    def of_request(self, user_agent: str) -> L | None:
        """Return the newest line of requests with this user agent."""
        return self._newest(self._by_user_agent, user_agent, 0.0, lambda _: True)

    def of_peer(self, source: str, since: float) -> L | None:
        """Return the newest line since then of a connection from `source` (address:port), of any protocol."""
        return self._newest(self._by_source, source, since, lambda _: True)

    def of_destination(self, destination: str, since: float) -> L | None:
        """Return the newest line since then of a connection to `destination` (address:port) that is no request."""
        return self._newest(self._by_destination, destination, since, lambda line: line.user_agent in ("-", None))

    def reuses(self: ProxyLog[AccessLogLine], line: AccessLogLine) -> bool:
        """Whether an earlier request was logged on the same upstream connection as this line's."""
        with self.arrived:
            known = (self._lines[raw] for raw in self._order if raw != line.raw)
            return line.forwarded is True and any(
                each is not None and (each.upstream_local, each.upstream) == (line.upstream_local, line.upstream)
                for each in known
            )

    def messages(self, since: float) -> str:
        """Return what the proxy wrote beside its access log and arrived since then (time.monotonic()), line by line."""
        with self.arrived:
            return "\n".join(raw for at, raw in self._messages if at >= since)

    def _newest(self, index: _Index[L], key: str, since: float, fits: Callable[[L], bool]) -> L | None:
        with self.arrived:
            lines = reversed(index.get(key, ()))
            return next((line for at, line in lines if at >= since and fits(line)), None)

    def read_back(self, seconds: float) -> None:
        """Read the last `seconds` of the log by a separate request: a hanging stream must not decide a verdict."""
        try:
            response = self._core.read_namespaced_pod_log(
                self.pod.name,
                self.pod.namespace,
                container=self._container,
                since_seconds=int(seconds) + _OVERLAP,
                _preload_content=False,
                _request_timeout=REQUEST_TIMEOUT,
            )
            if self._take(response.data.splitlines()):
                self._follow_again()  # the stream did not have these lines
        except (ApiException, HTTPError, OSError) as error:
            self.trouble = reason(error)

    def close(self) -> None:
        """Stop to follow: the thread ends with the next line, at the latest with the pod."""
        # Closing a response waits for the thread that reads from it, so that thread closes it.
        self._closed = True

    @property
    def _container(self) -> str:
        return PROXY if self.pod.injected else self.pod.container

    def _follow_again(self) -> None:
        """Give up the stream, which may be dead without an error; the thread that reads from it ends with a line."""
        self._generation += 1
        self._start()

    def _start(self) -> None:
        threading.Thread(
            target=self._follow, args=(self._generation,), name=f"log of {self.pod.name}", daemon=True
        ).start()

    def _is_current(self, generation: int) -> bool:
        return not self._closed and generation == self._generation

    def _follow(self, generation: int) -> None:
        back = _OVERLAP
        while self._is_current(generation):
            began = time.monotonic()
            try:
                for lines in self._stream(back):
                    if not self._is_current(generation):
                        return
                    self._take(lines)
            except (ApiException, HTTPError, OSError) as error:
                # The API server restarts, or the pod is deleted: the next attempt shows which.
                self.trouble = reason(error)
                if isinstance(error, ApiException) and error.status == 404:
                    return  # the pod and its log are gone
            back = int(time.monotonic() - began) + _OVERLAP
            if self._is_current(generation):
                time.sleep(0.2)  # do not flood an API server that is down

    def _stream(self, back: int) -> Iterator[list[bytes]]:
        """Yield the complete lines of the log, batch by batch."""
        response = self._core.read_namespaced_pod_log(
            self.pod.name,
            self.pod.namespace,
            container=self._container,
            follow=True,
            since_seconds=back,
            _preload_content=False,
            _request_timeout=(5.0, _DAY),  # a quiet proxy writes nothing for hours
        )
        pending = b""
        for chunk in response.stream(amt=None, decode_content=False):
            *lines, pending = (pending + chunk).split(b"\n")
            yield lines

    def _take(self, lines: Iterable[bytes]) -> bool:
        """Store new lines, and return whether there were any; a new stream, or `read_back`, repeats some."""
        self.trouble = None  # the log can be read again
        with self.arrived:
            known = len(self._lines)
            newest = next(reversed(self._order), "")
            for line in lines:
                self._take_line(line.decode(errors="replace"))
            self.arrived.notify_all()
            return len(self._lines) > known or next(reversed(self._order), "") != newest

    def _take_line(self, raw: str) -> None:
        """Store a line unless it is repeated. Entries of several lines may have lines in common."""
        begins = _ENTRY.match(raw) is not None
        if raw not in self._lines:
            self._store(raw)
            self._in_new_entry |= begins
        elif begins:
            self._in_new_entry = False
        elif self._in_new_entry:
            self._messages.append((time.monotonic(), raw))

    def _store(self, raw: str) -> None:
        if len(self._order) == KEPT_LINES:
            self._drop(self._order.popleft())
        line = self.parse(raw)
        self._order.append(raw)
        self._lines[raw] = line
        if line is None:
            # A message of Envoy or its agent, which share the stream, or an access log in a custom format.
            self.unreadable += 1
            self._messages.append((time.monotonic(), raw))
            return
        self.readable += 1
        for index, key in self._places(line):
            index.setdefault(key, deque()).append((time.monotonic(), line))

    def _drop(self, raw: str) -> None:
        line = self._lines.pop(raw)
        if line is not None:
            for index, key in self._places(line):
                index[key].popleft()  # the oldest line of the index, too
                if not index[key]:
                    del index[key]

    def _places(self, line: L) -> list[tuple[_Index[L], str]]:
        places = (
            (self._by_source, line.downstream_remote),
            (self._by_destination, line.downstream_local),
            (self._by_user_agent, line.user_agent),
        )
        return [(index, key) for index, key in places if key is not None]
