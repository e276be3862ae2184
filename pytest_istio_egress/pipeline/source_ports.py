"""Gives each probe its own source ports, so that Envoy logs the port that curl reports.

Outgoing connections are redirected to the sidecar by network address translation:

    curl 10.244.0.9:41000 -> 192.0.2.80:80    becomes    10.244.0.9:41000 -> 127.0.0.1:15001

The kernel may use one source port for two connections to different destinations, side by side or soon after each other.
After the redirection both would have the same addresses and ports, so the kernel changes the second one's source port:
the access log would have a port that curl does not report, and the line would not be found.
"""

from __future__ import annotations

import secrets
import threading

FIRST, LAST = 16_384, 29_999
"""Above Istio's own ports (15000 to 15090), below the range from which Linux chooses a source port itself (32768)."""
EACH = 8
"""Ports of one probe: one may be in use, and a pasted command that runs again soon needs another."""


class SourcePorts:
    """Hands out ranges of ports in turn: each comes again only after all the others."""

    def __init__(self) -> None:
        self._ranges = (LAST + 1 - FIRST) // EACH
        self._lock = threading.Lock()
        # A random start: workers may probe from the same pod of a user, and runs follow each other there.
        self._next = secrets.randbelow(self._ranges)

    def take(self) -> str:
        """Return the next range, as curl's --local-port wants it."""
        with self._lock:
            first = FIRST + self._next * EACH
            self._next = (self._next + 1) % self._ranges
        return f"{first}-{first + EACH - 1}"
