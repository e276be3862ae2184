"""Follows a proxy's log and finds the line of one request or connection in it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.access_log import AccessLogLine, parse_line
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.pods import PROXY, Pod

KEPT_LINES = 20_000
_DAY = 24 * 3600.0
_OVERLAP = 5
"""Seconds that a new connection to the log reaches back, so that none of its lines is missed."""


class ProxyLog:
    """The access log of one proxy, read in a thread of its own from now on.

    Envoy writes its log in batches (Istio's agent asks for one a second), so a line comes up to a second after its
    request. Nothing here sleeps through that second: whoever waits is woken by the line.
    """

    def __init__(self, api: Api, pod: Pod) -> None:
        self.pod = pod
        self.unreadable = 0
        self.trouble: str | None = None
        self._core = client.CoreV1Api(api.new_client())
        self._lines: deque[AccessLogLine] = deque(maxlen=KEPT_LINES)
        self._arrived = threading.Condition()
        self._closed = False
        threading.Thread(target=self._follow, name=f"log of {pod.name}", daemon=True).start()

    def find(self, wanted: Callable[[AccessLogLine], bool], *, timeout: float) -> AccessLogLine | None:
        """Return the newest line that fits, waiting up to `timeout` seconds for it; None if it never came."""
        deadline = time.monotonic() + timeout
        with self._arrived:
            while True:
                found = next((line for line in reversed(self._lines) if wanted(line)), None)
                left = deadline - time.monotonic()
                if found or left <= 0:
                    return found
                self._arrived.wait(left)

    def close(self) -> None:
        """Stop following: the thread ends with the next line, at the latest with the pod."""
        # Closing a response that another thread is reading from waits for that thread, so it is left to it.
        self._closed = True

    def _follow(self) -> None:
        seen: deque[str] = deque(maxlen=KEPT_LINES)
        known: set[str] = set()
        back = _OVERLAP
        while not self._closed:
            began = time.monotonic()
            try:
                for raw in self._stream(back):
                    if self._closed:
                        return
                    if raw in known:
                        continue
                    if len(seen) == KEPT_LINES:
                        known.discard(seen[0])
                    seen.append(raw)
                    known.add(raw)
                    self._take(raw)
                self.trouble = None
            except (ApiException, HTTPError, OSError) as error:
                # The API server restarts, or the pod goes: the next round tells.
                self.trouble = str(error).splitlines()[0] if str(error) else type(error).__name__
            back = int(time.monotonic() - began) + _OVERLAP
            if not self._closed:
                threading.Event().wait(0.2)  # an API server that is down shall not be flooded

    def _stream(self, back: int) -> Iterator[str]:
        response = self._core.read_namespaced_pod_log(
            self.pod.name,
            self.pod.namespace,
            container=PROXY if self.pod.injected else self.pod.container,
            follow=True,
            since_seconds=back,
            _preload_content=False,
            _request_timeout=(5.0, _DAY),  # a quiet proxy writes nothing for hours
        )
        pending = b""
        for chunk in response.stream(amt=None, decode_content=False):
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace")

    def _take(self, raw: str) -> None:
        line = parse_line(raw)
        with self._arrived:
            if line is None:
                # Envoy's and the agent's own messages share the stream; an access log in a format of somebody's
                # own making looks like this too, and is told apart by mesh.py.
                self.unreadable += 1
                return
            self._lines.append(line)
            self._arrived.notify_all()
