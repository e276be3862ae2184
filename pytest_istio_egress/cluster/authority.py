"""Copies a certificate authority of the user's into the container that curl runs in: curl reads only files."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.commands import run
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.model.case import InvalidTestError
from pytest_istio_egress.model.text import one_line

_CHUNK = 16 * 1024
"""Characters of one command: the API server takes a command as part of a URL."""
_CERTIFICATE = re.compile(r"^-----BEGIN CERTIFICATE-----.*?^-----END CERTIFICATE-----", re.DOTALL | re.MULTILINE)
LARGEST = 512 * 1024
"""Characters of a file's certificates: a bundle of all public authorities has half of it."""


class Authorities:
    """The certificate authorities in the containers of one worker's clients; each is copied once."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._copied: dict[tuple[str, str, str], str] = {}

    def path(self, pod: Pod, file: Path) -> str:
        """Return the path of a local PEM file in the pod's container.

        Raises InvalidTestError where the file is no PEM certificate, ClusterError where it cannot be copied.
        """
        text = _pem(file)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        key = (pod.uid, pod.container, digest)
        if key not in self._copied:
            self._copied[key] = self._copy(pod, text, f"/tmp/istio-egress-ca-{digest}.pem")  # noqa: S108  # of the container
        return self._copied[key]

    def _copy(self, pod: Pod, text: str, path: str) -> str:
        for begin in range(0, len(text), _CHUNK):
            redirect = ">>" if begin else ">"
            script = f'printf %s "$1" {redirect} {path}'
            result = run(self.api, pod, ["sh", "-c", script, "sh", text[begin : begin + _CHUNK]])
            if result.exit != 0:
                raise ClusterError(f"cannot write {path} in {pod}: {one_line(result.stderr) or 'its shell failed'}")
        return path


def _pem(file: Path) -> str:
    """Return the certificates of a file without the text around them: bundles name authorities in any encoding."""
    try:
        text = file.read_bytes().decode("ascii", errors="replace")
    except OSError as error:
        raise InvalidTestError(f"cannot read the CA file {file}: {one_line(error)}") from error
    certificates = "".join(f"{found}\n" for found in _CERTIFICATE.findall(text.replace("\r\n", "\n")))
    if not certificates or len(certificates) > LARGEST:
        raise InvalidTestError(
            f"{file} is not a CA file: give PEM certificates (BEGIN CERTIFICATE) of at most {LARGEST // 1024} KiB"
        )
    return certificates
