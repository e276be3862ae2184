"""What the lease of a run and that of prepared namespaces have in common: a thread that renews it, and its expiry."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable

from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.api import ClusterError

RENEWED_EVERY = 5.0
HELD_FOR = 30
"""Seconds without renewal after which the holder of a lease counts as ended."""


class LeaseRenewal:
    """Calls `renew` regularly in a thread, until it is stopped or `renew` returns False: the lease is lost."""

    def __init__(self, name: str, renew: Callable[[], bool]) -> None:
        self._name = name
        self._renew = renew
        self._stop = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._renew_regularly, name=self._name, daemon=True).start()

    def stop(self) -> None:
        """Stop renewing."""
        self._stop.set()

    def _renew_regularly(self) -> None:
        while not self._stop.wait(RENEWED_EVERY):
            try:
                if not self._renew():
                    return
            except (ClusterError, HTTPError, OSError):
                continue  # the API server may be restarting; the lease is valid for several attempts


def has_expired(renewed: datetime.datetime, seconds: int | None, now: datetime.datetime) -> bool:
    """Whether a lease that is valid for so many seconds was not renewed in time.

    `now` is the API server's time, as renewals use its clock: that of this machine may differ.
    """
    return now - renewed >= datetime.timedelta(seconds=seconds or HELD_FOR)
