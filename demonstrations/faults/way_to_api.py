"""A TCP forwarder to the API server whose connections can be cut, and a kubeconfig that uses it."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from urllib.parse import urlsplit

import yaml

_BLOCK = 1 << 16


class WayToApi:
    """client -> 127.0.0.1:a -> 127.0.0.1:b -> API server; `cut` resets connections, `close_for` refuses them."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        server = urlsplit(config["clusters"][0]["cluster"]["server"])
        self._target = (server.hostname or "127.0.0.1", server.port or 443)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._address = self._listener.getsockname()
        self._folder = TemporaryDirectory(prefix="way-to-api-")
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self._address[1]}"
        self.kubeconfig = Path(self._folder.name) / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")

    def __enter__(self) -> WayToApi:
        """Open it."""
        self._accept(self._listener)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it for good."""
        self._listener.close()
        self.cut()
        self._folder.cleanup()

    def cut(self) -> None:
        """Reset all open connections."""
        with self._lock:
            open_now, self._open = self._open, set()
        for end in open_now:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                end.shutdown(socket.SHUT_RDWR)

    def close_for(self, seconds: float) -> None:
        """Behave like a restarting server for some seconds: reset open connections, refuse new ones."""
        self._listener.close()
        self.cut()
        threading.Event().wait(seconds)
        self._listener = socket.create_server(self._address)
        self._accept(self._listener)

    def _accept(self, listener: socket.socket) -> None:
        def accept() -> None:
            with contextlib.suppress(OSError):  # it was closed
                while True:
                    near, _ = listener.accept()
                    self._connect(near)

        threading.Thread(target=accept, daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        far = socket.create_connection(self._target)
        with self._lock:
            self._open |= {near, far}
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_BLOCK):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
