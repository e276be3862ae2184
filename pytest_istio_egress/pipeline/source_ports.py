"""Gives each probe source ports of its own, so that Envoy sees the connection come from the port that curl names.

Outgoing connections are redirected to the sidecar, which is network address translation:

    curl 10.244.0.9:41000 -> 192.0.2.80:80    becomes    10.244.0.9:41000 -> 127.0.0.1:15001

The kernel gives a source port to two connections at once where their destinations differ, or to one that follows soon.
After the redirection both would have the same four numbers, so the second is given another source port on its way: the
access log would name a port that curl knows nothing of, and the line not be found.
"""

from __future__ import annotations

import secrets
import threading

FIRST, LAST = 16_384, 29_999
"""Above what Istio listens on (15000 to 15090), below what Linux takes for connections that name no port (32768)."""
EACH = 8
"""Ports of one probe: one may be somebody else's, and a command that is pasted again soon needs another."""


class SourcePorts:
    """Hands out ranges of ports in turn: each comes again only after all the others."""

    def __init__(self) -> None:
        self._ranges = (LAST + 1 - FIRST) // EACH
        self._lock = threading.Lock()
        # Somewhere: workers may ask from the same pod of the user's, and runs follow each other there.
        self._next = secrets.randbelow(self._ranges)

    def take(self) -> str:
        """Return the next range, as curl's --local-port wants it."""
        with self._lock:
            first = FIRST + self._next * EACH
            self._next = (self._next + 1) % self._ranges
        return f"{first}-{first + EACH - 1}"
