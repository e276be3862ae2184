"""Draws a report's page with Chromium."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from excerpts import neutral

CHROMIUM = (
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
)  # fmt: skip
DARK = ("--force-dark-mode", "--blink-settings=preferredColorScheme=0", "--window-size=1200,1250")


def screenshot(page: Path, into: Path, *options: str, text: str = "") -> None:
    """Draw a page with Chromium; with `text`, only the rows that contain it."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, page.name)
        chosen = f"form.elements.text.value = {json.dumps(text)}; show();\n</script>\n</body>"
        copy.write_text(
            neutral(page.read_text(encoding="utf-8")).replace("</script>\n</body>", chosen), encoding="utf-8"
        )
        paths = [f"--user-data-dir={scratch}/profile", f"--screenshot={into}"]
        subprocess.run([*CHROMIUM, *paths, *options, copy.as_uri()], check=True, capture_output=True, timeout=300)
