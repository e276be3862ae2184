"""A page in a headless Chromium, driven by its DevTools protocol: what scripts say of it, keys as people press them."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from websocket import WebSocket, create_connection

BINARY = shutil.which("chromium")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
    "--remote-debugging-port=0", "about:blank",
)  # fmt: skip
PATIENCE = 120.0
"""Seconds until a browser that does not answer is given up; a busy machine takes its time."""
KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), "ArrowDown": (40, "")}
"""What a key is to the protocol: its Windows code, and what it types."""


class Page:
    """One tab."""

    def __init__(self, socket: WebSocket, folder: Path) -> None:
        self._socket = socket
        self._folder = folder
        self._numbers = count(1)

    def show(self, text: str) -> None:
        """Show a page, read from a file as people do; returns when its script has run."""
        file = self._folder / f"{next(self._numbers)}.html"
        file.write_text(text, encoding="utf-8")
        self._call("Page.navigate", url=file.as_uri())
        self.run("new Promise((done) => document.readyState === 'complete' ? done() : addEventListener('load', done))")

    def run(self, script: str) -> Any:
        """Return what a script says, as JSON can."""
        said = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        code, typed = KEYS[key]
        event = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self._call("Input.dispatchKeyEvent", type="keyDown", text=typed, **event)
        self._call("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, text: str) -> None:
        """Type where the focus is."""
        for letter in text:
            self._call("Input.dispatchKeyEvent", type="char", text=letter)

    def tab_to(self, selector: str) -> None:
        """Press Tab until something has the focus; once round the page at most."""
        for _ in range(self.run("document.querySelectorAll('*').length")):
            self.press("Tab")
            if self.run(f"document.activeElement.matches({json.dumps(selector)})"):
                return
        raise AssertionError(f"no Tab gets to {selector}")

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == number:  # all else tells what happens meanwhile
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result


@contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """Yield a tab of a browser that lives as long; its profile and its pages lie in a folder."""
    assert BINARY is not None
    quiet = subprocess.DEVNULL
    with subprocess.Popen([BINARY, *OPTIONS[:-1], f"--user-data-dir={folder}", OPTIONS[-1]], stderr=quiet) as process:
        try:
            with urlopen(f"http://127.0.0.1:{_port(process, folder)}/json/list", timeout=PATIENCE) as answer:
                tab = next(target for target in json.load(answer) if target["type"] == "page")
            socket = create_connection(tab["webSocketDebuggerUrl"], timeout=PATIENCE, suppress_origin=True)
            try:
                yield Page(socket, folder)
            finally:
                socket.close()
        finally:
            process.terminate()


def _port(process: subprocess.Popen[bytes], folder: Path) -> int:
    """Return where the browser listens, which it writes once it does."""
    written = folder / "DevToolsActivePort"
    deadline = time.monotonic() + PATIENCE
    while not (written.exists() and "\n" in written.read_text()):
        assert process.poll() is None, "chromium ended"
        assert time.monotonic() < deadline, "chromium does not listen"
        time.sleep(0.02)
    return int(written.read_text().split()[0])
