"""The thread that renews a lease, and when a lease has expired."""

from __future__ import annotations

import datetime
import threading

import pytest

from pytest_istio_egress.cluster import lease_renewal
from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.lease_renewal import LeaseRenewal, has_expired

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def test_renewal_goes_on_after_an_error_and_ends_where_the_lease_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_renewal, "RENEWED_EVERY", 0.001)
    answers: list[bool | Exception] = [True, ClusterError("unreachable"), OSError("reset"), True, False, True]
    lost = threading.Event()

    def renew() -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if not answer:
            lost.set()
        return answer

    LeaseRenewal("test", renew).start()
    assert lost.wait(5)
    assert answers == [True]


def test_stopped_renewal_renews_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_renewal, "RENEWED_EVERY", 0.001)
    renewed = threading.Event()

    def renew() -> bool:
        renewal.stop()
        assert not renewed.is_set()
        renewed.set()
        return True

    renewal = LeaseRenewal("test", renew)
    renewal.start()
    assert renewed.wait(5)


@pytest.mark.parametrize(("age", "seconds", "expired"), [(29, None, False), (30, None, True), (59, 60, False)])
def test_lease_expires_after_its_own_time_or_the_usual_one(*, age: int, seconds: int | None, expired: bool) -> None:
    assert has_expired(NOW - datetime.timedelta(seconds=age), seconds, NOW) is expired
