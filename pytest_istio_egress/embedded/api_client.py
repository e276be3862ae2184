"""A small client of the Kubernetes API for a cluster's own start: plain HTTPS, cheap to import, one per thread."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class RefusedError(Exception):
    """The API server responded with an error; `status` is its HTTP code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ApiClient:
    """A client of the API server on the loopback of this network namespace, with the certificate `<pki>/<user>.crt`."""

    def __init__(self, pki: Path, user: str = "admin", timeout: float = 10.0) -> None:
        self._tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._tls.load_cert_chain(pki / f"{user}.crt", pki / f"{user}.key")
        self._timeout = timeout
        self._connection: http.client.HTTPSConnection | None = None

    def request(self, method: str, path: str, body: object = None) -> Any:  # JSON of any kind
        """Return the decoded response. Raises RefusedError, OSError or http.client.HTTPException."""
        if self._connection is None:
            self._connection = self._connect(self._timeout)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            self._connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            raise
        if response.status >= 400:
            raise RefusedError(response.status, text.decode(errors="replace"))
        return json.loads(text) if text[:1] in b"{[" else text.decode()

    def watch(self, path: str, version: str, seconds: int = 240) -> Iterator[dict[str, Any]]:
        """Yield the events of one watch, on a separate connection, until the server ends it."""
        connection = self._connect(seconds + 30.0)
        try:
            sign = "&" if "?" in path else "?"
            query = f"{path}{sign}watch=1&resourceVersion={version}&timeoutSeconds={seconds}&allowWatchBookmarks=true"
            connection.request("GET", query)
            response = connection.getresponse()
            if response.status >= 400:
                raise RefusedError(response.status, response.read().decode(errors="replace"))
            while line := response.readline():
                yield json.loads(line)
        finally:
            connection.close()

    def _connect(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", 6443, timeout=timeout, context=self._tls)


def collection_path(found: dict[str, Any]) -> str:
    """Return the API path that objects of this kind are posted to."""
    version = found["apiVersion"]
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = found["metadata"].get("namespace")
    return f"{base}/namespaces/{namespace}/{plural(found['kind'])}" if namespace else f"{base}/{plural(found['kind'])}"


def plural(kind: str) -> str:
    """Return the resource's name in a path: NetworkPolicy -> networkpolicies, Service -> services."""
    word = kind.lower()
    if word.endswith("y"):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith("s") else "s")
