"""One run at a time has the lease of prepared namespaces; that of a killed run is taken over once it has expired."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster import prepared_lease
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.lease_renewal import HELD_FOR, LeaseRenewal
from pytest_istio_egress.cluster.prepared_lease import PreparedLease
from pytest_istio_egress.cluster.run_lease import micro_time


class Cluster:
    """The API server's clock, and the Lease with its versions; `meanwhile` happens before each read."""

    def __init__(self) -> None:
        self.clock = datetime.datetime(2001, 2, 3, tzinfo=datetime.UTC)
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.meanwhile: Callable[[], None] = lambda: None

    def now(self) -> datetime.datetime:
        return self.clock

    def resource(self, *_: str) -> Cluster:
        return self

    def get(self, **_: str) -> object:
        self.meanwhile()
        if self.lease is None:
            raise ApiException(404)
        return self._answer()

    def create(self, body: dict[str, Any], namespace: str) -> object:
        assert namespace == "egress-outside-team-a"
        if self.lease is not None:
            raise ApiException(409)
        return self._store(body)

    def patch(self, body: dict[str, Any], **_: str) -> object:
        if self.lease is None or body["metadata"]["resourceVersion"] != str(self.version):
            raise ApiException(409)
        return self._store(body)

    def delete(self, **_: str) -> None:
        self.lease = None

    def _store(self, body: dict[str, Any]) -> object:
        self.version += 1
        self.lease = body
        return self._answer()

    def _answer(self) -> object:
        assert self.lease is not None
        content = {**self.lease, "metadata": {"resourceVersion": str(self.version)}}
        return SimpleNamespace(to_dict=lambda: content)

    def pass_time(self, seconds: int) -> None:
        self.clock += datetime.timedelta(seconds=seconds)

    def renew(self) -> None:
        """Renew the lease, as its holder does."""
        assert self.lease is not None
        spec = {**self.lease["spec"], "renewTime": micro_time(self.clock)}
        self._store({**self.lease, "spec": spec})


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(
        prepared_lease, "poll", lambda look, every, timeout: any(look() for _ in range(int(timeout / every)))
    )
    monkeypatch.setattr(LeaseRenewal, "start", lambda _: None)
    return Cluster()


def lease(cluster: Cluster) -> PreparedLease:
    return PreparedLease(cast(Api, cluster), "team-a")


def test_second_run_is_refused_while_the_first_renews_its_lease(cluster: Cluster) -> None:
    lease(cluster).acquire(lambda _: None)
    said: list[str] = []

    def meanwhile() -> None:
        cluster.pass_time(1)
        cluster.renew()

    cluster.meanwhile = meanwhile
    with pytest.raises(ClusterError, match=r"another run \(.* on .*\) is using the namespaces prepared as team-a"):
        lease(cluster).acquire(said.append)
    assert len(said) == 1


def test_lease_of_a_killed_run_is_taken_over_once_it_has_expired(cluster: Cluster) -> None:
    killed, after = lease(cluster), lease(cluster)
    killed.acquire(lambda _: None)
    cluster.meanwhile = lambda: cluster.pass_time(1)
    began = cluster.clock
    after.acquire(lambda _: None)
    assert (cluster.clock - began).seconds >= HELD_FOR
    killed._renew()
    assert killed.lost
    killed.release()
    assert cluster.lease is not None
    after._renew()
    assert not after.lost


def test_released_lease_is_free_at_once(cluster: Cluster) -> None:
    first = lease(cluster)
    first.acquire(lambda _: None)
    first.release()
    said: list[str] = []
    lease(cluster).acquire(said.append)
    assert not said


def test_renewal_whose_response_was_lost_does_not_lose_the_lease(cluster: Cluster) -> None:
    own = lease(cluster)
    own.acquire(lambda _: None)
    cluster.renew()  # arrived, but the response did not: the repeated request conflicts with it
    own._renew()
    assert not own.lost
    own._renew()
    assert not own.lost
