"""A small API server on loopback, which accepts one token, or client certificates with one name."""

from __future__ import annotations

import json
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import yaml

from pytest_istio_egress.cluster.certificates import Signed

VERSION = (
    "major", "minor", "gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"
)  # fmt: skip
"""The fields of the answer of /version, all of which the Kubernetes client wants."""


@dataclass
class Server:
    """An API server that accepts one token, or client certificates with one name; `seen` are those that it got."""

    url: str = ""
    accepts: str = "new"
    seen: list[str] = field(default_factory=list)


def serve(server: Server, context: ssl.SSLContext | None = None) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            peer = cast(Any, self.connection).getpeercert() if context else None
            names = dict(name[0] for name in peer["subject"]) if peer else {}
            given = names.get("commonName") or self.headers.get("authorization", "").removeprefix("Bearer ")
            server.seen.append(given)
            accepted = given == server.accepts
            found = self.path.startswith("/version")
            error = {"kind": "Status", "message": "not found" if accepted else "Unauthorized"}
            body = json.dumps(dict.fromkeys(VERSION, "v1") if accepted and found else error).encode()
            self.send_response((200 if found else 404) if accepted else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    if context:
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
    server.url = f"http{'s' * bool(context)}://localhost:{listening.server_port}"
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    return listening


def kubeconfig(folder: Path, url: str, user: dict[str, Any], **cluster: str) -> Path:
    path = folder / "config"
    content = {
        "clusters": [{"name": "a", "cluster": {"server": url, **cluster}}],
        "users": [{"name": "a", "user": user}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "current-context": "a",
    }
    path.write_text(yaml.safe_dump(content))
    return path


def write(folder: Path, name: str, signed: Signed) -> tuple[Path, Path]:
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    certificate.write_bytes(signed.certificate)
    key.write_bytes(signed.key)
    return certificate, key
