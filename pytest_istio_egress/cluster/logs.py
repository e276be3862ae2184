"""Follows a proxy's log and keeps its lines where a request's own is found at once."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.pods import PROXY, Pod
from pytest_istio_egress.cluster.retry import REQUEST_TIMEOUT
from pytest_istio_egress.model.access_log import AccessLogLine, parse_line

KEPT_LINES = 20_000
_DAY = 24 * 3600.0
_OVERLAP = 5
"""Seconds that a new connection to the log reaches back, so that none of its lines is missed."""


_Index = dict[str, deque[tuple[float, AccessLogLine]]]
"""Lines with the time at which they arrived, oldest first, by what they are looked up by."""


class UnreadableLogError(ClusterError):
    """A proxy's access log can't be read, or says nothing: what became of a request is not known."""


class ProxyLog:
    """The access log of one proxy, read in a thread of its own from now on.

    Envoy writes its log in batches (Istio's agent asks for one a second), so a line comes up to a second after its
    request. Nothing here sleeps through that second: `arrived` is notified of every batch, and may be shared by logs.
    """

    def __init__(self, api: Api, pod: Pod, arrived: threading.Condition) -> None:
        self.pod = pod
        self.readable = 0
        self.unreadable = 0
        self.trouble: str | None = None
        self.arrived = arrived
        self._core = client.CoreV1Api(api.new_client())
        self._seen: deque[str] = deque()
        self._lines: dict[str, AccessLogLine | None] = {}
        self._by_source: _Index = {}
        self._by_user_agent: _Index = {}
        self._closed = False
        threading.Thread(target=self._follow, name=f"log of {pod.name}", daemon=True).start()

    def of_connection(self, source: str, user_agents: Container[str], since: float) -> AccessLogLine | None:
        """Return the newest line of a connection from `source` (address:port) with one of these user agents.

        Only of lines that arrived after `since` (time.monotonic()): ports are used again.
        """
        return self._newest(self._by_source, source, since, lambda line: line.user_agent in user_agents)

    def of_request(self, user_agent: str) -> AccessLogLine | None:
        """Return the newest line of requests with this user agent."""
        return self._newest(self._by_user_agent, user_agent, 0.0, lambda _: True)

    def of_peer(self, source: str, since: float) -> AccessLogLine | None:
        """Return the newest line since then of a connection from `source` (address:port), whatever it carried."""
        return self._newest(self._by_source, source, since, lambda _: True)

    def _newest(
        self, index: _Index, key: str, since: float, fits: Callable[[AccessLogLine], bool]
    ) -> AccessLogLine | None:
        with self.arrived:
            lines = reversed(index.get(key, ()))
            return next((line for at, line in lines if at >= since and fits(line)), None)

    def read_back(self, seconds: float) -> None:
        """Read the last `seconds` of the log once more, past the stream: one that hangs must not decide a verdict."""
        try:
            written = self._core.read_namespaced_pod_log(
                self.pod.name,
                self.pod.namespace,
                container=self._container,
                since_seconds=int(seconds) + _OVERLAP,
                _preload_content=False,
                _request_timeout=REQUEST_TIMEOUT,
            )
            self._take(written.data.splitlines())
        except (ApiException, HTTPError, OSError) as error:
            self.trouble = _first_line(error)

    def close(self) -> None:
        """Stop following: the thread ends with the next line, at the latest with the pod."""
        # Closing a response that another thread is reading from waits for that thread, so it is left to it.
        self._closed = True

    @property
    def _container(self) -> str:
        return PROXY if self.pod.injected else self.pod.container

    def _follow(self) -> None:
        back = _OVERLAP
        while not self._closed:
            began = time.monotonic()
            try:
                for lines in self._stream(back):
                    if self._closed:
                        return
                    self._take(lines)
            except (ApiException, HTTPError, OSError) as error:
                # The API server restarts, or the pod goes: the next round tells.
                self.trouble = _first_line(error)
                if isinstance(error, ApiException) and error.status == 404:
                    return  # the pod is gone, and with it its log
            back = int(time.monotonic() - began) + _OVERLAP
            if not self._closed:
                threading.Event().wait(0.2)  # an API server that is down shall not be flooded

    def _stream(self, back: int) -> Iterator[list[bytes]]:
        """Yield the log's whole lines, as many at a time as came together."""
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

    def _take(self, lines: Iterable[bytes]) -> None:
        """Keep lines that are new; a stream that begins anew, or `read_back`, brings some again."""
        self.trouble = None  # the log was read: whatever was in the way is over
        with self.arrived:
            for line in lines:
                raw = line.decode(errors="replace")
                if raw not in self._lines:
                    self._keep(raw)
            self.arrived.notify_all()

    def _keep(self, raw: str) -> None:
        if len(self._seen) == KEPT_LINES:
            self._let_go(self._seen.popleft())
        line = parse_line(raw)
        self._seen.append(raw)
        self._lines[raw] = line
        if line is None:
            # Envoy's and the agent's own messages share the stream; an access log in a format of somebody's own
            # making looks like this too, and is told apart by survey.py.
            self.unreadable += 1
            return
        self.readable += 1
        for index, key in self._places(line):
            index.setdefault(key, deque()).append((time.monotonic(), line))

    def _let_go(self, raw: str) -> None:
        line = self._lines.pop(raw)
        if line is not None:
            for index, key in self._places(line):
                index[key].popleft()  # what goes first came first
                if not index[key]:
                    del index[key]

    def _places(self, line: AccessLogLine) -> tuple[tuple[_Index, str], ...]:
        return (self._by_source, line.downstream_remote), (self._by_user_agent, line.user_agent)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
