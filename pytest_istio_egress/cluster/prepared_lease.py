"""The lease of prepared namespaces: one run at a time uses them.

The controller of a run acquires it before the first test, renews it, and deletes it in the end. That of a killed run
stays until it has expired; its holder is alive if it is renewed meanwhile.
"""

from __future__ import annotations

import datetime
import secrets
import socket
from collections.abc import Callable
from typing import Any

from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.apply import RUN_LABEL
from pytest_istio_egress.cluster.lease_renewal import HELD_FOR, RENEWED_EVERY, LeaseRenewal, has_expired
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.poll import poll
from pytest_istio_egress.cluster.run_lease import LEASE, micro_time

_KIND = ("coordination.k8s.io/v1", "Lease")


class PreparedLease:
    """The lease of the namespaces that were prepared under one name."""

    def __init__(self, api: Api, name: str) -> None:
        self._api = api
        self._name = name
        self._namespace = Names(name, "").namespace("egress-outside")
        self._holder = f"{secrets.token_hex(4)} on {socket.gethostname()}"
        self._version = ""
        self._renewal = LeaseRenewal("lease of prepared namespaces", self._renew)
        self.lost = False
        """Whether another run has taken it: this one was suspended for longer than the lease is valid."""

    def acquire(self, say: Callable[[str], None]) -> None:
        """Acquire the lease, and renew it in a thread; raises ClusterError where another run has it."""
        seen: list[str] = []

        def try_it() -> bool:
            lease = self._read()
            if lease is None:
                return self._take(None)
            spec = lease["spec"]
            if self._has_expired(spec):
                return self._take(lease["metadata"]["resourceVersion"])
            if not seen:
                say(f"istio-egress: the prepared namespaces are in use, or were lately: waiting up to {HELD_FOR} s")
            elif seen[-1] != spec["renewTime"]:
                raise ClusterError(
                    f"another run ({spec['holderIdentity']}) is using the namespaces prepared as {self._name}: wait "
                    "until it ends, or have others prepared under another name"
                )
            seen.append(spec["renewTime"])
            return False

        if not poll(try_it, every=0.5, timeout=HELD_FOR + 2 * RENEWED_EVERY):
            raise ClusterError(f"the lease of the namespaces prepared as {self._name} was not free in time")
        self._renewal.start()

    def release(self) -> None:
        """Stop renewing, and delete the lease."""
        self._renewal.stop()
        if self.lost:
            return
        try:
            self._api.resource(*_KIND).delete(name=LEASE, namespace=self._namespace)
        except ApiException as error:
            if error.status != 404:
                raise ClusterError(f"cannot delete the lease of {self._namespace}: {reason(error)}") from error

    def _renew(self) -> bool:
        """Renew the lease; False where another run has it."""
        if self._take(self._version):
            return True
        lease = self._read()
        if lease is None or lease["spec"]["holderIdentity"] != self._holder:
            self.lost = True
        else:
            self._version = lease["metadata"]["resourceVersion"]  # renewed, but the response was lost
        return not self.lost

    def _has_expired(self, spec: dict[str, Any]) -> bool:
        renewed = datetime.datetime.fromisoformat(spec["renewTime"])
        return has_expired(renewed, spec.get("leaseDurationSeconds"), self._api.now())

    def _read(self) -> dict[str, Any] | None:
        try:
            lease: dict[str, Any] = self._api.resource(*_KIND).get(name=LEASE, namespace=self._namespace).to_dict()
        except ApiException as error:
            if error.status == 404:
                return None
            raise ClusterError(f"cannot read the lease of {self._namespace}: {reason(error)}") from error
        return lease

    def _take(self, version: str | None) -> bool:
        """Create or change the lease, if it still has this version; False where another process was first."""
        metadata: dict[str, Any] = {"name": LEASE, "namespace": self._namespace, "labels": {RUN_LABEL: self._name}}
        spec = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": HELD_FOR,
            "renewTime": micro_time(self._api.now()),
        }
        body = {"apiVersion": _KIND[0], "kind": _KIND[1], "metadata": metadata, "spec": spec}
        kind = self._api.resource(*_KIND)
        try:
            if version is None:
                taken = kind.create(body=body, namespace=self._namespace)
            else:
                metadata["resourceVersion"] = version
                merge = "application/merge-patch+json"
                taken = kind.patch(body=body, name=LEASE, namespace=self._namespace, content_type=merge)
        except ApiException as error:
            if error.status in (404, 409):
                return False
            raise ClusterError(f"cannot renew the lease of {self._namespace}: {reason(error)}") from error
        self._version = taken.to_dict()["metadata"]["resourceVersion"]
        return True
